package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
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
	return max(8, 4*runtime.GOMAXPROCS(0))
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

// scale starts the workers that are missing for those who wait and for the warm
// ones.
func (f *function) scale() {
	if f.closed {
		return
	}
	alive, booting := 0, 0
	for _, w := range f.workers {
		if w.retired {
			continue
		}
		alive++
		if !w.ready {
			booting++
		}
	}
	for alive < f.maxWorkers() && len(f.pending) > booting*f.perInstance() {
		f.boot()
		alive++
		booting++
	}
	if f.failures > 0 && time.Now().Before(f.retry) {
		return
	}
	for ; alive < f.warmWorkers(); alive++ {
		f.boot()
	}
}

func (f *function) warmWorkers() int {
	return (f.spec.Warm + f.perInstance() - 1) / f.perInstance()
}

// boot starts one worker. The caller holds the mutex.
func (f *function) boot() {
	id := strconv.FormatInt(f.serial.Add(1), 36)
	w := &worker{
		program: f.program, journal: f.journal,
		socket: filepath.Join(f.layout.sockets, id+".s"),
		temp:   filepath.Join(f.layout.temp, id),
		exited: make(chan struct{}), done: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(f.ctx)
	w.cancelBoot = cancel
	f.workers = append(f.workers, w)
	f.tasks.Go(func() {
		defer cancel()
		f.run(ctx, w)
	})
}

// run lives as long as the worker.
func (f *function) run(ctx context.Context, w *worker) {
	err := errRetired
	select {
	case f.boots <- struct{}{}:
		err = w.start(ctx, f.spawner)
		<-f.boots
	case <-ctx.Done():
	}

	f.mu.Lock()
	switch {
	case err == nil && !w.retired:
		w.ready, w.idle = true, time.Now()
		f.failures = 0
		w.fresh = true // those who get it now have waited for its start
		f.dispatch()
		w.fresh = false
	case err == nil:
		w.ready = true
		f.end(w)
	}
	f.mu.Unlock()

	if err == nil {
		<-w.done
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(w)
	switch {
	case err == nil:
		f.exited(w)
	case !w.retired:
		f.bootFailed(err)
	}
	f.dispatch()
	if f.closed && len(f.workers) == 0 {
		close(f.empty)
	}
}

func (f *function) forget(w *worker) {
	for i, other := range f.workers {
		if other == w {
			f.workers = append(f.workers[:i], f.workers[i+1:]...)
			return
		}
	}
}

// exited logs the end of a worker that nobody asked to end.
func (f *function) exited(w *worker) {
	if fault := w.fault.Load(); fault != nil {
		f.note("error", *fault)
	} else if !w.ending.Load() {
		f.note("error", "the worker exited ("+w.exit+")")
		f.backOff()
	}
}

// bootFailed fails those who wait when no other worker can serve them.
func (f *function) bootFailed(err error) {
	f.note("error", err.Error())
	f.backOff()
	for _, w := range f.workers {
		if !w.retired {
			return
		}
	}
	for _, wait := range f.pending {
		f.active--
		wait.granted <- grant{err: &bootError{err}}
	}
	f.pending = nil
}

func (f *function) backOff() {
	f.failures++
	f.retry = time.Now().Add(min(minRestart<<min(f.failures-1, 10), maxRestart))
}

// note writes a line of the host into the function's log.
func (f *function) note(level, text string) {
	f.journal.add(&api.LogLine{Time: time.Now(), Kind: "err", Level: level, Text: text})
}

// retire takes a worker out of service; it ends once it has no execution.
func (f *function) retire(w *worker) {
	if w.retired {
		return
	}
	w.retired = true
	switch {
	case !w.ready:
		w.cancelBoot()
	case w.load == 0:
		f.end(w)
	}
}

func (f *function) end(w *worker) { f.tasks.Go(func() { w.stop(stopGrace) }) }

// tick ends workers that have been idle for long and replaces warm ones.
func (f *function) tick(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	alive := 0
	for _, w := range f.workers {
		if !w.retired {
			alive++
		}
	}
	for i := len(f.workers) - 1; i >= 0 && alive > f.warmWorkers(); i-- {
		w := f.workers[i]
		if w.ready && !w.retired && w.load == 0 && now.Sub(w.idle) >= f.idle {
			f.retire(w)
			alive--
		}
	}
	f.dispatch()
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

// A line holds waiters by source and lets them out one source after the other,
// each source in order. The zero line is empty.
type line struct {
	sources []string // in turn
	waiting map[string][]*waiter
	size    int
}

func (l *line) push(source string, w *waiter) {
	if l.waiting == nil {
		l.waiting = map[string][]*waiter{}
	}
	if len(l.waiting[source]) == 0 {
		l.sources = append(l.sources, source)
	}
	l.waiting[source] = append(l.waiting[source], w)
	l.size++
}

// pop returns the next waiter, or nil.
func (l *line) pop() *waiter {
	if l.size == 0 {
		return nil
	}
	source := l.sources[0]
	l.sources = l.sources[1:]
	w := l.waiting[source][0]
	l.waiting[source] = l.waiting[source][1:]
	l.size--
	if len(l.waiting[source]) > 0 {
		l.sources = append(l.sources, source)
	} else {
		delete(l.waiting, source)
	}
	return w
}

func (l *line) drop(w *waiter) {
	for si, source := range l.sources {
		for i, other := range l.waiting[source] {
			if other != w {
				continue
			}
			l.waiting[source] = append(l.waiting[source][:i], l.waiting[source][i+1:]...)
			l.size--
			if len(l.waiting[source]) == 0 {
				delete(l.waiting, source)
				l.sources = append(l.sources[:si], l.sources[si+1:]...)
			}
			return
		}
	}
}

func (l *line) all() []*waiter {
	var list []*waiter
	for _, source := range l.sources {
		list = append(list, l.waiting[source]...)
	}
	return list
}
