package broker

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	defaultVisibility  = 30 * time.Second
	shortestVisibility = 100 * time.Millisecond
	defaultRetention   = 4 * 24 * time.Hour
	dedupWindow        = 5 * time.Minute
	maxGroup           = 128      // bytes
	takers             = "takers" // the consumer that all takers of a queue share

	// A message with these headers is kept until a time, then moved to a
	// subject.
	scheduleHeader       = "Nats-Schedule"
	scheduleTargetHeader = "Nats-Schedule-Target"
)

// A queue hands each message to one taker until it is acknowledged.
type queue struct {
	b   *Broker
	key resourceKey

	mu      sync.RWMutex // guards what apply sets
	spec    api.QueueSpec
	store   jetstream.Stream
	waiting queueSource
}

// A queueSource is a source that can also be asked without waiting, for those
// who receive over HTTP.
type queueSource interface {
	source
	// receive waits at most so long for at least one message.
	receive(ctx context.Context, max int, wait time.Duration) ([]taken, error)
	// receipt names a taken message, and acknowledge finds it again.
	receipt(t taken) string
	acknowledge(ctx context.Context, receipt string) error
	// hidden counts messages that are taken or wait for their next attempt.
	hidden(ctx context.Context) (int, error)
}

// An outgoing message is what a sender asks for.
type outgoing struct {
	body       []byte
	attributes map[string]string
	group      string // FIFO only
	dedup      string
	delay      time.Duration
}

// A badRequest is an error of the sender.
type badRequest struct{ text string }

func (e badRequest) Error() string { return e.text }

func (q *queue) storeName() string { return storeName("queue", q.key.stack, q.key.name) }
func (q *queue) subject() string   { return q.storeName() + ".ready" }

func (q *queue) apply(ctx context.Context, raw json.RawMessage) (api.Outputs, error) {
	var spec api.QueueSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	if spec.Visibility <= 0 {
		spec.Visibility = api.Duration(defaultVisibility)
	}
	spec.Visibility = max(spec.Visibility, api.Duration(shortestVisibility))
	if spec.Retention <= 0 {
		spec.Retention = api.Duration(defaultRetention)
	}
	if q.store != nil && spec.FIFO != q.spec.FIFO {
		return nil, errors.New("fifo cannot be changed; the queue has to be replaced")
	}
	js, err := q.b.jetstream()
	if err != nil {
		return nil, err
	}
	retention := max(time.Duration(spec.Retention), time.Second)
	config := jetstream.StreamConfig{
		Name:              q.storeName(),
		Subjects:          []string{q.storeName() + ".>"},
		Retention:         jetstream.WorkQueuePolicy,
		Storage:           jetstream.FileStorage,
		MaxAge:            retention,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxConsumers:      -1,
		Duplicates:        min(dedupWindow, retention),
		AllowMsgSchedules: true,
	}
	if spec.FIFO {
		config.Retention = jetstream.LimitsPolicy
	}
	store, err := js.CreateOrUpdateStream(ctx, config)
	if err != nil {
		return nil, err
	}
	waiting, err := q.open(ctx, js, store, spec)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	q.spec, q.store, q.waiting = spec, store, waiting
	q.mu.Unlock()
	return q.b.outputs(q.key), nil
}

// open returns the source of the queue with the settings of spec.
func (q *queue) open(ctx context.Context, js jetstream.JetStream, store jetstream.Stream, spec api.QueueSpec) (queueSource, error) {
	visibility := time.Duration(spec.Visibility)
	if spec.FIFO {
		if f, ok := q.waiting.(*fifoQueue); ok {
			f.setVisibility(visibility)
			return f, nil
		}
		db, err := q.b.records()
		if err != nil {
			return nil, err
		}
		return openFIFO(ctx, db, store, visibility)
	}
	_, err := store.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable:       takers,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       visibility,
		MaxDeliver:    -1,
		MaxAckPending: -1,
		FilterSubject: q.subject(),
	})
	if err != nil {
		return nil, err
	}
	return standardQueue{puller{js.Conn(), q.storeName(), takers}, js}, nil
}

func (q *queue) stop(context.Context) error {
	if f, ok := q.waiting.(*fifoQueue); ok {
		f.stop()
	}
	return nil
}

