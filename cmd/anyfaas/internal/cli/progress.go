package cli

import (
	"sync"
	"time"

	"github.com/anyfaas/anyfaas/cmd/anyfaas/internal/view"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// progress returns the sink that shows an operation on stderr, and what ends
// it. Nothing is shown after stop has returned.
func (c call) progress() (sink event.Sink, stop func()) {
	var p view.Progress
	style := c.style(c.Terminal.Err)
	pause := time.Second
	switch {
	case c.json:
		p = view.NewJSON(c.Stderr)
	case c.Terminal.Err && c.getenv("TERM") != "dumb":
		width := c.Terminal.Width
		if width == nil {
			width = func() int { return 80 }
		}
		p, pause = view.NewLive(c.Stderr, view.Live{Style: style, Now: c.Now, Width: width}), 100*time.Millisecond
	default:
		p = view.NewLines(c.Stderr, view.Lines{Style: style, Now: c.Now})
	}
	s := &shown{view: p}
	done := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-c.After(pause):
				s.tick()
			}
		}
	})
	return s, func() {
		close(done)
		ticking.Wait()
		s.close()
	}
}

// shown lets one goroutine at a time reach a view.
type shown struct {
	mu   sync.Mutex
	view view.Progress
}

func (s *shown) Event(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.Event(e)
}

func (s *shown) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.Tick()
}

func (s *shown) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.Close()
}
