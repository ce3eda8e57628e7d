package local

import (
	"context"
	"strings"

	"github.com/anyfaas/anyfaas/providers"
)

// Revive starts the host again when it was stopped, for example by a restart of
// the machine, and returns which resources it does not hold any more.
func (Provider) Revive(ctx context.Context, o providers.HostOptions, ids []string) ([]string, error) {
	return revive(ctx, opener(o), ids)
}

func revive(ctx context.Context, open open, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	m, err := open(ctx, ifKept)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return ids, nil
	}
	stacks := map[string]bool{}
	held := map[string]bool{}
	var gone []string
	for _, id := range ids {
		stack, _, _ := strings.Cut(id, "/")
		if !stacks[stack] {
			stacks[stack] = true
			state, err := m.Stack(ctx, stack)
			if err != nil {
				return nil, err
			}
			if state != nil {
				for _, r := range state.Resources {
					held[stack+"/"+string(r.Kind)+"/"+r.Name] = true
				}
			}
		}
		if !held[id] {
			gone = append(gone, id)
		}
	}
	return gone, nil
}
