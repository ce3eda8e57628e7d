// Package providers is the contract between anyfaas and a cloud: a name, a table
// of what it supports, a check of its limits, and a pure translation of a graph
// into a Pulumi program. It knows no cloud and no engine.
//
// # A new provider
//
// A provider is a package below this folder with a type that implements
// [Provider], listed in providers/all and named in the manifest's language. Its
// first test is providertest.Run, which tells what is missing, in this order:
//
//  1. Name, and Features made with [NewFeatures]: an entry for every setting.
//  2. Program, one file per thing (function.go, queue.go …): resources named as
//     the manifest names them, a trigger "<function>.<kind>…", so that
//     [Describer] can tell whose they are; secrets through pulumi.ToSecret;
//     [ConnectionVariable] for what a function uses; the stack outputs "url",
//     "<function>.url" (see [BasePath]) and "<group>.<name>.url".
//  3. Check, for limits that depend on values rather than on a setting alone.
//  4. What it can do beyond that, each an interface of its own: [Host],
//     [LogReader], [Invoker], [Reviver].
package providers

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
)

// A Provider translates graphs for one target. Implementers hold no state:
// methods must be safe for concurrent use, must not keep or change g, and must
// not reach the network, since a preview without credentials calls all of them.
type Provider interface {
	// Name is what the manifest calls it: "aws", "local".
	Name() string
	// Features is the table of every manifest setting; see Features.
	Features() Features
	// Check reports what this provider cannot do with g, at the setting's
	// place. What the table of features already says is not repeated here.
	Check(g *graph.Graph) diag.List
	// Program declares the resources of g. It neither waits for outputs nor
	// calls a cloud.
	Program(g *graph.Graph, in Inputs) pulumi.RunFunc
}

// Inputs is what a program needs beside the graph. Artifacts holds one entry
// for every function; Secrets one for every name in Function.Secrets that has
// been set.
type Inputs struct {
	Artifacts Artifacts
	Secrets   map[string]Secret
}

// A Secret is a value that cannot be printed by accident.
type Secret struct{ plain string }

// NewSecret wraps a plain value.
func NewSecret(plain string) Secret { return Secret{plain} }

// Reveal returns the plain value.
func (s Secret) Reveal() string { return s.plain }

// String, GoString and MarshalJSON hide the value.
func (Secret) String() string { return "***" }

// GoString hides the value from %#v.
func (Secret) GoString() string { return "***" }

// MarshalJSON hides the value.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"***"`), nil }

// An Artifact is a packaged function, the same bytes for the same source.
type Artifact struct {
	Function string
	Path     string   // absolute path of the zip on this machine
	SHA256   string   // of the zip, lower-case hex
	Size     int64    // bytes
	Command  []string // how a host starts it inside the unpacked folder: ["node", "main.js"]
	Entry    string   // the handler string a cloud runtime is told; "" when it needs none
	Image    string   // image reference instead of a zip
}

// Artifacts are packaged functions by function name.
type Artifacts map[string]Artifact

// A ResourceServer implements the resource types of one Pulumi package inside
// this process, without a plugin. Methods are called from several goroutines.
// Property maps may hold unknown values (in previews) and secrets.
type ResourceServer interface {
	// Package is the Pulumi package name, the first part of each type token.
	Package() string
	// Version is the semantic version recorded in the state.
	Version() string
	// Check validates and completes the new inputs.
	Check(ctx context.Context, r Resource, old, inputs resource.PropertyMap) (resource.PropertyMap, []CheckFailure, error)
	// Diff compares old inputs and outputs with checked new inputs. It must
	// not reach anything outside the process.
	Diff(ctx context.Context, r Resource, oldInputs, oldOutputs, inputs resource.PropertyMap) (Diff, error)
	// Create makes the resource and returns its identity and outputs. It is
	// idempotent: creating what an interrupted run already made succeeds and
	// yields the same identity. With preview set it changes nothing and
	// returns what is known.
	Create(ctx context.Context, r Resource, inputs resource.PropertyMap, preview bool) (id string, outputs resource.PropertyMap, err error)
	// Read returns the present inputs and outputs, or an empty id when the
	// resource is gone.
	Read(ctx context.Context, r Resource, inputs, outputs resource.PropertyMap) (id string, newInputs, newOutputs resource.PropertyMap, err error)
	// Update changes it in place; see Create for preview.
	Update(ctx context.Context, r Resource, oldInputs, oldOutputs, inputs resource.PropertyMap, preview bool) (resource.PropertyMap, error)
	// Delete removes it. Deleting what is gone already succeeds. It is also
	// called with the outcome of an interrupted Create, then with the id that
	// Identity returns and no outputs.
	Delete(ctx context.Context, r Resource, inputs, outputs resource.PropertyMap) error
	// Identity returns the id that Create gives for these inputs, or "" when
	// it cannot be told beforehand.
	Identity(r Resource, inputs resource.PropertyMap) string
}

