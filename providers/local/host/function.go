package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// Limits of the pool of a function that sets none.
const (
	maxWait     = 30 * time.Second // of an HTTP call for a worker
	minRestart  = time.Second      // between failed starts of warm workers
	maxRestart  = 30 * time.Second
	removeGrace = 5 * time.Second // for running calls when a function is removed
)

// Errors of acquire.
var (
	errBusy = errors.New("all executions are taken")
	errGone = errors.New("the function was removed")
	errWait = fmt.Errorf("no worker was free within %v", maxWait)
)

// A bootError is a worker that did not start.
type bootError struct{ cause error }

func (e *bootError) Error() string { return e.cause.Error() }
func (e *bootError) Unwrap() error { return e.cause }

// A machine is what functions share: how processes are started, where their
// files lie.
type machine struct {
	layout    layout
	artifacts *artifacts
	logs      *logbook
	log       *slog.Logger
	spawner   *spawner
	boots     chan struct{} // bounds simultaneous starts
	idle      time.Duration
	firstPort int
	restored  chan struct{} // closed when all that was deployed before is back
	getenv    func(string) string
	serial    atomic.Int64
	tasks     sync.WaitGroup // goroutines of workers
	ctx       context.Context
}

// A function hands calls to its workers and starts and ends those.
type function struct {
	*machine
	stack   string
	name    string
	journal *journal
	calls   atomic.Int64
	errors  atomic.Int64
	timeout atomic.Int64 // of a call; time.Duration
	tracing atomic.Bool  // calls carry a traceparent

	mu       sync.Mutex // guards what follows
	spec     api.FunctionSpec
	program  *program // what new workers run
	workers  []*worker
	pending  []*waiter // admitted, waiting for a worker
	held     line      // events waiting to be admitted
	active   int       // admitted executions
	failures int       // starts that failed in a row
	retry    time.Time // no warm worker before
	closed   bool
	empty    chan struct{} // closed when the last worker is gone after close
}

// A waiter waits for a worker.
type waiter struct {
	granted  chan grant // room for one
	admitted bool
}

// A grant is the right to one execution on a worker, or why there is none.
type grant struct {
	worker *worker
	cold   bool
	err    error
}

func newFunction(m *machine, stack, name string) *function {
	return &function{machine: m, stack: stack, name: name, journal: m.logs.journal(stack, name), empty: make(chan struct{})}
}

// apply makes the function be as spec says. When what its workers run has
// changed, new calls go to new workers and the old ones finish what they have.
func (f *function) apply(spec api.FunctionSpec) error {
	dir, err := f.artifacts.unpack(spec.Artifact)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errGone
	}
	old := f.spec
	f.spec = spec
	f.timeout.Store(int64(spec.Timeout))
	f.tracing.Store(spec.Tracing)
	f.journal.retention.Store(int64(spec.LogRetention))
	if f.program == nil || !sameProgram(old, spec) {
		f.program = &program{
			artifact: spec.Artifact, dir: dir, command: spec.Command, memory: int64(spec.MemoryMB) << 20, level: spec.LogLevel,
			env: environment(&spec, f.name, f.getenv),
		}
		f.failures, f.retry = 0, time.Time{}
		for _, w := range f.workers {
			f.retire(w)
		}
	}
	f.dispatch()
	return nil
}

// sameProgram reports whether workers of a may go on under b.
func sameProgram(a, b api.FunctionSpec) bool {
	for _, s := range []*api.FunctionSpec{&a, &b} {
		s.Timeout, s.MaxConcurrency, s.Warm, s.PerInstance = 0, 0, 0, 0
		s.Retries, s.DeadLetter, s.LogRetention, s.EphemeralMB = api.Retries{}, "", 0, 0
	}
	return reflect.DeepEqual(a, b)
}

func (f *function) specification() api.FunctionSpec {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spec
}

// acquire waits for the right to one execution. An event is named by its source
// and waits when the function is at its limit, in turn with other sources; a
// call without source gets errBusy.
func (f *function) acquire(ctx context.Context, source string) (*worker, bool, error) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil, false, errGone
	}
	wait := &waiter{granted: make(chan grant, 1)}
	switch {
	case f.full() && source == "":
		f.mu.Unlock()
		return nil, false, errBusy
	case f.full():
		f.held.push(source, wait)
	default:
		f.active++
		wait.admitted = true
		if w := f.free(); w != nil {
			w.load++
			f.mu.Unlock()
			return w, false, nil
		}
		f.pending = append(f.pending, wait)
		f.scale()
	}
	f.mu.Unlock()

	var late <-chan time.Time
	if source == "" {
		timer := time.NewTimer(maxWait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case g := <-wait.granted:
		return g.worker, g.cold, g.err
	case <-ctx.Done():
		return nil, false, f.abandon(wait, ctx.Err())
	case <-late:
		return nil, false, f.abandon(wait, errWait)
	}
}

