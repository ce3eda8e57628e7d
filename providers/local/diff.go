package local

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/anyfaas/anyfaas/providers"
)

// diff compares what was asked with what is asked. Secret or not makes no
// difference, nor does a missing map from an empty one; lists are compared as a
// whole; a value not known yet counts as changed.
func (k kind) diff(old, new resource.PropertyMap) providers.Diff {
	var d providers.Diff
	changes("", old, new, &d.Changed)
	slices.Sort(d.Changed)
	for _, path := range d.Changed {
		top := path
		if i := strings.IndexAny(path, ".["); i >= 0 {
			top = path[:i]
		}
		if top == "stack" || k.replace[top] {
			d.Replace = append(d.Replace, path)
		}
	}
	// The new resource would have the name of the old one.
	d.DeleteBeforeReplace = len(d.Replace) > 0
	return d
}

func changes(path string, old, new resource.PropertyMap, paths *[]string) {
	keys := map[resource.PropertyKey]bool{}
	for k := range old {
		keys[k] = true
	}
	for k := range new {
		keys[k] = true
	}
	for k := range keys {
		if strings.HasPrefix(string(k), "__") {
			continue // the engine's own
		}
		here := join(path, string(k))
		a, unknownA := plain(old[k])
		b, unknownB := plain(new[k])
		switch {
		case unknownA || unknownB:
			*paths = append(*paths, here)
		case isObject(a) && isObject(b):
			changes(here, object(a), object(b), paths)
		case !same(a, b):
			*paths = append(*paths, here)
		}
	}
}

func isObject(v resource.PropertyValue) bool { return v.IsObject() || v.IsNull() }

func object(v resource.PropertyValue) resource.PropertyMap {
	if v.IsNull() {
		return nil
	}
	return v.ObjectValue()
}

// same compares values below a list or of different types.
func same(a, b resource.PropertyValue) bool {
	a, unknownA := plain(a)
	b, unknownB := plain(b)
	switch {
	case unknownA || unknownB:
		return false
	case a.IsArray() && b.IsArray():
		return slices.EqualFunc(a.ArrayValue(), b.ArrayValue(), same)
	case a.IsObject() && b.IsObject():
		var paths []string
		changes("", a.ObjectValue(), b.ObjectValue(), &paths)
		return len(paths) == 0
	}
	return a.DeepEquals(b)
}
