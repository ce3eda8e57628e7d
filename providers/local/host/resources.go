package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/anyfaas/anyfaas/providers/local/broker"
)

// A brokenResource is one that was deployed before and could not be brought back
// so far.
type brokenResource struct {
	stack string
	key   resourceKey
}

var (
	stackForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	nameForm  = regexp.MustCompile(`^[^/\x00-\x1f]{1,255}$`)
)

func checkKey(stack string, key resourceKey) error {
	switch {
	case !stackForm.MatchString(stack):
		return invalid("%q is not a stack name", stack)
	case !slices.Contains(api.Kinds, key.Kind):
		return invalid("there is no kind of resource %q", key.Kind)
	case key.Kind == api.KindFunction && !stackForm.MatchString(key.Name):
		return invalid("%q is not a function name", key.Name)
	case !nameForm.MatchString(key.Name):
		return invalid("%q is not a resource name", key.Name)
	}
	return nil
}

// stack returns the stack of that name, making it when it is missing.
func (h *host) stack(name string) *stack {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stacks[name]
	if s == nil {
		s = newStack(&h.machine, name)
		h.stacks[name] = s
	}
	return s
}

// find returns the stack of that name, or nil.
func (h *host) find(name string) *stack {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stacks[name]
}

// put makes a resource be as spec says and keeps it.
func (h *host) put(ctx context.Context, name string, key resourceKey, spec json.RawMessage) (api.Outputs, error) {
	if err := checkKey(name, key); err != nil {
		return nil, err
	}
	defer h.keys.lock(name + "/" + key.String())()
	out, err := h.apply(ctx, name, key, spec)
	if key.Kind == api.KindService && portTaken(err) {
		// A front that wants no port of its own goes elsewhere when a deploy
		// asks for it. When the host starts it rather waits for the old one.
		out, err = h.putService(name, spec, 0)
	}
	if err != nil {
		return nil, err
	}
	rec, ok := h.store.get(name, key)
	if !ok || !sameJSON(rec.Spec, spec) || !reflect.DeepEqual(normal(rec.Outputs), normal(out)) {
		if rec, err = h.store.put(name, key, spec, out); err != nil {
			return nil, err
		}
	}
	if key.Kind == api.KindRoute {
		route, err := checkRoute(spec)
		if err != nil {
			return nil, err
		}
		h.stack(name).putRoute(key.Name, route, rec.Seq)
	}
	h.mend(brokenResource{name, key})
	return out, nil
}

// apply makes a resource be as spec says. A route is checked only: it counts
// once it has its sequence number.
func (h *host) apply(ctx context.Context, name string, key resourceKey, spec json.RawMessage) (api.Outputs, error) {
	s := h.stack(name)
	switch key.Kind {
	case api.KindService:
		return h.putService(name, spec, h.lastPort(name, key))
	case api.KindFunction:
		return s.putFunction(key.Name, spec)
	case api.KindRoute:
		route, err := checkRoute(spec)
		if err != nil {
			return nil, err
		}
		return s.routeURL(route)
	}
	if !broker.Handles(key.Kind) {
		panic(fmt.Sprintf("host: nobody handles resources of kind %q", key.Kind))
	}
	return h.broker.Apply(ctx, name, key.Kind, key.Name, spec)
}

// putService makes the front of a stack be as spec says; see stack.putService.
func (h *host) putService(name string, spec json.RawMessage, last int) (api.Outputs, error) {
	out, err := h.stack(name).putService(spec, last)
	if err != nil {
		return nil, err
	}
	data, _ := h.broker.Addrs()
	out["events"] = data + "/" + name + "/events"
	return out, nil
}

// lastPort returns the port that a service had when it was put last.
func (h *host) lastPort(stack string, key resourceKey) int {
	rec, _ := h.store.get(stack, key)
	switch port := rec.Outputs["port"].(type) {
	case float64:
		return int(port)
	case int:
		return port
	}
	return 0
}

// remove takes a resource away, and all that is left of a stack with its last.
func (h *host) remove(ctx context.Context, name string, key resourceKey) error {
	if err := checkKey(name, key); err != nil {
		return err
	}
	defer h.keys.lock(name + "/" + key.String())()
	if err := h.takeAway(ctx, name, key); err != nil {
		return err
	}
	if _, ok := h.store.get(name, key); !ok {
		return nil
	}
	if err := h.store.remove(name, key); err != nil {
		return err
	}
	if slices.Contains(h.store.names(), name) {
		return nil
	}
	return h.forget(ctx, name)
}

