package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"go.etcd.io/bbolt"
)

const (
	// tableShards is the number of shards of a table's changes: as many calls
	// may run at once, and a failing change holds up that part of the keys.
	tableShards = 4
	// changesKept is how long changes wait for a reader.
	changesKept = 24 * time.Hour
	// trimmedAtOnce bounds the old changes deleted with each new one.
	trimmedAtOnce = 64
)

// A table keeps items by key. An item is a JSON object that holds its own key
// attributes. A change and its event are stored in one transaction.
type table struct {
	b   *Broker
	key resourceKey
	appendSignal
	readers atomic.Int32

	mu   sync.RWMutex // guards what apply sets
	spec api.TableSpec
	db   *bbolt.DB
}

// A change is what happened to an item.
type change struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Partition string    `json:"partition"`
	Subject   string    `json:"subject"` // key, or key/sort
	changeData
}

// A changeData is the data of a change's event.
type changeData struct {
	Operation string          `json:"operation"` // insert, update or delete
	Keys      json.RawMessage `json:"keys"`
	New       json.RawMessage `json:"new,omitempty"`
	Old       json.RawMessage `json:"old,omitempty"`
}

func (t *table) apply(_ context.Context, raw json.RawMessage) (api.Outputs, error) {
	var spec api.TableSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	if spec.Key.Name == "" {
		return nil, errors.New("a table needs a key")
	}
	for _, a := range []api.Attribute{spec.Key, spec.Sort} {
		switch a.Type {
		case "string", "number", "binary":
		default:
			if a.Name != "" {
				return nil, fmt.Errorf("the type of a key is string, number or binary, not %q", a.Type)
			}
		}
	}
	if t.db != nil && (spec.Key != t.spec.Key || spec.Sort != t.spec.Sort) {
		return nil, errors.New("the keys of a table cannot be changed; it has to be replaced")
	}
	db, err := t.b.records()
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.Bucket(tablesBucket).CreateBucketIfNotExists(t.bucketName()); err != nil {
			return err
		}
		changes, err := tx.Bucket(changesBucket).CreateBucketIfNotExists(t.bucketName())
		if err != nil {
			return err
		}
		for shard := range tableShards {
			if _, err := changes.CreateBucketIfNotExists(number(uint64(shard))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.spec, t.db = spec, db
	t.mu.Unlock()
	return t.b.outputs(t.key), nil
}

func (t *table) bucketName() []byte { return []byte(t.key.stack + "/" + t.key.name) }

func (t *table) stop(context.Context) error { return nil }

func (t *table) remove(context.Context) error {
	if t.spec.Retain {
		return nil
	}
	return deleteBuckets(t.db, t.bucketName(), tablesBucket, changesBucket)
}

func (t *table) state() (api.TableSpec, *bbolt.DB) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.spec, t.db
}

// get returns an item, nil when there is none.
func (t *table) get(k itemKey) (json.RawMessage, error) {
	_, db := t.state()
	var item json.RawMessage
	err := db.View(func(tx *bbolt.Tx) error {
		items, err := nested(tx, tablesBucket, t.bucketName())
		if err == nil {
			item = bytes.Clone(items.Get(k.encoded))
		}
		return err
	})
	return item, err
}

// set stores an item under its key, or deletes it when item is nil, and records
// the change for readers. It reports what happened: insert, update, delete, or
// "" when nothing did, because the item was just so.
func (t *table) set(k itemKey, item json.RawMessage) (operation string, err error) {
	spec, db := t.state()
	recorded := false
	err = db.Update(func(tx *bbolt.Tx) error {
		items, err := nested(tx, tablesBucket, t.bucketName())
		if err != nil {
			return err
		}
		old := json.RawMessage(bytes.Clone(items.Get(k.encoded)))
		switch {
		case sameJSON(old, item):
			return nil
		case item == nil:
			operation, err = "delete", items.Delete(k.encoded)
		case old == nil:
			operation, err = "insert", items.Put(k.encoded, item)
		default:
			operation, err = "update", items.Put(k.encoded, item)
		}
		if err != nil || !spec.Stream && t.readers.Load() == 0 {
			return err
		}
		recorded = true
		return t.record(tx, change{
			ID: newID(), At: time.Now().UTC(), Partition: k.partition, Subject: k.text,
			changeData: changeData{Operation: operation, Keys: k.attributes, New: item, Old: old},
		})
	})
	if recorded {
		t.signal()
	}
	return operation, err
}

// record appends a change to the shard of its partition and deletes old ones.
func (t *table) record(tx *bbolt.Tx, c change) error {
	value, err := json.Marshal(c)
	if err != nil {
		return err
	}
	all, err := nested(tx, changesBucket, t.bucketName())
	if err != nil {
		return err
	}
	h := fnv.New32a()
	h.Write([]byte(c.Partition))
	shard, err := nested(tx, changesBucket, t.bucketName(), number(uint64(h.Sum32()%tableShards)))
	if err != nil {
		return err
	}
	cursor, limit := shard.Cursor(), c.At.Add(-changesKept)
	for range trimmedAtOnce {
		k, v := cursor.First()
		var oldest change
		if k == nil || json.Unmarshal(v, &oldest) != nil || !oldest.At.Before(limit) {
			break
		}
		if err := shard.Delete(k); err != nil {
			return err
		}
	}
	n, err := all.NextSequence()
	if err != nil {
		return err
	}
	return shard.Put(number(n), value)
}

// sameJSON reports whether two items are equal as values.
func sameJSON(a, b json.RawMessage) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	var x, y any
	dx, dy := json.NewDecoder(bytes.NewReader(a)), json.NewDecoder(bytes.NewReader(b))
	dx.UseNumber()
	dy.UseNumber()
	return dx.Decode(&x) == nil && dy.Decode(&y) == nil && reflect.DeepEqual(x, y)
}

