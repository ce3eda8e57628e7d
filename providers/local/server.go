package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

// A server serves the resource types of this package.
type server struct {
	artifacts providers.Artifacts
	open      open

	uploads sync.Mutex // one upload at a time; functions may share a package
}

// Package returns "anyfaas-local".
func (*server) Package() string { return Package }

// Version returns the version of the resource types.
func (*server) Version() string { return Version }

// Check refuses inputs the host could not understand.
func (*server) Check(_ context.Context, r providers.Resource, _, in resource.PropertyMap) (resource.PropertyMap, []providers.CheckFailure, error) {
	k, err := lookup(r)
	if err != nil {
		return nil, nil, err
	}
	return in, decode(in, k.inputs()), nil
}

// Diff compares inputs; see kind.diff.
func (*server) Diff(_ context.Context, r providers.Resource, oldInputs, _, in resource.PropertyMap) (providers.Diff, error) {
	k, err := lookup(r)
	if err != nil {
		return providers.Diff{}, err
	}
	return k.diff(oldInputs, in), nil
}

// Identity returns "<stack>/<kind>/<name>".
func (*server) Identity(r providers.Resource, in resource.PropertyMap) string {
	k, err := lookup(r)
	stack, unknown := plain(in["stack"])
	if err != nil || unknown || !stack.IsString() {
		return ""
	}
	return identity(stack.StringValue(), k.api, r.Name)
}

func identity(stack string, k api.Kind, name string) string {
	return stack + "/" + string(k) + "/" + hostName(name)
}

