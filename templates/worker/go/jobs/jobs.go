// Package jobs takes jobs over HTTP and by the clock, and does them from a queue.
package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
)

// A Job is a page to look at.
type Job struct {
	URL string `json:"url"`
}

// A Message is the event of a queue that holds jobs.
type Message struct {
	ID            string
	DeliveryCount int
	Data          struct{ Body Job }
}

// A Tick is the event of a schedule whose input is a job.
type Tick struct {
	Data struct{ Input *Job }
}

// Submit answers POST /jobs {"url": "https://…"}: it queues the job.
func Submit(w http.ResponseWriter, r *http.Request) {
	var job Job
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&job)
	if u, perr := url.Parse(job.URL); err != nil || perr != nil || u.Host == "" {
		reply(w, http.StatusBadRequest, "error", `"url" must be a web address`)
		return
	}
	if err := enqueue(r.Context(), job); err != nil {
		slog.Error("job not queued", "error", err)
		reply(w, http.StatusBadGateway, "error", "the queue does not answer")
		return
	}
	reply(w, http.StatusAccepted, "queued", job.URL)
}

// Work does one job. An error brings it back a little later; after three times
// it goes to the queue "failures".
func Work(ctx context.Context, m Message) error {
	u, err := url.Parse(m.Data.Body.URL)
	if err != nil {
		return err
	}
	if u.Scheme != "https" {
		return fmt.Errorf("%s is not safe to visit", u)
	}
	slog.InfoContext(ctx, "done", "host", u.Hostname(), "attempt", m.DeliveryCount)
	return nil
}

// Sweep queues the job that the schedule carries as its input.
func Sweep(ctx context.Context, t Tick) error {
	if t.Data.Input == nil {
		return nil
	}
	return enqueue(ctx, *t.Data.Input)
}

func enqueue(ctx context.Context, job Job) error {
	body, err := json.Marshal(job)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("QUEUE_JOBS_URL"), bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("queue answered %s", res.Status)
	}
	return nil
}

func reply(w http.ResponseWriter, status int, key, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(map[string]string{key: text}); err != nil {
		slog.Warn("answer not written", "error", err)
	}
}
