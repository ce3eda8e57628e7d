package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/pkg/v3/resource/deploy"
	"github.com/pulumi/pulumi/pkg/v3/resource/stack"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// latest returns the state as last recorded, an interrupted run included, and
// that run's journal if there is one. It changes nothing.
func latest(ctx context.Context, s store, id stacks.ID) (checkpoint, *recording, error) {
	cp, err := readCheckpoint(ctx, s, id)
	if err != nil {
		return cp, nil, err
	}
	rec, err := readJournal(ctx, s, id)
	if err != nil || rec == nil || rec.header.Base != cp.digest {
		return cp, rec, err
	}
	d, err := replay(cp.deployment, rec.entries)
	if err != nil {
		return cp, rec, err
	}
	cp.deployment, cp.version, cp.features = d.Deployment, d.Version, d.Features
	return cp, rec, nil
}

// settle brings the recorded state up to date before a run: it folds the journal
// of an interrupted run into the checkpoint and clears up the operations that
// were under way. The lock must be held.
func (r *run) settle(ctx context.Context) error {
	cp, err := readCheckpoint(ctx, r.store, r.id)
	if err != nil {
		return err
	}
	rec, err := readJournal(ctx, r.store, r.id)
	if err != nil {
		return err
	}
	if rec != nil {
		if cp, err = r.recover(ctx, cp, rec); err != nil {
			return err
		}
	}
	snap, err := decode(ctx, cp.deployment, r.engine.ring)
	if err != nil {
		return err
	}
	if snap != nil && len(snap.PendingOperations) > 0 {
		d, err := r.clearPending(ctx, cp.deployment, snap)
		if err != nil {
			return err
		}
		if d != nil {
			if cp, err = r.writeState(ctx, *d); err != nil {
				return err
			}
			if snap, err = decode(ctx, cp.deployment, r.engine.ring); err != nil {
				return err
			}
		}
	}
	r.base, r.snapshot = cp, snap
	return nil
}

// recover finishes what the fold of an interrupted run would have done.
func (r *run) recover(ctx context.Context, cp checkpoint, rec *recording) (checkpoint, error) {
	mark, err := r.readMark(ctx)
	if err != nil {
		return cp, err
	}
	switch {
	case rec.header.Run == "", mark.Run == rec.header.Run && mark.Digest == cp.digest:
		return cp, r.dropJournal(ctx) // nothing recorded yet, or folded already
	case rec.header.Base != cp.digest:
		key := asideKey(r.id, time.Now())
		if err := r.store.Write(ctx, key, rec.raw); err != nil {
			return cp, fmt.Errorf("journal: %w", err)
		}
		r.narrator.warn(fmt.Sprintf("the %s of %s was interrupted, and the state was changed by something else since; its journal no longer fits and was put aside as %s%s",
			rec.header.Operation, rec.header.Started.Format(time.DateTime), key, listUnknown(cp.deployment, rec.entries)), "")
		return cp, r.dropJournal(ctx)
	}
	r.narrator.say("info", fmt.Sprintf("the last %s was interrupted; going on from what it recorded", rec.header.Operation), "")
	d, err := replay(cp.deployment, rec.entries)
	if err != nil {
		return cp, err
	}
	data, err := encodeCheckpoint(r.id, d)
	if err != nil {
		return cp, err
	}
	if err := r.fold(ctx, rec.header.Run, data); err != nil {
		return cp, err
	}
	now := time.Now()
	err = recordHistory(ctx, r.store, r.id, stacks.Update{
		Operation: rec.header.Operation, Result: interrupted, Message: rec.header.Message,
		Started: rec.header.Started, Ended: now, Counts: map[event.Op]int{},
	}, r.engine.o.Program, nil, now)
	if err != nil {
		return cp, fmt.Errorf("history: %w", err)
	}
	return checkpoint{deployment: d.Deployment, version: d.Version, features: d.Features, digest: digest(data)}, nil
}

