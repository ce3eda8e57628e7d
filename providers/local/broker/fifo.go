package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.etcd.io/bbolt"
)

// A fifoQueue is the source of a queue that keeps the order of each group: the
// oldest message of a group is handed out, and the next one only after it was
// acknowledged. Messages lie in a NATS stream, one subject per group; what is
// handed out and how often is kept in the record file.
type fifoQueue struct {
	db    *bbolt.DB
	store jetstream.Stream
	name  string // of the store

	mu         sync.Mutex
	visibility time.Duration
	groups     map[string]*fifoGroup // by subject token; those that may have messages
	ready      []string              // groups whose oldest message may be taken, longest waiting first
	arrived    chan struct{}         // closed when a group became ready
	stopped    bool
}

// A fifoGroup is a group that may have messages.
type fifoGroup struct {
	hold   fifoHold
	hidden bool // the oldest message is taken or waits for its next attempt
	fresh  bool // messages came since a taker began to look for the oldest
	timer  *time.Timer
}

// A fifoHold says who may settle the oldest message of a group: who took it as
// Count says, until Until.
type fifoHold struct {
	Sequence uint64    `json:"sequence"`
	Count    int       `json:"count"`
	Until    time.Time `json:"until"`
}

// defaultGroup takes the messages that name no group.
const defaultGroup = "default"

func openFIFO(ctx context.Context, db *bbolt.DB, store jetstream.Stream, visibility time.Duration) (*fifoQueue, error) {
	q := &fifoQueue{db: db, store: store, name: store.CachedInfo().Config.Name, visibility: visibility, groups: map[string]*fifoGroup{}}
	holds := map[string]fifoHold{}
	err := db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.Bucket(fifoBucket).CreateBucketIfNotExists([]byte(q.name))
		if err != nil {
			return err
		}
		return b.ForEach(func(k, v []byte) error {
			var h fifoHold
			if err := json.Unmarshal(v, &h); err != nil {
				return err
			}
			holds[string(k)] = h
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	info, err := store.Info(ctx, jetstream.WithSubjectFilter(q.subject(">")))
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for subject := range info.State.Subjects {
		token := strings.TrimPrefix(subject, q.subject(""))
		g := &fifoGroup{hold: holds[token]}
		q.groups[token] = g
		if oldest, err := q.oldest(ctx, token); err == nil && oldest.Sequence == g.hold.Sequence && time.Now().Before(g.hold.Until) {
			g.hidden = true
			q.wakeLater(token, g)
			continue
		}
		q.ready = append(q.ready, token)
	}
	return q, nil
}

func (q *fifoQueue) subject(token string) string { return q.name + ".group." + token }

func (q *fifoQueue) oldest(ctx context.Context, token string) (*jetstream.RawStreamMsg, error) {
	return q.store.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(q.subject(token)))
}

// stop ends all timers.
func (q *fifoQueue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	for _, g := range q.groups {
		if g.timer != nil {
			g.timer.Stop()
		}
	}
}

func (q *fifoQueue) setVisibility(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.visibility = d
}

// sent says that a message was stored for a group.
func (q *fifoQueue) sent(token string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.groups[token]
	if g == nil {
		q.groups[token] = &fifoGroup{}
		q.push(token)
		return
	}
	g.fresh = true
}

// push makes a group ready. The caller holds the lock.
func (q *fifoQueue) push(token string) {
	q.ready = append(q.ready, token)
	if q.arrived != nil {
		close(q.arrived)
		q.arrived = nil
	}
}

// wakeLater makes a hidden group ready at the end of its hold. The caller holds
// the lock.
func (q *fifoQueue) wakeLater(token string, g *fifoGroup) {
	if q.stopped {
		return
	}
	wait := time.Until(g.hold.Until)
	if g.timer != nil {
		g.timer.Reset(wait)
		return
	}
	g.timer = time.AfterFunc(wait, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if !g.hidden || q.groups[token] != g {
			return
		}
		if time.Now().Before(g.hold.Until) { // it was extended meanwhile
			q.wakeLater(token, g)
			return
		}
		g.hidden = false
		q.push(token)
	})
}

func (q *fifoQueue) take(ctx context.Context, max int, window time.Duration) ([]taken, error) {
	first, err := q.gather(ctx, 1, nil)
	if len(first) == 0 || max == 1 {
		return first, err
	}
	deadline := past()
	if window > 0 {
		t := time.NewTimer(window)
		defer t.Stop()
		deadline = t.C
	}
	more, err := q.gather(ctx, max-1, deadline)
	return append(first, more...), err
}

