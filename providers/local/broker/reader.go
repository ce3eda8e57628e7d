package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"go.etcd.io/bbolt"
)

// An orderedLog is what a reader follows: numbered records in shards.
type orderedLog interface {
	// read returns up to max records of a shard with numbers above after.
	read(ctx context.Context, shard int, after uint64, max int) ([]record, error)
	// last returns the number of the newest record of all shards.
	last(ctx context.Context) (uint64, error)
	// appended returns a channel that is closed at the next append.
	appended() <-chan struct{}
	// event makes the event of a record.
	event(record) (api.CloudEvent, error)
}

// A record is one entry of an orderedLog.
type record struct {
	number uint64
	at     time.Time
	value  []byte
	meta   meta // of stream records
}

// A reader feeds an ordered log to a function. Each shard is read in order and
// by one call at a time; the first record that fails, and all after it, are
// handed over again, so a record never overtakes another of its shard.
//
// A record that keeps failing holds up its shard until it leaves the log. When
// the function has a dead-letter queue, its retries apply instead, and the
// record then moves there.
type reader struct {
	b        *Broker
	key      resourceKey
	function string
	log      orderedLog
	shards   int
	batch    int
	earliest bool // where a new reader begins

	db      *bbolt.DB
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// A position is how far a reader got in a shard.
type position struct {
	After    uint64 `json:"after"`              // the last record dealt with
	Failures int    `json:"failures,omitempty"` // of the record after it
}

func (r *reader) start(ctx context.Context) error {
	db, err := r.b.records()
	if err != nil {
		return err
	}
	r.db = db
	last, err := r.log.last(ctx)
	if err != nil {
		return err
	}
	positions, err := r.resume(last)
	if err != nil {
		return err
	}
	reading, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	for shard, p := range positions {
		r.running.Go(func() { r.run(reading, shard, p) })
	}
	return nil
}

func (r *reader) stop() {
	if r.cancel != nil {
		r.cancel()
		r.running.Wait()
		r.cancel = nil
	}
}

func (r *reader) positionKey(shard int) []byte {
	return fmt.Appendf(nil, "%s/%d", r.key, shard)
}

// resume returns the position in each shard. A new reader begins where it was
// told to; a known one begins new shards, and a log that was made anew, at
// their first record.
func (r *reader) resume(last uint64) ([]position, error) {
	positions := make([]position, r.shards)
	err := r.db.Update(func(tx *bbolt.Tx) error {
		kept := tx.Bucket(positionsBucket)
		begin := position{After: last}
		if r.earliest || kept.Get(r.positionKey(0)) != nil {
			begin.After = 0
		}
		for shard := range positions {
			p := begin
			if v := kept.Get(r.positionKey(shard)); v != nil {
				if err := json.Unmarshal(v, &p); err != nil {
					return err
				}
				if p.After > last {
					p = position{}
				}
			}
			positions[shard] = p
		}
		for shard, p := range positions {
			if err := r.put(tx, shard, p); err != nil {
				return err
			}
		}
		return nil
	})
	return positions, err
}

func (r *reader) save(shard int, p position) error {
	return r.db.Update(func(tx *bbolt.Tx) error { return r.put(tx, shard, p) })
}

func (r *reader) put(tx *bbolt.Tx, shard int, p position) error {
	v, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return tx.Bucket(positionsBucket).Put(r.positionKey(shard), v)
}

// forgetPositions deletes all positions of a reader.
func (b *Broker) forgetPositions(key resourceKey) error {
	db, err := b.records()
	if err != nil {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		return deletePrefix(tx.Bucket(positionsBucket), []byte(key.String()+"/"))
	})
}

func (r *reader) logger(shard int) *slog.Logger {
	return r.b.log.With("stack", r.key.stack, "function", r.function, "reader", r.key.name, "shard", shard)
}

func (r *reader) run(ctx context.Context, shard int, p position) {
	for failures := 0; ctx.Err() == nil; {
		more := r.log.appended()
		records, err := r.log.read(ctx, shard, p.After, r.batch)
		if err == nil && len(records) == 0 {
			select {
			case <-more:
			case <-ctx.Done():
			}
			continue
		}
		var next position
		if err == nil {
			next, err = r.deliver(ctx, shard, p, records)
		}
		if err == nil && next != p {
			err = r.save(shard, next)
		}
		if err != nil {
			if ctx.Err() == nil {
				failures++
				r.logger(shard).Error("cannot read on; trying again", "error", err)
				sleep(ctx, r.b.opts.Retry.pause(failures))
			}
			continue
		}
		failures = 0
		p = next
		if p.Failures > 0 {
			sleep(ctx, r.b.opts.Retry.pause(p.Failures))
		}
	}
}

// deliver calls the function with records and returns where to read on.
func (r *reader) deliver(ctx context.Context, shard int, p position, records []record) (position, error) {
	events := make([]api.CloudEvent, len(records))
	for i, rec := range records {
		ev, err := r.log.event(rec)
		if err != nil {
			return p, err
		}
		ev.DeliveryCount = 1
		if i == 0 {
			ev.DeliveryCount = p.Failures + 1
		}
		events[i] = ev
	}
	failed, err := r.b.opts.Caller.Call(ctx, Call{Stack: r.key.stack, Function: r.function, Ordered: true, Events: events})
	if err != nil && ctx.Err() != nil {
		return p, ctx.Err()
	}
	first := 0
	if err == nil {
		first = slices.IndexFunc(events, func(ev api.CloudEvent) bool { return slices.Contains(failed, ev.ID) })
	}
	if first < 0 {
		return position{After: records[len(records)-1].number}, nil
	}
	next := position{After: p.After, Failures: 1}
	if first > 0 {
		next.After = records[first-1].number
	} else {
		next.Failures = p.Failures + 1
	}
	if !r.exhausted(records[first], next.Failures) {
		return next, nil
	}
	reason := "the function reported a failure"
	if err != nil {
		reason = err.Error()
	}
	if err := r.b.buryEvent(ctx, r.key.stack, r.function, events[first], next.Failures, reason); err != nil {
		r.logger(shard).Error("cannot dead-letter a record; it is tried again", "event", events[first].ID, "error", err)
		return next, nil
	}
	return position{After: records[first].number}, nil
}

// exhausted reports whether a record has failed for good.
func (r *reader) exhausted(rec record, failures int) bool {
	policy := r.b.opts.Policy(r.key.stack, r.function)
	if policy.DeadLetter == "" {
		return false
	}
	tooOld := policy.Retries.MaxAge > 0 && time.Since(rec.at) >= time.Duration(policy.Retries.MaxAge)
	return tooOld || failures > policy.Retries.Attempts
}

// An appendSignal tells readers that a log has grown. The zero value is ready.
type appendSignal struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *appendSignal) appended() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *appendSignal) signal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
