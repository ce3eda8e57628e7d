package stacks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// A Build packages functions for the target of g; functions nil means all.
// Diagnostics say what is wrong with the functions at the place in the manifest
// that named them; the error is for everything else. progress is called from
// several goroutines.
type Build func(ctx context.Context, g *graph.Graph, functions []string, progress func(event.Building)) (providers.Artifacts, diag.List, error)

// A SecretStore keeps the secrets of stacks, encrypted.
type SecretStore interface {
	// Secrets returns the values by name, empty when the stack has none.
	Secrets(ctx context.Context, id ID) (map[string]providers.Secret, error)
	SetSecret(ctx context.Context, id ID, name string, value providers.Secret) error
	// RemoveSecret forgets a value. Forgetting what is not there succeeds.
	RemoveSecret(ctx context.Context, id ID, name string) error
}

// A Config is what a Stack is made of. Everything is required but Graph.
type Config struct {
	ID       ID
	Graph    *graph.Graph // nil when the manifest cannot be read: what needs only the recorded state still works
	Provider providers.Provider
	Engine   Engine
	Secrets  SecretStore
	Build    Build
	Home     string   // see providers.HostOptions
	Command  []string // see providers.HostOptions
	Version  string   // see providers.HostOptions
}

// A Stack is one service in one stage on one provider, and all that can be done
// with it. It is used by one goroutine, for one command: what it built once it
// keeps, so that a deploy uses exactly what its preview showed.
type Stack struct {
	c         Config
	artifacts providers.Artifacts // of all functions, once built
	findings  diag.List           // warnings of the build
}

// New returns the stack of c. It does no I/O.
func New(c Config) *Stack { return &Stack{c: c} }

// ID returns which stack it is.
func (s *Stack) ID() ID { return s.c.ID }

// Graph returns what the manifest means, or nil when it could not be read.
func (s *Stack) Graph() *graph.Graph { return s.c.Graph }

// Check reports what the provider cannot do, or not exactly, at the places of
// the manifest that ask for it.
func (s *Stack) Check() diag.List {
	if s.c.Graph == nil {
		return nil
	}
	return Check(s.c.Graph, s.c.Provider)
}

// Check reports what p cannot do with g, or not exactly.
func Check(g *graph.Graph, p providers.Provider) diag.List {
	list := providers.CheckFeatures(g, p.Features())
	return append(list, p.Check(g)...).Sorted()
}

// Build packages functions, nil for all, and tells sink. Diagnostics hold
// warnings too; with errors among them there are no artifacts.
func (s *Stack) Build(ctx context.Context, functions []string, sink event.Sink) (providers.Artifacts, diag.List, error) {
	arts, list, err := s.build(ctx, functions, newSerial(sink))
	return arts, list, s.wrap("package", err)
}

func (s *Stack) build(ctx context.Context, functions []string, sink event.Sink) (providers.Artifacts, diag.List, error) {
	if s.c.Graph == nil {
		return nil, nil, ErrNoManifest
	}
	if s.artifacts != nil {
		return s.artifacts, s.findings, nil
	}
	arts, list, err := s.c.Build(ctx, s.c.Graph, functions, func(b event.Building) { sink.Event(b) })
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, list, ErrInterrupted
	case err != nil:
		return nil, list, err
	case list.HasErrors():
		return nil, list, nil
	}
	if functions == nil {
		s.artifacts, s.findings = arts, list
	}
	return arts, list, nil
}

// Findings are the warnings about the manifest so far: those of Check, and of
// the build once there was one.
func (s *Stack) Findings() diag.List {
	return append(s.Check(), s.findings...).Sorted()
}

// PreviewOptions of a preview. The zero value previews the whole stack.
type PreviewOptions struct {
	Function string // only this function and what it needs new
}

