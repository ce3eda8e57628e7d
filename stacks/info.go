package stacks

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
)

// Info is a deployed stack as a person asks about it.
type Info struct {
	Outputs   map[string]any // never nil
	Functions []FunctionInfo // sorted by name
	Resources []Resource     // as recorded, without the stack itself
	Pending   []string       // URNs that an interrupted run left open
	Updated   time.Time
}

// A FunctionInfo is one deployed function. What only the manifest knows is
// empty when there is none.
type FunctionInfo struct {
	Name     string   `json:"name"`
	Runtime  string   `json:"runtime,omitempty"`
	Memory   int      `json:"memory,omitempty"`  // MiB
	Timeout  string   `json:"timeout,omitempty"` // Go duration
	URL      string   `json:"url,omitempty"`
	Triggers []string `json:"triggers"` // in the manifest's words; see Describe
}

// Info returns the stack as recorded, or ErrNotDeployed.
func (s *Stack) Info(ctx context.Context) (Info, error) {
	st, err := s.State(ctx)
	if err != nil {
		return Info{}, err
	}
	info := Info{Outputs: st.Outputs, Pending: st.Pending, Updated: st.Updated}
	if info.Outputs == nil {
		info.Outputs = map[string]any{}
	}
	functions := map[string]FunctionInfo{}
	for _, r := range st.Resources {
		if r.Type == "pulumi:pulumi:Stack" {
			continue
		}
		info.Resources = append(info.Resources, r)
		if owner := s.Owner(r.URN); owner != "" {
			functions[owner] = s.function(owner, info.Outputs)
		}
	}
	info.Functions = slices.SortedFunc(maps.Values(functions), func(a, b FunctionInfo) int { return cmp.Compare(a.Name, b.Name) })
	return info, nil
}

func (s *Stack) function(name string, outputs map[string]any) FunctionInfo {
	fi := FunctionInfo{Name: name, Triggers: []string{}}
	fi.URL, _ = outputs[name+".url"].(string)
	var f *graph.Function
	if s.c.Graph != nil {
		f = s.c.Graph.Function(name)
	}
	if f == nil {
		return fi
	}
	fi.Runtime, fi.Memory, fi.Timeout = f.Runtime.String(), f.MemoryMB, f.Timeout.String()
	for _, t := range f.Triggers {
		fi.Triggers = append(fi.Triggers, Describe(t))
	}
	return fi
}

// Invoke calls a deployed function directly.
func (s *Stack) Invoke(ctx context.Context, function string, p providers.Payload) (providers.Reply, error) {
	inv, err := providers.As[providers.Invoker](s.c.Provider, "call functions directly")
	if err != nil {
		return providers.Reply{}, err
	}
	t, err := s.known(ctx, function)
	if err != nil {
		return providers.Reply{}, s.wrap("invoke "+function+" in", err)
	}
	r, err := inv.Invoke(ctx, t, function, p)
	return r, s.wrap("invoke "+function+" in", err)
}

// Logs yields what a deployed function printed.
func (s *Stack) Logs(ctx context.Context, function string, o providers.LogOptions) iter.Seq2[providers.LogLine, error] {
	return func(yield func(providers.LogLine, error) bool) {
		reader, err := providers.As[providers.LogReader](s.c.Provider, "read logs")
		if err != nil {
			yield(providers.LogLine{}, err)
			return
		}
		t, err := s.known(ctx, function)
		if err != nil {
			yield(providers.LogLine{}, s.wrap("logs of "+function+" in", err))
			return
		}
		for line, err := range reader.Logs(ctx, t, function, o) {
			if !yield(line, s.wrap("logs of "+function+" in", err)) {
				return
			}
		}
	}
}

// known returns where function is deployed, or an *UnknownFunctionError.
func (s *Stack) known(ctx context.Context, function string) (providers.Target, error) {
	st, err := s.c.Engine.State(ctx, s.c.ID)
	if err == nil && st == nil {
		err = ErrNotDeployed
	}
	if err != nil {
		return providers.Target{}, err
	}
	names := map[string]bool{}
	for _, r := range st.Resources {
		if o := s.Owner(r.URN); o != "" {
			names[o] = true
		}
	}
	if !names[function] {
		return providers.Target{}, &UnknownFunctionError{Name: function, Known: slices.Sorted(maps.Keys(names))}
	}
	return providers.Target{
		Service: s.c.ID.Service, Stage: s.c.ID.Stage,
		Home: s.c.Home, Command: s.c.Command, Outputs: st.Outputs,
	}, nil
}
