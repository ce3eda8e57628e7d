package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// busSource is the source of the events of a stack's one bus.
const busSource = "/buses/default"

// A busEvent is the data of an event that came over the bus.
type busEvent struct {
	Source string          `json:"source"`
	Name   string          `json:"name"` // the type it was published with
	Detail json.RawMessage `json:"detail"`
}

func busSubject(stack string) string { return eventSubject(stack, "bus") }

// publish puts an event on the bus of a stack; without rules it goes nowhere.
// An id that a sender gave is stored once within five minutes.
func (b *Broker) publishBus(ctx context.Context, stack, id string, at time.Time, ev busEvent) (string, error) {
	dedup := ""
	if id == "" {
		id = newID()
	} else {
		dedup = fmt.Sprintf("bus %q %q", ev.Source, id)
	}
	data, err := json.Marshal(ev)
	if err != nil {
		return "", err
	}
	out := newEvent("bus.event.v1", busSource, id, at, data)
	out.Subject = ev.Name
	js, err := b.jetstream()
	if err != nil {
		return "", err
	}
	err = b.publishEvent(ctx, js, stack, busSubject(stack), out, dedup)
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		err = nil
	}
	return id, err
}

func (d *dataServer) serveBus(r *http.Request, stack string) (int, any, error) {
	if err := d.b.knownStack(stack); err != nil {
		return 0, nil, err
	}
	if r.Method != http.MethodPost {
		return 0, nil, wrongMethod{"POST"}
	}
	id, at, ev, err := readBusEvent(r)
	if err != nil {
		return 0, nil, err
	}
	id, err = d.b.publishBus(r.Context(), stack, id, at, ev)
	return http.StatusCreated, map[string]string{"id": id}, err
}

// readBusEvent reads a CloudEvent in structured or binary form, or the plain
// {"source", "type", "detail"}.
func readBusEvent(r *http.Request) (id string, at time.Time, ev busEvent, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", at, ev, err
	}
	at = time.Now()
	var in struct {
		ID     string          `json:"id"`
		Source string          `json:"source"`
		Type   string          `json:"type"`
		Time   string          `json:"time"`
		Data   json.RawMessage `json:"data"`
		Base64 string          `json:"data_base64"`
		Detail json.RawMessage `json:"detail"`
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case strings.HasPrefix(mediaType, "application/cloudevents-batch"):
		return "", at, ev, badRequest{"send one event at a time, not a batch"}
	case r.Header.Get("Ce-Type") != "":
		in.ID, in.Source, in.Type, in.Time = r.Header.Get("Ce-Id"), r.Header.Get("Ce-Source"), r.Header.Get("Ce-Type"), r.Header.Get("Ce-Time")
		if len(body) > 0 {
			in.Detail = detailOf(body)
		}
	default:
		if err := json.Unmarshal(body, &in); err != nil {
			return "", at, ev, badRequest{"the body is neither a CloudEvent nor {\"source\", \"type\", \"detail\"}: " + err.Error()}
		}
		if in.Detail == nil {
			in.Detail = in.Data
		}
		if in.Detail == nil && in.Base64 != "" {
			in.Detail, _ = json.Marshal(payload{BodyBase64: &in.Base64})
		}
	}
	if in.Source == "" || in.Type == "" {
		return "", at, ev, badRequest{"an event needs a source and a type"}
	}
	if in.Time != "" {
		if at, err = time.Parse(time.RFC3339, in.Time); err != nil {
			return "", at, ev, badRequest{fmt.Sprintf("the time %q is not RFC 3339", in.Time)}
		}
	}
	if in.Detail == nil {
		in.Detail = json.RawMessage("null")
	}
	return in.ID, at, busEvent{Source: in.Source, Name: in.Type, Detail: in.Detail}, nil
}

// detailOf gives the body of a binary CloudEvent its JSON form: JSON is itself,
// text a string, other bytes {"bodyBase64"}.
func detailOf(body []byte) json.RawMessage {
	if json.Valid(body) {
		return body
	}
	p := bodyOf(body)
	if p.Body != nil {
		return p.Body
	}
	b, _ := json.Marshal(p) // a string
	return b
}

// An eventRule feeds events of the bus to a function.
type eventRule struct{ trigger eventTrigger }

func (e *eventRule) apply(ctx context.Context, raw json.RawMessage) (api.Outputs, error) {
	var spec api.EventRuleSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	wants := func(ev api.CloudEvent) bool {
		var data busEvent
		if err := json.Unmarshal(ev.Data, &data); err != nil {
			return false
		}
		return (spec.Source == "" || spec.Source == data.Source) && (spec.Type == "" || spec.Type == data.Name)
	}
	if err := e.trigger.apply(ctx, spec.Function, busSubject(e.trigger.key.stack), wants); err != nil {
		return nil, err
	}
	return e.trigger.b.outputs(e.trigger.key), nil
}

func (e *eventRule) stop(context.Context) error {
	e.trigger.stop()
	return nil
}

func (e *eventRule) remove(ctx context.Context) error { return e.trigger.remove(ctx) }
