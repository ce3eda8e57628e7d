package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of the data plane. What is over them is answered with 413.
const (
	MaxBody       = 1 << 20  // bytes of a message, an item or an event
	MaxAttributes = 64 << 10 // bytes of all attribute names and values of a message
)

const (
	attributePrefix = "Anyfaas-Attribute-" // names are lower-cased
	groupHeader     = "Anyfaas-Message-Group"
	dedupHeader     = "Anyfaas-Dedup-Id"
	delayHeader     = "Anyfaas-Delay"
	partitionHeader = "Anyfaas-Partition-Key"
)

// The dataServer is the HTTP face of queues, topics, streams, tables and the
// bus:
//
//	POST   /<stack>/queues/<name>            send → 201 {"id"}
//	GET    /<stack>/queues/<name>?max=&wait= receive → {"messages": [{…, "receipt"}]}
//	GET    /<stack>/queues/<name>?peek=true  look, take nothing
//	DELETE /<stack>/queues/<name>/<receipt>  acknowledge → 204
//	POST   /<stack>/topics/<name>            publish → 201 {"id"}
//	POST   /<stack>/streams/<name>           append → 201 {"id", "shard", "sequence"}
//	GET    /<stack>/tables/<name>?prefix=&key=&after=&limit= → {"items": […], "next"}
//	GET, PUT, DELETE /<stack>/tables/<name>/<key>[/<sort>]
//	POST   /<stack>/events                   publish on the bus → 201 {"id"}
//
// Errors are {"error", "code"}.
type dataServer struct {
	b      *Broker
	url    string
	server *http.Server
	ended  chan error
}

func (b *Broker) listenData(ctx context.Context) (*dataServer, error) {
	l, err := b.listenKept(ctx, "data", b.opts.FirstPort)
	if err != nil {
		return nil, err
	}
	d := &dataServer{b: b, url: "http://" + l.Addr().String(), ended: make(chan error, 1)}
	d.server = &http.Server{Handler: d, ReadHeaderTimeout: 30 * time.Second, MaxHeaderBytes: 2 * MaxAttributes}
	go func() { d.ended <- d.server.Serve(l) }()
	return d, nil
}

// close cuts off requests still running: those that wait for messages would
// wait on.
func (d *dataServer) close() error {
	err := d.server.Close()
	if serr := <-d.ended; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

func (d *dataServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if why, ok := d.b.admit(r); !ok {
		writeError(w, http.StatusForbidden, "forbidden", why)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
	status, answer, err := d.serve(r)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	writeJSON(w, status, answer)
}

// serve answers a request with a status and a value to show as JSON, nil for
// none.
func (d *dataServer) serve(r *http.Request) (status int, answer any, err error) {
	var path []string
	for part := range strings.SplitSeq(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/") {
		p, err := url.PathUnescape(part)
		if err != nil {
			return 0, nil, badRequest{err.Error()}
		}
		path = append(path, p)
	}
	if len(path) == 2 && path[1] == "events" {
		return d.serveBus(r, path[0])
	}
	if len(path) >= 3 {
		stack, family, name, rest := path[0], path[1], path[2], path[3:]
		switch {
		case family == "queues" && len(rest) <= 1:
			return d.serveQueue(r, stack, name, rest)
		case family == "topics" && len(rest) == 0:
			return d.serveTopic(r, stack, name)
		case family == "streams" && len(rest) == 0:
			return d.serveStream(r, stack, name)
		case family == "tables" && len(rest) <= 2:
			return d.serveTable(r, stack, name, rest)
		}
	}
	return 0, nil, notFound{fmt.Sprintf("nothing at %q; resources are at /<stack>/queues/<name>, topics, streams and tables, the bus at /<stack>/events", r.URL.Path)}
}

// A wrongMethod is answered with 405.
type wrongMethod struct{ allowed string }

func (e wrongMethod) Error() string { return "use " + strings.ReplaceAll(e.allowed, ", ", " or ") }

// A tooLarge is answered with 413.
type tooLarge struct{ text string }

func (e tooLarge) Error() string { return e.text }

func (d *dataServer) fail(w http.ResponseWriter, r *http.Request, err error) {
	var body *http.MaxBytesError
	var method wrongMethod
	switch {
	case errors.As(err, new(badRequest)):
		writeError(w, http.StatusBadRequest, "bad-request", err.Error())
	case errors.As(err, new(notFound)):
		writeError(w, http.StatusNotFound, "not-found", err.Error())
	case errors.Is(err, errGone), errors.Is(err, errRemoved):
		writeError(w, http.StatusGone, "gone", err.Error())
	case errors.As(err, &method):
		w.Header().Set("Allow", method.allowed)
		writeError(w, http.StatusMethodNotAllowed, "method-not-allowed", err.Error())
	case errors.As(err, &body):
		writeError(w, http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("the body is over the limit of %d bytes", body.Limit))
	case errors.As(err, new(tooLarge)):
		writeError(w, http.StatusRequestEntityTooLarge, "too-large", err.Error())
	default:
		if r.Context().Err() == nil {
			d.b.log.Error("cannot serve a request", "method", r.Method, "path", r.URL.Path, "error", err)
		}
		writeError(w, http.StatusInternalServerError, "internal", err.Error())
	}
}

func writeError(w http.ResponseWriter, status int, code, text string) {
	writeJSON(w, status, map[string]string{"error": text, "code": code})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	if v == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // a client that left needs no answer
}

// readMessage reads what a sender wants to send.
func readMessage(r *http.Request) (outgoing, error) {
	var out outgoing
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return out, err
	}
	out.body = body
	out.attributes = map[string]string{}
	size := 0
	for name, values := range r.Header {
		if name, ok := strings.CutPrefix(name, attributePrefix); ok && name != "" {
			value := strings.Join(values, ", ")
			if !utf8.ValidString(value) {
				return out, badRequest{fmt.Sprintf("header %s%s is not UTF-8", attributePrefix, name)}
			}
			out.attributes[strings.ToLower(name)] = value
			size += len(name) + len(value)
		}
	}
	if size > MaxAttributes {
		return out, tooLarge{fmt.Sprintf("the attributes are over the limit of %d bytes", MaxAttributes)}
	}
	out.group = r.Header.Get(groupHeader)
	out.dedup = r.Header.Get(dedupHeader)
	if text := r.Header.Get(delayHeader); text != "" {
		if out.delay, err = parseDuration(text); err != nil {
			return out, badRequest{delayHeader + ": " + err.Error()}
		}
	}
	return out, nil
}

// parseDuration reads a Go duration or a number of seconds.
func parseDuration(s string) (time.Duration, error) {
	if n, err := strconv.ParseFloat(s, 64); err == nil && n >= 0 && n < 1e9 {
		return time.Duration(n * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is neither a number of seconds nor a duration such as 1m30s", s)
	}
	return d, nil
}
