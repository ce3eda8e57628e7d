package host

import (
	"sync/atomic"
	"time"
)

// requestIDs makes request ids: 13 characters, sorted by time, unique for a
// host even over restarts as long as its clock does not go back.
type requestIDs struct{ last atomic.Uint64 }

// crockford is base 32 without letters that are mistaken for others.
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

func (r *requestIDs) next() string {
	now := uint64(time.Now().UnixMilli()) << 20
	for {
		last := r.last.Load()
		id := max(now, last+1)
		if r.last.CompareAndSwap(last, id) {
			return encodeID(id)
		}
	}
}

func encodeID(id uint64) string {
	var b [13]byte
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = crockford[id&31]
		id >>= 5
	}
	return string(b[:])
}
