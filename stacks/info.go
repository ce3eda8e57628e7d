package stacks

import (
	"context"
	"iter"
	"maps"
	"slices"
	"time"

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

// A FunctionInfo is one deployed function, as recorded. What a provider does not
// record in the manifest's words is empty.
type FunctionInfo struct {
	Name     string   `json:"name"`
	Runtime  string   `json:"runtime,omitempty"`
	Memory   string   `json:"memory,omitempty"`  // "512MB"
	Timeout  string   `json:"timeout,omitempty"` // "15s"
	URL      string   `json:"url,omitempty"`
	Triggers []string `json:"triggers"` // sorted; see Part
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
	functions := map[string]*FunctionInfo{}
	for _, r := range st.Resources {
		if r.Type == stackType {
			continue
		}
		info.Resources = append(info.Resources, r)
		owner := s.Owner(r.URN)
		if owner == "" {
			continue
		}
		f := functions[owner]
		if f == nil {
			f = &FunctionInfo{Name: owner, Triggers: []string{}}
			f.URL, _ = info.Outputs[owner+".url"].(string)
			functions[owner] = f
		}
		f.add(r)
	}
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		slices.Sort(functions[name].Triggers)
		info.Functions = append(info.Functions, *functions[name])
	}
	return info, nil
}

// add takes in what one of the function's resources tells.
func (f *FunctionInfo) add(r Resource) {
	if r.Name == f.Name {
		f.Runtime, _ = r.Inputs["runtime"].(string)
		f.Memory, _ = r.Inputs["memory"].(string)
		f.Timeout, _ = r.Inputs["timeout"].(string)
		return
	}
	words, kind := Part(f.Name, r.Name)
	if slices.Contains(triggerKinds, kind) {
		f.Triggers = append(f.Triggers, words)
	}
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
	st, err := s.state(ctx)
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
		Home: s.c.Home, Command: s.c.Command, Version: s.c.Version, Outputs: st.Outputs,
	}, nil
}
