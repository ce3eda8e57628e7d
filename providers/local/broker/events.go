package broker

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// eventHidden is how long an event stays with a process that died.
	eventHidden = 15 * time.Second
	// eventsKept bounds the life of an event that nobody manages to handle.
	eventsKept = 14 * 24 * time.Hour
)

// Events without a queue of their own (of topics, schedules, buckets and the
// bus) lie in one NATS stream per stack, each until every trigger that wants
// its subject has dealt with it. A trigger is a durable consumer of that
// stream.

func eventStore(stack string) string { return storeName("events", stack) }

// subject returns the subject of a stack's events of one origin.
func eventSubject(stack string, origin ...string) string {
	return eventStore(stack) + "." + storeName(origin...)
}

// openEvents makes the stream of a stack's events.
func (b *Broker) openEvents(ctx context.Context, stack string) (jetstream.Stream, error) {
	js, err := b.jetstream()
	if err != nil {
		return nil, err
	}
	return js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:         eventStore(stack),
		Subjects:     []string{eventStore(stack) + ".>"},
		Retention:    jetstream.InterestPolicy,
		Storage:      jetstream.FileStorage,
		MaxAge:       eventsKept,
		MaxMsgs:      -1,
		MaxBytes:     -1,
		MaxConsumers: -1,
		Duplicates:   dedupWindow,
	})
}

// closeEvents deletes the stream of a stack that has nothing left that uses it.
func (b *Broker) closeEvents(ctx context.Context, stack string) error {
	users := b.keys(func(k resourceKey) bool {
		switch k.kind {
		case api.KindTopic, api.KindSubscription, api.KindSchedule, api.KindNotification, api.KindEventRule:
			return k.stack == stack
		}
		return false
	})
	if len(users) > 0 {
		return nil
	}
	js, err := b.jetstream()
	if err != nil {
		return err
	}
	return deleteStream(ctx, js, eventStore(stack))
}

// publishEvent stores an event for all triggers that want its subject. Events
// of the same dedup id are stored once.
func (b *Broker) publishEvent(ctx context.Context, js jetstream.JetStream, stack, subject string, ev api.CloudEvent, dedup string) error {
	body, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	msg, err := message{meta: meta{ID: ev.ID, Sent: time.Now().UTC()}, body: body}.stored(subject)
	if err != nil {
		return err
	}
	var opts []jetstream.PublishOpt
	if dedup != "" {
		opts = append(opts, jetstream.WithMsgID(dedup))
	}
	_, err = js.PublishMsg(ctx, msg, opts...)
	return err
}

// An eventTrigger feeds events of one subject to a function.
type eventTrigger struct {
	b        *Broker
	key      resourceKey
	function string
	subject  string
	delivery *delivery
}

// apply starts or changes the trigger. Wants decides about each event; nil
// means all.
func (t *eventTrigger) apply(ctx context.Context, function, subject string, wants func(api.CloudEvent) bool) error {
	if t.delivery != nil && t.function == function && t.subject == subject {
		t.delivery.setEvent(eventOf(wants))
		return nil
	}
	store, err := t.b.openEvents(ctx, t.key.stack)
	if err != nil {
		return err
	}
	js, err := t.b.jetstream()
	if err != nil {
		return err
	}
	t.stop()
	if t.subject != "" && t.subject != subject {
		if err := t.forget(ctx); err != nil {
			return err
		}
	}
	_, err = store.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable:       t.consumerName(),
		DeliverPolicy: jetstream.DeliverNewPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       eventHidden,
		MaxDeliver:    -1,
		MaxAckPending: -1,
		FilterSubject: subject,
	})
	if err != nil {
		return err
	}
	t.function, t.subject = function, subject
	t.delivery = t.b.eventDelivery(t.key.stack, function, puller{js.Conn(), eventStore(t.key.stack), t.consumerName()})
	t.delivery.setEvent(eventOf(wants))
	t.delivery.set(1, defaultConcurrency, 0)
	t.delivery.start()
	return nil
}

func (t *eventTrigger) consumerName() string { return storeName(string(t.key.kind), t.key.name) }

func (t *eventTrigger) stop() {
	if t.delivery != nil {
		t.delivery.stop()
		t.delivery = nil
	}
}

// forget deletes what is kept for this trigger.
func (t *eventTrigger) forget(ctx context.Context) error {
	js, err := t.b.jetstream()
	if err != nil {
		return err
	}
	err = js.DeleteConsumer(ctx, eventStore(t.key.stack), t.consumerName())
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return err
}

func (t *eventTrigger) remove(ctx context.Context) error {
	return errors.Join(t.forget(ctx), t.b.closeEvents(ctx, t.key.stack))
}

// eventOf returns how a delivery makes events of stored ones.
func eventOf(wants func(api.CloudEvent) bool) func(message, taken) *api.CloudEvent {
	return func(m message, t taken) *api.CloudEvent {
		var ev api.CloudEvent
		if err := json.Unmarshal(m.body, &ev); err != nil {
			return nil
		}
		if wants != nil && !wants(ev) {
			return nil
		}
		ev.DeliveryCount = t.count()
		return &ev
	}
}

// eventDelivery makes a delivery of events that follows the function's own
// rules for retries and dead letters.
func (b *Broker) eventDelivery(stack, function string, from source) *delivery {
	return &delivery{
		b: b, stack: stack, function: function, source: from,
		hidden: func() time.Duration { return eventHidden },
		retry:  func() Backoff { return b.opts.Retry },
		attempts: func(m message) int {
			r := b.opts.Policy(stack, function).Retries
			if r.MaxAge > 0 && time.Since(m.Sent) >= time.Duration(r.MaxAge) {
				return 1
			}
			return max(r.Attempts, 0) + 1
		},
		bury: func(ctx context.Context, m message, ev api.CloudEvent, count int, reason string) error {
			return b.buryEvent(ctx, stack, function, ev, count, reason)
		},
	}
}

// buryEvent puts an event that failed for good on the function's dead-letter
// queue. Without one it is reported and dropped.
func (b *Broker) buryEvent(ctx context.Context, stack, function string, ev api.CloudEvent, count int, reason string) error {
	name := b.opts.Policy(stack, function).DeadLetter
	if name == "" {
		b.log.Error("dropped an event that failed for good; a deadLetter queue would keep it",
			"stack", stack, "function", function, "source", ev.Source, "event", ev.ID, "attempts", count, "reason", reason)
		return nil
	}
	ev.DeliveryCount = 0
	body, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	return b.deadLetter(ctx, stack, name, message{meta: meta{ID: ev.ID, Group: ev.Subject}, body: body}, map[string]string{
		attrOrigin:   ev.Source,
		attrFunction: function,
		attrReason:   reason,
		attrReceives: strconv.Itoa(count),
		attrID:       ev.ID,
	})
}