func (q *queue) remove(ctx context.Context) error {
	if q.spec.Retain {
		return nil
	}
	js, err := q.b.jetstream()
	if err != nil {
		return err
	}
	if q.spec.FIFO {
		db, err := q.b.records()
		if err != nil {
			return err
		}
		if err := deleteBuckets(db, []byte(q.storeName()), fifoBucket); err != nil {
			return err
		}
	}
	return deleteStream(ctx, js, q.storeName())
}

func (q *queue) state() (api.QueueSpec, jetstream.Stream, queueSource) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return q.spec, q.store, q.waiting
}

// send stores a message and returns its id.
func (q *queue) send(ctx context.Context, out outgoing) (string, error) {
	spec, store, waiting := q.state()
	fifo, _ := waiting.(*fifoQueue)
	m := message{meta: meta{ID: newID(), Sent: time.Now().UTC(), Attributes: out.attributes, Group: out.group}, body: out.body}
	token, subject := "", q.subject()
	switch {
	case fifo == nil && out.group != "":
		return "", badRequest{"message groups need a queue with fifo: true"}
	case fifo != nil && out.delay > 0:
		return "", badRequest{"a message of a fifo queue cannot be delayed; it would hold up its group"}
	case out.delay >= time.Duration(spec.Retention):
		return "", badRequest{fmt.Sprintf("the delay must be less than the queue's retention of %s", time.Duration(spec.Retention))}
	case len(out.group) > maxGroup:
		return "", badRequest{fmt.Sprintf("a message group is at most %d bytes long", maxGroup)}
	case fifo != nil:
		m.Group = cmp.Or(m.Group, defaultGroup)
		token = storeName(m.Group)
		subject = fifo.subject(token)
	}
	msg, err := m.stored(subject)
	if err != nil {
		return "", err
	}
	if out.delay > 0 {
		msg.Subject = q.storeName() + ".later." + m.ID
		msg.Header.Set(scheduleHeader, "@at "+time.Now().Add(out.delay).UTC().Format(time.RFC3339Nano))
		msg.Header.Set(scheduleTargetHeader, subject)
	}
	var opts []jetstream.PublishOpt
	if out.dedup != "" {
		opts = append(opts, jetstream.WithMsgID(out.dedup))
	}
	js, err := q.b.jetstream()
	if err != nil {
		return "", err
	}
	ack, err := js.PublishMsg(ctx, msg, opts...)
	if err != nil {
		return "", err
	}
	if ack.Duplicate {
		if first, err := store.GetMsg(ctx, ack.Sequence); err == nil {
			if earlier, err := loadMessage(first.Header, first.Data); err == nil {
				return earlier.ID, nil
			}
		}
		return m.ID, nil
	}
	if fifo != nil {
		fifo.sent(token)
	}
	return m.ID, nil
}

// take makes the queue a source, also while its settings change.
func (q *queue) take(ctx context.Context, max int, window time.Duration) ([]taken, error) {
	_, _, waiting := q.state()
	return waiting.take(ctx, max, window)
}

// receive takes messages for someone who asks over HTTP. A message that was
// received too often goes to the dead-letter queue instead.
func (q *queue) receive(ctx context.Context, max int, wait time.Duration) ([]receivedMessage, error) {
	spec, _, waiting := q.state()
	got, err := waiting.receive(ctx, max, wait)
	if ctx.Err() != nil { // who asked has gone
		for _, t := range got {
			err = errors.Join(err, t.again(context.WithoutCancel(ctx), 0))
		}
		return nil, err
	}
	var list []receivedMessage
	for _, t := range got {
		m, lerr := t.load()
		if lerr != nil {
			return list, lerr
		}
		if spec.DeadLetter != "" && t.count() > spec.MaxReceives {
			if err := q.bury(ctx, m, "", t.count()-1, "received too often without being acknowledged"); err != nil {
				return list, err
			}
			if err := t.done(ctx); err != nil && !errors.Is(err, errGone) {
				return list, err
			}
			continue
		}
		r := m.received()
		r.Receives, r.Receipt = t.count(), waiting.receipt(t)
		list = append(list, r)
	}
	return list, err
}

