// Package keep keeps the counts of texts and hands them back.
package keep

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
)

// A Count is what the queue brings and the bucket keeps.
type Count struct {
	Name   string   `json:"name"`
	Words  int      `json:"words"`
	Common []string `json:"common"`
}

// A Message is the event of a queue.
type Message struct {
	ID            string
	DeliveryCount int
	Data          struct{ Body json.RawMessage }
}

// Keep stores one count. What is no count fails, comes back twice, and ends in
// the queue "uncounted".
func Keep(ctx context.Context, m Message) error {
	var c Count
	if err := json.Unmarshal(m.Data.Body, &c); err != nil {
		return fmt.Errorf("message %s holds no count: %w", m.ID, err)
	}
	if c.Name == "" {
		return fmt.Errorf("message %s names no text", m.ID)
	}
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	res, err := call(ctx, http.MethodPut, c.Name, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("bucket answered %s", res.Status)
	}
	slog.InfoContext(ctx, "kept", "name", c.Name, "words", c.Words, "attempt", m.DeliveryCount)
	return nil
}

// Read answers GET /counts/{name}.
func Read(w http.ResponseWriter, r *http.Request) {
	res, err := call(r.Context(), http.MethodGet, r.PathValue("name"), nil)
	if err != nil {
		slog.ErrorContext(r.Context(), "count not read", "error", err)
		http.Error(w, "the bucket does not answer", http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		http.Error(w, "there is no count of that text", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := io.Copy(w, res.Body); err != nil {
		slog.Warn("answer not written", "error", err)
	}
}

func call(ctx context.Context, method, name string, body []byte) (*http.Response, error) {
	target := os.Getenv("BUCKET_TEXTS_URL") + "/out/" + url.PathEscape(name) + ".json"
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}
