// Package app is the Go side of the conformance cases.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

var gate = make(chan struct{})

func HTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/boom":
		w.Header().Set("X-Half", "done")
		panic("the secret cause")
	case "/bin":
		w.Header().Set("Content-Type", "image/png")
		w.Write([]byte{0, 255, 1, 254})
	case "/empty":
		w.WriteHeader(204)
	case "/not-modified":
		w.Header().Set("Etag", `"1"`)
		w.WriteHeader(304)
	case "/cookies":
		w.Header().Add("Set-Cookie", "a=1; Path=/; HttpOnly")
		w.Header().Add("Set-Cookie", "b=2")
		io.WriteString(w, "ok")
	case "/redirect":
		http.Redirect(w, r, "/echo", http.StatusFound)
	case "/text":
		io.WriteString(w, "héllo")
	case "/json":
		reply(w, 201, map[string]any{"ok": true})
	case "/size":
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(err)
		}
		reply(w, 200, map[string]any{"size": n})
	case "/context":
		id, _ := r.Context().Value("anyfaas.requestId").(string)
		deadline, ok := r.Context().Deadline()
		reply(w, 200, map[string]any{
			"requestId": id, "params": map[string]string{"id": r.PathValue("id")},
			"clientIp": strings.TrimSuffix(r.RemoteAddr, ":0"), "function": "app",
			"deadline": ok, "remaining": time.Until(deadline) > 0,
		})
	case "/log":
		slog.DebugContext(r.Context(), "a debug line")
		slog.InfoContext(r.Context(), "an info line", "order", 7)
		io.WriteString(w, "logged")
	case "/stream":
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		<-gate
		io.WriteString(w, "second")
	case "/release":
		gate <- struct{}{}
		io.WriteString(w, "released")
	case "/deadline":
		slog.InfoContext(r.Context(), "waiting "+r.Context().Value("anyfaas.requestId").(string))
		<-r.Context().Done()
		io.WriteString(w, "stopped in time")
	default:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		internal := []string{}
		for name := range r.Header {
			if strings.HasPrefix(name, "Anyfaas-") {
				internal = append(internal, name)
			}
		}
		reply(w, 200, map[string]any{
			"method": r.Method, "path": r.URL.EscapedPath(), "x": append([]string{}, r.URL.Query()["x"]...), "body": string(body),
			"header": header(r, "X-Test"), "cookie": header(r, "Cookie"), "encoding": header(r, "Content-Encoding"),
			"host": r.Host, "internal": internal,
		})
	}
}

func header(r *http.Request, name string) any {
	if values := r.Header.Values(name); len(values) > 0 {
		return strings.Join(values, map[bool]string{true: "; ", false: ", "}[name == "Cookie"])
	}
	return nil
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.Encode(v)
}

// Event is as much of a CloudEvent as these cases need.
type Event struct {
	ID, Type string
	Data     json.RawMessage
}

var meeting struct {
	sync.Mutex
	now, most int
	waiting   []chan struct{}
}

func OnEvent(ctx context.Context, e Event) (any, error) {
	if e.Type == "dev.anyfaas.invoke.v1" {
		var ask struct{ Most, Boom bool }
		_ = json.Unmarshal(e.Data, &ask)
		if ask.Most {
			return meeting.most, nil
		}
		if ask.Boom {
			return nil, errors.New("no such order")
		}
		if string(e.Data) == "null" {
			return nil, nil
		}
		return map[string]any{"got": e.Data, "id": ctx.Value("anyfaas.requestId")}, nil
	}
	var data struct{ Body string }
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return nil, err
	}
	slog.InfoContext(ctx, "event", "id", e.ID, "body", data.Body)
	switch data.Body {
	case "boom":
		return nil, errors.New("bad message " + e.ID)
	case "meet":
		meeting.Lock()
		meeting.now++
		meeting.most = max(meeting.most, meeting.now)
		turn := make(chan struct{})
		meeting.waiting = append(meeting.waiting, turn)
		if len(meeting.waiting) == 10 {
			for _, w := range meeting.waiting {
				close(w)
			}
			meeting.waiting = nil
		}
		meeting.Unlock()
		<-turn
		meeting.Lock()
		meeting.now--
		meeting.Unlock()
	}
	return nil, nil
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