func (t *table) read(_ context.Context, shard int, after uint64, max int) ([]record, error) {
	_, db := t.state()
	var list []record
	err := db.View(func(tx *bbolt.Tx) error {
		changes, err := nested(tx, changesBucket, t.bucketName(), number(uint64(shard)))
		if err != nil {
			return err
		}
		c := changes.Cursor()
		for k, v := c.Seek(number(after + 1)); k != nil && len(list) < max; k, v = c.Next() {
			var ch change
			if err := json.Unmarshal(v, &ch); err != nil {
				return err
			}
			list = append(list, record{number: fromNumber(k), at: ch.At, value: bytes.Clone(v)})
		}
		return nil
	})
	return list, err
}

func (t *table) last(context.Context) (uint64, error) {
	_, db := t.state()
	var n uint64
	err := db.View(func(tx *bbolt.Tx) error {
		changes, err := nested(tx, changesBucket, t.bucketName())
		if err == nil {
			n = changes.Sequence()
		}
		return err
	})
	return n, err
}

func (t *table) event(r record) (api.CloudEvent, error) {
	var c change
	if err := json.Unmarshal(r.value, &c); err != nil {
		return api.CloudEvent{}, err
	}
	data, err := json.Marshal(c.changeData)
	if err != nil {
		return api.CloudEvent{}, err
	}
	ev := newEvent("db.change.v1", "/tables/"+t.key.name, c.ID, c.At, data)
	ev.Subject, ev.PartitionKey = c.Subject, c.Partition
	ev.Sequence = strconv.FormatUint(r.number, 10)
	return ev, nil
}

// A tableReader feeds the changes of a table to a function, from when it was
// first applied.
type tableReader struct {
	b      *Broker
	key    resourceKey
	spec   api.TableReaderSpec
	table  *table
	reader *reader
}

func (r *tableReader) apply(ctx context.Context, raw json.RawMessage) (api.Outputs, error) {
	var spec api.TableReaderSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	t, err := find[*table](r.b, r.key.stack, api.KindTable, spec.Table)
	if err != nil {
		return nil, err
	}
	if r.reader != nil && r.spec == spec && r.table == t {
		return r.b.outputs(r.key), nil
	}
	moved := r.reader != nil && r.spec.Table != spec.Table
	if err := r.stop(ctx); err != nil {
		return nil, err
	}
	if moved {
		if err := r.b.forgetPositions(r.key); err != nil {
			return nil, err
		}
	}
	t.readers.Add(1)
	r.spec, r.table = spec, t
	r.reader = &reader{b: r.b, key: r.key, function: spec.Function, log: t, shards: tableShards, batch: max(spec.Batch, 1)}
	return r.b.outputs(r.key), r.reader.start(ctx)
}

func (r *tableReader) stop(context.Context) error {
	if r.reader != nil {
		r.reader.stop()
		r.reader = nil
		r.table.readers.Add(-1)
	}
	return nil
}

func (r *tableReader) remove(context.Context) error { return r.b.forgetPositions(r.key) }
