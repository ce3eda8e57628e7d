package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// maxShards bounds the shards of a stream; each reader takes one goroutine per
// shard.
const maxShards = 64

// A stream is an ordered log in shards; the partition key of a record decides
// about the shard. Changing the number of shards moves keys: the order of a key
// then holds on each side of the change, not across it.
type stream struct {
	b   *Broker
	key resourceKey
	appendSignal

	spec  api.StreamSpec
	store jetstream.Stream
}

func (s *stream) storeName() string        { return storeName("stream", s.key.stack, s.key.name) }
func (s *stream) subject(shard int) string { return s.storeName() + "." + strconv.Itoa(shard) }

func (s *stream) apply(ctx context.Context, raw json.RawMessage) (api.Outputs, error) {
	var spec api.StreamSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	spec.Shards = max(spec.Shards, 1)
	if spec.Shards > maxShards {
		return nil, fmt.Errorf("a stream has at most %d shards here, not %d", maxShards, spec.Shards)
	}
	if spec.Retention <= 0 {
		spec.Retention = api.Duration(24 * time.Hour)
	}
	js, err := s.b.jetstream()
	if err != nil {
		return nil, err
	}
	retention := max(time.Duration(spec.Retention), time.Second)
	store, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:         s.storeName(),
		Subjects:     []string{s.storeName() + ".*"},
		Retention:    jetstream.LimitsPolicy,
		Storage:      jetstream.FileStorage,
		MaxAge:       retention,
		MaxMsgs:      -1,
		MaxBytes:     -1,
		MaxConsumers: -1,
		Duplicates:   min(dedupWindow, retention),
	})
	if err != nil {
		return nil, err
	}
	fresh := s.store == nil
	resharded := !fresh && spec.Shards != s.spec.Shards
	s.b.mu.Lock() // readers of spec and store hold it too
	s.spec, s.store = spec, store
	s.b.mu.Unlock()
	if resharded {
		for _, k := range s.b.keys(func(k resourceKey) bool { return k.stack == s.key.stack && k.kind == api.KindStreamReader }) {
			if r, err := find[*streamReader](s.b, k.stack, k.kind, k.name); err == nil && r.spec.Stream == s.key.name {
				if err := r.restart(ctx); err != nil {
					return nil, err
				}
			}
		}
	}
	return s.b.outputs(s.key), nil
}

func (s *stream) stop(context.Context) error { return nil }

func (s *stream) remove(ctx context.Context) error {
	if s.spec.Retain {
		return nil
	}
	js, err := s.b.jetstream()
	if err != nil {
		return err
	}
	return deleteStream(ctx, js, s.storeName())
}

func (s *stream) state() (api.StreamSpec, jetstream.Stream) {
	s.b.mu.RLock()
	defer s.b.mu.RUnlock()
	return s.spec, s.store
}

// shardsInUse returns how many shards to read: those of the spec, and those
// that still have records of a time with more.
func (s *stream) shardsInUse(ctx context.Context) (int, error) {
	spec, _ := s.state()
	info, err := s.b.streamInfo(ctx, s.storeName(), jetstream.WithSubjectFilter(s.storeName()+".*"))
	if err != nil {
		return 0, err
	}
	n := spec.Shards
	for subject := range info.State.Subjects {
		shard, err := strconv.Atoi(subject[strings.LastIndexByte(subject, '.')+1:])
		if err != nil {
			return 0, err
		}
		n = max(n, shard+1)
	}
	return n, nil
}

// append stores a record and returns its id, shard and number.
func (s *stream) append(ctx context.Context, out outgoing, key string) (id string, shard int, number uint64, err error) {
	spec, _ := s.state()
	if key == "" {
		shard = rand.IntN(spec.Shards)
	} else {
		h := fnv.New32a()
		h.Write([]byte(key))
		shard = int(h.Sum32() % uint32(spec.Shards))
	}
	m := message{meta: meta{ID: newID(), Sent: time.Now().UTC(), Key: key}, body: out.body}
	msg, err := m.stored(s.subject(shard))
	if err != nil {
		return "", 0, 0, err
	}
	var opts []jetstream.PublishOpt
	if out.dedup != "" {
		opts = append(opts, jetstream.WithMsgID(out.dedup))
	}
	js, err := s.b.jetstream()
	if err != nil {
		return "", 0, 0, err
	}
	ack, err := js.PublishMsg(ctx, msg, opts...)
	if err != nil {
		return "", 0, 0, err
	}
	s.signal()
	return m.ID, shard, ack.Sequence, nil
}

