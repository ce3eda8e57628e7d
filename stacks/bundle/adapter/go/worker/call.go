//go:build go1.22

package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// A call is what the host says about a request in Anyfaas-* headers.
type call struct {
	kind      string // "", "event" or "invoke"
	ordered   bool
	requestID string
	deadline  time.Time
	clientIP  string
	params    map[string]string
}

// newCall takes the host's headers off r.
func newCall(r *http.Request) (call, error) {
	var c call
	for name, values := range r.Header {
		if !strings.HasPrefix(name, "Anyfaas-") {
			continue
		}
		delete(r.Header, name)
		value := values[0]
		switch name {
		case "Anyfaas-Kind":
			c.kind = value
		case "Anyfaas-Ordered":
			c.ordered = value == "true"
		case "Anyfaas-Request-Id":
			c.requestID = value
		case "Anyfaas-Client-Ip":
			c.clientIP = value
		case "Anyfaas-Deadline-Ms":
			ms, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return c, fmt.Errorf("%s: %w", name, err)
			}
			c.deadline = time.UnixMilli(ms)
		case "Anyfaas-Params":
			if err := json.Unmarshal([]byte(value), &c.params); err != nil {
				return c, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return c, nil
}

// context returns the handler's context: it ends with the call or at its
// deadline, and ctx.Value("anyfaas.requestId") names the call.
func (c call) context(ctx context.Context) (context.Context, context.CancelFunc) {
	//lint:ignore SA1029 a handler has no type of ours to import, so the key is a plain string
	ctx = context.WithValue(ctx, requestIDKey, c.requestID)
	if c.deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, c.deadline)
}

// requestIDKey is the key under which a context holds the request id.
const requestIDKey = "anyfaas.requestId"

// request completes r for the user's handler.
func (c call) request(r *http.Request) *http.Request {
	for name, value := range c.params {
		r.SetPathValue(name, value)
	}
	if c.clientIP != "" {
		r.RemoteAddr = net.JoinHostPort(c.clientIP, "0")
	}
	return r
}

// useJSONLog makes slog's and log's default logger write JSON lines to standard
// output, unless the user's init has chosen another.
func useJSONLog() {
	if fmt.Sprintf("%T", slog.Default().Handler()) != "*slog.defaultHandler" {
		return
	}
	slog.SetDefault(slog.New(newLog()))
}

func newLog() slog.Handler {
	level := slog.LevelInfo
	switch os.Getenv("ANYFAAS_LOG_LEVEL") {
	case "debug":
		level = slog.LevelDebug
	case "warn":
		level = slog.LevelWarn
	case "error":
		level = slog.LevelError
	}
	h := slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) > 0 {
			return a
		}
		switch a.Key {
		case slog.LevelKey:
			if l, ok := a.Value.Any().(slog.Level); ok {
				a.Value = slog.StringValue(strings.ToLower(l.String()))
			}
		case slog.TimeKey:
			if a.Value.Kind() == slog.KindTime {
				a.Value = slog.StringValue(a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z"))
			}
		}
		return a
	}})
	return logHandler{h.WithAttrs([]slog.Attr{slog.String("fn", os.Getenv("ANYFAAS_FUNCTION"))})}
}

// A logHandler adds the request id that the context holds.
type logHandler struct{ slog.Handler }

func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(requestIDKey).(string); ok && id != "" {
		r.AddAttrs(slog.String("requestId", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

func (h logHandler) WithGroup(name string) slog.Handler {
	return logHandler{h.Handler.WithGroup(name)}
}

// reply writes a JSON answer of the adapter's own.
func reply(w http.ResponseWriter, status int, value any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		slog.Error("the result has no JSON form", "error", err.Error())
		status = http.StatusInternalServerError
		body.Reset()
		body.WriteString(`{"message":"the result has no JSON form"}`)
	}
	data := bytes.TrimRight(body.Bytes(), "\n")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	w.Write(data)
}
