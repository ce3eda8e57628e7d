package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Top-level buckets of the record file.
var (
	schedulesBucket = []byte("schedules") // <stack>/<name> → scheduleState
	positionsBucket = []byte("positions") // reader → shard → sequence handed over
	outboxBucket    = []byte("outbox")    // number → outboxEntry
	fifoBucket      = []byte("fifo")      // store of a queue → group → fifoHold
	tablesBucket    = []byte("tables")    // <stack>/<name> → encoded key → item
	changesBucket   = []byte("changes")   // <stack>/<name> → shard → number → change
	bucketsBucket   = []byte("buckets")   // physical name → bucketRecord
	objectsBucket   = []byte("objects")   // physical name → key → versions, newest first
	uploadsBucket   = []byte("uploads")   // physical name → id → upload
)

// records opens the record file, a bbolt database, when it isn't open yet.
// Every transaction is on the disk when it returns.
func (b *Broker) records() (*bbolt.DB, error) {
	b.starting.Lock()
	defer b.starting.Unlock()
	if b.db != nil {
		return b.db, nil
	}
	db, err := bbolt.Open(filepath.Join(b.opts.Dir, "records.db"), 0o600, &bbolt.Options{Timeout: 5 * time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("record file: %w", err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{
			schedulesBucket, positionsBucket, outboxBucket, fifoBucket, tablesBucket, changesBucket,
			bucketsBucket, objectsBucket, uploadsBucket,
		} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("record file: %w", err)
	}
	b.db = db
	return db, nil
}

// number is the key of a numbered record: keys sort like their numbers.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func fromNumber(key []byte) uint64 { return binary.BigEndian.Uint64(key) }

// errRemoved says that what a record belongs to was removed meanwhile.
var errRemoved = errors.New("the resource was removed")

// nested returns a bucket below a top-level one, by the names on the way.
func nested(tx *bbolt.Tx, top []byte, path ...[]byte) (*bbolt.Bucket, error) {
	b := tx.Bucket(top)
	for _, name := range path {
		if b = b.Bucket(name); b == nil {
			return nil, errRemoved
		}
	}
	return b, nil
}

// deletePrefix deletes the keys of a bucket that begin with prefix.
func deletePrefix(b *bbolt.Bucket, prefix []byte) error {
	var keys [][]byte
	c := b.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// deleteBuckets deletes nested buckets; those that are not there are fine.
func deleteBuckets(db *bbolt.DB, name []byte, parents ...[]byte) error {
	return db.Update(func(tx *bbolt.Tx) error {
		for _, p := range parents {
			if err := tx.Bucket(p).DeleteBucket(name); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
				return err
			}
		}
		return nil
	})
}
