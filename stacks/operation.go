package stacks

import (
	"context"
	"sync"

	"github.com/anyfaas/anyfaas/stacks/event"
)

// A serial sink hands on events of several goroutines one at a time.
type serial struct {
	mu   sync.Mutex
	sink event.Sink
}

func newSerial(s event.Sink) event.Sink {
	if s == nil {
		return event.Discard
	}
	return &serial{sink: s}
}

func (s *serial) Event(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink.Event(e)
}

// An operation is the sink between the engine and the view. It tells at once
// and only once that the operation was asked to stop, also when the engine is
// busy or has not begun.
type operation struct {
	mu      sync.Mutex
	sink    event.Sink
	running map[string]bool // URNs of steps that were started
	stopped bool
	done    chan struct{}
	watcher sync.WaitGroup
}

func (s *Stack) begin(ctx context.Context, sink event.Sink) *operation {
	if sink == nil {
		sink = event.Discard
	}
	op := &operation{sink: sink, running: map[string]bool{}, done: make(chan struct{})}
	op.watcher.Go(func() {
		select {
		case <-ctx.Done():
			op.Event(event.Stopping{})
		case <-op.done:
		}
	})
	return op
}

// end stops watching. No event is handed on afterwards by the watcher.
func (op *operation) end() {
	close(op.done)
	op.watcher.Wait()
}

// Event hands e on.
func (op *operation) Event(e event.Event) {
	op.mu.Lock()
	defer op.mu.Unlock()
	switch v := e.(type) {
	case event.StepStarted:
		op.running[v.URN] = true
	case event.StepDone:
		delete(op.running, v.URN)
	case event.Stopping:
		if op.stopped {
			return
		}
		op.stopped = true
		e = event.Stopping{Running: len(op.running)}
	}
	op.sink.Event(e)
}
