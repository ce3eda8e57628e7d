package broker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// pullWait is how long one request for messages stays open at the message
// server; messages that arrive meanwhile are handed over at once.
const pullWait = 10 * time.Minute

// errGone says that a message was settled already or has expired.
var errGone = errors.New("the message is gone")

// A puller is a source over a durable JetStream consumer.
type puller struct {
	consumer jetstream.Consumer
}

func (p puller) take(ctx context.Context, max int, window time.Duration) ([]taken, error) {
	got, err := p.fetch(ctx, 1, pullWait)
	if len(got) == 0 || max == 1 {
		return got, err
	}
	if window <= 0 {
		more, err := p.ready(max - 1)
		return append(got, more...), err
	}
	more, err := p.fetch(ctx, max-1, window)
	return append(got, more...), err
}

// fetch waits until there are max messages, wait is over or ctx has ended, and
// returns what there is.
func (p puller) fetch(ctx context.Context, max int, wait time.Duration) ([]taken, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	opts := []jetstream.FetchOpt{jetstream.FetchContext(ctx)}
	if wait > time.Minute {
		// Without this there would be one every 5 seconds.
		opts = append(opts, jetstream.FetchHeartbeat(wait/3))
	}
	batch, err := p.consumer.Fetch(max, opts...)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil
		}
		return nil, err
	}
	return collect(batch)
}

// ready returns what can be had without waiting.
func (p puller) ready(max int) ([]taken, error) {
	batch, err := p.consumer.FetchNoWait(max)
	if err != nil {
		return nil, err
	}
	return collect(batch)
}

func collect(batch jetstream.MessageBatch) ([]taken, error) {
	var got []taken
	for m := range batch.Messages() {
		t, err := newPulled(m)
		if err != nil {
			return got, err
		}
		got = append(got, t)
	}
	err := batch.Error()
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return got, err
}

// Pulled is a message taken by a puller.
type pulled struct {
	msg  jetstream.Msg
	info *jetstream.MsgMetadata
}

func newPulled(m jetstream.Msg) (pulled, error) {
	info, err := m.Metadata()
	return pulled{m, info}, err
}

func (p pulled) load() (message, error) { return loadMessage(p.msg.Headers(), p.msg.Data()) }
func (p pulled) sequence() uint64       { return p.info.Sequence.Stream }
func (p pulled) count() int             { return int(p.info.NumDelivered) }
func (p pulled) extend() error          { return p.msg.InProgress() }

func (p pulled) done(ctx context.Context) error {
	return settled(p.msg.DoubleAck(ctx))
}

func (p pulled) again(_ context.Context, after time.Duration) error {
	if after <= 0 {
		return settled(p.msg.Nak())
	}
	return settled(p.msg.NakWithDelay(after))
}

func settled(err error) error {
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		return errGone
	}
	return err
}
