package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// defaultConcurrency is the number of calls at once of a trigger that asks for
// none. The caller holds calls back when the function is at its own limit.
const defaultConcurrency = 16

// A queueConsumer feeds a queue to a function.
type queueConsumer struct {
	b        *Broker
	key      resourceKey
	spec     api.QueueConsumerSpec
	queue    *queue
	delivery *delivery
}

func (c *queueConsumer) apply(ctx context.Context, raw json.RawMessage) (api.Outputs, error) {
	var spec api.QueueConsumerSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	q, err := c.b.queue(c.key.stack, spec.Queue)
	if err != nil {
		return nil, err
	}
	if c.delivery != nil && (q != c.queue || spec.Function != c.spec.Function) {
		c.delivery.stop()
		c.delivery = nil
	}
	started := c.delivery != nil
	if !started {
		c.delivery = q.deliveryTo(spec.Function)
	}
	c.delivery.set(max(spec.Batch, 1), cmp.Or(spec.Concurrency, defaultConcurrency), time.Duration(spec.Window))
	if !started {
		c.delivery.start()
	}
	c.spec, c.queue = spec, q
	return c.b.outputs(c.key), nil
}

func (c *queueConsumer) stop(context.Context) error {
	if c.delivery != nil {
		c.delivery.stop()
		c.delivery = nil
	}
	return nil
}

func (c *queueConsumer) remove(context.Context) error { return nil }

// deliveryTo makes the delivery of this queue to a function.
func (q *queue) deliveryTo(function string) *delivery {
	origin := "/queues/" + q.key.name
	hidden := func() time.Duration {
		spec, _, _ := q.state()
		return time.Duration(spec.Visibility)
	}
	return &delivery{
		b: q.b, stack: q.key.stack, function: function, source: q,
		hidden: hidden,
		retry:  func() Backoff { return q.b.opts.Retry.capped(hidden()) },
		event: func(m message, t taken) *api.CloudEvent {
			ev := newEvent("queue.message.v1", origin, m.ID, m.Sent, m.data())
			ev.Subject = m.Group
			ev.DeliveryCount = t.count()
			ev.Sequence = strconv.FormatUint(t.sequence(), 10)
			return &ev
		},
		attempts: func(message) int {
			spec, _, _ := q.state()
			if spec.DeadLetter == "" {
				return 0
			}
			return max(spec.MaxReceives, 1)
		},
		bury: func(ctx context.Context, m message, _ api.CloudEvent, count int, reason string) error {
			return q.bury(ctx, m, function, count, reason)
		},
	}
}

// bury moves a message to the queue's dead-letter queue.
func (q *queue) bury(ctx context.Context, m message, function string, count int, reason string) error {
	spec, _, _ := q.state()
	attrs := map[string]string{
		attrOrigin:   "/queues/" + q.key.name,
		attrReason:   reason,
		attrReceives: strconv.Itoa(count),
		attrID:       m.ID,
	}
	if function != "" {
		attrs[attrFunction] = function
	}
	return q.b.deadLetter(ctx, q.key.stack, spec.DeadLetter, m, attrs)
}