func (q *fifoQueue) receive(ctx context.Context, max int, wait time.Duration) ([]taken, error) {
	got, err := q.gather(ctx, max, past())
	if len(got) > 0 || err != nil || wait <= 0 {
		return got, err
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	got, err = q.gather(ctx, 1, t.C)
	if len(got) == 0 || max == 1 {
		return got, err
	}
	more, err := q.gather(ctx, max-1, past())
	return append(got, more...), err
}

// past is a deadline that is over.
func past() <-chan time.Time {
	ch := make(chan time.Time)
	close(ch)
	return ch
}

// gather takes the oldest messages of up to max groups. It waits for them until
// the deadline, nil for none, or the end of ctx.
func (q *fifoQueue) gather(ctx context.Context, max int, deadline <-chan time.Time) ([]taken, error) {
	var got []taken
	for len(got) < max && ctx.Err() == nil {
		token, arrived := q.pop()
		if arrived != nil {
			select {
			case <-arrived:
			case <-deadline:
				return got, nil
			case <-ctx.Done():
			}
			continue
		}
		t, err := q.hold(ctx, token)
		if err != nil {
			return got, err
		}
		if t != nil {
			got = append(got, t)
		}
	}
	return got, nil
}

// pop returns a ready group, or what to wait for.
func (q *fifoQueue) pop() (token string, arrived <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ready) == 0 {
		if q.arrived == nil {
			q.arrived = make(chan struct{})
		}
		return "", q.arrived
	}
	token = q.ready[0]
	q.ready = q.ready[1:]
	q.groups[token].fresh = false
	return token, nil
}

// hold takes the oldest message of a group that was popped, nil when it has
// none.
func (q *fifoQueue) hold(ctx context.Context, token string) (taken, error) {
	raw, err := q.oldest(ctx, token)
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.groups[token]
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		if g.fresh {
			q.push(token)
			return nil, nil
		}
		delete(q.groups, token)
		return nil, q.save(token, nil)
	}
	if err != nil {
		q.push(token)
		return nil, err
	}
	h := fifoHold{Sequence: raw.Sequence, Count: 1, Until: time.Now().Add(q.visibility).UTC()}
	if g.hold.Sequence == h.Sequence {
		h.Count = g.hold.Count + 1
	}
	if err := q.save(token, &h); err != nil {
		q.push(token)
		return nil, err
	}
	g.hold, g.hidden = h, true
	q.wakeLater(token, g)
	return &fifoTaken{q: q, token: token, hold: h, raw: raw}, nil
}

// save keeps the hold of a group, nil for none.
func (q *fifoQueue) save(token string, h *fifoHold) error {
	return q.db.Update(func(tx *bbolt.Tx) error {
		b, err := nested(tx, fifoBucket, []byte(q.name))
		if err != nil {
			return err
		}
		if h == nil {
			return b.Delete([]byte(token))
		}
		v, err := json.Marshal(h)
		if err != nil {
			return err
		}
		return b.Put([]byte(token), v)
	})
}

// held returns the group when its oldest message is still with who took it. The
// caller holds the lock.
func (q *fifoQueue) held(token string, h fifoHold) (*fifoGroup, error) {
	g := q.groups[token]
	if g == nil || !g.hidden || g.hold.Sequence != h.Sequence || g.hold.Count != h.Count {
		return nil, errGone
	}
	return g, nil
}

// settle deletes the message that was taken and makes its group ready.
func (q *fifoQueue) settle(ctx context.Context, token string, h fifoHold) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	g, err := q.held(token, h)
	if err != nil {
		return err
	}
	if err := q.store.DeleteMsg(ctx, h.Sequence); err != nil {
		if _, gerr := q.store.GetMsg(ctx, h.Sequence); !errors.Is(gerr, jetstream.ErrMsgNotFound) {
			return err
		}
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	g.hidden = false
	q.push(token)
	return nil
}

// A receipt is group, message and delivery.
func (q *fifoQueue) receipt(t taken) string {
	f := t.(*fifoTaken)
	return fmt.Sprintf("%d.%d.%s", f.hold.Sequence, f.hold.Count, f.token)
}

func (q *fifoQueue) acknowledge(ctx context.Context, receipt string) error {
	parts := strings.SplitN(receipt, ".", 3)
	if len(parts) != 3 {
		return badRequest{"that is no receipt of this queue"}
	}
	sequence, err1 := strconv.ParseUint(parts[0], 10, 64)
	count, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return badRequest{"that is no receipt of this queue"}
	}
	return q.settle(ctx, parts[2], fifoHold{Sequence: sequence, Count: count})
}

func (q *fifoQueue) hidden(context.Context) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, g := range q.groups {
		if g.hidden {
			n++
		}
	}
	return n, nil
}

// A fifoTaken is the oldest message of a group, taken.
type fifoTaken struct {
	q     *fifoQueue
	token string
	hold  fifoHold
	raw   *jetstream.RawStreamMsg
}

func (t *fifoTaken) load() (message, error) { return loadMessage(t.raw.Header, t.raw.Data) }
func (t *fifoTaken) sequence() uint64       { return t.raw.Sequence }
func (t *fifoTaken) count() int             { return t.hold.Count }

// extend is not kept: should the process die, the call dies with it.
func (t *fifoTaken) extend() error {
	t.q.mu.Lock()
	defer t.q.mu.Unlock()
	g, err := t.q.held(t.token, t.hold)
	if err != nil {
		return err
	}
	g.hold.Until = time.Now().Add(t.q.visibility).UTC()
	return nil
}

func (t *fifoTaken) done(ctx context.Context) error { return t.q.settle(ctx, t.token, t.hold) }

func (t *fifoTaken) again(_ context.Context, after time.Duration) error {
	t.q.mu.Lock()
	defer t.q.mu.Unlock()
	g, err := t.q.held(t.token, t.hold)
	if err != nil {
		return err
	}
	g.hold.Until = time.Now().Add(after).UTC()
	if err := t.q.save(t.token, &g.hold); err != nil {
		return err
	}
	t.q.wakeLater(t.token, g)
	return nil
}
