package broker

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

// A message is what a sender handed in: bytes and what goes with them.
type message struct {
	meta
	body []byte
}

// The meta of a message is stored beside its body, as JSON in one header.
type meta struct {
	ID         string            `json:"id"`
	Sent       time.Time         `json:"sent"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Group      string            `json:"group,omitempty"` // of a FIFO queue
	Key        string            `json:"key,omitempty"`   // partition key of a stream
}

const metaHeader = "Anyfaas-Meta"

// newID returns an id that is unique and grows with time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// stored returns the message as NATS keeps it.
func (m message) stored(subject string) (*nats.Msg, error) {
	b, err := json.Marshal(m.meta)
	if err != nil {
		return nil, err
	}
	msg := nats.NewMsg(subject)
	msg.Header[metaHeader] = []string{string(b)}
	msg.Data = m.body
	return msg, nil
}

// loadMessage is the reverse of stored.
func loadMessage(h nats.Header, body []byte) (message, error) {
	m := message{body: body}
	err := json.Unmarshal([]byte(h.Get(metaHeader)), &m.meta)
	return m, err
}

// A payload is the data form of a message. Body is set, or BodyBase64 for bytes
// that are no text.
type payload struct {
	Body       json.RawMessage    `json:"body,omitempty"`
	BodyBase64 *string            `json:"bodyBase64,omitempty"`
	Attributes *map[string]string `json:"attributes,omitempty"`
}

// bodyOf gives bytes their JSON form: an object or array is itself, other text
// is a string, other bytes are base64.
func bodyOf(b []byte) payload {
	if !utf8.Valid(b) {
		s := base64.StdEncoding.EncodeToString(b)
		return payload{BodyBase64: &s}
	}
	if t := bytes.TrimLeft(b, " \t\r\n"); len(t) > 0 && (t[0] == '{' || t[0] == '[') && json.Valid(b) {
		return payload{Body: b}
	}
	s, _ := json.Marshal(string(b)) // a string of valid UTF-8 can't fail
	return payload{Body: s}
}

// data returns the message as the data of an event: body and attributes.
func (m message) data() json.RawMessage {
	p := bodyOf(m.body)
	attrs := m.Attributes
	if attrs == nil {
		attrs = map[string]string{}
	}
	p.Attributes = &attrs
	b, _ := json.Marshal(p) // made of valid JSON and strings
	return b
}

// event wraps data in an event of a type such as "queue.message.v1".
func newEvent(typ, source, id string, t time.Time, data json.RawMessage) api.CloudEvent {
	return api.CloudEvent{
		SpecVersion:     "1.0",
		Type:            api.TypePrefix + typ,
		Source:          source,
		ID:              id,
		Time:            t.UTC().Format(time.RFC3339Nano),
		DataContentType: "application/json",
		Data:            data,
	}
}
