//go:build go1.22

// Package worker runs a user's Go function: it serves HTTP and events on the
// address its host names. It is compiled into the user's module beside a
// generated main, so it uses the standard library only.
package worker

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Functions are the user's handlers; nil where there is none. The names are as
// in the manifest, for messages.
type Functions struct {
	HTTP      any // http.Handler or func(http.ResponseWriter, *http.Request)
	HTTPName  string
	Event     any // func(context.Context, T) error or (R, error); T a slice for batches
	EventName string
}

// Main serves until standard input ends or the process is asked to stop.
func Main(f Functions) {
	useJSONLog()
	if err := run(f, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(f Functions, parent io.Reader) error {
	h, err := newHandler(f)
	if err != nil {
		return err
	}
	l, err := listen(os.Getenv("ANYFAAS_LISTENER"))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, MaxHeaderBytes: 1 << 20}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	go func() {
		io.Copy(io.Discard, parent) // ends with whoever started this process
		os.Exit(0)
	}()
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-stop.Done():
		return server.Shutdown(context.Background())
	}
}

// listen opens "unix:/path" or "host:port".
func listen(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return net.Listen("unix", path)
	}
	if address == "" {
		return nil, fmt.Errorf("ANYFAAS_LISTENER must be unix:/path or host:port, not %q", address)
	}
	return net.Listen("tcp", address)
}

// A handler tells requests from events.
type handler struct {
	http  http.Handler
	event *eventHandler
}

func newHandler(f Functions) (*handler, error) {
	h := &handler{}
	switch v := f.HTTP.(type) {
	case nil:
		if f.HTTPName != "" {
			return nil, fmt.Errorf("handler %s is nil: assign it where it is declared or in an init function", f.HTTPName)
		}
	case http.Handler:
		h.http = v
	case func(http.ResponseWriter, *http.Request):
		h.http = http.HandlerFunc(v)
	default:
		return nil, fmt.Errorf("handler %s must be a func(http.ResponseWriter, *http.Request) or an http.Handler, not %T", f.HTTPName, f.HTTP)
	}
	if f.Event != nil {
		e, err := newEventHandler(f.Event)
		if err != nil {
			return nil, fmt.Errorf("handler %s %w", f.EventName, err)
		}
		h.event = e
	}
	return h, nil
}

// ServeHTTP implements http.Handler for what the host sends.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call, err := newCall(r)
	if err != nil {
		slog.Error("the call cannot be read", "error", err.Error())
		reply(w, http.StatusBadRequest, map[string]any{"message": "Bad Request"})
		return
	}
	ctx, cancel := call.context(r.Context())
	defer cancel()
	switch call.kind {
	case "":
		if h.http == nil {
			reply(w, http.StatusNotFound, map[string]any{"message": "this function has no http handler"})
			return
		}
		serveHTTP(h.http, w, call.request(r.WithContext(ctx)))
	default:
		if h.event == nil {
			reply(w, http.StatusInternalServerError, map[string]any{"message": "this function has no event handler", "failures": []string{}})
			return
		}
		h.event.serve(ctx, w, r.Body, call)
	}
}
