package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"go.etcd.io/bbolt"
)

// A bucket stores objects behind the S3 API.
type bucket struct {
	b       *Broker
	key     resourceKey
	name    string // physical
	created time.Time
	store   *s3Server

	mu            sync.RWMutex
	spec          api.BucketSpec
	notifications map[resourceKey]api.NotificationSpec
}

// A bucketRecord is what the record file keeps of a bucket itself.
type bucketRecord struct {
	Owner   string    `json:"owner"` // stack/buckets/name
	Created time.Time `json:"created"`
}

// An objectEvent is the data of an event about an object. Bucket is the physical
// name, as S3 clients need it.
type objectEvent struct {
	Bucket  string `json:"bucket"`
	Key     string `json:"key"`
	Size    int64  `json:"size"`
	ETag    string `json:"etag,omitempty"`
	Version string `json:"version,omitempty"`
}

// bucketName makes a legal S3 name of 3 to 63 characters. What is too long, or
// holds other characters, is changed and ends in a hash of the whole.
func bucketName(stack, name string) string {
	full := stack + "-" + name
	legal := strings.Trim(strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(full)), "-")
	if legal == full && len(full) <= 63 {
		return full
	}
	sum := sha256.Sum256([]byte(full))
	return strings.TrimRight(legal[:min(len(legal), 54)], "-") + "-" + hex.EncodeToString(sum[:4])
}

func (k *bucket) apply(ctx context.Context, raw json.RawMessage) (api.Outputs, error) {
	var spec api.BucketSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	store, err := k.b.startS3(ctx)
	if err != nil {
		return nil, err
	}
	if k.store == nil {
		k.name = bucketName(k.key.stack, k.key.name)
		if k.created, err = store.objects.openBucket(k.name, k.key.String()); err != nil {
			return nil, err
		}
		k.store = store
	}
	k.mu.Lock()
	k.spec = spec
	k.mu.Unlock()
	out := k.b.outputs(k.key)
	out["name"], out["endpoint"], out["url"] = k.name, store.url, store.url+"/"+url.PathEscape(k.name)
	return out, nil
}

func (k *bucket) stop(context.Context) error { return nil }

func (k *bucket) remove(context.Context) error {
	if k.spec.Retain {
		return nil
	}
	o := k.store.objects
	if err := deleteBuckets(o.db, []byte(k.name), objectsBucket, uploadsBucket); err != nil {
		return err
	}
	err := o.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketsBucket).Delete([]byte(k.name)) })
	return errors.Join(err, os.RemoveAll(filepath.Join(o.dir, k.name)))
}

func (k *bucket) versioned() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.spec.Versioned
}

// openBucket makes a bucket or finds it again, and deletes files that its index
// does not know: the process died while they were written or deleted.
func (o *objects) openBucket(name, owner string) (time.Time, error) {
	if err := os.MkdirAll(filepath.Join(o.dir, name), 0o700); err != nil {
		return time.Time{}, err
	}
	rec := bucketRecord{Owner: owner, Created: time.Now().UTC()}
	known := map[string]bool{}
	err := o.db.Update(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bucketsBucket).Get([]byte(name)); v != nil {
			if err := json.Unmarshal(v, &rec); err != nil {
				return err
			}
			if rec.Owner != owner {
				return fmt.Errorf("the bucket name %q is taken by %s", name, rec.Owner)
			}
		}
		v, err := json.Marshal(rec)
		if err != nil {
			return err
		}
		if err := tx.Bucket(bucketsBucket).Put([]byte(name), v); err != nil {
			return err
		}
		index, err := tx.Bucket(objectsBucket).CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return err
		}
		err = index.ForEach(func(_, v []byte) error {
			var list []objectVersion
			if err := json.Unmarshal(v, &list); err != nil {
				return err
			}
			for _, e := range list {
				known[e.File] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
		uploads, err := tx.Bucket(uploadsBucket).CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return err
		}
		return uploads.ForEach(func(_, v []byte) error {
			var u upload
			if err := json.Unmarshal(v, &u); err != nil {
				return err
			}
			for _, p := range u.Parts {
				known[p.File] = true
			}
			return nil
		})
	})
	if err != nil {
		return rec.Created, err
	}
	files, err := os.ReadDir(filepath.Join(o.dir, name))
	for _, f := range files {
		if !known[f.Name()] {
			o.discard(name, f.Name())
		}
	}
	return rec.Created, err
}

