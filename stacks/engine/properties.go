package engine

import (
	"encoding/json"
	"slices"
	"strings"

	pulumi "github.com/pulumi/pulumi/pkg/v3/engine"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/archive"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/asset"

	"github.com/anyfaas/anyfaas/stacks/event"
)

// Texts that stand for values which cannot be shown.
const (
	unknownText = "[unknown]"
	secretText  = "[secret]"
)

// properties lists what changes, sorted by path; changed objects are followed
// down to the members that differ. A refresh compares outputs with outputs.
func properties(m pulumi.StepEventMetadata, refresh bool) []event.Property {
	if m.Old == nil || m.New == nil {
		return nil
	}
	var list []event.Property
	add := func(path string, replaces, inputs bool) {
		olds, news := stateOutputs(m.Old), stateInputs(m.New)
		if inputs {
			olds = stateInputs(m.Old)
		}
		if refresh {
			news = stateOutputs(m.New)
		}
		old, before := lookUp(path, olds)
		new, after := lookUp(path, news)
		list = compare(list, path, side{old, before}, side{new, after}, replaces)
	}
	for path, d := range m.DetailedDiff {
		add(path, d.Kind.IsReplace(), d.InputDiff)
	}
	if len(m.DetailedDiff) == 0 {
		keys := slices.Concat(m.Diffs, m.Keys)
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			add(resource.PropertyPath{string(key)}.String(), slices.Contains(m.Keys, key), true)
		}
	}
	slices.SortFunc(list, func(a, b event.Property) int { return strings.Compare(a.Path, b.Path) })
	return list
}

// A side is a value before or after a change, which may be absent.
type side struct {
	value resource.PropertyValue
	there bool
}

func (s side) json() json.RawMessage {
	if !s.there {
		return json.RawMessage("null")
	}
	data, err := json.Marshal(plainValue(s.value))
	if err != nil {
		return json.RawMessage(`"[unprintable]"`)
	}
	return data
}

func (s side) object() (resource.PropertyMap, bool) {
	if !s.there || !s.value.IsObject() {
		return nil, false
	}
	return s.value.ObjectValue(), true
}

// compare appends the change from old to new under path.
func compare(list []event.Property, path string, old, new side, replaces bool) []event.Property {
	before, ok1 := old.object()
	after, ok2 := new.object()
	if !ok1 || !ok2 {
		return append(list, event.Property{Path: path, Old: old.json(), New: new.json(), Replaces: replaces})
	}
	keys := map[resource.PropertyKey]bool{}
	for k := range before {
		keys[k] = true
	}
	for k := range after {
		keys[k] = true
	}
	found := false
	for k := range keys {
		a, isThere := before[k]
		b, willBe := after[k]
		if isThere == willBe && a.DeepEquals(b) {
			continue
		}
		found = true
		list = compare(list, member(path, string(k)), side{a, isThere}, side{b, willBe}, replaces)
	}
	if !found { // the difference is one that the values do not show
		list = append(list, event.Property{Path: path, Old: old.json(), New: new.json(), Replaces: replaces})
	}
	return list
}

// member appends a name to a property path, quoted when it has to be.
func member(path, name string) string {
	tail := resource.PropertyPath{name}.String()
	if strings.HasPrefix(tail, "[") {
		return path + tail
	}
	return path + "." + tail
}

// lookUp follows a property path. A value inside a secret is a secret.
func lookUp(path string, in resource.PropertyMap) (v resource.PropertyValue, ok bool) {
	steps, err := resource.ParsePropertyPath(path)
	if err != nil {
		steps = resource.PropertyPath{path}
	}
	v = resource.NewObjectProperty(in)
	secret := false
	for _, step := range steps {
		v, secret = unwrap(v, secret)
		switch step := step.(type) {
		case string:
			if !v.IsObject() {
				return v, false
			}
			if v, ok = v.ObjectValue()[resource.PropertyKey(step)]; !ok {
				return v, false
			}
		case int:
			if !v.IsArray() || step < 0 || step >= len(v.ArrayValue()) {
				return v, false
			}
			v = v.ArrayValue()[step]
		}
	}
	if secret && !v.IsSecret() {
		v = resource.MakeSecret(v)
	}
	return v, true
}

// unwrap takes a value out of its marks.
func unwrap(v resource.PropertyValue, secret bool) (resource.PropertyValue, bool) {
	for {
		switch {
		case v.IsSecret():
			v, secret = v.SecretValue().Element, true
		case v.IsOutput() && v.OutputValue().Known:
			secret = secret || v.OutputValue().Secret
			v = v.OutputValue().Element
		default:
			return v, secret
		}
	}
}

// plainMap is a property map as JSON values, without secrets.
func plainMap(m resource.PropertyMap) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if !resource.IsInternalPropertyKey(k) {
			out[string(k)] = plainValue(v)
		}
	}
	return out
}

func plainValue(v resource.PropertyValue) any {
	v, secret := unwrap(v, false)
	switch {
	case secret:
		return secretText
	case v.IsComputed(), v.IsOutput():
		return unknownText
	case v.IsArray():
		list := make([]any, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			list[i] = plainValue(e)
		}
		return list
	case v.IsObject():
		return plainMap(v.ObjectValue())
	case v.IsAsset():
		return plainAsset(v.AssetValue())
	case v.IsArchive():
		return plainArchive(v.ArchiveValue())
	case v.IsResourceReference():
		return string(v.ResourceReferenceValue().URN)
	}
	return v.V
}

// Files are shown by their content's digest: their path on some machine says
// nothing.
func plainAsset(a *asset.Asset) any { return "sha256:" + a.Hash }

func plainArchive(a *archive.Archive) any { return "sha256:" + a.Hash }

// stateInputs and stateOutputs prefer the engine's own values: those prepared
// for display have every secret replaced, which hides which of them changed.
func stateInputs(s *pulumi.StepEventStateMetadata) resource.PropertyMap {
	if s.State != nil {
		return s.State.Inputs
	}
	return s.Inputs
}

func stateOutputs(s *pulumi.StepEventStateMetadata) resource.PropertyMap {
	if s.State != nil {
		return s.State.Outputs
	}
	return s.Outputs
}
