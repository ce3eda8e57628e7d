package broker

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// Event builds the event that a trigger of a kind would hand to a function, for
// calling it by hand. The source is what the function's trigger of that kind
// consumes, or "example" when it has none. Data is, by kind:
//
//	queue, topic, stream  the body: JSON, or a JSON string of text
//	schedule              the input
//	storage               {"key", "size", "etag", "version", "deleted"}, of which key is needed
//	table                 {"operation", "keys", "new", "old"}, of which keys is needed
//	event                 {"source", "type", "detail"}; anything else is the detail
func (b *Broker) Event(trigger, stack, function string, data json.RawMessage) (api.CloudEvent, error) {
	build, ok := examples[trigger]
	if !ok {
		return api.CloudEvent{}, fmt.Errorf("no trigger kind %q; kinds with events are queue, topic, stream, schedule, storage, table and event", trigger)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		data = json.RawMessage("null")
	}
	if !json.Valid(data) {
		return api.CloudEvent{}, errors.New("the data of an event must be JSON")
	}
	e := example{b: b, stack: stack, function: function, id: newID(), now: b.opts.Clock.Now()}
	ev, err := build(e, data)
	ev.DeliveryCount = 1
	return ev, err
}

// An example is an event in the making.
type example struct {
	b               *Broker
	stack, function string
	id              string
	now             time.Time
}

var examples = map[string]func(example, json.RawMessage) (api.CloudEvent, error){
	"queue":    example.queue,
	"topic":    example.topic,
	"stream":   example.stream,
	"schedule": example.schedule,
	"storage":  example.storage,
	"table":    example.table,
	"event":    example.event,
}

const exampleName = "example"

// consumed returns the name that the spec of the function's first trigger of a
// kind has under field, and the name and spec of the trigger itself.
func (e example) consumed(kind api.Kind, field string) (name string, trigger string, spec map[string]json.RawMessage) {
	for _, k := range e.b.keys(func(k resourceKey) bool { return k.stack == e.stack && k.kind == kind }) {
		e.b.mu.RLock()
		raw := e.b.specs[k]
		e.b.mu.RUnlock()
		var s map[string]json.RawMessage
		if json.Unmarshal(raw, &s) == nil && text(s["function"]) == e.function {
			return cmp.Or(text(s[field]), exampleName), k.name, s
		}
	}
	return exampleName, exampleName, nil
}

// text reads a JSON string; anything else is "".
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// message returns bytes as a sender would send the data.
func (e example) message(data json.RawMessage) message {
	m := message{meta: meta{ID: e.id, Sent: e.now}, body: data}
	var text string
	if json.Unmarshal(data, &text) == nil && !bytes.Equal(data, []byte("null")) {
		m.body = []byte(text)
	}
	return m
}

func (e example) queue(data json.RawMessage) (api.CloudEvent, error) {
	name, _, _ := e.consumed(api.KindQueueConsumer, "queue")
	return newEvent("queue.message.v1", "/queues/"+name, e.id, e.now, e.message(data).data()), nil
}

func (e example) topic(data json.RawMessage) (api.CloudEvent, error) {
	name, _, _ := e.consumed(api.KindSubscription, "topic")
	return newEvent("topic.message.v1", "/topics/"+name, e.id, e.now, e.message(data).data()), nil
}

func (e example) stream(data json.RawMessage) (api.CloudEvent, error) {
	name, _, _ := e.consumed(api.KindStreamReader, "stream")
	body, err := json.Marshal(bodyOf(e.message(data).body))
	return newEvent("stream.record.v1", "/streams/"+name, e.id, e.now, body), err
}

func (e example) schedule(data json.RawMessage) (api.CloudEvent, error) {
	_, name, spec := e.consumed(api.KindSchedule, "")
	input := data
	if bytes.Equal(data, []byte("null")) {
		input = spec["input"]
	}
	if bytes.Equal(input, []byte("null")) {
		input = nil
	}
	body, err := json.Marshal(tick{ScheduledTime: e.now.UTC().Format(time.RFC3339), Input: input})
	return newEvent("schedule.tick.v1", "/schedules/"+name, e.id, e.now, body), err
}

func (e example) storage(data json.RawMessage) (api.CloudEvent, error) {
	name, _, _ := e.consumed(api.KindNotification, "bucket")
	var in struct {
		objectEvent
		Deleted bool `json:"deleted"`
	}
	if err := json.Unmarshal(data, &in); err != nil || in.Key == "" {
		return api.CloudEvent{}, errors.New(`the data of a storage event is {"key": "…", "size": …, "deleted": …}; key is needed`)
	}
	in.Bucket = cmp.Or(in.Bucket, bucketName(e.stack, name))
	body, err := json.Marshal(in.objectEvent)
	typ := "object.created.v1"
	if in.Deleted {
		typ = "object.deleted.v1"
	}
	ev := newEvent(typ, "/buckets/"+name, e.id, e.now, body)
	ev.Subject = in.Key
	return ev, err
}

func (e example) table(data json.RawMessage) (api.CloudEvent, error) {
	name, _, _ := e.consumed(api.KindTableReader, "table")
	var in changeData
	if err := json.Unmarshal(data, &in); err != nil || in.Keys == nil {
		return api.CloudEvent{}, errors.New(`the data of a table event is {"operation": "insert", "keys": {…}, "new": {…}, "old": {…}}; keys is needed`)
	}
	in.Operation = cmp.Or(in.Operation, "insert")
	body, err := json.Marshal(in)
	return newEvent("db.change.v1", "/tables/"+name, e.id, e.now, body), err
}

func (e example) event(data json.RawMessage) (api.CloudEvent, error) {
	source, _, rule := e.consumed(api.KindEventRule, "source")
	var in struct {
		Source string          `json:"source"`
		Type   string          `json:"type"`
		Detail json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(data, &in); err != nil || in.Detail == nil {
		in.Detail = data
	}
	out := busEvent{
		Source: cmp.Or(in.Source, source),
		Name:   cmp.Or(in.Type, text(rule["type"]), exampleName),
		Detail: in.Detail,
	}
	body, err := json.Marshal(out)
	ev := newEvent("bus.event.v1", busSource, e.id, e.now, body)
	ev.Subject = out.Name
	return ev, err
}
