package broker

import (
	"context"
	"sync"
)

// Slots are a counting semaphore whose size may change while it is used.
type slots struct {
	mu      sync.Mutex
	size    int
	used    int
	changed chan struct{} // closed when a slot may have become free
}

// resize changes how many may be taken at once; more than that may stay taken.
func (s *slots) resize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = n
	s.wake()
}

// take waits for a free slot. It is false when ctx ended.
func (s *slots) take(ctx context.Context) bool {
	for {
		s.mu.Lock()
		if ctx.Err() != nil {
			s.mu.Unlock()
			return false
		}
		if s.used < s.size {
			s.used++
			s.mu.Unlock()
			return true
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	s.wake()
}

func (s *slots) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}