func (h *host) takeAway(ctx context.Context, name string, key resourceKey) error {
	h.mend(brokenResource{name, key})
	if broker.Handles(key.Kind) {
		return h.broker.Remove(ctx, name, key.Kind, key.Name)
	}
	s := h.find(name)
	if s == nil {
		return nil
	}
	switch key.Kind {
	case api.KindService:
		s.removeService()
	case api.KindFunction:
		return s.removeFunction(key.Name)
	case api.KindRoute:
		s.removeRoute(key.Name)
	}
	return nil
}

// removeStack takes everything of a stack away, in the reverse of the order in
// which it comes back.
func (h *host) removeStack(ctx context.Context, name string) error {
	if !stackForm.MatchString(name) {
		return invalid("%q is not a stack name", name)
	}
	keys := h.store.keys(name)
	for _, key := range slices.Backward(keys) {
		if err := h.remove(ctx, name, key); err != nil {
			return fmt.Errorf("remove %s: %w", key, err)
		}
	}
	if len(keys) > 0 {
		return nil
	}
	return h.forget(ctx, name)
}

// forget drops what is left of a stack without resources.
func (h *host) forget(ctx context.Context, name string) error {
	h.mu.Lock()
	s := h.stacks[name]
	delete(h.stacks, name)
	h.removed = true
	h.activity = time.Now()
	h.mu.Unlock()
	if s != nil {
		s.close(removeGrace)
	}
	if err := h.broker.RemoveStack(ctx, name); err != nil {
		return err
	}
	return h.logs.remove(name, "")
}

// retryBroken tries again what could not be brought back.
func (h *host) retryBroken(ctx context.Context) {
	h.mu.Lock()
	broken := slices.Clone(h.broken)
	h.mu.Unlock()
	for _, b := range broken {
		unlock := h.keys.lock(b.stack + "/" + b.key.String())
		if h.isBroken(b) && h.reapply(ctx, b.stack, b.key) == nil {
			h.mend(b)
			h.log.Info("brought back", "stack", b.stack, "resource", b.key)
		}
		unlock()
	}
}

func (h *host) isBroken(b brokenResource) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.broken, b)
}

// mend takes a resource off the list of those that could not be brought back.
func (h *host) mend(b brokenResource) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = slices.DeleteFunc(h.broken, func(other brokenResource) bool { return other == b })
}

// state returns a resource as the host holds it. Values of secrets are not
// shown, only that they are there.
func (h *host) state(name string, key resourceKey) (api.ResourceState, bool) {
	rec, ok := h.store.get(name, key)
	if !ok {
		return api.ResourceState{}, false
	}
	spec := rec.Spec
	down := h.isBroken(brokenResource{name, key})
	if key.Kind == api.KindFunction {
		var f api.FunctionSpec
		if json.Unmarshal(spec, &f) == nil && len(f.Secrets) > 0 {
			for k := range f.Secrets {
				f.Secrets[k] = ""
			}
			spec, _ = json.Marshal(f)
		}
	}
	return api.ResourceState{Kind: key.Kind, Name: key.Name, Spec: spec, Outputs: rec.Outputs, Down: down}, true
}

// stackState lists the resources of a stack.
func (h *host) stackState(name string) (api.StackState, bool) {
	keys := h.store.keys(name)
	if len(keys) == 0 {
		return api.StackState{}, false
	}
	st := api.StackState{Stack: name, Resources: []api.ResourceState{}}
	for _, key := range keys {
		r, ok := h.state(name, key)
		if !ok {
			continue
		}
		st.Resources = append(st.Resources, r)
		if key.Kind == api.KindService {
			var spec api.ServiceSpec
			json.Unmarshal(r.Spec, &spec)
			st.Owner = spec.Owner
			st.URL, _ = r.Outputs["url"].(string)
		}
	}
	return st, true
}

// policy tells the broker how a function wants events retried.
func (h *host) policy(stack, name string) api.FunctionSpec {
	if s := h.find(stack); s != nil {
		if f := s.function(name); f != nil {
			return f.specification()
		}
	}
	return api.FunctionSpec{}
}

// portTaken reports whether a front could not have its port.
func portTaken(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.code == "port-taken"
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func normal(o api.Outputs) any {
	text, _ := json.Marshal(o)
	var v any
	json.Unmarshal(text, &v)
	return v
}

// keyedLocks are mutexes by name. The zero value is ready to use.
type keyedLocks struct {
	mu   sync.Mutex
	held map[string]*keyedLock
}

type keyedLock struct {
	sync.Mutex
	users int
}

// lock waits for the mutex of that name and returns its unlock.
func (k *keyedLocks) lock(name string) func() {
	k.mu.Lock()
	if k.held == nil {
		k.held = map[string]*keyedLock{}
	}
	l := k.held[name]
	if l == nil {
		l = &keyedLock{}
		k.held[name] = l
	}
	l.users++
	k.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.held, name)
		}
	}
}

var errStopping = &refusal{http.StatusServiceUnavailable, "stopping", "the host is stopping"}
