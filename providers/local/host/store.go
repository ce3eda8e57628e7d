package host

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// A store keeps the desired resources of all stacks over restarts. What put or
// remove has returned for is on disk; reads come from memory.
type store struct {
	db   *bbolt.DB
	file os.FileInfo // of the database

	mu     sync.RWMutex
	stacks map[string]map[resourceKey]record
	seq    uint64
}

// A resourceKey names a resource inside a stack.
type resourceKey struct {
	Kind api.Kind
	Name string
}

func (k resourceKey) String() string { return string(k.Kind) + "/" + k.Name }

// A record is a resource as it was put.
type record struct {
	Spec    json.RawMessage `json:"spec"`
	Outputs api.Outputs     `json:"outputs"`
	Seq     uint64          `json:"seq"` // grows with every put that changed something
}

var stacksBucket = []byte("stacks")

// openStore opens the database at path, makes it when it is missing and reads
// what it holds.
func openStore(path string) (*store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.MaxBatchDelay = 2 * time.Millisecond
	s := &store{db: db, stacks: map[string]map[resourceKey]record{}}
	err = db.Update(func(tx *bbolt.Tx) error {
		root, err := tx.CreateBucketIfNotExists(stacksBucket)
		if err != nil {
			return err
		}
		return root.ForEachBucket(func(stack []byte) error {
			return root.Bucket(stack).ForEach(func(k, v []byte) error {
				var rec record
				if err := json.Unmarshal(v, &rec); err != nil {
					return fmt.Errorf("resource %s of stack %s: %w", k, stack, err)
				}
				kind, name, _ := strings.Cut(string(k), "/")
				s.remember(string(stack), resourceKey{api.Kind(kind), name}, rec)
				s.seq = max(s.seq, rec.Seq)
				return nil
			})
		})
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if s.file, err = os.Stat(path); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

func (s *store) close() error { return s.db.Close() }

// inPlace reports whether the database is still where it was opened.
func (s *store) inPlace() bool {
	now, err := os.Stat(s.db.Path())
	return err == nil && os.SameFile(s.file, now)
}

func (s *store) remember(stack string, key resourceKey, rec record) {
	if s.stacks[stack] == nil {
		s.stacks[stack] = map[resourceKey]record{}
	}
	s.stacks[stack][key] = rec
}

// put stores a resource and returns its record.
func (s *store) put(stack string, key resourceKey, spec json.RawMessage, out api.Outputs) (record, error) {
	s.mu.Lock()
	s.seq++
	seq := s.seq
	s.mu.Unlock()
	return s.write(stack, key, record{Spec: spec, Outputs: out, Seq: seq})
}

// amend stores other outputs of a resource that is otherwise as it was.
func (s *store) amend(stack string, key resourceKey, rec record, out api.Outputs) error {
	rec.Outputs = out
	_, err := s.write(stack, key, rec)
	return err
}

func (s *store) write(stack string, key resourceKey, rec record) (record, error) {
	value, err := json.Marshal(rec)
	if err != nil {
		return record{}, err
	}
	err = s.db.Batch(func(tx *bbolt.Tx) error {
		b, err := tx.Bucket(stacksBucket).CreateBucketIfNotExists([]byte(stack))
		if err != nil {
			return err
		}
		return b.Put([]byte(key.String()), value)
	})
	if err != nil {
		return record{}, fmt.Errorf("store %s of stack %s: %w", key, stack, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(stack, key, rec)
	return rec, nil
}

// remove forgets a resource, and the stack with its last one.
func (s *store) remove(stack string, key resourceKey) error {
	err := s.db.Batch(func(tx *bbolt.Tx) error {
		root := tx.Bucket(stacksBucket)
		b := root.Bucket([]byte(stack))
		if b == nil {
			return nil
		}
		if err := b.Delete([]byte(key.String())); err != nil {
			return err
		}
		if k, _ := b.Cursor().First(); k == nil {
			return root.DeleteBucket([]byte(stack))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove %s of stack %s: %w", key, stack, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stacks[stack], key)
	if len(s.stacks[stack]) == 0 {
		delete(s.stacks, stack)
	}
	return nil
}

func (s *store) get(stack string, key resourceKey) (record, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	rec, ok := s.stacks[stack][key]
	return rec, ok
}

// names returns the sorted names of the stacks.
func (s *store) names() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.stacks))
}

// keys returns the resources of a stack in the order of api.Kinds, then by name.
func (s *store) keys(stack string) []resourceKey {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(s.stacks[stack]), func(a, b resourceKey) int {
		return cmp.Or(
			cmp.Compare(slices.Index(api.Kinds, a.Kind), slices.Index(api.Kinds, b.Kind)),
			cmp.Compare(a.Name, b.Name),
		)
	})
}
