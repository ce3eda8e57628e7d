package broker

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// A topic hands each message to every subscription there is when it arrives.
type topic struct {
	b   *Broker
	key resourceKey
}

func (t *topic) apply(ctx context.Context, raw json.RawMessage) (api.Outputs, error) {
	var spec api.TopicSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	if _, err := t.b.openEvents(ctx, t.key.stack); err != nil {
		return nil, err
	}
	return t.b.outputs(t.key), nil
}

func (t *topic) stop(context.Context) error { return nil }

func (t *topic) remove(ctx context.Context) error { return t.b.closeEvents(ctx, t.key.stack) }

func topicSubject(stack, name string) string { return eventSubject(stack, "topic", name) }

// publish stores a message for all subscriptions and returns its id.
func (t *topic) publish(ctx context.Context, out outgoing) (string, error) {
	if out.delay > 0 {
		return "", badRequest{"a topic cannot delay messages"}
	}
	m := message{meta: meta{ID: newID(), Sent: time.Now().UTC(), Attributes: out.attributes, Group: out.group}, body: out.body}
	ev := newEvent("topic.message.v1", "/topics/"+t.key.name, m.ID, m.Sent, m.data())
	ev.Subject = m.Group
	js, err := t.b.jetstream()
	if err != nil {
		return "", err
	}
	dedup := ""
	if out.dedup != "" {
		dedup = "topic " + t.key.name + " " + out.dedup
	}
	return m.ID, t.b.publishEvent(ctx, js, t.key.stack, topicSubject(t.key.stack, t.key.name), ev, dedup)
}

func (d *dataServer) serveTopic(r *http.Request, stack, name string) (int, any, error) {
	t, err := find[*topic](d.b, stack, api.KindTopic, name)
	if err != nil {
		return 0, nil, err
	}
	if r.Method != http.MethodPost {
		return 0, nil, wrongMethod{"POST"}
	}
	out, err := readMessage(r)
	if err != nil {
		return 0, nil, err
	}
	id, err := t.publish(r.Context(), out)
	return http.StatusCreated, map[string]string{"id": id}, err
}

// A subscription feeds a topic to a function.
type subscription struct{ trigger eventTrigger }

func (s *subscription) apply(ctx context.Context, raw json.RawMessage) (api.Outputs, error) {
	var spec api.SubscriptionSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	stack := s.trigger.key.stack
	if _, err := find[*topic](s.trigger.b, stack, api.KindTopic, spec.Topic); err != nil {
		return nil, err
	}
	wants := func(ev api.CloudEvent) bool { return passes(spec.Filter, ev.Data) }
	if err := s.trigger.apply(ctx, spec.Function, topicSubject(stack, spec.Topic), wants); err != nil {
		return nil, err
	}
	return s.trigger.b.outputs(s.trigger.key), nil
}

func (s *subscription) stop(context.Context) error {
	s.trigger.stop()
	return nil
}

func (s *subscription) remove(ctx context.Context) error { return s.trigger.remove(ctx) }

// passes reports whether the data of a topic message passes a filter: for every
// key, the attribute of that name, in any case, has one of the values. A
// message without that attribute passes by a field of that name at the top of
// its JSON body, when the field is a string; then plain JSON needs no headers.
func passes(filter map[string][]string, data json.RawMessage) bool {
	if len(filter) == 0 {
		return true
	}
	var m struct {
		Body       json.RawMessage   `json:"body"`
		Attributes map[string]string `json:"attributes"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return false
	}
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(m.Body, &fields) // a body that is no object has no fields
	for key, values := range filter {
		value, ok := attribute(m.Attributes, key)
		if !ok && json.Unmarshal(fields[key], &value) != nil {
			return false
		}
		if !slices.Contains(values, value) {
			return false
		}
	}
	return true
}

// attribute finds an attribute by its name in any case, the exact name first:
// names that came in HTTP headers have lost theirs.
func attribute(attrs map[string]string, name string) (string, bool) {
	if v, ok := attrs[name]; ok {
		return v, true
	}
	for k, v := range attrs {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}
