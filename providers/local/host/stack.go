package host

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// A stack is what the host itself runs for one stack: the HTTP front, the
// functions and the routes between them.
type stack struct {
	*machine
	name string

	mu        sync.Mutex // guards what follows
	service   api.ServiceSpec
	front     *front // nil before the service was put
	functions map[string]*function
	routes    map[string]routeRecord

	ids    requestIDs
	router atomic.Pointer[router]
}

type routeRecord struct {
	spec api.RouteSpec
	seq  uint64
}

func newStack(m *machine, name string) *stack {
	s := &stack{machine: m, name: name, functions: map[string]*function{}, routes: map[string]routeRecord{}}
	s.router.Store(&router{})
	return s
}

// A refusal is an error of the caller, with the HTTP status and the code of
// the admin API.
type refusal struct {
	status int
	code   string
	text   string
}

func (r *refusal) Error() string { return r.text }

func invalid(format string, args ...any) error {
	return &refusal{http.StatusBadRequest, "invalid", fmt.Sprintf(format, args...)}
}

// decodeSpec reads a spec. A field that this version does not know is an error:
// it would be ignored otherwise.
func decodeSpec(raw json.RawMessage, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return invalid("read the specification: %v", err)
	}
	return nil
}

// putService makes the front be as spec says. Last is the port that it had
// before, 0 when none: it is taken again if it can be.
func (s *stack) putService(raw json.RawMessage, last int) (api.Outputs, error) {
	var spec api.ServiceSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.front != nil {
		if s.service.Owner != spec.Owner || s.service.Service != spec.Service || s.service.Stage != spec.Stage {
			return nil, &refusal{http.StatusConflict, "owned", fmt.Sprintf(
				"stack %q on this machine belongs to service %q, stage %q, of %s",
				s.name, s.service.Service, s.service.Stage, s.service.Owner)}
		}
	}
	rules, err := newCORS(spec.CORS)
	if err != nil {
		return nil, err
	}
	tokens, err := newVerifier(spec.JWT)
	if err != nil {
		return nil, err
	}
	if s.front == nil {
		s.front = newFront(s)
	}
	if err := s.front.listen(spec.Port, last); err != nil {
		if !s.front.listening() {
			s.front = nil
		}
		return nil, err
	}
	s.front.settings.Store(&frontSettings{cors: rules, tokens: tokens, domain: strings.ToLower(spec.Domain)})
	s.service = spec
	port := s.front.port()
	return api.Outputs{"url": fmt.Sprintf("http://127.0.0.1:%d", port), "port": port}, nil
}

// putFunction makes a function be as spec says.
func (s *stack) putFunction(name string, raw json.RawMessage) (api.Outputs, error) {
	var spec api.FunctionSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	switch {
	case len(spec.Command) == 0:
		return nil, invalid("function %q has no command", name)
	case spec.PerInstance < 0 || spec.Warm < 0 || spec.MaxConcurrency < 0 || spec.MemoryMB < 0:
		return nil, invalid("function %q has a limit below zero", name)
	case spec.Timeout <= 0:
		return nil, invalid("function %q has no timeout", name)
	case spec.MaxConcurrency > 0 && spec.Warm > spec.MaxConcurrency:
		return nil, invalid("function %q keeps %d executions warm but allows %d", name, spec.Warm, spec.MaxConcurrency)
	}
	s.mu.Lock()
	f := s.functions[name]
	fresh := f == nil
	if fresh {
		f = newFunction(s.machine, s.name, name)
	}
	s.mu.Unlock()
	if err := f.apply(spec); err != nil {
		return nil, err
	}
	if fresh {
		s.mu.Lock()
		s.functions[name] = f
		s.rebuild()
		s.mu.Unlock()
	}
	return api.Outputs{"id": s.name + "/" + name}, nil
}

func (s *stack) removeFunction(name string) error {
	s.mu.Lock()
	f := s.functions[name]
	delete(s.functions, name)
	s.rebuild()
	s.mu.Unlock()
	if f != nil {
		f.close(removeGrace)
	}
	return s.logs.remove(s.name, name)
}

func (s *stack) function(name string) *function {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.functions[name]
}

// list returns the functions sorted by name.
func (s *stack) list() []*function {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*function, 0, len(s.functions))
	for _, f := range s.functions {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b *function) int { return cmp.Compare(a.name, b.name) })
	return list
}

// checkRoute reads a route and refuses one that could never be served.
func checkRoute(raw json.RawMessage) (api.RouteSpec, error) {
	var spec api.RouteSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return spec, err
	}
	if _, err := parsePattern(spec.Path); err != nil {
		return spec, invalid("%v", err)
	}
	if spec.Method == "" || spec.Method != strings.ToUpper(spec.Method) {
		return spec, invalid("method %q must be in upper case, or * for any", spec.Method)
	}
	if spec.Auth != "" && spec.Auth != "jwt" {
		return spec, invalid("auth %q is not known", spec.Auth)
	}
	return spec, nil
}

// routeURL returns the outputs of a route.
func (s *stack) routeURL(spec api.RouteSpec) (api.Outputs, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.front == nil {
		return nil, &refusal{http.StatusConflict, "no-service", fmt.Sprintf("stack %q has no service yet", s.name)}
	}
	return api.Outputs{"url": fmt.Sprintf("http://127.0.0.1:%d%s", s.front.port(), spec.Path)}, nil
}

// putRoute enters a route; of two for the same the one put later counts.
func (s *stack) putRoute(name string, spec api.RouteSpec, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.routes[name] = routeRecord{spec, seq}
	s.rebuild()
}

func (s *stack) removeRoute(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.routes, name)
	s.rebuild()
}

// rebuild makes a router of the present routes. The caller holds the mutex.
func (s *stack) rebuild() {
	names := make([]string, 0, len(s.routes))
	for name := range s.routes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(s.routes[a].seq, s.routes[b].seq) })
	r := &router{}
	for _, name := range names {
		spec := s.routes[name].spec
		f := s.functions[spec.Function]
		if f == nil {
			continue // removed before its route
		}
		if err := r.add(&route{RouteSpec: spec, name: name, function: f}); err != nil {
			s.log.Error("route", "stack", s.name, "route", name, "error", err)
		}
	}
	s.router.Store(r)
}

// url returns where the front answers, "" when there is none.
func (s *stack) url() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.front == nil {
		return ""
	}
	return fmt.Sprintf("http://127.0.0.1:%d", s.front.port())
}

// removeService takes the front away.
func (s *stack) removeService() {
	s.mu.Lock()
	f := s.front
	s.front, s.service = nil, api.ServiceSpec{}
	s.mu.Unlock()
	if f != nil {
		f.close(removeGrace)
	}
}

// close ends the front, then the functions.
func (s *stack) close(grace time.Duration) {
	s.removeService()
	var all sync.WaitGroup
	for _, f := range s.list() {
		all.Go(func() { f.close(grace) })
	}
	all.Wait()
}
