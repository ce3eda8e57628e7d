package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// maxSpec bounds the JSON body of an admin call.
const maxSpec = 16 << 20

// An admin serves the API of package api on the admin socket.
type admin struct {
	host     *host
	listener net.Listener
	server   *http.Server
}

// listenAdmin opens the socket. The caller holds the host's lock, so a socket
// that is there already was left behind.
func (h *host) listenAdmin() (*admin, error) {
	path := h.layout.socket
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	a := &admin{host: h, listener: ownerListener{l}}
	a.server = &http.Server{
		Handler: a.handler(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: log.New(logWriter{h.log}, "", 0),
	}
	return a, nil
}

func (a *admin) serve() { go a.server.Serve(a.listener) }

// close refuses new calls, lets running ones finish and removes the socket.
func (a *admin) close() {
	a.host.stop() // ends those who follow logs
	shutdown(a.server, closeGrace)
}

// An ownerListener drops connections of other users, who cannot reach the
// socket in the first place as long as the rights of its folder are as we set
// them.
type ownerListener struct{ net.Listener }

func (l ownerListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || peerIsOwner(c) {
			return c, err
		}
		c.Close()
	}
}

// handler returns the routes of the API.
func (a *admin) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, serve func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			v, err := serve(r)
			writeAdmin(w, v, err)
		})
	}
	handle("GET /v1/status", a.status)
	handle("POST /v1/stop", a.stop)
	handle("GET /v1/stacks/{stack}", a.getStack)
	handle("DELETE /v1/stacks/{stack}", a.deleteStack)
	handle("PUT /v1/stacks/{stack}/{kind}/{name}", a.put)
	handle("GET /v1/stacks/{stack}/{kind}/{name}", a.get)
	handle("DELETE /v1/stacks/{stack}/{kind}/{name}", a.delete)
	handle("HEAD /v1/artifacts/{sha256}", a.hasArtifact)
	handle("PUT /v1/artifacts/{sha256}", a.putArtifact)
	handle("POST /v1/stacks/{stack}/functions/{name}/invoke", a.invoke)
	mux.HandleFunc("GET /v1/stacks/{stack}/functions/{name}/logs", a.logs)
	return a.count(mux)
}

// count keeps the host alive while it is being talked to.
func (a *admin) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-a.host.stopping:
			writeAdmin(w, nil, errStopping)
			return
		default:
		}
		a.host.mu.Lock()
		a.host.requests++
		if r.Method == http.MethodPut || r.Method == http.MethodHead {
			a.host.removed = false // something new is about to come
		}
		a.host.mu.Unlock()
		defer func() {
			a.host.mu.Lock()
			a.host.requests--
			a.host.activity = time.Now()
			a.host.mu.Unlock()
		}()
		next.ServeHTTP(w, r)
	})
}

// writeAdmin answers with v as JSON, with 204 when v is nil, or with err.
func writeAdmin(w http.ResponseWriter, v any, err error) {
	if err != nil {
		status, code := http.StatusInternalServerError, "failed"
		if r, ok := errors.AsType[*refusal](err); ok {
			status, code = r.status, r.code
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"error": err.Error(), "code": code})
		return
	}
	if v == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func notFound(format string, args ...any) error {
	return &refusal{http.StatusNotFound, "not-found", fmt.Sprintf(format, args...)}
}

func keyOf(r *http.Request) (string, resourceKey) {
	return r.PathValue("stack"), resourceKey{api.Kind(r.PathValue("kind")), r.PathValue("name")}
}

func (a *admin) status(*http.Request) (any, error) { return a.host.status(), nil }

func (a *admin) stop(*http.Request) (any, error) {
	// The answer goes out first: closing the server waits for it.
	a.host.stop()
	return nil, nil
}

func (a *admin) getStack(r *http.Request) (any, error) {
	name := r.PathValue("stack")
	st, ok := a.host.stackState(name)
	if !ok {
		return nil, notFound("there is no stack %q", name)
	}
	return st, nil
}

// The changes below run to their end even when the command that asked for them
// is gone: half a change helps nobody.

func (a *admin) deleteStack(r *http.Request) (any, error) {
	return nil, a.host.removeStack(context.WithoutCancel(r.Context()), r.PathValue("stack"))
}

func (a *admin) put(r *http.Request) (any, error) {
	spec, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxSpec))
	if err != nil {
		return nil, invalid("read the specification: %v", err)
	}
	stack, key := keyOf(r)
	return a.host.put(context.WithoutCancel(r.Context()), stack, key, spec)
}

func (a *admin) get(r *http.Request) (any, error) {
	stack, key := keyOf(r)
	st, ok := a.host.state(stack, key)
	if !ok {
		return nil, notFound("there is no %s in stack %q", key, stack)
	}
	return st, nil
}

func (a *admin) delete(r *http.Request) (any, error) {
	stack, key := keyOf(r)
	return nil, a.host.remove(context.WithoutCancel(r.Context()), stack, key)
}

func (a *admin) hasArtifact(r *http.Request) (any, error) {
	if !a.host.artifacts.has(r.PathValue("sha256")) {
		return nil, notFound("there is no such artifact")
	}
	return nil, nil
}

func (a *admin) putArtifact(r *http.Request) (any, error) {
	err := a.host.artifacts.put(r.PathValue("sha256"), r.Body)
	if errors.Is(err, errHash) {
		return nil, invalid("%v", err)
	}
	return nil, err
}

// function returns the function that a request names.
func (a *admin) function(r *http.Request) (*function, error) {
	if s := a.host.find(r.PathValue("stack")); s != nil {
		if f := s.function(r.PathValue("name")); f != nil {
			return f, nil
		}
	}
	return nil, notFound("there is no function %q in stack %q", r.PathValue("name"), r.PathValue("stack"))
}

func (a *admin) invoke(r *http.Request) (any, error) {
	f, err := a.function(r)
	if err != nil {
		return nil, err
	}
	var req api.InvokeRequest
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxSpec)).Decode(&req); err != nil {
		return nil, invalid("read the request: %v", err)
	}
	return a.host.invoke(r.Context(), f, req)
}

// logs streams log lines as they are in the files.
func (a *admin) logs(w http.ResponseWriter, r *http.Request) {
	f, err := a.function(r)
	if err != nil {
		writeAdmin(w, nil, err)
		return
	}
	var q logQuery
	if since := r.FormValue("since"); since != "" {
		if q.since, err = time.Parse(time.RFC3339Nano, since); err != nil {
			writeAdmin(w, nil, invalid("since: %v", err))
			return
		}
	}
	q.follow = r.FormValue("follow") == "true"
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-a.host.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	err = f.journal.read(ctx, q,
		func(line []byte) error { _, err := w.Write(line); return err },
		control.Flush)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// status describes the host and what it runs.
func (h *host) status() api.Status {
	st := api.Status{
		Version: h.options.Version, PID: os.Getpid(), Supervisor: supervisorPID(h.parent), Started: h.started, Home: h.layout.home,
		Stacks: []api.StackStatus{},
	}
	st.Data, st.S3 = h.broker.Addrs()
	for _, name := range h.store.names() {
		one := api.StackStatus{Stack: name, Functions: []api.FunctionStatus{}, Queues: []api.QueueStatus{}}
		if s := h.find(name); s != nil {
			one.URL = s.url()
			for _, f := range s.list() {
				one.Functions = append(one.Functions, f.status())
			}
		}
		one.Queues = append(one.Queues, h.broker.Status(name)...)
		st.Stacks = append(st.Stacks, one)
	}
	return st
}
