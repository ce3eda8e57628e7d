package providertest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/anyfaas/anyfaas/manifest/graph"
)

// A Snapshot is what a program declares, seen twice: as a preview of a new
// stack, where outputs are unknown, and as a deploy in which every output is
// "<type name output>", so that references can be seen inside texts.
type Snapshot struct {
	Resources []Resource     `json:"resources"` // sorted by type and name
	Outputs   map[string]any `json:"outputs,omitempty"`

	leaked []string // places that show a secret
}

// A Resource is one registration. References to other resources are
// "type name".
type Resource struct {
	Type      string              `json:"type"`
	Name      string              `json:"name"`
	Parent    string              `json:"parent,omitempty"`
	Inputs    map[string]any      `json:"inputs"`              // secrets are "[secret]"
	Unknown   []string            `json:"unknown,omitempty"`   // inputs that a preview of a new stack cannot show
	DependsOn []string            `json:"dependsOn,omitempty"` // sorted, the parent not included
	Through   map[string][]string `json:"through,omitempty"`   // dependencies by input
	Retain    bool                `json:"retainOnDelete,omitempty"`
	Protect   bool                `json:"protect,omitempty"`

	urn string
}

// label names the resource as references do.
func (r Resource) label() string { return r.Type + " " + r.Name }

// JSON returns the snapshot as golden files hold it.
func (s *Snapshot) JSON() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		panic(fmt.Sprintf("providertest: encode a snapshot: %v", err))
	}
	return b.Bytes()
}

// An OutputsFunc returns the outputs a resource would have once made. Unknown
// ones become sentinels.
type OutputsFunc func(typ, name string, inputs resource.PropertyMap) (resource.PropertyMap, error)

// patience is how long a program may take that waits for nothing.
const patience = time.Minute

// errWaits says that a program did not end.
var errWaits = errors.New("the program does not end in a preview: it waits for an output that a preview does not know, or for something else outside; let Pulumi pass outputs on with Apply")

// take runs the program that the provider makes of g, twice.
func (s Suite) take(g *graph.Graph) (*Snapshot, error) {
	deploy, err := s.record(g, deploying)
	if err != nil {
		return nil, fmt.Errorf("deploy: %w", err)
	}
	preview, err := s.record(g, previewing)
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	if err := sameNames(deploy, preview); err != nil {
		return nil, err
	}
	snapshot := deploy.snapshot()
	for i := range snapshot.Resources {
		snapshot.Resources[i].Unknown = preview.resources[i].Unknown
	}
	snapshot.leaked = append(snapshot.leaked, preview.leaked...)
	slices.Sort(snapshot.leaked)
	snapshot.leaked = slices.Compact(snapshot.leaked)
	return snapshot, nil
}

// sameNames compares the two passes: what a preview does not show must not
// appear in the deploy.
func sameNames(deploy, preview *recorder) error {
	names := func(r *recorder) []string {
		var out []string
		for _, res := range r.resources {
			out = append(out, res.label())
		}
		return out
	}
	a, b := names(deploy), names(preview)
	if slices.Equal(a, b) {
		return nil
	}
	for _, n := range a {
		if !slices.Contains(b, n) {
			return fmt.Errorf("%s is declared by a deploy but not by a preview; declare resources outside of Apply", n)
		}
	}
	return fmt.Errorf("a preview declares %d resources and a deploy %d", len(b), len(a))
}

// outputsType is a resource that stands for the outputs of the stack.
const outputsType = "providertest:index:Outputs"

// A recorder is the monitor a program registers its resources with.
type recorder struct {
	pulumi.MockResourceMonitor
	preview bool
	outputs OutputsFunc
	dir     string // absolute paths below it are shown as <dir>
	secrets []string

	mu        sync.Mutex
	resources []Resource
	exports   map[string]any
	leaked    []string // places that show a secret
}

// A pass is one of the two ways to run a program.
type pass int

const (
	_          pass = iota
	deploying       // outputs are known
	previewing      // outputs of what is not there yet are unknown
)

func (s Suite) record(g *graph.Graph, how pass) (*recorder, error) {
	in := Inputs(g)
	r := &recorder{preview: how == previewing, outputs: s.outputs(), dir: g.Dir}
	for _, secret := range in.Secrets {
		r.secrets = append(r.secrets, secret.Reveal())
	}
	program := s.Provider.Program(g, in)
	run := func(ctx *pulumi.Context) error {
		if err := program(ctx); err != nil {
			return err
		}
		// Mocks do not see the outputs of a stack; as the inputs of a resource
		// they do.
		return ctx.RegisterResource(outputsType, "outputs", pulumi.Map(ctx.GetCurrentExportMap()), &pulumi.CustomResourceState{})
	}
	done := make(chan error, 1)
	go func() {
		done <- pulumi.RunErr(run, pulumi.WithMocks(g.Service, g.Stage+"-"+g.Provider, r), func(i *pulumi.RunInfo) { i.DryRun = r.preview })
	}()
	select {
	case err := <-done:
		if err != nil {
			return nil, err
		}
	case <-time.After(cmp.Or(s.patience, patience)):
		return nil, errWaits
	}
	slices.SortFunc(r.resources, func(a, b Resource) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name), strings.Compare(a.urn, b.urn))
	})
	return r, nil
}