// abandon takes back what a waiter has or was about to get.
func (f *function) abandon(wait *waiter, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case g := <-wait.granted:
		if g.worker != nil {
			f.finish(g.worker)
		}
		return err
	default:
	}
	if !wait.admitted {
		f.held.drop(wait)
		return err
	}
	for i, other := range f.pending {
		if other == wait {
			f.pending = append(f.pending[:i], f.pending[i+1:]...)
			break
		}
	}
	f.active--
	f.dispatch()
	return err
}

// release ends an execution. A worker that is no longer to be trusted is
// replaced once its other executions have ended.
func (f *function) release(w *worker, o releaseOptions) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o.Retire {
		f.retire(w)
	}
	f.finish(w)
}

type releaseOptions struct{ Retire bool }

func (f *function) finish(w *worker) {
	w.load--
	f.active--
	if w.load == 0 {
		w.idle = time.Now()
		if w.retired {
			f.end(w)
		}
	}
	if len(f.pending) > 0 || f.held.size > 0 || w.retired {
		f.dispatch()
	}
}

func (f *function) full() bool {
	return f.spec.MaxConcurrency > 0 && f.active >= f.spec.MaxConcurrency
}

func (f *function) perInstance() int { return max(f.spec.PerInstance, 1) }

// maxWorkers bounds the workers at once: as many as the limit needs, or, when
// there is none, what a machine bears.
func (f *function) maxWorkers() int {
	if n := f.spec.MaxConcurrency; n > 0 {
		return (n + f.perInstance() - 1) / f.perInstance()
	}
	return max(8, 4*runtime.NumCPU())
}

// free returns the ready worker with the fewest executions that can take one
// more, the oldest of several, or nil.
func (f *function) free() *worker {
	var best *worker
	for _, w := range f.workers {
		if w.ready && !w.retired && w.load < f.perInstance() && (best == nil || w.load < best.load) {
			best = w
		}
	}
	return best
}

// dispatch hands free workers to those who wait, oldest first, and starts more
// workers when they do not suffice.
func (f *function) dispatch() {
	for {
		for len(f.pending) > 0 {
			w := f.free()
			if w == nil {
				break
			}
			next := f.pending[0]
			f.pending = f.pending[1:]
			w.load++
			next.granted <- grant{worker: w, cold: w.fresh}
		}
		if f.full() {
			break
		}
		next := f.held.pop()
		if next == nil {
			break
		}
		next.admitted = true
		f.active++
		f.pending = append(f.pending, next)
	}
	f.scale()
}

// close refuses new calls, lets running ones finish for a while and returns
// when all workers are gone.
func (f *function) close(grace time.Duration) {
	f.mu.Lock()
	first := !f.closed
	f.closed = true
	if first {
		for _, wait := range append(f.pending, f.held.all()...) {
			if wait.admitted {
				f.active--
			}
			wait.granted <- grant{err: errGone}
		}
		f.pending, f.held = nil, line{}
		if len(f.workers) == 0 {
			close(f.empty)
		}
	}
	for _, w := range f.workers {
		f.retire(w)
	}
	f.mu.Unlock()
	select {
	case <-f.empty:
		return
	case <-time.After(grace):
	}
	f.mu.Lock()
	for _, w := range f.workers {
		if w.ready { // a start that is under way has been cancelled
			f.end(w)
		}
	}
	f.mu.Unlock()
	<-f.empty
}

// status counts workers and calls.
func (f *function) status() api.FunctionStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := api.FunctionStatus{Name: f.name, Calls: f.calls.Load(), Errors: f.errors.Load(), PIDs: []int{}}
	var rss int64
	for _, w := range f.workers {
		s.Busy += w.load
		if pid := w.pid.Load(); pid != 0 {
			s.Workers++
			s.PIDs = append(s.PIDs, int(pid))
			rss += w.rss.Load()
		}
	}
	s.MemoryMB = int((rss + 1<<20 - 1) >> 20)
	return s
}

// inUse returns the artifacts that workers run or will run.
func (f *function) inUse() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	hashes := []string{f.spec.Artifact}
	for _, w := range f.workers {
		hashes = append(hashes, w.program.artifact)
	}
	return hashes
}

// processes returns the workers that have a process.
func (f *function) processes() []*worker {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []*worker
	for _, w := range f.workers {
		if w.pid.Load() != 0 {
			list = append(list, w)
		}
	}
	return list
}
