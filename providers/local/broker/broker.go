package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"go.etcd.io/bbolt"
)

// A Caller runs functions; the host implements it.
type Caller interface {
	// Call hands events to a function and waits for the outcome. It waits for
	// a free execution when the function is at its limit (back-pressure). It
	// returns the ids of events that failed; an error means that all did. It
	// is called from many goroutines at once and returns soon after ctx ends.
	Call(ctx context.Context, c Call) (failed []string, err error)
}

// A Call is one delivery to a function.
type Call struct {
	Stack    string
	Function string
	Ordered  bool // stop at the first failure; it and all after it have failed
	Events   []api.CloudEvent
}

// Options of a Broker. Dir and Caller are required.
type Options struct {
	Dir    string // holds everything the broker stores; made when missing
	Caller Caller

	// Policy looks up how a function wants asynchronous events retried: its
	// Retries and DeadLetter. Nil means the zero FunctionSpec for all: one
	// attempt and no dead letter. It is asked at each failure, from many
	// goroutines.
	Policy func(stack, function string) api.FunctionSpec

	// Known reports whether a stack exists although it has no resource here,
	// so that its functions may publish on a bus without rules. Nil knows none.
	Known func(stack string) bool

	// FirstPort is where the search for free ports on 127.0.0.1 begins; 0 is
	// 9400. Ports once found are kept for the next runs over Dir.
	FirstPort int

	// Restored is closed when all that existed before is applied again. Until
	// then senders wait: what a change triggers might not be known yet. Nil
	// lets them in at once.
	Restored <-chan struct{}

	Log   *slog.Logger // nil discards
	Clock Clock        // of schedules; nil is the system's clock
	Retry Backoff      // pauses between attempts; zero is 250 ms doubling to 30 s
}

// A Broker keeps events and delivers them. All methods are safe for concurrent
// use.
type Broker struct {
	opts Options
	log  *slog.Logger
	data *dataServer

	changing sync.Mutex // held by Apply, Remove, RemoveStack and Close

	starting sync.Mutex // guards the stores, which start when first needed
	messages *messageServer
	db       *bbolt.DB
	outbox   *outbox
	s3       *s3Server

	mu        sync.RWMutex // guards what follows
	resources map[resourceKey]resource
	specs     map[resourceKey]json.RawMessage // as last applied
	closed    bool
}

// A resource is one applied thing. Methods are called one at a time.
type resource interface {
	// apply makes the resource be as spec says; the first call starts it.
	apply(ctx context.Context, spec json.RawMessage) (api.Outputs, error)
	// stop ends all activity and keeps all data.
	stop(ctx context.Context) error
	// remove deletes the data unless the spec retains it. It follows stop.
	remove(ctx context.Context) error
}

type resourceKey struct {
	stack string
	kind  api.Kind
	name  string
}

func (k resourceKey) String() string { return k.stack + "/" + string(k.kind) + "/" + k.name }

// ErrClosed is returned by methods of a Broker after Close.
var ErrClosed = errors.New("the broker is closed")