func (r *recorder) snapshot() *Snapshot {
	return &Snapshot{Resources: r.resources, Outputs: r.exports, leaked: r.leaked}
}

// NewResource notes one registration.
func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	req := args.RegisterRPC
	if req == nil {
		return "", nil, fmt.Errorf("%s %s is read from outside; a program must not look anything up", args.TypeToken, args.Name)
	}
	// The inputs that come with args lack what is unknown.
	inputs, err := properties(req.GetObject())
	if err != nil {
		return "", nil, err
	}
	res := Resource{
		Type:    req.GetType(),
		Name:    req.GetName(),
		Parent:  label(req.GetParent()),
		Inputs:  map[string]any{},
		Retain:  req.GetRetainOnDelete(),
		Protect: req.GetProtect(),
	}
	for _, urn := range req.GetDependencies() {
		if l := label(urn); l != res.Parent {
			res.DependsOn = append(res.DependsOn, l)
		}
	}
	slices.Sort(res.DependsOn)
	for name, deps := range req.GetPropertyDependencies() {
		for _, urn := range deps.GetUrns() {
			if res.Through == nil {
				res.Through = map[string][]string{}
			}
			res.Through[name] = append(res.Through[name], label(urn))
		}
		slices.Sort(res.Through[name])
	}
	s := shower{secrets: r.secrets, dir: r.dir}
	for _, k := range slices.Sorted(maps.Keys(inputs)) {
		res.Inputs[string(k)] = s.show(string(k), inputs[k])
	}
	res.Unknown = s.unknown
	for i, path := range s.leaked {
		s.leaked[i] = "input " + path + " of " + res.label()
		if res.Type == outputsType {
			s.leaked[i] = "output " + path
		}
	}
	if res.Type == outputsType {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.exports = res.Inputs
		r.leaked = append(r.leaked, s.leaked...)
		return "outputs", nil, nil
	}
	id := "<" + short(res.Type) + " " + res.Name + " id>"
	outputs, err := r.outputs(res.Type, res.Name, inputs)
	if err != nil {
		return "", nil, fmt.Errorf("outputs of %s %s: %w", res.Type, res.Name, err)
	}
	state := resource.PropertyMap{}
	for k, v := range outputs {
		switch {
		case !v.ContainsUnknowns():
			state[k] = v
		case !r.preview:
			state[k] = resource.NewProperty("<" + short(res.Type) + " " + res.Name + " " + string(k) + ">")
		}
	}
	if r.preview {
		id = "" // becomes unknown
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	res.urn = res.Parent + "$" + res.Type + "::" + res.Name
	r.resources = append(r.resources, res)
	r.leaked = append(r.leaked, s.leaked...)
	return id, state, nil
}

// Call refuses functions of providers: they reach a cloud.
func (r *recorder) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, fmt.Errorf("the program calls %s; a program must not look anything up", args.Token)
}

// A shower turns property values into JSON and notes what is special.
type shower struct {
	secrets         []string
	dir             string
	unknown, leaked []string // paths
}

func (s *shower) show(path string, v resource.PropertyValue) any {
	switch {
	case v.IsSecret():
		return "[secret]"
	case v.IsOutput() && v.OutputValue().Secret:
		return "[secret]"
	case v.IsOutput() && v.OutputValue().Known:
		return s.show(path, v.OutputValue().Element)
	case v.IsComputed() || v.IsOutput():
		s.unknown = append(s.unknown, path)
		return "[unknown]"
	case v.IsObject():
		m := map[string]any{}
		o := v.ObjectValue()
		for _, k := range slices.Sorted(maps.Keys(o)) {
			m[string(k)] = s.show(path+"."+string(k), o[k])
		}
		return m
	case v.IsArray():
		a := make([]any, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			a[i] = s.show(fmt.Sprintf("%s[%d]", path, i), e)
		}
		return a
	case v.IsString():
		text := v.StringValue()
		for _, secret := range s.secrets {
			if strings.Contains(text, secret) {
				s.leaked = append(s.leaked, path)
			}
		}
		if s.dir != "" {
			text = strings.ReplaceAll(text, s.dir, "<dir>")
		}
		return text
	case v.IsAsset(), v.IsArchive():
		return "[file]"
	}
	return v.V
}

// properties decodes what a program sent, unknown values and secrets included.
func properties(o *structpb.Struct) (resource.PropertyMap, error) {
	return plugin.UnmarshalProperties(o, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, KeepResources: true, KeepOutputValues: true})
}

// label names a resource by type and name; "" for the stack itself.
func label(urn string) string {
	u := resource.URN(urn)
	if urn == "" || u.Type() == resource.RootStackType {
		return ""
	}
	return string(u.Type()) + " " + u.Name()
}

// short is the last part of a type token.
func short(typ string) string { return typ[strings.LastIndex(typ, ":")+1:] }
