package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

// newResource makes the resource of a kind; apply brings it to life.
func (b *Broker) newResource(key resourceKey) (resource, error) {
	switch key.kind {
	case api.KindQueue:
		return &queue{b: b, key: key}, nil
	case api.KindQueueConsumer:
		return &queueConsumer{b: b, key: key}, nil
	case api.KindTopic:
		return &topic{b: b, key: key}, nil
	case api.KindStream:
		return &stream{b: b, key: key}, nil
	case api.KindStreamReader:
		return &streamReader{b: b, key: key}, nil
	case api.KindTable:
		return &table{b: b, key: key}, nil
	case api.KindTableReader:
		return &tableReader{b: b, key: key}, nil
	case api.KindBucket:
		return &bucket{b: b, key: key}, nil
	case api.KindNotification:
		return &notification{trigger: eventTrigger{b: b, key: key}}, nil
	case api.KindSubscription:
		return &subscription{trigger: eventTrigger{b: b, key: key}}, nil
	case api.KindEventRule:
		return &eventRule{trigger: eventTrigger{b: b, key: key}}, nil
	case api.KindSchedule:
		return &schedule{trigger: eventTrigger{b: b, key: key}}, nil
	}
	return nil, fmt.Errorf("the broker has no resources of kind %q", key.kind)
}

// outputs are what every resource has; data resources have a URL and a physical
// name as well.
func (b *Broker) outputs(key resourceKey) api.Outputs {
	out := api.Outputs{"id": key.String()}
	switch key.kind {
	case api.KindQueue, api.KindTopic, api.KindStream, api.KindTable:
		out["url"] = b.data.url + "/" + url.PathEscape(key.stack) + "/" + string(key.kind) + "/" + url.PathEscape(key.name)
		out["name"] = key.stack + "-" + key.name
	}
	return out
}

// decodeSpec reads a spec strictly, so that a setting this host does not know
// is refused rather than ignored.
func decodeSpec(raw json.RawMessage, spec any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(spec); err != nil {
		return fmt.Errorf("spec: %w", err)
	}
	return nil
}

// A notFound names what is missing and the nearest that is there.
type notFound struct{ text string }

func (e notFound) Error() string { return e.text }

// find returns a resource of the broker as its own type.
func find[T resource](b *Broker, stack string, kind api.Kind, name string) (T, error) {
	r, ok := b.lookup(resourceKey{stack, kind, name})
	if t, is := r.(T); ok && is {
		return t, nil
	}
	var zero T
	if err := b.knownStack(stack); err != nil {
		return zero, err
	}
	var names []string
	for _, k := range b.keys(func(k resourceKey) bool { return k.stack == stack && k.kind == kind }) {
		names = append(names, k.name)
	}
	return zero, notFound{fmt.Sprintf("no %s %q in stack %q%s", string(kind[:len(kind)-1]), name, stack, didYouMean(name, names))}
}

// knownStack says that a stack is not there, and which it may have been.
func (b *Broker) knownStack(stack string) error {
	var names []string
	for _, k := range b.keys(func(resourceKey) bool { return true }) {
		if k.stack == stack {
			return nil
		}
		names = append(names, k.stack)
	}
	if b.opts.Known(stack) {
		return nil
	}
	return notFound{fmt.Sprintf("no stack %q%s", stack, didYouMean(stack, names))}
}

func didYouMean(name string, names []string) string {
	if near := diag.Nearest(name, names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

func (b *Broker) queue(stack, name string) (*queue, error) {
	return find[*queue](b, stack, api.KindQueue, name)
}

// Status counts the messages of a stack's queues, sorted by name.
func (b *Broker) Status(stack string) []api.QueueStatus {
	list := []api.QueueStatus{}
	for _, k := range b.keys(func(k resourceKey) bool { return k.stack == stack && k.kind == api.KindQueue }) {
		q, err := b.queue(stack, k.name)
		if err != nil {
			continue // removed meanwhile
		}
		s, err := q.status(context.Background())
		if err != nil {
			b.log.Warn("cannot count messages", "stack", stack, "queue", k.name, "error", err)
			continue
		}
		list = append(list, s)
	}
	return list
}

// Send puts a message on a queue of a stack, as a POST to its URL would.
func (b *Broker) Send(ctx context.Context, stack, queue string, body []byte, attrs map[string]string) error {
	q, err := b.queue(stack, queue)
	if err != nil {
		return err
	}
	_, err = q.send(ctx, outgoing{body: body, attributes: attrs})
	return err
}