// Preview tells what Deploy would do. Nothing is changed. Warnings about the
// manifest are not in the result but in Findings.
func (s *Stack) Preview(ctx context.Context, o PreviewOptions, sink event.Sink) (Result, error) {
	op := s.begin(ctx, sink)
	defer op.end()
	p, warnings, err := s.program(ctx, op)
	if err != nil {
		return Result{}, s.wrap("preview", err)
	}
	targets, err := s.targets(ctx, p, o.Function)
	if err != nil {
		return Result{}, s.wrap("preview", err)
	}
	r, err := s.c.Engine.Preview(ctx, s.c.ID, p, Options{Targets: targets}, op)
	r.Warnings = append(warnings, r.Warnings...)
	return r, s.wrap("preview", err)
}

// DeployOptions of a deploy. The zero value deploys the whole stack and refuses
// to lose data.
type DeployOptions struct {
	Function      string // only this function and what it needs new
	AllowDataLoss bool
	Parallel      int    // steps at once; 0 means the engine's default
	Message       string // for the history
}

// Deploy makes what runs equal to the manifest. The error is an *InvalidError,
// a *LockedError, a *DataLossError, ErrInterrupted or what went wrong, wrapped
// with the operation and the stack.
func (s *Stack) Deploy(ctx context.Context, o DeployOptions, sink event.Sink) (Result, error) {
	op := s.begin(ctx, sink)
	defer op.end()
	p, warnings, err := s.program(ctx, op)
	if err != nil {
		if e, ok := errors.AsType[*InvalidError](err); ok {
			e.deploying = true
		}
		return Result{}, s.wrap("deploy", err)
	}
	if err := s.revive(ctx, op); err != nil {
		return Result{}, s.wrap("deploy", err)
	}
	targets, err := s.targets(ctx, p, o.Function)
	if err != nil {
		return Result{}, s.wrap("deploy", err)
	}
	if o.Function != "" && len(targets) == 0 {
		return Result{Counts: map[event.Op]int{}, Warnings: warnings}, nil
	}
	r, err := s.c.Engine.Up(ctx, s.c.ID, p, Options{
		AllowDataLoss: o.AllowDataLoss, Targets: targets, Parallel: o.Parallel, Message: o.Message,
	}, op)
	r.Warnings = append(warnings, r.Warnings...)
	return r, s.wrap("deploy", err)
}

// Remove deletes everything that was recorded, stored data included but for
// what the manifest retained. It needs neither a valid manifest nor the
// functions' sources. A stack that does not exist is ErrNotDeployed.
func (s *Stack) Remove(ctx context.Context, sink event.Sink) (Result, error) {
	if _, err := s.state(ctx); err != nil {
		return Result{}, s.wrap("remove", err)
	}
	op := s.begin(ctx, sink)
	defer op.end()
	r, err := s.c.Engine.Destroy(ctx, s.c.ID, s.recorded(op), Options{AllowDataLoss: true}, op)
	return r, s.wrap("remove", err)
}

// Refresh reads back what really exists and records it.
func (s *Stack) Refresh(ctx context.Context, sink event.Sink) (Result, error) {
	op := s.begin(ctx, sink)
	defer op.end()
	r, err := s.c.Engine.Refresh(ctx, s.c.ID, s.recorded(op), Options{}, op)
	return r, s.wrap("refresh", err)
}

// program checks, builds and collects the secrets. The strings are warnings.
func (s *Stack) program(ctx context.Context, sink event.Sink) (Program, []string, error) {
	if s.c.Graph == nil {
		return Program{}, nil, ErrNoManifest
	}
	if list := s.Check(); list.HasErrors() {
		return Program{}, nil, &InvalidError{Diagnostics: list}
	}
	arts, list, err := s.build(ctx, nil, sink)
	if err != nil {
		return Program{}, nil, err
	}
	if list.HasErrors() {
		return Program{}, nil, &InvalidError{Diagnostics: list, Packaging: true}
	}
	secrets, warnings, err := s.secrets(ctx)
	if err != nil {
		return Program{}, nil, err
	}
	p := s.recorded(sink)
	p.Run = s.c.Provider.Program(s.c.Graph, providers.Inputs{Artifacts: arts, Secrets: secrets})
	return p, warnings, nil
}

// recorded returns the program for operations on the recorded state alone.
func (s *Stack) recorded(sink event.Sink) Program {
	p := Program{Owners: s.Owner, Stateful: func(string) bool { return false }}
	if d, ok := s.c.Provider.(providers.Describer); ok {
		p.Stateful = d.Stateful
	}
	if h, ok := s.c.Provider.(providers.Host); ok {
		p.InProcess = append(p.InProcess, h.Resources(s.hostOptions(sink)))
	}
	return p
}