// Open starts a broker over dir. Data of an earlier run is found again by Apply.
func Open(ctx context.Context, o Options) (*Broker, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Policy == nil {
		o.Policy = func(string, string) api.FunctionSpec { return api.FunctionSpec{} }
	}
	if o.Known == nil {
		o.Known = func(string) bool { return false }
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.FirstPort == 0 {
		o.FirstPort = defaultFirstPort
	}
	o.Retry = o.Retry.orDefault()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	b := &Broker{opts: o, log: o.Log, resources: map[resourceKey]resource{}, specs: map[resourceKey]json.RawMessage{}}
	data, err := b.listenData(ctx)
	if err != nil {
		return nil, err
	}
	b.data = data
	return b, nil
}

// Handles reports whether resources of this kind belong to the broker.
func Handles(kind api.Kind) bool {
	switch kind {
	case api.KindService, api.KindFunction, api.KindRoute:
		return false
	}
	return slices.Contains(api.Kinds, kind)
}

// Apply creates or changes a resource to be as spec, the JSON of the kind's
// spec type, says. Applying the same spec again changes nothing. Triggers may
// be applied before the function exists but not before what they consume.
func (b *Broker) Apply(ctx context.Context, stack string, kind api.Kind, name string, spec json.RawMessage) (api.Outputs, error) {
	b.changing.Lock()
	defer b.changing.Unlock()
	key := resourceKey{stack, kind, name}
	r, found := b.lookup(key)
	if b.isClosed() {
		return nil, ErrClosed
	}
	if !found {
		var err error
		if r, err = b.newResource(key); err != nil {
			return nil, err
		}
	}
	out, err := r.apply(ctx, spec)
	if err != nil {
		if !found {
			err = errors.Join(err, r.stop(ctx))
		}
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	b.mu.Lock()
	b.resources[key], b.specs[key] = r, spec
	b.mu.Unlock()
	if !found {
		if err := b.reconnect(ctx, key); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return out, nil
}

// consumers are the triggers that hold on to a resource of a kind.
var consumers = map[api.Kind]api.Kind{
	api.KindQueue:  api.KindQueueConsumer,
	api.KindStream: api.KindStreamReader,
	api.KindTable:  api.KindTableReader,
	api.KindBucket: api.KindNotification,
}

// reconnect applies triggers again that outlived what they consume: it was
// replaced by a new one of the same name.
func (b *Broker) reconnect(ctx context.Context, made resourceKey) error {
	var errs []error
	for _, k := range b.keys(func(k resourceKey) bool { return k.stack == made.stack && k.kind == consumers[made.kind] }) {
		var spec map[string]any
		field := strings.TrimSuffix(string(made.kind), "s")
		if json.Unmarshal(b.specs[k], &spec) != nil || spec[field] != made.name {
			continue
		}
		r, _ := b.lookup(k)
		_, err := r.apply(ctx, b.specs[k])
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Remove ends a resource and deletes its data, unless its spec says retain:
// then a later Apply finds the data again. Removing what is not there is fine.
func (b *Broker) Remove(ctx context.Context, stack string, kind api.Kind, name string) error {
	b.changing.Lock()
	defer b.changing.Unlock()
	if b.isClosed() {
		return ErrClosed
	}
	return b.remove(ctx, resourceKey{stack, kind, name})
}

func (b *Broker) remove(ctx context.Context, key resourceKey) error {
	r, found := b.lookup(key)
	if !found {
		return nil
	}
	b.mu.Lock()
	delete(b.resources, key)
	delete(b.specs, key)
	b.mu.Unlock()
	if err := errors.Join(r.stop(ctx), r.remove(ctx)); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// RemoveStack removes all resources of a stack, consumers first.
func (b *Broker) RemoveStack(ctx context.Context, stack string) error {
	b.changing.Lock()
	defer b.changing.Unlock()
	if b.isClosed() {
		return ErrClosed
	}
	keys := b.keys(func(k resourceKey) bool { return k.stack == stack })
	var errs []error
	for _, k := range slices.Backward(keys) {
		errs = append(errs, b.remove(ctx, k))
	}
	return errors.Join(errs...)
}

// Close stops deliveries, interrupts running calls through their context and
// closes the stores. What was not acknowledged is delivered again by the next
// run.
func (b *Broker) Close(ctx context.Context) error {
	b.changing.Lock()
	defer b.changing.Unlock()
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.mu.Unlock()
	b.starting.Lock()
	messages, db, outbox, s3 := b.messages, b.db, b.outbox, b.s3
	b.starting.Unlock()
	errs := []error{b.data.close()}
	if s3 != nil {
		errs = append(errs, s3.close())
	}
	for _, k := range slices.Backward(b.keys(func(resourceKey) bool { return true })) {
		r, _ := b.lookup(k)
		errs = append(errs, r.stop(ctx))
	}
	if outbox != nil {
		outbox.stop()
	}
	if messages != nil {
		messages.close()
	}
	if db != nil {
		errs = append(errs, db.Close())
	}
	return errors.Join(errs...)
}

// Addrs returns the base URLs of the data plane and of the S3 API; the latter
// is "" until the first bucket.
func (b *Broker) Addrs() (data, s3 string) {
	b.starting.Lock()
	defer b.starting.Unlock()
	if b.s3 != nil {
		s3 = b.s3.url
	}
	return b.data.url, s3
}

// keys returns the matching keys in restart order of their kinds, then by name.
func (b *Broker) keys(match func(resourceKey) bool) []resourceKey {
	b.mu.RLock()
	defer b.mu.RUnlock()
	keys := slices.Collect(maps.Keys(b.resources))
	keys = slices.DeleteFunc(keys, func(k resourceKey) bool { return !match(k) })
	slices.SortFunc(keys, func(x, y resourceKey) int {
		if d := slices.Index(api.Kinds, x.kind) - slices.Index(api.Kinds, y.kind); d != 0 {
			return d
		}
		if d := strings.Compare(x.stack, y.stack); d != 0 {
			return d
		}
		return strings.Compare(x.name, y.name)
	})
	return keys
}

func (b *Broker) lookup(k resourceKey) (resource, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	r, ok := b.resources[k]
	return r, ok
}

func (b *Broker) isClosed() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.closed
}
