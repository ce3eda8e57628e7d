package broker

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// Top-level buckets of the record file.
var (
	schedulesBucket = []byte("schedules") // <stack>/<name> → scheduleState
	positionsBucket = []byte("positions") // reader → shard → sequence handed over
	outboxBucket    = []byte("outbox")    // number → outboxEntry
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
		for _, name := range [][]byte{schedulesBucket, positionsBucket, outboxBucket} {
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
