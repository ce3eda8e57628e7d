package broker

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Bounds of one receive.
const (
	maxReceived = 100
	maxWait     = time.Minute
)

// A receivedMessage is a message as a receiver sees it.
type receivedMessage struct {
	ID string `json:"id"`
	payload
	Group    string    `json:"group,omitempty"`
	Sent     time.Time `json:"sent"`
	Receives int       `json:"receives,omitempty"` // this one included; absent when peeking
	Receipt  string    `json:"receipt,omitempty"`  // absent when peeking
}

func (m message) received() receivedMessage {
	p := bodyOf(m.body)
	p.Attributes = &m.Attributes
	if m.Attributes == nil {
		p.Attributes = &map[string]string{}
	}
	return receivedMessage{ID: m.ID, payload: p, Group: m.Group, Sent: m.Sent}
}

func (d *dataServer) serveQueue(r *http.Request, stack, name string, rest []string) (int, any, error) {
	q, err := d.b.queue(stack, name)
	if err != nil {
		return 0, nil, err
	}
	if len(rest) == 1 {
		if r.Method != http.MethodDelete {
			return 0, nil, wrongMethod{"DELETE"}
		}
		_, _, waiting := q.state()
		return http.StatusNoContent, nil, waiting.acknowledge(r.Context(), rest[0])
	}
	switch r.Method {
	case http.MethodPost:
		out, err := readMessage(r)
		if err != nil {
			return 0, nil, err
		}
		id, err := q.send(r.Context(), out)
		return http.StatusCreated, map[string]string{"id": id}, err
	case http.MethodGet:
		return q.serveReceive(r)
	}
	return 0, nil, wrongMethod{"GET, POST"}
}

func (q *queue) serveReceive(r *http.Request) (int, any, error) {
	query := r.URL.Query()
	limit, err := intParam(query, "max", 10, 1, maxReceived)
	if err != nil {
		return 0, nil, err
	}
	wait := time.Duration(0)
	if text := query.Get("wait"); text != "" {
		if wait, err = parseDuration(text); err != nil {
			return 0, nil, badRequest{"wait: " + err.Error()}
		}
	}
	if wait > maxWait {
		return 0, nil, badRequest{fmt.Sprintf("wait must be at most %s", maxWait)}
	}
	list := []receivedMessage{}
	if query.Get("peek") == "true" {
		messages, err := q.peek(r.Context(), limit)
		for _, m := range messages {
			list = append(list, m.received())
		}
		return http.StatusOK, map[string]any{"messages": list}, err
	}
	for deadline := time.Now().Add(wait); ; {
		got, err := q.receive(r.Context(), limit, time.Until(deadline))
		if err != nil {
			return 0, nil, err
		}
		list = append(list, got...)
		if len(list) > 0 || !time.Now().Before(deadline) || r.Context().Err() != nil {
			return http.StatusOK, map[string]any{"messages": list}, nil
		}
	}
}

func intParam(q url.Values, name string, fallback, low, high int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, badRequest{fmt.Sprintf("%s must be a whole number from %d to %d, not %q", name, low, high, text)}
	}
	return n, nil
}