// buckets returns all buckets, sorted by stack and name.
func (b *Broker) buckets() []*bucket {
	var list []*bucket
	for _, k := range b.keys(func(k resourceKey) bool { return k.kind == api.KindBucket }) {
		if bk, err := find[*bucket](b, k.stack, k.kind, k.name); err == nil {
			list = append(list, bk)
		}
	}
	return list
}

// bucketByName returns the bucket of a physical name, or nil.
func (b *Broker) bucketByName(name string) *bucket {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, r := range b.resources {
		if bk, ok := r.(*bucket); ok && bk.name == name {
			return bk
		}
	}
	return nil
}

// tell puts the events of a change into the outbox, one for each notification
// that wants it, and reports whether there were any. An object is created when
// a version was added, also over another, and deleted when it is seen no more.
func (k *bucket) tell(tx *bbolt.Tx, out *outbox, key string, added, before, after *objectVersion) (bool, error) {
	kind, v := "created", added
	if added == nil {
		if before == nil || after != nil {
			return false, nil
		}
		kind, v = "deleted", before
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	told := false
	for trigger, spec := range k.notifications {
		if !slices.Contains(spec.Events, kind) || !strings.HasPrefix(key, spec.Prefix) || !strings.HasSuffix(key, spec.Suffix) {
			continue
		}
		e := objectEvent{Bucket: k.name, Key: key, Size: v.Size, ETag: hex.EncodeToString(v.MD5), Version: v.ID}
		data, err := json.Marshal(e)
		if err != nil {
			return false, err
		}
		ev := newEvent("object."+kind+".v1", "/buckets/"+k.key.name, newID(), time.Now(), data)
		ev.Subject = key
		if err := out.put(tx, outboxEntry{Stack: k.key.stack, Subject: notificationSubject(trigger), Event: ev}); err != nil {
			return false, err
		}
		told = true
	}
	return told, nil
}

func (k *bucket) notify(trigger resourceKey, spec *api.NotificationSpec) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if spec == nil {
		delete(k.notifications, trigger)
		return
	}
	if k.notifications == nil {
		k.notifications = map[resourceKey]api.NotificationSpec{}
	}
	k.notifications[trigger] = *spec
}

func notificationSubject(trigger resourceKey) string {
	return eventSubject(trigger.stack, "notification", trigger.name)
}

// A notification feeds the events of a bucket to a function.
type notification struct {
	trigger eventTrigger
	bucket  *bucket
}

func (n *notification) apply(ctx context.Context, raw json.RawMessage) (api.Outputs, error) {
	var spec api.NotificationSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	for _, e := range spec.Events {
		if e != "created" && e != "deleted" {
			return nil, fmt.Errorf("the events of a bucket are created and deleted, not %q", e)
		}
	}
	key := n.trigger.key
	bk, err := find[*bucket](n.trigger.b, key.stack, api.KindBucket, spec.Bucket)
	if err != nil {
		return nil, err
	}
	if err := n.trigger.apply(ctx, spec.Function, notificationSubject(key), nil); err != nil {
		return nil, err
	}
	if n.bucket != nil && n.bucket != bk {
		n.bucket.notify(key, nil)
	}
	bk.notify(key, &spec)
	n.bucket = bk
	return n.trigger.b.outputs(key), nil
}

func (n *notification) stop(context.Context) error {
	if n.bucket != nil {
		n.bucket.notify(n.trigger.key, nil)
		n.bucket = nil
	}
	n.trigger.stop()
	return nil
}

func (n *notification) remove(ctx context.Context) error { return n.trigger.remove(ctx) }