// A Resource names the resource a call is about.
type Resource struct {
	URN  resource.URN
	Type string // "anyfaas-local:index:Function"
	Name string
	ID   string // "" before Create
}

// A CheckFailure is an input a ResourceServer refuses.
type CheckFailure struct{ Property, Reason string }

// A Diff says which properties changed and which of them force a replacement.
type Diff struct {
	Changed             []string // sorted top-level or dotted paths
	Replace             []string // subset of Changed
	DeleteBeforeReplace bool
}

// A Host is an optional ability: a Provider whose resource types are served in
// this process. The returned server may start helpers on the first Create, Read,
// Update or Delete, never on Check or Diff.
type Host interface {
	Resources(o HostOptions) ResourceServer
}

// HostOptions is what a Host needs from outside.
type HostOptions struct {
	Artifacts Artifacts    // to upload; entries may be missing when removing
	Home      string       // folder of the machine-wide state, e.g. ~/.anyfaas
	Command   []string     // how to start this program again: ["/usr/bin/anyfaas"]
	Version   string       // of this program; a helper of another version is replaced, "" accepts any
	Log       func(string) // progress worth showing; never nil
}

// A Target is one deployed stack, for abilities that talk to what runs.
type Target struct {
	Service, Stage string
	Home           string
	Command        []string
	Version        string         // see HostOptions
	Outputs        map[string]any // stack outputs
}

// A LogReader is an optional ability: read what a function printed.
type LogReader interface {
	// Logs yields lines in time order. With Follow it goes on until ctx ends.
	Logs(ctx context.Context, t Target, function string, o LogOptions) iter.Seq2[LogLine, error]
}

// LogOptions selects log lines. The zero value means everything kept, then stop.
type LogOptions struct {
	Since  time.Time
	Follow bool
}

// A LogLine is one line of a function's log.
type LogLine struct {
	Time      time.Time     `json:"time"`
	Function  string        `json:"function"`
	Kind      string        `json:"kind"` // "out", "err", or "request" for the line that ends each call
	RequestID string        `json:"requestId,omitempty"`
	Level     string        `json:"level,omitempty"`
	Text      string        `json:"text"`
	Duration  time.Duration `json:"duration,omitempty"` // nanoseconds; kind "request" only
	Cold      bool          `json:"cold,omitempty"`
	Status    int           `json:"status,omitempty"`
}

// An Invoker is an optional ability: call a deployed function directly.
type Invoker interface {
	Invoke(ctx context.Context, t Target, function string, payload Payload) (Reply, error)
}

// A Payload is what a direct call hands over. Trigger says in which form:
// "" or "invoke" for the plain value, otherwise a trigger kind; Data is JSON.
type Payload struct {
	Trigger string
	Data    []byte
}

// A Reply is what a direct call returned.
type Reply struct {
	RequestID string
	Duration  time.Duration
	Cold      bool
	Status    int // 200 when the function returned, 500 when it failed, 504 on timeout, 429 when busy
	Body      []byte
	Logs      []LogLine
}

// As asks a provider for an optional ability. The error is "provider oci cannot
// <verb>".
func As[T any](p Provider, verb string) (T, error) {
	t, ok := p.(T)
	if !ok {
		return t, fmt.Errorf("provider %s cannot %s", p.Name(), verb)
	}
	return t, nil
}

// A Registry is a fixed list of providers.
type Registry struct{ list []Provider }

// NewRegistry returns a registry of ps. Two providers of one name are a mistake
// of ours and panic.
func NewRegistry(ps ...Provider) *Registry {
	r := &Registry{list: slices.Clone(ps)}
	slices.SortFunc(r.list, func(a, b Provider) int { return strings.Compare(a.Name(), b.Name()) })
	for i := 1; i < len(r.list); i++ {
		if r.list[i].Name() == r.list[i-1].Name() {
			panic("providers: two providers named " + r.list[i].Name())
		}
	}
	return r
}

// All returns the providers sorted by name.
func (r *Registry) All() []Provider { return slices.Clone(r.list) }

// Names returns the sorted names.
func (r *Registry) Names() []string {
	names := make([]string, len(r.list))
	for i, p := range r.list {
		names[i] = p.Name()
	}
	return names
}

// Get returns the provider of that name.
func (r *Registry) Get(name string) (Provider, bool) {
	for _, p := range r.list {
		if p.Name() == name {
			return p, true
		}
	}
	return nil, false
}
