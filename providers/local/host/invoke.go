package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/anyfaas/anyfaas/providers/local/broker"
)

// logSettle is how long an invocation waits for output that the worker wrote
// before its answer and that has not been read yet.
const logSettle = 25 * time.Millisecond

const (
	contentEvent  = "Content-Type: application/cloudevents+json\r\n"
	contentEvents = "Content-Type: application/cloudevents-batch+json\r\n"
)

// Call hands events to a function; see broker.Caller.
func (h *host) Call(ctx context.Context, c broker.Call) ([]string, error) {
	s := h.find(c.Stack)
	if s == nil {
		return nil, fmt.Errorf("there is no stack %q", c.Stack)
	}
	f := s.function(c.Function)
	if f == nil {
		return nil, fmt.Errorf("there is no function %q in stack %q", c.Function, c.Stack)
	}
	if len(c.Events) == 0 {
		return nil, nil
	}
	out, failed, err := f.deliver(ctx, s.ids.next(), c)
	if err != nil {
		return nil, err
	}
	if out.status >= 300 && len(failed) == 0 {
		return nil, fmt.Errorf("the function answered %d: %s", out.status, clip(out.body))
	}
	return failed, nil
}

// deliver passes a batch of events and returns the answer with the ids of those
// that failed.
func (f *function) deliver(ctx context.Context, id string, c broker.Call) (answer, []string, error) {
	body, err := json.Marshal(c.Events)
	if err != nil {
		return answer{}, nil, err
	}
	first := c.Events[0]
	text := strings.TrimPrefix(first.Type, api.TypePrefix) + " from " + first.Source
	if n := len(c.Events); n > 1 {
		text = fmt.Sprintf("%d × %s", n, text)
	}
	e, fail := f.admit(ctx, id, first.Source, text)
	if fail != nil {
		return answer{}, nil, fail
	}
	var extra bytes.Buffer
	e.hostLines(&extra)
	extra.WriteString(api.HeaderKind + ": event\r\n" + contentEvents)
	e.trace(&extra, first.TraceParent)
	if c.Ordered {
		extra.WriteString(api.HeaderOrdered + ": true\r\n")
	}
	var failed []string
	out, fail := e.exchange(ctx, post(body, extra.Bytes()), func(a answer) (int, string) {
		var outcome struct {
			Failures []string `json:"failures"`
		}
		if err := json.Unmarshal(a.body, &outcome); err != nil {
			return max(a.status, http.StatusInternalServerError), "unexpected answer: " + clip(a.body)
		}
		failed = outcome.Failures
		if len(failed) > 0 {
			return http.StatusInternalServerError, fmt.Sprintf("%d of %d failed", len(failed), len(c.Events))
		}
		return a.status, ""
	})
	if fail != nil {
		return answer{}, nil, fail
	}
	if !json.Valid(out.body) {
		return answer{}, nil, fmt.Errorf("the function answered %d with %q, not with a list of failures", out.status, clip(out.body))
	}
	return out, failed, nil
}

func post(body, extra []byte) *request {
	return &request{method: http.MethodPost, uri: "/", host: "localhost", length: int64(len(body)), whole: body, extra: extra}
}

// clip shortens an answer for a message.
func clip(body []byte) string {
	const most = 200
	text := strings.ToValidUTF8(string(body[:min(len(body), most)]), "\uFFFD")
	if len(body) > most {
		text += "…"
	}
	return text
}

// invoke calls a function directly.
func (h *host) invoke(ctx context.Context, f *function, req api.InvokeRequest) (api.InvokeReply, error) {
	s := h.stack(f.stack)
	id := s.ids.next()
	if len(req.Data) == 0 {
		req.Data = json.RawMessage("null")
	}
	start := time.Now()
	collect := f.journal.tap(id)
	var out answer
	var err error
	switch req.Trigger {
	case "", "invoke":
		out, err = f.invokePlain(ctx, id, req.Data)
	case "http":
		out, err = f.invokeHTTP(ctx, id, req.Data, s.router.Load())
	default:
		var event api.CloudEvent
		event, err = h.broker.Event(req.Trigger, f.stack, f.name, req.Data)
		if err != nil {
			err = invalid("%v", err)
			break
		}
		out, _, err = f.deliver(ctx, id, broker.Call{Stack: f.stack, Function: f.name, Events: []api.CloudEvent{event}})
	}
	took := time.Since(start)
	time.Sleep(logSettle)
	lines := collect()
	if _, ok := err.(*refusal); ok {
		return api.InvokeReply{}, err
	}
	reply := api.InvokeReply{RequestID: id, Status: out.status, Duration: api.Duration(took), Body: out.body, Logs: lines}
	if fail, ok := err.(*failure); ok {
		reply.Status = fail.status
		if fail.status == http.StatusBadGateway { // a function that breaks is one that failed
			reply.Status = http.StatusInternalServerError
		}
		reply.Body, _ = json.Marshal(map[string]string{"message": fail.message})
	} else if err != nil {
		reply.Status = http.StatusInternalServerError
		reply.Body, _ = json.Marshal(map[string]string{"message": err.Error()})
	}
	if len(out.header) > 0 {
		reply.Headers = map[string]string{}
		for name, values := range out.header {
			reply.Headers[name] = strings.Join(values, ", ")
		}
	}
	for _, l := range lines {
		if l.Kind == "request" {
			reply.Cold, reply.Duration = l.Cold, l.Duration
		}
	}
	return reply, nil
}

