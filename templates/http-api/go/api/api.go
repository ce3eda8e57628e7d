// Package api greets over HTTP.
package api

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
)

var words = map[string]string{"de": "Hallo", "en": "Hello", "es": "Hola", "fr": "Bonjour"}

// Handler answers GET /greetings/{name}?language=fr and
// POST /greetings {"name": "Ada", "language": "fr"}.
func Handler(w http.ResponseWriter, r *http.Request) {
	in := struct{ Name, Language string }{Language: "en"}
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&in); err != nil {
			answer(w, http.StatusBadRequest, "error", "the body is not what was expected: "+err.Error())
			return
		}
	} else {
		in.Name = r.PathValue("name")
		if l := r.URL.Query().Get("language"); l != "" {
			in.Language = l
		}
	}

	name, word := strings.TrimSpace(in.Name), words[in.Language]
	switch {
	case name == "":
		answer(w, http.StatusBadRequest, "error", `"name" must be a text`)
	case word == "":
		known := strings.Join(slices.Sorted(maps.Keys(words)), ", ")
		answer(w, http.StatusBadRequest, "error", `"language" must be one of `+known)
	default:
		slog.InfoContext(r.Context(), "greeted", "language", in.Language)
		answer(w, http.StatusOK, "greeting", fmt.Sprintf("%s, %s!", word, name))
	}
}

func answer(w http.ResponseWriter, status int, key, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(map[string]string{key: text}); err != nil {
		slog.Warn("answer not written", "error", err)
	}
}
