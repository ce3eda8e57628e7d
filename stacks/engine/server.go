package engine

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/pkg/v3/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"

	"github.com/anyfaas/anyfaas/providers"
)

// A server presents a ResourceServer as a Pulumi provider without a plugin. It
// takes no configuration of its own. Values keep their secrets and unknowns on
// the way in and out.
type server struct {
	plugin.UnimplementedProvider
	providers.ResourceServer
	refusals *refusals
}

// refusals keeps what Check said about each resource. The engine would report it
// with the value of the property, which may be a secret.
type refusals struct {
	mu   sync.Mutex
	text map[resource.URN]string
}

func (r *refusals) set(urn resource.URN, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text[urn] = text
}

func (r *refusals) of(urn resource.URN) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text[urn]
}

var _ plugin.Provider = (*server)(nil)

// Handshake tells the engine to pass values as they are.
func (s *server) Handshake(context.Context, plugin.ProviderHandshakeRequest) (*plugin.ProviderHandshakeResponse, error) {
	return &plugin.ProviderHandshakeResponse{AcceptSecrets: true, AcceptResources: true, AcceptOutputs: false}, nil
}

func (s *server) GetPluginInfo(context.Context) (plugin.PluginInfo, error) {
	return plugin.PluginInfo{Version: versionOf(s.ResourceServer)}, nil
}

func (s *server) GetSchema(context.Context, plugin.GetSchemaRequest) (plugin.GetSchemaResponse, error) {
	return plugin.GetSchemaResponse{Schema: []byte(`{}`)}, nil
}

func (s *server) CheckConfig(_ context.Context, r plugin.CheckConfigRequest) (plugin.CheckConfigResponse, error) {
	return plugin.CheckConfigResponse{Properties: r.News}, nil
}

// DiffConfig sees no change: another version of a package serves the same
// resources.
func (s *server) DiffConfig(context.Context, plugin.DiffConfigRequest) (plugin.DiffConfigResponse, error) {
	return plugin.DiffResult{Changes: plugin.DiffNone}, nil
}

func (s *server) Configure(context.Context, plugin.ConfigureRequest) (plugin.ConfigureResponse, error) {
	return plugin.ConfigureResponse{}, nil
}

func (s *server) Check(ctx context.Context, r plugin.CheckRequest) (res plugin.CheckResponse, err error) {
	defer recovered(&err)
	inputs, failures, err := s.ResourceServer.Check(ctx, about(r.URN, r.Type, ""), r.Olds, r.News)
	if err != nil {
		return res, err
	}
	res.Properties = inputs
	if len(failures) == 0 {
		return res, nil
	}
	texts := make([]string, len(failures))
	for i, f := range failures {
		texts[i] = f.Reason
		if f.Property != "" {
			texts[i] = f.Property + ": " + f.Reason
		}
	}
	text := strings.Join(texts, "; ")
	s.refusals.set(r.URN, text)
	res.Failures = []plugin.CheckFailure{{Reason: text}}
	return res, nil
}

func (s *server) Diff(ctx context.Context, r plugin.DiffRequest) (res plugin.DiffResponse, err error) {
	defer recovered(&err)
	d, err := s.ResourceServer.Diff(ctx, about(r.URN, r.Type, r.ID), r.OldInputs, r.OldOutputs, r.NewInputs)
	if err != nil {
		return res, err
	}
	res = plugin.DiffResult{Changes: plugin.DiffNone, DeleteBeforeReplace: d.DeleteBeforeReplace}
	if len(d.Changed) == 0 {
		return res, nil
	}
	res.Changes = plugin.DiffSome
	res.DetailedDiff = map[string]plugin.PropertyDiff{}
	for _, p := range d.Changed {
		replaces := slices.Contains(d.Replace, p)
		res.DetailedDiff[p] = plugin.PropertyDiff{Kind: diffKind(p, replaces, r.OldInputs, r.NewInputs), InputDiff: true}
		key := topKey(p)
		if !slices.Contains(res.ChangedKeys, key) {
			res.ChangedKeys = append(res.ChangedKeys, key)
		}
		if replaces && !slices.Contains(res.ReplaceKeys, key) {
			res.ReplaceKeys = append(res.ReplaceKeys, key)
		}
	}
	return res, nil
}

func diffKind(p string, replaces bool, old, new resource.PropertyMap) plugin.DiffKind {
	_, before := lookUp(p, old)
	_, after := lookUp(p, new)
	kind := plugin.DiffUpdate
	switch {
	case !before && after:
		kind = plugin.DiffAdd
	case before && !after:
		kind = plugin.DiffDelete
	}
	if replaces {
		kind = kind.AsReplace()
	}
	return kind
}

// topKey is the property a path begins with.
func topKey(p string) resource.PropertyKey {
	if path, err := resource.ParsePropertyPath(p); err == nil && len(path) > 0 {
		if key, ok := path[0].(string); ok {
			return resource.PropertyKey(key)
		}
	}
	head, _, _ := strings.Cut(p, ".")
	return resource.PropertyKey(head)
}

