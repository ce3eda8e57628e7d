// Package host is the long-lived process behind provider local: it keeps what
// was deployed, answers HTTP, starts and ends the processes that run functions,
// holds them to their limits and writes their logs. It also holds the client
// for its admin API and what starts it when it isn't running. It knows nothing
// of Pulumi or manifests, and of events only that package broker delivers them.
//
// # Life
//
// Ensure starts the host detached from the terminal. The process it starts is a
// supervisor that does nothing but run the host as a child and start it again
// when it dies of something else than its own decision. Everything that was
// deployed is on disk before a deploy hears so; a host that starts brings it
// back, with the same ports. The host ends by itself shortly after its last
// stack was removed, and then leaves neither process nor socket.
//
// # Workers
//
// A worker is one process that serves one version of one function. It is
// started when a call finds no room, shares at most FunctionSpec.PerInstance
// calls, and is ended after five minutes without one (ANYFAAS_LOCAL_IDLE says
// otherwise, at the start of the host). A call that passes its deadline gets
// 504 and its worker is replaced: it takes no new calls, and is ended when its
// other calls have ended. A call whose client went away frees its execution at
// once, although the handler may need a moment to notice.
//
// # Ports
//
// Everything listens on 127.0.0.1. Fronts take the first free port from 8080 up,
// the data plane from 9400 and the S3 API from 9600. ANYFAAS_LOCAL_FIRST_PORT, at
// the start of the host, moves all three: fronts are then looked for from it, and
// the others as far above it as they are above 8080.
package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/anyfaas/anyfaas/providers/local/broker"
)

// DefaultIdle is how long a worker is kept without a call.
const DefaultIdle = 5 * time.Minute

// Times of a host's life.
const (
	lockTimeout = 20 * time.Second       // for an earlier host to end
	lonelyGrace = 500 * time.Millisecond // from the end of the last stack to the end of the host
	emptyGrace  = 2 * time.Minute        // for the first resource after a start
	retryPause  = 2 * time.Second        // between attempts to bring a resource back, and looks at the socket
	closeGrace  = 3 * time.Second        // for running calls when the host stops
)

// Options of a host.
type Options struct {
	Home    string // holds everything below <Home>/local
	Version string // told by Status

	// Idle is how long a worker is kept without a call; 0 means the duration in
	// ANYFAAS_LOCAL_IDLE, and DefaultIdle when there is none.
	Idle time.Duration

	// FirstPort is where the search for free ports begins; 0 means the number
	// in ANYFAAS_LOCAL_FIRST_PORT, and 8080 when there is none.
	FirstPort int

	Log io.Writer // of the host's own messages; nil is standard error

	ready       func()        // called once the socket answers
	lockTimeout time.Duration // for an earlier host to end; 0 means lockTimeout
}

// A host is a running host.
type host struct {
	machine
	options Options
	started time.Time
	parent  int // process that started this one
	store   *store
	broker  *broker.Broker
	keys    keyedLocks

	mu       sync.Mutex // guards what follows
	stacks   map[string]*stack
	activity time.Time // of the admin API
	requests int       // of the admin API, running
	removed  bool      // a stack was removed since the last put
	broken   []brokenResource

	stopping chan struct{} // closed when the host shall end
	stopOnce sync.Once
}

// Run runs the host of o.Home until ctx ends, a client stops it or its last
// stack is removed. It returns ErrRunning when there is one already.
func Run(ctx context.Context, o Options) error {
	if o.Idle == 0 {
		if d, err := time.ParseDuration(os.Getenv("ANYFAAS_LOCAL_IDLE")); err == nil && d > 0 {
			o.Idle = d
		} else {
			o.Idle = DefaultIdle
		}
	}
	if o.FirstPort == 0 {
		o.FirstPort = firstPort
		if text := os.Getenv("ANYFAAS_LOCAL_FIRST_PORT"); text != "" {
			port, err := strconv.Atoi(text)
			if err != nil || port < 1024 || port > highestFirstPort {
				return fmt.Errorf("ANYFAAS_LOCAL_FIRST_PORT must be a number from 1024 to %d, not %q", highestFirstPort, text)
			}
			o.FirstPort = port
		}
	}
	if o.Log == nil {
		o.Log = os.Stderr
	}
	if supervisor, err := supervise(ctx, layoutOf(o.Home)); supervisor {
		return err
	}
	if o.ready == nil {
		o.ready = reportReady
	}
	shareProcessors()
	return run(ctx, o)
}

