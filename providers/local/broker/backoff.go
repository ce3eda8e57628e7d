package broker

import (
	"math/rand/v2"
	"time"
)

// A Backoff is a row of growing pauses: First, doubled each time up to Max, a
// fifth more or less by chance so that what failed together does not return
// together. Zero fields mean 250 ms and 30 s.
type Backoff struct {
	First, Max time.Duration
}

func (b Backoff) orDefault() Backoff {
	if b.First <= 0 {
		b.First = 250 * time.Millisecond
	}
	if b.Max <= 0 {
		b.Max = 30 * time.Second
	}
	return b
}

// capped returns b with pauses of at most limit.
func (b Backoff) capped(limit time.Duration) Backoff {
	return Backoff{First: min(b.First, limit), Max: min(b.Max, limit)}
}

// pause returns how long to wait after the n-th failure, counted from 1.
func (b Backoff) pause(n int) time.Duration {
	d := b.First
	for range n - 1 {
		if d *= 2; d >= b.Max {
			break
		}
	}
	d = min(d, b.Max)
	return d - d/5 + time.Duration(rand.Int64N(int64(d)*2/5+1))
}