func (s *server) Create(ctx context.Context, r plugin.CreateRequest) (res plugin.CreateResponse, err error) {
	defer recovered(&err)
	id, outputs, err := s.ResourceServer.Create(ctx, about(r.URN, r.Type, ""), r.Properties, r.Preview)
	if err != nil {
		return plugin.CreateResponse{Status: resource.StatusUnknown}, err
	}
	if id == "" && !r.Preview {
		return plugin.CreateResponse{Status: resource.StatusUnknown}, fmt.Errorf("package %s created %s without an id", s.Package(), r.URN.Name())
	}
	return plugin.CreateResponse{ID: resource.ID(id), Properties: outputs, Status: resource.StatusOK}, nil
}

func (s *server) Read(ctx context.Context, r plugin.ReadRequest) (res plugin.ReadResponse, err error) {
	defer recovered(&err)
	id, inputs, outputs, err := s.ResourceServer.Read(ctx, about(r.URN, r.Type, r.ID), r.Inputs, r.State)
	if err != nil {
		return plugin.ReadResponse{Status: resource.StatusUnknown}, err
	}
	res.Status = resource.StatusOK
	if id != "" {
		res.ReadResult = plugin.ReadResult{
			ID: resource.ID(id), Inputs: marked(r.Inputs, inputs), Outputs: marked(r.State, outputs),
		}
	}
	return res, nil
}

func (s *server) Update(ctx context.Context, r plugin.UpdateRequest) (res plugin.UpdateResponse, err error) {
	defer recovered(&err)
	outputs, err := s.ResourceServer.Update(ctx, about(r.URN, r.Type, r.ID), r.OldInputs, r.OldOutputs, r.NewInputs, r.Preview)
	if err != nil {
		return plugin.UpdateResponse{Status: resource.StatusUnknown}, err
	}
	return plugin.UpdateResponse{Properties: outputs, Status: resource.StatusOK}, nil
}

func (s *server) Delete(ctx context.Context, r plugin.DeleteRequest) (res plugin.DeleteResponse, err error) {
	defer recovered(&err)
	if err := s.ResourceServer.Delete(ctx, about(r.URN, r.Type, r.ID), r.Inputs, r.Outputs); err != nil {
		return plugin.DeleteResponse{Status: resource.StatusUnknown}, err
	}
	return plugin.DeleteResponse{Status: resource.StatusOK}, nil
}

func about(urn resource.URN, typ tokens.Type, id resource.ID) providers.Resource {
	if typ == "" {
		typ = urn.Type()
	}
	return providers.Resource{URN: urn, Type: string(typ), Name: urn.Name(), ID: string(id)}
}

// marked returns the new properties with the secrets of the old ones: what was
// secret stays secret, even when a server reads it back as plain text.
func marked(old, new resource.PropertyMap) resource.PropertyMap {
	if old == nil || new == nil {
		return new
	}
	return markLike(resource.NewProperty(old), resource.NewProperty(new)).ObjectValue()
}

func markLike(old, new resource.PropertyValue) resource.PropertyValue {
	if old.IsSecret() {
		plain, _ := unwrap(new, false)
		return resource.MakeSecret(markLike(old.SecretValue().Element, plain))
	}
	switch {
	case old.IsObject() && new.IsObject():
		out := resource.PropertyMap{}
		for k, v := range new.ObjectValue() {
			if before, ok := old.ObjectValue()[k]; ok {
				v = markLike(before, v)
			}
			out[k] = v
		}
		return resource.NewProperty(out)
	case old.IsArray() && new.IsArray():
		out := slices.Clone(new.ArrayValue())
		for i := range out {
			if i < len(old.ArrayValue()) {
				out[i] = markLike(old.ArrayValue()[i], out[i])
			}
		}
		return resource.NewProperty(out)
	}
	return new
}

// A PanicError is a panic of a program or of a package in this process: a mistake
// of ours, not of the user's.
type PanicError struct {
	Value any
	Stack []byte
}

// Error names the place, for where the error ends up as text only.
func (e *PanicError) Error() string {
	return fmt.Sprintf("panic: %v%s", e.Value, placeOf(e.Stack))
}

// placeOf finds where a panic was raised: the first frame below "panic(" that is
// not the runtime's own.
func placeOf(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	for i := range lines {
		if !strings.HasPrefix(lines[i], "panic(") {
			continue
		}
		for k := i + 2; k+1 < len(lines); k += 2 {
			if !strings.HasPrefix(lines[k], "runtime.") && !strings.HasPrefix(lines[k], "panic(") {
				place, _, _ := strings.Cut(strings.TrimSpace(lines[k+1]), " ")
				return " (at " + place + ")"
			}
		}
	}
	return ""
}

// recovered turns a panic of a server, which would take the engine down with
// half its steps unrecorded, into the error of the one step.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = &PanicError{Value: r, Stack: debug.Stack()}
	}
}
