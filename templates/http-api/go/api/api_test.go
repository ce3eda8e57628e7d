package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /greetings/{name}", Handler)
	mux.HandleFunc("POST /greetings", Handler)

	for _, tt := range []struct{ name, method, target, body, want string }{
		{"the name comes from the path", "GET", "/greetings/Ada?language=fr", "", `200 {"greeting":"Bonjour, Ada!"}`},
		{"the name comes from the body", "POST", "/greetings", `{"name": "Ada"}`, `200 {"greeting":"Hello, Ada!"}`},
		{"an unknown language", "GET", "/greetings/Ada?language=xx", "", `400 {"error":"\"language\" must be one of de, en, es, fr"}`},
		{"no name", "POST", "/greetings", `{}`, `400 {"error":"\"name\" must be a text"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body)))
			if got := w.Result().Status[:3] + " " + strings.TrimSpace(w.Body.String()); got != tt.want {
				t.Errorf("want %s\ngot  %s", tt.want, got)
			}
		})
	}
}
