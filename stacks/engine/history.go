package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/pkg/v3/backend"
	"github.com/pulumi/pulumi/pkg/v3/display"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"

	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// Results of an update in the history.
const (
	succeeded   = "succeeded"
	failed      = "failed"
	interrupted = "interrupted"
)

// What Pulumi's history has no field for is kept among its environment values.
const (
	envProgram   = "anyfaas.program"
	envOperation = "anyfaas.operation"
	envResult    = "anyfaas.result"
	envCounts    = "anyfaas.counts"
)

// recordHistory adds an entry to the history, and a copy of the checkpoint as it
// was then, under the names Pulumi uses. Times are whole seconds there.
func recordHistory(ctx context.Context, s store, id stacks.ID, u stacks.Update, program string, cfg config.Map, now time.Time) error {
	counts, err := json.Marshal(u.Counts)
	if err != nil {
		return err
	}
	info := backend.UpdateInfo{
		Kind: updateKind(u.Operation), StartTime: u.Started.Unix(), EndTime: u.Ended.Unix(),
		Message: u.Message, Config: cfg, Result: backend.FailedResult,
		Environment: map[string]string{
			envProgram: program, envOperation: u.Operation, envResult: u.Result, envCounts: string(counts),
		},
		ResourceChanges: display.ResourceChanges{},
	}
	if u.Result == succeeded {
		info.Result = backend.SucceededResult
	}
	for op, n := range u.Counts {
		info.ResourceChanges[display.StepOp(op)] = n
	}
	data, err := compactJSON{}.Marshal(info)
	if err != nil {
		return err
	}
	prefix := fmt.Sprintf("%s%s-%d", historyRoot(id), id.StackName(), now.UnixNano())
	if _, state, err := findCheckpoint(ctx, s, id); err != nil {
		return err
	} else if state != nil {
		if err := s.Put(ctx, prefix+".checkpoint.json", state); err != nil {
			return err
		}
	}
	return s.Write(ctx, prefix+".history.json", data)
}

// keepCopies is how many whole copies of a state are kept in the history and how
// many as backups. The entries of the history themselves, which are small, stay.
const keepCopies = 50

// prune removes the oldest copies of the state. Without it, the states of a
// stack that is deployed all day would fill the disk.
func prune(ctx context.Context, s store, id stacks.ID) error {
	for _, root := range []string{historyRoot(id), backupRoot(id)} {
		list, err := s.List(ctx, root)
		if err != nil {
			return err
		}
		var copies []string
		for _, e := range list {
			if !strings.Contains(e.Key, ".history.json") {
				copies = append(copies, e.Key)
			}
		}
		for len(copies) > keepCopies {
			if err := s.Delete(ctx, copies[0]); err != nil {
				return err
			}
			copies = copies[1:]
		}
	}
	return nil
}

func updateKind(operation string) apitype.UpdateKind {
	switch operation {
	case opRemove:
		return apitype.DestroyUpdate
	case opRefresh:
		return apitype.RefreshUpdate
	case opImport:
		return apitype.StackImportUpdate
	}
	return apitype.UpdateUpdate
}

// History returns the updates of the stack, the newest first, those of the
// pulumi command included.
func (e *Engine) History(ctx context.Context, id stacks.ID) ([]stacks.Update, error) {
	s, err := e.open(ctx, id)
	if err != nil {
		return nil, err
	}
	keys, err := historyKeys(ctx, s, id)
	if err != nil {
		return nil, err
	}
	updates := make([]stacks.Update, len(keys))
	for i, key := range keys {
		data, err := s.Read(ctx, key)
		if err != nil {
			return nil, err
		}
		var info backend.UpdateInfo
		if err := json.Unmarshal(data, &info); err != nil {
			return nil, fmt.Errorf("history %s: %w", key, err)
		}
		// Names of keys grow with time, so the oldest is first.
		updates[len(keys)-1-i] = updateOf(info, i+1)
	}
	return updates, nil
}

func historyKeys(ctx context.Context, s store, id stacks.ID) ([]string, error) {
	list, err := s.List(ctx, historyRoot(id))
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, e := range list {
		if strings.HasSuffix(e.Key, ".history.json") {
			keys = append(keys, e.Key)
		}
	}
	return keys, nil
}

func updateOf(info backend.UpdateInfo, version int) stacks.Update {
	u := stacks.Update{
		Version: version, Operation: info.Environment[envOperation], Result: info.Environment[envResult],
		Started: time.Unix(info.StartTime, 0).UTC(), Ended: time.Unix(info.EndTime, 0).UTC(),
		Message: info.Message, Counts: map[event.Op]int{},
	}
	if u.Operation == "" {
		u.Operation = "pulumi " + string(info.Kind)
		u.Result = string(info.Result)
		for op, n := range info.ResourceChanges {
			u.Counts[opOf(op)] += n
		}
		return u
	}
	// A count that does not decode is one that was not written by us: show none.
	if json.Unmarshal([]byte(info.Environment[envCounts]), &u.Counts) != nil || u.Counts == nil {
		u.Counts = map[event.Op]int{}
	}
	return u
}