// shareProcessors leaves half of the processors to the workers, unless GOMAXPROCS
// says otherwise. A call passes from the client to the front to a worker and back;
// when the front's goroutines spread over every processor, they wait for one
// another's wake-ups and take the workers' time: on two processors a call then
// takes half as long again.
func shareProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(1, runtime.NumCPU()/2))
	}
}

// ErrRunning says that another process is the host of this home.
var ErrRunning = errors.New("another host is running for this home")

// takeLock makes this process the one host of its home. It waits for an earlier
// host that has yet to begin or to end. One that answers is there to stay: then
// this process isn't needed, and must not become an idle host once that ends.
func takeLock(ctx context.Context, l layout, o Options) (*flock.Flock, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.lockTimeout, lockTimeout))
	defer cancel()
	lock := flock.New(l.hostLock, flock.SetPermissions(0o600))
	c := NewClient(o.Home)
	defer c.Close()
	for {
		if locked, err := lock.TryLock(); locked || err != nil {
			return lock, err
		}
		if _, err := c.Status(ctx); err == nil {
			return nil, ErrRunning
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ErrRunning, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func run(ctx context.Context, o Options) error {
	l := layoutOf(o.Home)
	if err := l.prepare(); err != nil {
		return err
	}
	lock, err := takeLock(ctx, l, o)
	if err != nil {
		return err
	}
	defer lock.Unlock()

	log := slog.New(slog.NewTextHandler(o.Log, nil))
	h, err := open(ctx, l, o, log)
	if err != nil {
		return err
	}
	admin, err := h.listenAdmin()
	if err != nil {
		h.close()
		return err
	}
	h.restore(ctx)
	admin.serve()
	log.Info("host started", "version", o.Version, "pid", os.Getpid(), "stacks", len(h.store.names()))
	o.ready()
	h.live(ctx)
	log.Info("host stops", "stacks", len(h.store.names()))
	admin.close()
	return h.close()
}

// open makes a host with nothing running yet.
func open(ctx context.Context, l layout, o Options, log *slog.Logger) (*host, error) {
	endStrays(l.sockets + string(filepath.Separator)) // of an earlier host that was killed
	clearFolder(l.temp)
	clearFolder(l.sockets)
	st, err := openStore(l.database)
	if err != nil {
		return nil, err
	}
	arts, err := openArtifacts(l.artifacts, bootID())
	if err != nil {
		st.close()
		return nil, err
	}
	h := &host{
		machine: machine{
			layout: l, artifacts: arts, log: log, spawner: newSpawner(), idle: o.Idle, firstPort: cmp.Or(o.FirstPort, firstPort), getenv: os.Getenv,
			restored: make(chan struct{}),
			logs:     openLogbook(l.logs, log),
			boots:    make(chan struct{}, 2*runtime.NumCPU()),
			ctx:      context.WithoutCancel(ctx),
		},
		options: o, started: time.Now(), parent: os.Getppid(), store: st,
		stacks: map[string]*stack{}, activity: time.Now(), stopping: make(chan struct{}),
	}
	h.broker, err = broker.Open(ctx, broker.Options{
		Dir: l.broker, Caller: h, Policy: h.policy, Log: log,
		Known:     func(stack string) bool { return h.find(stack) != nil },
		FirstPort: h.firstPort - firstPort + brokerPort,
		Restored:  h.restored,
	})
	if err != nil {
		h.close()
		return nil, fmt.Errorf("open the broker: %w", err)
	}
	return h, nil
}

func clearFolder(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		os.RemoveAll(filepath.Join(dir, e.Name()))
	}
}

// restore brings back what was deployed before. What cannot come back now, like
// a port that another program has taken meanwhile, is tried again by live. Those
// who call functions or send events wait until it is done: they would find half.
func (h *host) restore(ctx context.Context) {
	defer close(h.restored)
	h.collect(0)
	for _, kind := range api.Kinds {
		for _, name := range h.store.names() {
			for _, key := range h.store.keys(name) {
				if key.Kind == kind {
					h.restoreResource(ctx, name, key)
				}
			}
		}
	}
}

// restoreResource applies a resource as it is stored.
func (h *host) restoreResource(ctx context.Context, stack string, key resourceKey) {
	err := h.reapply(ctx, stack, key)
	if err == nil {
		return
	}
	h.log.Error("cannot bring back now; it is tried again", "stack", stack, "resource", key, "error", err)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = append(h.broken, brokenResource{stack, key})
}

func (h *host) reapply(ctx context.Context, stack string, key resourceKey) error {
	rec, ok := h.store.get(stack, key)
	if !ok {
		return nil
	}
	out, err := h.apply(ctx, stack, key, rec.Spec)
	if err != nil {
		return err
	}
	// The broker's ports may be others than before.
	if !reflect.DeepEqual(normal(rec.Outputs), normal(out)) {
		if err := h.store.amend(stack, key, rec, out); err != nil {
			return err
		}
	}
	if key.Kind == api.KindRoute {
		route, err := checkRoute(rec.Spec)
		if err != nil {
			return err
		}
		h.stack(stack).putRoute(key.Name, route, rec.Seq)
	}
	return nil
}

// live returns when the host shall end.
func (h *host) live(ctx context.Context) {
	watch := time.NewTicker(250 * time.Millisecond)
	defer watch.Stop()
	retry := time.NewTicker(retryPause)
	defer retry.Stop()
	house := time.NewTicker(time.Minute)
	defer house.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.stopping:
			return
		case now := <-watch.C:
			h.watch(now)
			if h.lonely(now) {
				return
			}
		case <-retry.C:
			if _, err := os.Lstat(h.layout.socket); errors.Is(err, os.ErrNotExist) {
				h.log.Error("the admin socket was removed: nobody could stop this host any more", "socket", h.layout.socket)
				return
			}
			if !h.store.inPlace() {
				h.log.Error("the folder of this host was removed: what it holds is lost", "home", h.layout.home)
				return
			}
			h.retryBroken(ctx)
		case now := <-house.C:
			h.collect(uploadGrace)
			h.logs.expire(now)
			h.layout.keepFresh(now)
			rotateOutput(h.layout.output)
		}
	}
}

