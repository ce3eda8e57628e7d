package planner

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	for _, tt := range []struct{ name, method, target, body, want string }{
		{
			"a zone in winter", "GET", "/zones/Europe/Paris?at=2026-03-29T00:59:59Z", "",
			`200 {"name":"CET","offset":"1h0m0s","summer":false,"time":"2026-03-29T01:59:59+01:00","zone":"Europe/Paris"}`,
		},
		{
			"a second later it is summer", "GET", "/zones/Europe/Paris?at=2026-03-29T01:00:00Z", "",
			`200 {"name":"CEST","offset":"2h0m0s","summer":true,"time":"2026-03-29T03:00:00+02:00","zone":"Europe/Paris"}`,
		},
		{
			"an unknown zone", "GET", "/zones/Moon/Tranquility", "",
			`404 {"error":"there is no time zone \"Moon/Tranquility\"; names are like Europe/Paris"}`,
		},
		{
			"a moment that is none", "GET", "/zones/UTC?at=noon", "",
			`400 {"error":"\"at\" must be a time like 2026-03-29T01:30:00Z"}`,
		},
		{
			"an hour for three continents", "POST", "/meetings",
			`{"date":"2026-01-15","zones":["America/New_York","Europe/Paris","Asia/Kolkata"],"from":8,"to":20}`,
			`200 {"slots":[{"utc":"2026-01-15T13:00:00Z","local":{"America/New_York":"2026-01-15T08:00:00-05:00","Asia/Kolkata":"2026-01-15T18:30:00+05:30","Europe/Paris":"2026-01-15T14:00:00+01:00"}}]}`,
		},
		{
			"no hour suits", "POST", "/meetings", `{"date":"2026-01-15","zones":["America/Los_Angeles","Asia/Tokyo"],"from":9,"to":12}`,
			`200 {"slots":[]}`,
		},
		{
			"a day that is none", "POST", "/meetings", `{"date":"2026-02-30","zones":["UTC"]}`,
			`400 {"error":"\"date\" must be a day like 2026-03-30, not \"2026-02-30\""}`,
		},
		{
			"a misspelt key", "POST", "/meetings", `{"dates":"2026-02-03"}`,
			`400 {"error":"the question is not understood: json: unknown field \"dates\""}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			Handler(w, httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body)))
			if got := fmt.Sprintf("%d %s", w.Code, strings.TrimSpace(w.Body.String())); got != tt.want {
				t.Errorf("want %s\ngot  %s", tt.want, got)
			}
		})
	}
}

func TestSlotsAcrossTheChangeOfClocks(t *testing.T) {
	// Clocks in Paris go from 2 to 3 on this day: nine o'clock is at 7:00 UTC.
	slots, err := Question{Date: "2026-03-29", Zones: []string{"Europe/Paris"}, From: 9, To: 10}.Slots()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(slots), "[{2026-03-29T07:00:00Z map[Europe/Paris:2026-03-29T09:00:00+02:00]}]"; got != want {
		t.Errorf("want %s\ngot  %s", want, got)
	}
}

func TestHandlerLimitsTheQuestion(t *testing.T) {
	w := httptest.NewRecorder()
	Handler(w, httptest.NewRequest("POST", "/meetings", strings.NewReader(`{"date":"`+strings.Repeat("x", 1<<17)+`"}`)))
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("want status 413, got %d", w.Code)
	}
}