// status counts messages; those that wait for a delay to end are in flight.
func (q *queue) status(ctx context.Context) (api.QueueStatus, error) {
	_, _, waiting := q.state()
	info, err := q.b.streamInfo(ctx, q.storeName())
	if err != nil {
		return api.QueueStatus{}, err
	}
	hidden, err := waiting.hidden(ctx)
	if err != nil {
		return api.QueueStatus{}, err
	}
	all := int(info.State.Msgs)
	hidden = min(hidden, all)
	return api.QueueStatus{Name: q.key.name, Ready: all - hidden, InFlight: hidden}, nil
}

// peek returns the oldest messages without taking them.
func (q *queue) peek(ctx context.Context, max int) ([]message, error) {
	_, store, _ := q.state()
	var list []message
	for next := uint64(1); len(list) < max; {
		raw, err := store.GetMsg(ctx, next, jetstream.WithGetMsgSubject(q.storeName()+".>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return list, err
		}
		m, err := loadMessage(raw.Header, raw.Data)
		if err != nil {
			return list, err
		}
		list = append(list, m)
		next = raw.Sequence + 1
	}
	return list, nil
}

// Attributes added to a message on its way to a dead-letter queue.
const (
	attrOrigin   = "anyfaas-origin"   // source of the event: /queues/jobs
	attrFunction = "anyfaas-function" // that failed
	attrReason   = "anyfaas-reason"
	attrReceives = "anyfaas-receives" // deliveries
	attrID       = "anyfaas-id"       // of the original event
)

// deadLetter puts a message on the dead-letter queue of that name.
func (b *Broker) deadLetter(ctx context.Context, stack, name string, m message, extra map[string]string) error {
	q, err := b.queue(stack, name)
	if err != nil {
		return err
	}
	attrs := maps.Clone(m.Attributes)
	if attrs == nil {
		attrs = map[string]string{}
	}
	maps.Copy(attrs, extra)
	out := outgoing{body: m.body, attributes: attrs, dedup: extra[attrOrigin] + " " + m.ID}
	if spec, _, _ := q.state(); spec.FIFO {
		out.group = m.Group
	}
	_, err = q.send(ctx, out)
	return err
}

// standardQueue is the source of a queue without order: one durable consumer
// that all takers share.
type standardQueue struct {
	puller
	js jetstream.JetStream
}

func (s standardQueue) receive(ctx context.Context, max int, wait time.Duration) ([]taken, error) {
	got, err := s.fetch(ctx, pullRequest{Batch: max, NoWait: true})
	if len(got) > 0 || err != nil || wait <= 0 {
		return got, err
	}
	got, err = s.fetch(ctx, pullRequest{Batch: 1, Expires: wait})
	if len(got) == 0 || max == 1 {
		return got, err
	}
	more, err := s.fetch(ctx, pullRequest{Batch: max - 1, NoWait: true})
	return append(got, more...), err
}

// A receipt is the tail of the subject on which JetStream takes the
// acknowledgement, so it stays valid over a restart.
func (s standardQueue) receipt(t taken) string {
	tail := strings.TrimPrefix(t.(pulled).msg.Reply, s.ackPrefix())
	return base64.RawURLEncoding.EncodeToString([]byte(tail))
}

func (s standardQueue) ackPrefix() string { return "$JS.ACK." + s.stream + "." + takers + "." }

func (s standardQueue) acknowledge(ctx context.Context, receipt string) error {
	tail, err := base64.RawURLEncoding.DecodeString(receipt)
	if err != nil || strings.Trim(string(tail), "0123456789.") != "" {
		return badRequest{"that is no receipt of this queue"}
	}
	_, seq, _ := strings.Cut(string(tail), ".")
	seq, _, _ = strings.Cut(seq, ".")
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return badRequest{"that is no receipt of this queue"}
	}
	stream, err := s.js.Stream(ctx, s.stream)
	if err != nil {
		return err
	}
	if _, err := stream.GetMsg(ctx, n); errors.Is(err, jetstream.ErrMsgNotFound) {
		return errGone
	}
	_, err = s.js.Conn().RequestWithContext(ctx, s.ackPrefix()+string(tail), []byte("+ACK"))
	return settled(err)
}

func (s standardQueue) hidden(ctx context.Context) (int, error) {
	shared, err := s.js.Consumer(ctx, s.stream, takers) // its handle is fresh, and so is what it knows
	if err != nil {
		return 0, err
	}
	return shared.CachedInfo().NumAckPending, nil
}