// watch holds the workers to their limits.
func (h *host) watch(now time.Time) {
	for _, f := range h.functions() {
		f.tick(now)
		for _, w := range f.processes() {
			w.sample()
		}
	}
}

func (h *host) functions() []*function {
	h.mu.Lock()
	stacks := make([]*stack, 0, len(h.stacks))
	for _, s := range h.stacks {
		stacks = append(stacks, s)
	}
	h.mu.Unlock()
	var list []*function
	for _, s := range stacks {
		list = append(list, s.list()...)
	}
	return list
}

// lonely reports whether the host has had nothing to run for long enough.
func (h *host) lonely(now time.Time) bool {
	if len(h.store.names()) > 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	grace := emptyGrace
	if h.removed {
		grace = lonelyGrace
	}
	return h.requests == 0 && now.Sub(h.activity) >= grace
}

// stop makes live return.
func (h *host) stop() { h.stopOnce.Do(func() { close(h.stopping) }) }

// collect removes artifacts that no function needs.
func (h *host) collect(grace time.Duration) {
	used := map[string]bool{}
	for _, name := range h.store.names() {
		for _, key := range h.store.keys(name) {
			if key.Kind != api.KindFunction {
				continue
			}
			var spec api.FunctionSpec
			if rec, ok := h.store.get(name, key); ok && json.Unmarshal(rec.Spec, &spec) == nil {
				used[spec.Artifact] = true
			}
		}
	}
	for _, f := range h.functions() {
		for _, hash := range f.inUse() {
			used[hash] = true
		}
	}
	if err := h.artifacts.collect(used, grace); err != nil {
		h.log.Error("collect artifacts", "error", err)
	}
}

// close ends everything.
func (h *host) close() error {
	h.mu.Lock()
	stacks := h.stacks
	h.stacks = map[string]*stack{}
	h.mu.Unlock()
	// Fronts and functions first refuse, then end; the broker goes between, so
	// that its deliveries fail at once instead of starting new workers.
	var all sync.WaitGroup
	for _, s := range stacks {
		all.Go(func() { s.close(closeGrace) })
	}
	var errs []error
	if h.broker != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*closeGrace)
		defer cancel()
		errs = append(errs, h.broker.Close(ctx))
	}
	all.Wait()
	h.tasks.Wait()
	h.spawner.close()
	h.logs.close()
	errs = append(errs, h.store.close())
	if len(h.store.names()) == 0 {
		h.collect(0)
	}
	return errors.Join(errs...)
}

// bootID tells one run of the machine from the next.
func bootID() string {
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		return strings.TrimSpace(string(id))
	}
	return machineStart()
}

// keepFresh protects a socket outside of the home from programs that clean up
// temporary folders by age.
func (l layout) keepFresh(now time.Time) {
	short := filepath.Dir(l.socket)
	if short == l.root {
		return
	}
	for _, path := range []string{l.socket, l.sockets, short, filepath.Dir(short)} {
		os.Chtimes(path, now, now)
	}
}
