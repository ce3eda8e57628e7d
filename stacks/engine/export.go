package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/pkg/v3/resource/stack"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"

	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// Export returns the state in the form of `pulumi stack export`; secrets stay
// encrypted.
func (e *Engine) Export(ctx context.Context, id stacks.ID) (json.RawMessage, error) {
	s, err := e.open(ctx, id)
	if err != nil {
		return nil, err
	}
	cp, rec, err := latest(ctx, s, id)
	if err != nil {
		return nil, err
	}
	if !cp.exists() && rec == nil {
		return nil, fmt.Errorf("stack %s does not exist", id)
	}
	d := cp.deployment
	if d == nil {
		d = &apitype.DeploymentV3{}
	}
	inner, err := compactJSON{}.Marshal(d)
	if err != nil {
		return nil, err
	}
	return compactJSON{}.Marshal(apitype.UntypedDeployment{
		Version: max(cp.version, apitype.DeploymentSchemaVersionCurrent), Features: cp.features, Deployment: inner,
	})
}

// Import replaces the state by an exported one. It is checked first, and what
// was there before is kept as a backup.
func (e *Engine) Import(ctx context.Context, id stacks.ID, deployment json.RawMessage) (err error) {
	r := &run{engine: e, id: id, operation: opImport, narrator: newNarrator(event.Discard, stacks.Program{}, opImport), started: time.Now()}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	d, err := e.checkImport(ctx, id, deployment)
	if err != nil {
		return err
	}
	l, _, err := acquire(ctx, r.store, id, opImport)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.release(ctx)) }()
	// The journal of an interrupted run belongs to the state that goes; with it
	// folded in, the backup is complete. A damaged state is what an import is
	// the way out of: it is kept as it is, and so is its journal.
	cp, err := readCheckpoint(ctx, r.store, id)
	if _, isDamaged := errors.AsType[*damagedError](err); err != nil && !isDamaged {
		return err
	}
	rec, err := readJournal(ctx, r.store, id)
	if err != nil {
		return err
	}
	if rec != nil {
		if _, err := r.recover(ctx, cp, rec); err != nil {
			return err
		}
	}
	now := time.Now()
	if err := backUp(ctx, r.store, id, now, r.store.Write); err != nil {
		return fmt.Errorf("backup of the state: %w", err)
	}
	if _, err := r.writeState(ctx, d); err != nil {
		return err
	}
	return recordHistory(ctx, r.store, id, stacks.Update{
		Operation: opImport, Result: succeeded, Started: r.started, Ended: now, Counts: map[event.Op]int{},
	}, e.o.Program, config.Map{}, now)
}

// checkImport decodes an exported state and refuses one that is broken, that
// belongs to another stack or whose secrets cannot be read.
func (e *Engine) checkImport(ctx context.Context, id stacks.ID, deployment json.RawMessage) (apitype.TypedDeployment, error) {
	var none apitype.TypedDeployment
	var untyped apitype.UntypedDeployment
	dec := json.NewDecoder(bytes.NewReader(deployment))
	if err := dec.Decode(&untyped); err != nil {
		return none, fmt.Errorf("the file is not an exported state: %w", err)
	}
	d, err := stack.UnmarshalUntypedDeployment(ctx, &untyped)
	if err != nil {
		return none, fmt.Errorf("the file is not an exported state: %w", err)
	}
	for _, res := range d.Resources {
		if string(res.URN.Project()) != id.Service || res.URN.Stack().String() != id.StackName() {
			return none, fmt.Errorf("the file is the state of another stack: it contains %s, and this stack is organization/%s/%s", res.URN, id.Service, id.StackName())
		}
	}
	if err := verify(d); err != nil {
		return none, err
	}
	snap, err := decode(ctx, d, e.ring)
	if err != nil {
		return none, err
	}
	if err := snap.VerifyIntegrity(); err != nil {
		return none, fmt.Errorf("the state does not fit together: %w", err)
	}
	return apitype.TypedDeployment{Deployment: d, Version: untyped.Version, Features: untyped.Features}, nil
}
