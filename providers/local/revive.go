package local

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

// Revive starts the host again when it was stopped, for example by a restart of
// the machine, and returns which resources it does not hold any more, or holds
// elsewhere because a port was taken meanwhile.
func (Provider) Revive(ctx context.Context, o providers.HostOptions, recorded []providers.Recorded) (providers.Revived, error) {
	return revive(ctx, opener(o), recorded)
}

func revive(ctx context.Context, open open, recorded []providers.Recorded) (providers.Revived, error) {
	var result providers.Revived
	if len(recorded) == 0 {
		return result, nil
	}
	m, err := open(ctx, ifKept)
	if err != nil {
		return result, err
	}
	if m == nil {
		for _, r := range recorded {
			result.Gone = append(result.Gone, r.ID)
		}
		return result, nil
	}
	stacks := map[string]bool{}
	held := map[string]api.Outputs{}
	for _, r := range recorded {
		stack, _, _ := strings.Cut(r.ID, "/")
		if !stacks[stack] {
			stacks[stack] = true
			state, err := m.Stack(ctx, stack)
			if err != nil {
				return result, err
			}
			if state == nil {
				state = &api.StackState{}
			}
			result.Down = append(result.Down, raise(ctx, m, state)...)
			for _, r := range state.Resources {
				held[stack+"/"+string(r.Kind)+"/"+r.Name] = r.Outputs
			}
		}
		switch outputs, ok := held[r.ID]; {
		case !ok:
			result.Gone = append(result.Gone, r.ID)
		case moved(outputs, r.Outputs):
			result.Moved = append(result.Moved, r.ID)
		}
	}
	return result, nil
}

// raise brings back the front of a stack that could not have its old port when
// the host started, on another port if the service does not insist on one, and
// with it the routes. It updates the outputs in state and returns what remains.
func raise(ctx context.Context, m machine, state *api.StackState) (remains []string) {
	down := false
	for i, r := range state.Resources {
		if r.Kind == api.KindService {
			down = r.Down
		}
		if !down || r.Kind != api.KindService && r.Kind != api.KindRoute {
			continue
		}
		out, err := m.Put(ctx, state.Stack, r.Kind, r.Name, r.Spec)
		if err != nil {
			remains = append(remains, fmt.Sprintf("%s %s is down: %v", strings.TrimSuffix(string(r.Kind), "s"), r.Name, err))
			if r.Kind == api.KindService {
				return remains // its routes wait for it
			}
			continue
		}
		state.Resources[i].Outputs = out
	}
	return remains
}

// moved reports whether an output is another than recorded.
func moved(held api.Outputs, recorded map[string]any) bool {
	for name, value := range held {
		a, err := json.Marshal(value)
		if err != nil {
			return true
		}
		if b, err := json.Marshal(recorded[name]); err != nil || !bytes.Equal(a, b) {
			return true
		}
	}
	return false
}