func (s *Stack) hostOptions(sink event.Sink) providers.HostOptions {
	return providers.HostOptions{
		Artifacts: s.artifacts, Home: s.c.Home, Command: s.c.Command, Version: s.c.Version,
		Log: func(text string) { sink.Event(event.Message{Severity: "info", Text: text}) },
	}
}

// Owner returns the function that a resource belongs to, or "".
func (s *Stack) Owner(urn string) string {
	d, ok := s.c.Provider.(providers.Describer)
	u := resource.URN(urn)
	if !ok || !u.IsValid() {
		return ""
	}
	return d.OwnerOf(string(u.Type()), u.Name())
}

// Stateful reports whether a resource of this type stores data.
func (s *Stack) Stateful(typ string) bool {
	d, ok := s.c.Provider.(providers.Describer)
	return ok && d.Stateful(typ)
}

// secrets returns the values that functions ask for, and a warning for each one
// that was never set.
func (s *Stack) secrets(ctx context.Context) (map[string]providers.Secret, []string, error) {
	wanted := map[string][]string{} // name to the functions that want it
	for _, f := range s.c.Graph.Functions {
		for _, n := range f.Secrets {
			wanted[n] = append(wanted[n], f.Name)
		}
	}
	if len(wanted) == 0 {
		return nil, nil, nil
	}
	all, err := s.c.Secrets.Secrets(ctx, s.c.ID)
	if err != nil {
		return nil, nil, fmt.Errorf("read secrets: %w", err)
	}
	have := map[string]providers.Secret{}
	var warnings []string
	for name, functions := range wanted {
		v, ok := all[name]
		if !ok {
			warnings = append(warnings, fmt.Sprintf("secret %s of %s is not set; set it with `anyfaas secrets set %s`", name, strings.Join(functions, ", "), name))
			continue
		}
		have[name] = v
	}
	slices.Sort(warnings)
	return have, warnings, nil
}

// targets returns the URNs to touch when only function is wanted: its own
// changed resources and the new ones of the service, which it may depend on.
func (s *Stack) targets(ctx context.Context, p Program, function string) ([]string, error) {
	if function == "" {
		return nil, nil
	}
	if s.c.Graph.Function(function) == nil {
		return nil, &UnknownFunctionError{Name: function, Known: s.functions()}
	}
	r, err := s.c.Engine.Preview(ctx, s.c.ID, p, Options{}, event.Discard)
	if err != nil {
		return nil, err
	}
	var shared, own []string
	for _, c := range r.Changes {
		switch {
		case c.Function == function:
			own = append(own, c.URN)
		case c.Function == "" && c.Op == event.Create:
			shared = append(shared, c.URN)
		}
	}
	if len(own) == 0 {
		return nil, nil
	}
	return append(shared, own...), nil
}

func (s *Stack) functions() []string {
	var names []string
	for _, f := range s.c.Graph.Functions {
		names = append(names, f.Name)
	}
	return names
}

// wrap adds the operation and the stack. What names the stack itself, and what
// is told at places in the manifest, stays as it is.
func (s *Stack) wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*LockedError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*InvalidError](err); ok {
		return err
	}
	if e, ok := errors.AsType[*DataLossError](err); ok {
		err = s.labelled(e)
	}
	return fmt.Errorf("%s %s: %w", operation, s.c.ID, err)
}

// labelled names the resources of e in the manifest's words.
func (s *Stack) labelled(e *DataLossError) *DataLossError {
	out := &DataLossError{Resources: slices.Clone(e.Resources)}
	d, _ := s.c.Provider.(providers.Describer)
	for i, r := range out.Resources {
		name, typ, ok := strings.Cut(strings.TrimSuffix(r, ")"), " (")
		if !ok || d == nil {
			continue
		}
		out.Resources[i] = Label(event.Resource{Type: typ, Name: name, Function: d.OwnerOf(typ, name)})
	}
	return out
}
