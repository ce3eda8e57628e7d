package host

import (
	"context"
	"path/filepath"
	"strconv"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

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
