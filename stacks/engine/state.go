package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	pulumiproviders "github.com/pulumi/pulumi/sdk/v3/go/common/providers"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/anyfaas/anyfaas/stacks"
)

// State returns the stack as last recorded, an interrupted run included; nil
// when it does not exist. Secrets are hidden.
func (e *Engine) State(ctx context.Context, id stacks.ID) (*stacks.State, error) {
	s, err := e.open(ctx, id)
	if err != nil {
		return nil, err
	}
	cp, rec, err := latest(ctx, s, id)
	if err != nil || !cp.exists() && rec == nil {
		return nil, err
	}
	keys, err := historyKeys(ctx, s, id)
	if err != nil {
		return nil, err
	}
	state := &stacks.State{Outputs: map[string]any{}, Serial: len(keys)}
	if cp.deployment == nil {
		return state, nil
	}
	state.Outputs = recordedOutputs(cp.deployment)
	state.Updated = cp.deployment.Manifest.Time
	// Nothing is decrypted: what is shown has no secrets, so no key is needed.
	for _, res := range cp.deployment.Resources {
		inputs, outputs := withoutSecrets(res.Inputs), withoutSecrets(res.Outputs)
		if res.Type == resource.RootStackType || pulumiproviders.IsDefaultProvider(res.URN) || res.Delete {
			continue
		}
		state.Resources = append(state.Resources, stacks.Resource{
			URN: string(res.URN), Type: string(res.Type), Name: res.URN.Name(), ID: string(res.ID),
			Inputs: inputs, Outputs: outputs,
		})
	}
	for _, op := range cp.deployment.PendingOperations {
		state.Pending = append(state.Pending, string(op.Resource.URN))
	}
	slices.Sort(state.Pending)
	return state, nil
}

// recordedOutputs are the outputs of the stack, with secrets hidden.
func recordedOutputs(d *apitype.DeploymentV3) map[string]any {
	for _, res := range d.Resources {
		if res.Type == resource.RootStackType {
			return withoutSecrets(res.Outputs)
		}
	}
	return map[string]any{}
}

// pendingNames lists the resources of the operations that are open.
func pendingNames(d *apitype.DeploymentV3) string {
	if d == nil {
		return ""
	}
	var names []string
	for _, op := range d.PendingOperations {
		names = append(names, op.Resource.URN.Name())
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// withoutSecrets returns serialised properties with every secret hidden.
func withoutSecrets(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if !resource.IsInternalPropertyKey(resource.PropertyKey(k)) {
			out[k] = hideSecrets(v)
		}
	}
	return out
}

func hideSecrets(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = hideSecrets(e)
		}
		return out
	case map[string]any:
		switch v[resource.SigKey] {
		case resource.SecretSig:
			return secretText
		case nil:
			return withoutSecrets(v)
		}
		if hash, ok := v["hash"].(string); ok { // a file or an archive
			return "sha256:" + hash
		}
		return withoutSecrets(v)
	}
	return v
}

// List returns the stacks of the service, or of all services when it is "".
func (e *Engine) List(ctx context.Context, service string) ([]stacks.Summary, error) {
	s, err := e.openAny(ctx)
	if err != nil {
		return nil, err
	}
	entries, err := s.List(ctx, stacksRoot)
	if err != nil {
		return nil, err
	}
	var list []stacks.Summary
	for _, entry := range entries {
		id, ok := stackOf(entry.Key)
		if !ok || service != "" && id.Service != service {
			continue
		}
		cp, _, err := latest(ctx, s, id)
		if err != nil {
			return nil, fmt.Errorf("stack %s: %w", id, err)
		}
		sum := stacks.Summary{ID: id, Updated: entry.Modified.UTC()}
		if cp.deployment != nil {
			sum.Updated = cp.deployment.Manifest.Time.UTC()
			for _, res := range cp.deployment.Resources {
				if res.Type != resource.RootStackType && !pulumiproviders.IsDefaultProvider(res.URN) && !res.Delete {
					sum.Resources++
				}
			}
		}
		if sum.Locked, err = holderOf(ctx, s, id); err != nil {
			return nil, err
		}
		list = append(list, sum)
	}
	slices.SortFunc(list, func(a, b stacks.Summary) int {
		return cmp.Or(cmp.Compare(a.ID.Service, b.ID.Service), cmp.Compare(a.ID.Stage, b.ID.Stage), cmp.Compare(a.ID.Provider, b.ID.Provider))
	})
	return list, nil
}
