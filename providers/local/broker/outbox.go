package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.etcd.io/bbolt"
)

// The outbox carries events from the record file to the message server. A
// change and its event are written in one transaction, so neither is there
// without the other, whenever the process is killed.
type outbox struct {
	b       *Broker
	db      *bbolt.DB
	js      jetstream.JetStream
	filled  chan struct{}
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// An outboxEntry is an event on its way to a subject of a stack.
type outboxEntry struct {
	Stack   string         `json:"stack"`
	Subject string         `json:"subject"`
	Event   api.CloudEvent `json:"event"`
}

// startOutbox starts both stores and the outbox when they aren't running yet.
func (b *Broker) startOutbox() (*outbox, error) {
	db, err := b.records()
	if err != nil {
		return nil, err
	}
	js, err := b.jetstream()
	if err != nil {
		return nil, err
	}
	b.starting.Lock()
	defer b.starting.Unlock()
	if b.outbox == nil {
		ctx, cancel := context.WithCancel(context.Background())
		o := &outbox{b: b, db: db, js: js, filled: make(chan struct{}, 1), cancel: cancel}
		o.running.Go(func() { o.run(ctx) })
		b.outbox = o
	}
	return b.outbox, nil
}

func (o *outbox) stop() {
	o.cancel()
	o.running.Wait()
}

// put adds an event in a transaction; call wake after it.
func (o *outbox) put(tx *bbolt.Tx, e outboxEntry) error {
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	box := tx.Bucket(outboxBucket)
	n, err := box.NextSequence()
	if err != nil {
		return err
	}
	return box.Put(number(n), value)
}

// wake says that something was put.
func (o *outbox) wake() {
	select {
	case o.filled <- struct{}{}:
	default:
	}
}

func (o *outbox) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		if err := o.empty(ctx); err != nil {
			if ctx.Err() == nil {
				failures++
				o.b.log.Error("cannot hand over events; trying again", "error", err)
				sleep(ctx, o.b.opts.Retry.pause(failures))
			}
			continue
		}
		failures = 0
		select {
		case <-o.filled:
		case <-ctx.Done():
		}
	}
}

// empty publishes what the outbox holds, oldest first, then deletes it. An entry
// published twice, because the process was killed in between, carries the same
// id and is stored once.
func (o *outbox) empty(ctx context.Context) error {
	const most = 256
	for {
		var keys, values [][]byte
		err := o.db.View(func(tx *bbolt.Tx) error {
			c := tx.Bucket(outboxBucket).Cursor()
			for k, v := c.First(); k != nil && len(keys) < most; k, v = c.Next() {
				keys, values = append(keys, append([]byte(nil), k...)), append(values, append([]byte(nil), v...))
			}
			return nil
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		for i, v := range values {
			var e outboxEntry
			if err := json.Unmarshal(v, &e); err != nil {
				return fmt.Errorf("outbox: %w", err)
			}
			err := o.b.publishEvent(ctx, o.js, e.Stack, e.Subject, e.Event, fmt.Sprintf("outbox %x", keys[i]))
			// A stack that is gone has nobody left to tell.
			if err != nil && !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, jetstream.ErrNoStreamResponse) {
				return err
			}
		}
		err = o.db.Update(func(tx *bbolt.Tx) error {
			for _, k := range keys {
				if err := tx.Bucket(outboxBucket).Delete(k); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}