func (d *dataServer) serveStream(r *http.Request, stack, name string) (int, any, error) {
	s, err := find[*stream](d.b, stack, api.KindStream, name)
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
	if len(out.attributes) > 0 || out.delay > 0 || out.group != "" {
		return 0, nil, badRequest{"a stream record has a partition key and a body; attributes, groups and delays are for queues"}
	}
	id, shard, number, err := s.append(r.Context(), out, r.Header.Get(partitionHeader))
	return http.StatusCreated, map[string]any{"id": id, "shard": shard, "sequence": strconv.FormatUint(number, 10)}, err
}

func (s *stream) read(ctx context.Context, shard int, after uint64, max int) ([]record, error) {
	_, store := s.state()
	var list []record
	for len(list) < max {
		raw, err := store.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(s.subject(shard)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		m, err := loadMessage(nats.Header(raw.Header), raw.Data)
		if err != nil {
			return nil, err
		}
		list = append(list, record{number: raw.Sequence, at: m.Sent, value: m.body, meta: m.meta})
		after = raw.Sequence
	}
	return list, nil
}

func (s *stream) last(ctx context.Context) (uint64, error) {
	info, err := s.b.streamInfo(ctx, s.storeName())
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

func (s *stream) event(r record) (api.CloudEvent, error) {
	data, err := json.Marshal(bodyOf(r.value))
	if err != nil {
		return api.CloudEvent{}, err
	}
	ev := newEvent("stream.record.v1", "/streams/"+s.key.name, r.meta.ID, r.at, data)
	ev.Subject, ev.PartitionKey = r.meta.Key, r.meta.Key
	ev.Sequence = strconv.FormatUint(r.number, 10)
	return ev, nil
}

// A streamReader feeds a stream to a function.
type streamReader struct {
	b      *Broker
	key    resourceKey
	spec   api.StreamReaderSpec
	stream *stream
	reader *reader
}

func (r *streamReader) apply(ctx context.Context, raw json.RawMessage) (api.Outputs, error) {
	var spec api.StreamReaderSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	switch spec.From {
	case "", "latest", "earliest":
	default:
		return nil, fmt.Errorf("from is latest or earliest, not %q", spec.From)
	}
	s, err := find[*stream](r.b, r.key.stack, api.KindStream, spec.Stream)
	if err != nil {
		return nil, err
	}
	if r.reader != nil && r.spec == spec && r.stream == s {
		return r.b.outputs(r.key), nil
	}
	moved := r.reader != nil && r.spec.Stream != spec.Stream
	r.spec, r.stream = spec, s
	if moved {
		r.reader.stop()
		if err := r.b.forgetPositions(r.key); err != nil {
			return nil, err
		}
	}
	return r.b.outputs(r.key), r.restart(ctx)
}

// restart reads on with the settings there are now.
func (r *streamReader) restart(ctx context.Context) error {
	if r.reader != nil {
		r.reader.stop()
	}
	shards, err := r.stream.shardsInUse(ctx)
	if err != nil {
		return err
	}
	r.reader = &reader{
		b: r.b, key: r.key, function: r.spec.Function, log: r.stream, shards: shards,
		batch: max(r.spec.Batch, 1), earliest: r.spec.From == "earliest",
	}
	return r.reader.start(ctx)
}

func (r *streamReader) stop(context.Context) error {
	if r.reader != nil {
		r.reader.stop()
	}
	return nil
}

func (r *streamReader) remove(context.Context) error { return r.b.forgetPositions(r.key) }
