package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Where the search for free ports begins unless Options say otherwise.
const (
	firstPort        = 8080
	brokerPort       = 9400 // as broker.Options.FirstPort by default
	portsTried       = 1000
	highestFirstPort = 1<<16 - 1 - 2*portsTried
)

// A front is the HTTP server of one stack.
type front struct {
	stack    *stack
	settings atomic.Pointer[frontSettings]
	ids      *requestIDs
	server   *http.Server
	address  *net.TCPAddr
}

// frontSettings are what a service says beside the port.
type frontSettings struct {
	cors   *cors     // nil: no rules
	tokens *verifier // nil: no tokens are accepted
	domain string    // in lower case
}

func newFront(s *stack) *front {
	f := &front{stack: s, ids: &s.ids}
	f.settings.Store(&frontSettings{})
	return f
}

func (f *front) listening() bool { return f.server != nil }
func (f *front) port() int       { return f.address.Port }

// listen opens the port: the wanted one, or the last one if that is free, or
// the first free one. It does nothing when the front listens there already, or
// listens somewhere and any port will do.
func (f *front) listen(wanted, last int) error {
	if f.server != nil && (wanted == f.port() || wanted == 0) {
		return nil
	}
	l, err := listenPort(wanted, last, f.stack.firstPort)
	if err != nil {
		return err
	}
	old := f.server
	f.address = l.Addr().(*net.TCPAddr)
	f.server = &http.Server{
		Handler:           f,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       3 * time.Minute,
		ErrorLog:          log.New(logWriter{f.stack.log}, "", 0),
	}
	go f.server.Serve(l)
	if old != nil {
		shutdown(old, removeGrace)
	}
	return nil
}

// listenPort listens on the wanted port, else on the last one, else on the first
// free one.
func listenPort(wanted, last, first int) (net.Listener, error) {
	if port := cmp.Or(wanted, last); port != 0 {
		l, err := net.Listen("tcp4", loopback(port))
		if err != nil {
			return nil, portError(port, err)
		}
		return l, nil
	}
	for port := first; port < first+portsTried; port++ {
		l, err := net.Listen("tcp4", loopback(port))
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no port from %d to %d is free", first, first+portsTried-1)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func portError(port int, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &refusal{http.StatusConflict, "port-taken", fmt.Sprintf("port %d on 127.0.0.1 is taken by another program", port)}
	case errors.Is(err, syscall.EACCES):
		return &refusal{http.StatusForbidden, "port-denied", fmt.Sprintf("this user may not listen on port %d", port)}
	}
	return err
}

func (f *front) close(grace time.Duration) {
	if f.server != nil {
		shutdown(f.server, grace)
	}
}

// shutdown lets running requests finish for a while.
func shutdown(s *http.Server, grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		s.Close()
	}
}

// ServeHTTP finds the function of a request and passes it on.
func (f *front) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	select {
	case <-f.stack.restored:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
	settings := f.settings.Load()
	id := f.ids.next()
	rw.Header()["Anyfaas-Request-Id"] = []string{id}
	if !answersTo(r.Host, settings.domain) {
		writeMessage(rw, http.StatusMisdirectedRequest, fmt.Sprintf(
			"this server answers for localhost only, not for %q; set http.domain to use another name", r.Host))
		return
	}
	router := f.stack.router.Load()
	path := rawPath(r)
	m := router.find(r.Method, path)
	if settings.cors != nil {
		if settings.cors.preflight(rw, r, router, path, m) {
			return
		}
		settings.cors.expose(rw, r, router, path, m)
	}
	if m.route == nil {
		if len(m.allow) > 0 {
			rw.Header()["Allow"] = []string{strings.Join(m.allow, ", ")}
			writeMessage(rw, http.StatusMethodNotAllowed, "Method Not Allowed")
			return
		}
		writeMessage(rw, http.StatusNotFound, messageNotFound)
		return
	}
	if m.route.Auth == "jwt" && !settings.tokens.authorize(rw, r) {
		return
	}
	m.route.function.serveHTTP(rw, r, arrival{id: id, params: m.params()})
}

// rawPath returns the path as it was sent.
func rawPath(r *http.Request) string {
	path, _, _ := strings.Cut(requestURI(r), "?")
	return path
}

// answersTo reports whether host is a name of this machine's loopback address
// or the configured one. Other names come from web pages that had their own
// name point here to get past the browser's same-origin rule.
func answersTo(host, domain string) bool {
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:i]
	}
	switch name {
	case "127.0.0.1", "localhost", "[::1]", "":
		return true
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || domain != "" && name == domain {
		return true
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return ip != nil && ip.IsLoopback()
}

// A logWriter passes what net/http has to say to the host's log.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	w.log.Warn("http server", "message", strings.TrimSpace(string(p)))
	return len(p), nil
}
