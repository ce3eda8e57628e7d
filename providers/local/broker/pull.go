package broker

import (
	"context"
	"errors"
	"fmt"
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
	conn     *nats.Conn
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
	return p.collect(batch)
}

// ready returns what can be had without waiting.
func (p puller) ready(max int) ([]taken, error) {
	batch, err := p.consumer.FetchNoWait(max)
	if err != nil {
		return nil, err
	}
	return p.collect(batch)
}

func (p puller) collect(batch jetstream.MessageBatch) ([]taken, error) {
	var got []taken
	for m := range batch.Messages() {
		info, err := m.Metadata()
		if err != nil {
			return got, err
		}
		got = append(got, pulled{p.conn, m, info})
	}
	err := batch.Error()
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return got, err
}

// Pulled is a message taken by a puller.
type pulled struct {
	conn *nats.Conn
	msg  jetstream.Msg
	info *jetstream.MsgMetadata
}

func (p pulled) load() (message, error) { return loadMessage(p.msg.Headers(), p.msg.Data()) }
func (p pulled) sequence() uint64       { return p.info.Sequence.Stream }
func (p pulled) count() int             { return int(p.info.NumDelivered) }
func (p pulled) extend() error          { return p.msg.InProgress() }

func (p pulled) done(ctx context.Context) error {
	return settled(p.msg.DoubleAck(ctx))
}

// again waits for the answer of the message server, so that it holds even when
// the server is closed next. A delay, however short, is kept over a restart; a
// plain NAK is not.
func (p pulled) again(ctx context.Context, after time.Duration) error {
	nak := fmt.Sprintf(`-NAK {"delay": %d}`, max(after, time.Millisecond).Nanoseconds())
	_, err := p.conn.RequestWithContext(ctx, p.msg.Reply(), []byte(nak))
	return settled(err)
}

func settled(err error) error {
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		return errGone
	}
	return err
}