func (f *function) invokePlain(ctx context.Context, id string, data json.RawMessage) (answer, error) {
	body, err := json.Marshal(api.CloudEvent{
		SpecVersion: "1.0", Type: api.TypePrefix + "invoke.v1", Source: "/invoke", ID: id,
		Time: time.Now().UTC().Format(time.RFC3339Nano), DataContentType: "application/json", Data: data,
	})
	if err != nil {
		return answer{}, invalid("data: %v", err)
	}
	e, fail := f.admit(ctx, id, "", "invoke")
	if fail != nil {
		return answer{}, fail
	}
	var extra bytes.Buffer
	e.hostLines(&extra)
	extra.WriteString(api.HeaderKind + ": invoke\r\n" + contentEvent)
	e.trace(&extra, "")
	out, fail := e.exchange(ctx, post(body, extra.Bytes()), nil)
	if fail != nil {
		return answer{}, fail
	}
	return out, nil
}

// An httpCall is the data of an invocation with trigger "http". A body that is
// a string is sent as it is, any other as JSON.
type httpCall struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

func (f *function) invokeHTTP(ctx context.Context, id string, data json.RawMessage, router *router) (answer, error) {
	var c httpCall
	if err := json.Unmarshal(data, &c); err != nil {
		return answer{}, invalid("data of an http call is {method, path, headers, body}: %v", err)
	}
	if c.Method == "" {
		c.Method = http.MethodGet
	}
	if c.Path == "" {
		c.Path = "/"
	}
	u, err := url.ParseRequestURI(c.Path)
	if err != nil || !strings.HasPrefix(c.Path, "/") {
		return answer{}, invalid("path %q must be a URL path that starts with /", c.Path)
	}
	header := http.Header{}
	body, err := c.body(header)
	if err != nil {
		return answer{}, invalid("body: %v", err)
	}
	// NewRequest checks the method and what the header fields hold.
	r, err := http.NewRequestWithContext(ctx, c.Method, "http://localhost"+u.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return answer{}, invalid("%v", err)
	}
	for name, value := range c.Headers {
		if strings.ContainsAny(name+value, "\r\n") {
			return answer{}, invalid("header %q holds a line break", name)
		}
		header.Set(name, value)
	}
	r.RequestURI, r.Header = c.Path, header
	r.RemoteAddr = "127.0.0.1:0"
	e, fail := f.admit(ctx, id, "", c.Method+" "+u.Path)
	if fail != nil {
		return answer{}, fail
	}
	a := arrival{id: id}
	if m := router.find(c.Method, u.EscapedPath()); m.route != nil && m.route.function == f {
		a.params = m.params()
	}
	host := "localhost"
	if h := header.Get("Host"); h != "" {
		host = h
		header.Del("Host")
	}
	r.Host = host
	var extra bytes.Buffer
	e.httpLines(&extra, r, a)
	out, fail := e.exchange(ctx, &request{
		method: c.Method, uri: c.Path, host: host, header: header,
		length: int64(len(body)), whole: body, extra: extra.Bytes(),
	}, nil)
	if fail != nil {
		return answer{}, fail
	}
	return out, nil
}

// body returns the bytes to send, with a Content-Type for JSON.
func (c httpCall) body(header http.Header) ([]byte, error) {
	if len(c.Body) == 0 || string(c.Body) == "null" {
		return nil, nil
	}
	if c.Body[0] == '"' {
		var text string
		err := json.Unmarshal(c.Body, &text)
		return []byte(text), err
	}
	header.Set("Content-Type", "application/json")
	return c.Body, nil
}
