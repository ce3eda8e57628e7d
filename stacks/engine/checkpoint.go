package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/pulumi/pulumi/pkg/v3/resource/deploy"
	"github.com/pulumi/pulumi/pkg/v3/resource/stack"
	"github.com/pulumi/pulumi/pkg/v3/resource/stack/snapshot"
	"github.com/pulumi/pulumi/pkg/v3/secrets"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"

	"github.com/anyfaas/anyfaas/stacks"
)

// A checkpoint is the recorded state of a stack as Pulumi keeps it.
type checkpoint struct {
	deployment *apitype.DeploymentV3 // nil for a stack that never had resources
	version    int                   // of the deployment's format
	features   []string
	digest     string // of the file, "" when there is none
}

// exists reports whether the stack has a file at all.
func (c checkpoint) exists() bool { return c.digest != "" }

// readCheckpoint returns the checkpoint of the stack; a stack that does not
// exist has the zero one. Checkpoints that Pulumi compressed are understood. One
// that is damaged has only its digest, and the error is a *damagedError.
func readCheckpoint(ctx context.Context, s store, id stacks.ID) (checkpoint, error) {
	key, data, err := findCheckpoint(ctx, s, id)
	if err != nil || data == nil {
		return checkpoint{}, err
	}
	c, version, features, err := decodeCheckpoint(data)
	if err != nil {
		return checkpoint{digest: digest(data)}, damaged(ctx, s, id, key, err)
	}
	return checkpoint{deployment: c.Latest, version: version, features: features, digest: digest(data)}, nil
}

// findCheckpoint reads the file of the stack; data is nil when there is none.
func findCheckpoint(ctx context.Context, s store, id stacks.ID) (key string, data []byte, err error) {
	for _, ext := range []string{"", ".gz", ".zst"} {
		key := checkpointKey(id) + ext
		data, err := s.Read(ctx, key)
		if err == nil {
			return key, data, nil
		}
		if !isGone(err) {
			return key, nil, err
		}
	}
	return checkpointKey(id), nil, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// encodeCheckpoint returns the bytes of the checkpoint file, compact as Pulumi
// writes them.
func encodeCheckpoint(id stacks.ID, d apitype.TypedDeployment) ([]byte, error) {
	name := tokens.QName("organization/" + id.Service + "/" + id.StackName())
	c, err := stack.DeploymentV3ToCheckpointWithMarshaler(compactJSON{}, name, d.Deployment, d.Version, d.Features)
	if err != nil {
		return nil, err
	}
	return compactJSON{}.Marshal(c)
}

// compactJSON is Pulumi's way of writing state: no indentation, no escaping.
type compactJSON struct{}

func (compactJSON) Marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(buf.Bytes()), nil
}

func (compactJSON) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// writeCheckpoint replaces the file of the stack. The one before it stays beside
// it as .bak, as with Pulumi.
func writeCheckpoint(ctx context.Context, s store, id stacks.ID, data []byte) error {
	old, previous, err := findCheckpoint(ctx, s, id)
	if err != nil {
		return err
	}
	if previous != nil {
		if err := s.Put(ctx, old+".bak", previous); err != nil {
			return fmt.Errorf("backup of the state: %w", err)
		}
	}
	if err := s.Write(ctx, checkpointKey(id), data); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if previous != nil && old != checkpointKey(id) {
		return s.Delete(ctx, old) // the compressed one
	}
	return nil
}

// backUp keeps a copy of the present checkpoint, if there is one, in Pulumi's
// backup folder. It is written with put, a method of the store.
func backUp(ctx context.Context, s store, id stacks.ID, now time.Time, put func(ctx context.Context, key string, data []byte) error) error {
	old, data, err := findCheckpoint(ctx, s, id)
	if err != nil || data == nil {
		return err
	}
	base, ext, _ := strings.Cut(path.Base(old), ".json")
	return put(ctx, fmt.Sprintf("%s%s.%d.json%s", backupRoot(id), base, now.UnixNano(), ext), data)
}

// decode turns a recorded deployment into the engine's form. It is nil for a
// stack that never had resources.
func decode(ctx context.Context, d *apitype.DeploymentV3, sp secrets.Provider) (*deploy.Snapshot, error) {
	if d == nil {
		return nil, nil
	}
	snap, err := stack.DeserializeDeploymentV3(ctx, *d, sp)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	return snap, nil
}

// verify reports a state whose resources do not fit together.
func verify(d *apitype.DeploymentV3) error {
	err := snapshot.VerifyIntegrity(d)
	if err == nil {
		return nil
	}
	if sie, ok := snapshot.AsSnapshotIntegrityError(err); ok && sie != nil {
		return fmt.Errorf("the state does not fit together: %w", errors.Unwrap(sie))
	}
	return fmt.Errorf("the state does not fit together: %w", err)
}
