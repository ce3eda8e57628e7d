package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/pkg/v3/resource/stack"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"

	"github.com/anyfaas/anyfaas/stacks"
)

// A damagedError says that the state of a stack is there but cannot be read. It
// names the newest copy that can be, if there is one.
type damagedError struct {
	file, backup string
	err          error
}

func (e *damagedError) Error() string {
	return fmt.Sprintf("the state file %s cannot be read: %v", e.file, e.err)
}

func (e *damagedError) Unwrap() error { return e.err }

// Hint is how to get the state back.
func (e *damagedError) Hint() string {
	restore := "restore an export with\n    anyfaas stack import FILE\nand compare it with what exists:\n    anyfaas refresh"
	if e.backup == "" {
		return restore
	}
	return fmt.Sprintf("the newest copy that can be read is\n    %s\nput it in the place of the state file, or %s", e.backup, restore)
}

// damaged describes the state file of that key, which could not be read.
func damaged(ctx context.Context, s store, id stacks.ID, key string, err error) *damagedError {
	e := &damagedError{file: place(s, key), err: err}
	var newest time.Time
	for _, root := range []string{backupRoot(id), historyRoot(id)} {
		list, err := s.List(ctx, root)
		if err != nil {
			continue // the damage is what is told
		}
		for _, c := range list {
			if strings.Contains(c.Key, ".history.json") || !c.Modified.After(newest) {
				continue
			}
			data, err := s.Read(ctx, c.Key)
			if err != nil {
				continue
			}
			if _, _, _, err := decodeCheckpoint(data); err == nil {
				newest, e.backup = c.Modified, place(s, c.Key)
			}
		}
	}
	return e
}

// place is where a person finds the value of a key.
func place(s store, key string) string {
	if f, ok := s.(*files); ok {
		if p, err := f.path(key); err == nil {
			return p
		}
	}
	return key
}

// decodeCheckpoint reads the bytes of a checkpoint file.
func decodeCheckpoint(data []byte) (c *apitype.CheckpointV3, version int, features []string, err error) {
	m := encoding.Compress(encoding.JSON, encoding.DetectCompression(data))
	return stack.UnmarshalVersionedCheckpointToLatestCheckpoint(m, data)
}