// hostName is the name of a resource on the host, where names hold no slash and
// have an end: "api.http.GET/orders" is "api.http.GET%2Forders". It keeps
// distinct names distinct.
func hostName(name string) string {
	const longest = 200
	name = strings.NewReplacer("%", "%25", "/", "%2F").Replace(name)
	if len(name) <= longest {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.ToValidUTF8(name[:longest-17], "") + "~" + hex.EncodeToString(sum[:8])
}

// Create applies the resource; so does Update.
func (s *server) Create(ctx context.Context, r providers.Resource, in resource.PropertyMap, preview bool) (string, resource.PropertyMap, error) {
	k, err := lookup(r)
	if err != nil {
		return "", nil, err
	}
	id := s.Identity(r, in)
	if preview {
		return id, k.promised(), nil
	}
	if k.api == api.KindService {
		if err := s.clear(ctx, in); err != nil {
			return "", nil, err
		}
	}
	outputs, err := s.apply(ctx, k, r, in)
	if refused(err) {
		err = fmt.Errorf("%w; deploy this one under another stage", err)
	}
	return id, outputs, err
}

// Update applies the new inputs as a whole, so that it also brings back what
// the host has lost. In a preview the outputs stay, but for where the front is
// when its port changes, and where a route leads.
func (s *server) Update(ctx context.Context, r providers.Resource, oldInputs, oldOutputs, in resource.PropertyMap, preview bool) (resource.PropertyMap, error) {
	k, err := lookup(r)
	if err != nil {
		return nil, err
	}
	if !preview {
		outputs, err := s.apply(ctx, k, r, in)
		if refused(err) && k.api == api.KindService {
			return s.move(ctx, r, oldInputs, in, err)
		}
		return outputs, err
	}
	out := oldOutputs.Copy()
	switch {
	case k.api == api.KindService && slices.Contains(k.diff(oldInputs, in).Changed, "port"):
		out["url"], out["port"] = unknown, unknown
	case k.api == api.KindRoute:
		out["url"] = unknown
	}
	return out, nil
}

// unknown is an output that only the host can tell.
var unknown = resource.MakeComputed(resource.NewProperty(""))

// Read asks the host. What it holds differs from the inputs only when a run was
// interrupted or somebody else changed it.
func (s *server) Read(ctx context.Context, r providers.Resource, in, _ resource.PropertyMap) (string, resource.PropertyMap, resource.PropertyMap, error) {
	k, err := lookup(r)
	if err != nil {
		return "", nil, nil, err
	}
	m, err := s.open(ctx, ifKept)
	if err != nil || m == nil {
		return "", nil, nil, err
	}
	decoded := k.inputs()
	if f := decode(in, decoded); len(f) > 0 {
		return "", nil, nil, fmt.Errorf("%s %q: %s %s", r.Type, r.Name, f[0].Property, f[0].Reason)
	}
	state, err := m.Get(ctx, decoded.stack(), k.api, hostName(r.Name))
	if err != nil || state == nil {
		return "", nil, nil, err
	}
	id := identity(decoded.stack(), k.api, r.Name)
	outputs := resource.NewPropertyMapFromMap(state.Outputs)
	asked := decoded.spec()
	if err := decoded.read(state.Spec); err != nil {
		return "", nil, nil, fmt.Errorf("%s %q: %w", r.Type, r.Name, err)
	}
	if reflect.DeepEqual(asked, decoded.spec()) {
		return id, in, outputs, nil
	}
	return id, hide(properties(decoded), in), outputs, nil
}

// Delete removes the resource. The service goes last: it takes along what was
// kept of its stack, whose data the host leaves on disk, so that nothing of it
// runs any more.
func (s *server) Delete(ctx context.Context, r providers.Resource, in, _ resource.PropertyMap) error {
	k, err := lookup(r)
	if err != nil {
		return err
	}
	stack, _ := plain(in["stack"])
	if !stack.IsString() {
		return fmt.Errorf("%s %q: its inputs name no stack", r.Type, r.Name)
	}
	m, err := s.open(ctx, ifKept)
	if err != nil || m == nil {
		return err
	}
	if k.api == api.KindService {
		if err := sweep(ctx, m, stack.StringValue()); err != nil {
			return err
		}
	}
	return m.Delete(ctx, stack.StringValue(), k.api, hostName(r.Name))
}

// apply puts a resource on the host and returns its outputs.
func (s *server) apply(ctx context.Context, k kind, r providers.Resource, in resource.PropertyMap) (resource.PropertyMap, error) {
	decoded := k.inputs()
	if f := decode(in, decoded); len(f) > 0 {
		return nil, fmt.Errorf("%s %s", f[0].Property, f[0].Reason)
	}
	m, err := s.open(ctx, always)
	if err != nil {
		return nil, err
	}
	if f, ok := decoded.(*functionInputs); ok {
		if err := s.upload(ctx, m, r.Name, f.Code); err != nil {
			return nil, err
		}
	}
	out, err := m.Put(ctx, decoded.stack(), k.api, hostName(r.Name), decoded.spec())
	if err != nil {
		return nil, err
	}
	return resource.NewPropertyMapFromMap(out), nil
}

// upload gives the host a function's package unless it has it.
func (s *server) upload(ctx context.Context, m machine, function, sha256 string) error {
	s.uploads.Lock()
	defer s.uploads.Unlock()
	if has, err := m.HasArtifact(ctx, sha256); err != nil || has {
		return err
	}
	a, ok := s.artifacts[function]
	if !ok || a.SHA256 != sha256 {
		return fmt.Errorf("the package %.12s of function %q is neither on the host nor built by this command", sha256, function)
	}
	if _, err := os.Stat(a.Path); err != nil {
		return err
	}
	return m.PutArtifact(ctx, sha256, a.Path)
}

// promised returns the outputs of a resource that is to be made.
func (k kind) promised() resource.PropertyMap {
	m := resource.PropertyMap{}
	for _, name := range k.outputs {
		m[resource.PropertyKey(name)] = unknown
	}
	return m
}

func lookup(r providers.Resource) (kind, error) {
	k, ok := kindOf(r.Type)
	if !ok {
		return kind{}, fmt.Errorf("package %s has no resource type %q", Package, r.Type)
	}
	return k, nil
}

// hide makes those properties of m secret again that are secret in like.
func hide(m, like resource.PropertyMap) resource.PropertyMap {
	for key, v := range m {
		was := like[key]
		switch {
		case was.IsSecret() || was.IsOutput() && was.OutputValue().Secret:
			m[key] = resource.MakeSecret(v)
		case v.IsObject() && was.IsObject():
			hide(v.ObjectValue(), was.ObjectValue())
		}
	}
	return m
}
