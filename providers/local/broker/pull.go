package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// pullWait is how long one request for messages stays open at the message
// server; messages that arrive meanwhile are handed over at once.
const pullWait = 10 * time.Minute

// errGone says that a message was settled already or has expired.
var errGone = errors.New("the message is gone")

// A puller is a source over a durable JetStream consumer. It speaks the pull
// protocol itself because a request that is given up must not lose a message
// that is already on its way: the message would stay hidden from all.
type puller struct {
	conn     *nats.Conn
	stream   string
	consumer string
}

// A pullRequest asks for messages, as JetStream reads it.
type pullRequest struct {
	Batch   int           `json:"batch"`
	Expires time.Duration `json:"expires,omitempty"`
	NoWait  bool          `json:"no_wait,omitempty"`
}

func (p puller) take(ctx context.Context, max int, window time.Duration) ([]taken, error) {
	got, err := p.fetch(ctx, pullRequest{Batch: 1, Expires: pullWait})
	if len(got) == 0 || max == 1 {
		return got, err
	}
	rest := pullRequest{Batch: max - 1, Expires: window}
	if window <= 0 {
		rest = pullRequest{Batch: max - 1, NoWait: true}
	}
	more, err := p.fetch(ctx, rest)
	return append(got, more...), err
}

// fetch returns what a request yields. When ctx ends it returns what has come
// until then.
func (p puller) fetch(ctx context.Context, rq pullRequest) ([]taken, error) {
	body, err := json.Marshal(rq)
	if err != nil {
		return nil, err
	}
	sub, err := p.conn.SubscribeSync(p.conn.NewInbox())
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe() // of a subscription that may have ended
	if err := p.conn.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+p.stream+"."+p.consumer, sub.Subject, body); err != nil {
		return nil, err
	}
	var got []taken
	for len(got) < rq.Batch {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil && ctx.Err() != nil {
			return p.drain(sub, got)
		}
		if err != nil {
			return got, err
		}
		t, err := p.accept(msg)
		if t == nil {
			return got, err
		}
		got = append(got, t)
	}
	return got, nil
}

// drain ends a request and returns also what was on its way.
func (p puller) drain(sub *nats.Subscription, got []taken) ([]taken, error) {
	if err := sub.Drain(); err != nil {
		return got, err
	}
	for {
		msg, err := sub.NextMsg(time.Second)
		if err != nil {
			return got, nil // drained
		}
		t, err := p.accept(msg)
		if err != nil {
			return got, err
		}
		if t != nil {
			got = append(got, t)
		}
	}
}

// accept returns the message that was delivered, or nil when it says that there
// is none.
func (p puller) accept(msg *nats.Msg) (taken, error) {
	switch status := msg.Header.Get("Status"); status {
	case "":
		info, err := msg.Metadata()
		if err != nil {
			return nil, err
		}
		return pulled{p.conn, msg, info}, nil
	case "404", "408": // none there, none came
		return nil, nil
	default:
		return nil, fmt.Errorf("message server: %s %s", status, msg.Header.Get("Description"))
	}
}

// Pulled is a message taken by a puller.
type pulled struct {
	conn *nats.Conn
	msg  *nats.Msg
	info *nats.MsgMetadata
}

func (p pulled) load() (message, error) { return loadMessage(p.msg.Header, p.msg.Data) }
func (p pulled) sequence() uint64       { return p.info.Sequence.Stream }
func (p pulled) count() int             { return int(p.info.NumDelivered) }
func (p pulled) extend() error          { return p.conn.Publish(p.msg.Reply, []byte("+WPI")) }

func (p pulled) done(ctx context.Context) error {
	_, err := p.conn.RequestWithContext(ctx, p.msg.Reply, []byte("+ACK"))
	return settled(err)
}

// again waits for the answer of the message server, so that it holds even when
// the server is closed next. A delay, however short, is kept over a restart; a
// plain NAK is not.
func (p pulled) again(ctx context.Context, after time.Duration) error {
	nak := fmt.Sprintf(`-NAK {"delay": %d}`, max(after, time.Millisecond).Nanoseconds())
	_, err := p.conn.RequestWithContext(ctx, p.msg.Reply, []byte(nak))
	return settled(err)
}

func settled(err error) error {
	if errors.Is(err, nats.ErrNoResponders) {
		return errGone
	}
	return err
}