// listUnknown names what a journal created and the state does not know.
func listUnknown(d *apitype.DeploymentV3, entries []apitype.JournalEntry) string {
	known := map[string]bool{}
	if d != nil {
		for _, res := range d.Resources {
			known[string(res.URN)+string(res.ID)] = true
		}
	}
	var names []string
	for _, e := range entries {
		if e.State != nil && e.State.ID != "" && !known[string(e.State.URN)+string(e.State.ID)] && e.RemoveOld == nil {
			names = append(names, fmt.Sprintf("%s %s (%s)", e.State.Type, e.State.URN.Name(), e.State.ID))
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "; it had made " + strings.Join(slices.Compact(names), ", ") + ", which may exist without being recorded"
}

// clearPending deals with the operations that an interrupted run left open, and
// returns the deployment without them, or nil when nothing changed.
//
// For in-process packages all is put right: what may have been created is
// deleted, what may have been changed or deleted is read again. For plugins a
// creation stays recorded until the resource exists under its name: only the
// user can find out whether it was made.
func (r *run) clearPending(ctx context.Context, d *apitype.DeploymentV3, snap *deploy.Snapshot) (*apitype.TypedDeployment, error) {
	var keep []apitype.OperationV2
	var refreshed []apitype.JournalEntry
	for i, op := range snap.PendingOperations {
		res := op.Resource
		s, ours := r.servers[string(res.Type.Package())]
		switch {
		case op.Type == resource.OperationTypeCreating && ours:
			kept, err := undo(ctx, s, res, snap.Resources)
			if err != nil {
				return nil, fmt.Errorf("undo the interrupted creation of %s: %w", res.URN.Name(), err)
			}
			if kept {
				keep = append(keep, d.PendingOperations[i])
				r.warnPending(res, "created")
			}
		case op.Type == resource.OperationTypeCreating:
			if r.operation == opRefresh || slices.ContainsFunc(snap.Resources, func(s *resource.State) bool { return s.URN == res.URN && !s.Delete }) {
				break
			}
			keep = append(keep, d.PendingOperations[i])
			r.warnPending(res, "created")
		case op.Type == resource.OperationTypeUpdating && ours, op.Type == resource.OperationTypeDeleting && ours:
			// An update is recorded with the new state, which has no id yet.
			index := slices.IndexFunc(snap.Resources, func(s *resource.State) bool {
				return s.URN == res.URN && (s.ID == res.ID || res.ID == "" && !s.Delete)
			})
			if index < 0 {
				break
			}
			e, err := r.readAgain(ctx, s, snap, index)
			if err != nil && r.operation == opRemove {
				break // it will be deleted, whatever it is now
			}
			if err != nil {
				return nil, fmt.Errorf("read %s after an interrupted change: %w", res.URN.Name(), err)
			}
			refreshed = append(refreshed, e)
		case op.Type == resource.OperationTypeUpdating:
			r.warnPending(res, "changed")
		case op.Type == resource.OperationTypeDeleting:
			r.warnPending(res, "deleted")
		}
	}
	if len(keep) == len(d.PendingOperations) {
		return nil, nil
	}
	base := *d
	base.PendingOperations = nil
	next, err := replay(&base, refreshed)
	if err != nil {
		return nil, err
	}
	next.Deployment.PendingOperations = keep
	return &next, nil
}

// undo deletes what an interrupted creation may have made. kept says that the
// package cannot tell the identity, so nothing could be done.
func undo(ctx context.Context, s providers.ResourceServer, res *resource.State, known []*resource.State) (kept bool, err error) {
	about := about(res.URN, res.Type, "")
	about.ID = s.Identity(about, res.Inputs)
	if about.ID == "" {
		return true, nil
	}
	for _, k := range known {
		// What waits to be replaced is deleted already and only still listed.
		if k.Type == res.Type && string(k.ID) == about.ID && !k.PendingReplacement {
			return false, nil // recorded as existing under that id: not an orphan
		}
	}
	defer recovered(&err)
	return false, s.Delete(ctx, about, res.Inputs, nil)
}

// readAgain reads a resource whose change was interrupted, and returns the
// journal entry of that refresh.
func (r *run) readAgain(ctx context.Context, s providers.ResourceServer, snap *deploy.Snapshot, index int) (e apitype.JournalEntry, err error) {
	defer recovered(&err)
	old := snap.Resources[index]
	i := int64(index)
	e = apitype.JournalEntry{Version: 1, Kind: apitype.JournalEntryKindRefreshSuccess, RemoveOld: &i, IsRefresh: true}
	id, inputs, outputs, err := s.Read(ctx, about(old.URN, old.Type, old.ID), old.Inputs, old.Outputs)
	if err != nil || id == "" {
		return e, err // without a state: it is gone
	}
	state := old.Copy()
	state.ID = resource.ID(id)
	state.Inputs, state.Outputs = marked(old.Inputs, inputs), marked(old.Outputs, outputs)
	sm := snap.SecretsManager
	if sm == nil {
		if sm, err = r.engine.secretsManager(ctx, r.store, r.id, nil); err != nil {
			return e, err
		}
	}
	out, err := stack.SerializeResource(ctx, state, sm.Encrypter(), false)
	if err != nil {
		return e, err
	}
	e.State = &out
	return e, nil
}

func (r *run) warnPending(res *resource.State, what string) {
	text := fmt.Sprintf("%s was being %s when an earlier run was cut off, and how that ended is not known", res.Type, what)
	switch what {
	case "created":
		text += "; look for it in the cloud's console and delete it there if it exists, the next deploy creates it again"
	default:
		text += "; compare it with the cloud's console if the next deploy fails on it"
	}
	r.narrator.warn(text, res.URN)
}

// fold replaces the checkpoint by data, in such a way that a crash at any moment
// is told apart later, and drops the journal.
func (r *run) fold(ctx context.Context, runName string, data []byte) error {
	mark, err := json.Marshal(foldMark{Run: runName, Digest: digest(data)})
	if err != nil {
		return err
	}
	if err := r.store.Write(ctx, foldMarkKey(r.id), mark); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := writeCheckpoint(ctx, r.store, r.id, data); err != nil {
		return err
	}
	return r.dropJournal(ctx)
}

func (r *run) dropJournal(ctx context.Context) error {
	// The journal goes first: a mark without a journal means nothing.
	return errors.Join(
		r.store.DeleteLog(ctx, journalKey(r.id)),
		r.store.Delete(ctx, foldMarkKey(r.id)))
}

func (r *run) readMark(ctx context.Context) (foldMark, error) {
	var mark foldMark
	data, err := r.store.Read(ctx, foldMarkKey(r.id))
	if isGone(err) {
		return mark, nil
	}
	if err != nil {
		return mark, err
	}
	if err := json.Unmarshal(data, &mark); err != nil {
		return mark, fmt.Errorf("fold mark: %w", err)
	}
	return mark, nil
}

// writeState writes a checkpoint outside of a run of the engine.
func (r *run) writeState(ctx context.Context, d apitype.TypedDeployment) (checkpoint, error) {
	data, err := encodeCheckpoint(r.id, d)
	if err != nil {
		return checkpoint{}, err
	}
	if err := writeCheckpoint(ctx, r.store, r.id, data); err != nil {
		return checkpoint{}, err
	}
	return checkpoint{deployment: d.Deployment, version: d.Version, features: d.Features, digest: digest(data)}, nil
}
