// Package planner finds hours that suit people in different time zones.
//
// It is an ordinary HTTP handler on the standard library: nothing here knows
// that it runs as a function, and the tests call it as they would any other.
package planner

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
	_ "time/tzdata" // the zones travel with the function: not every cloud has them
)

// mux is built once per instance, not once per request.
var mux = func() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /zones/{zone...}", zone)
	m.HandleFunc("POST /meetings", meetings)
	return m
}()

// Handler is what serverless.yaml names.
func Handler(w http.ResponseWriter, r *http.Request) { mux.ServeHTTP(w, r) }

// zone answers GET /zones/Europe/Paris?at=2026-03-29T01:30:00Z with the local
// time there, now or at the moment asked for.
func zone(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	if s := r.URL.Query().Get("at"); s != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, s); err != nil {
			refuse(w, http.StatusBadRequest, `"at" must be a time like 2026-03-29T01:30:00Z`)
			return
		}
	}
	loc, err := load(r.PathValue("zone"))
	if err != nil {
		refuse(w, http.StatusNotFound, err.Error())
		return
	}
	local := at.In(loc)
	name, offset := local.Zone()
	reply(w, http.StatusOK, map[string]any{
		"zone":   loc.String(),
		"time":   local.Format(time.RFC3339),
		"name":   name,
		"offset": (time.Duration(offset) * time.Second).String(),
		"summer": local.IsDST(),
	})
}

// meetings answers POST /meetings {"date", "zones", "from", "to"} with the
// hours of that UTC day in which it is between from and to o'clock everywhere.
func meetings(w http.ResponseWriter, r *http.Request) {
	q := Question{From: 9, To: 17}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
			refuse(w, http.StatusRequestEntityTooLarge, "the question is longer than 64 KiB")
			return
		}
		refuse(w, http.StatusBadRequest, "the question is not understood: "+err.Error())
		return
	}
	slots, err := q.Slots()
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	slog.InfoContext(r.Context(), "planned", "zones", len(q.Zones), "slots", len(slots))
	reply(w, http.StatusOK, map[string]any{"slots": slots})
}

func load(name string) (*time.Location, error) {
	// LoadLocation also knows "", "UTC" and "Local"; the last would be the
	// machine's own zone, which means nothing to a caller.
	loc, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, fmt.Errorf("there is no time zone %q; names are like Europe/Paris", name)
	}
	return loc, nil
}

func refuse(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]any{"error": text})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		slog.Warn("answer not written", "error", err)
	}
}
