package manifest

import (
	"slices"
	"strings"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
)

// checkReferences looks at what environment variables refer to.
func (b *builder) checkReferences() {
	needs := map[string]map[string]diag.Pos{} // function → functions whose id it needs
	for _, fn := range b.g.Functions {
		needs[fn.Name] = map[string]diag.Pos{}
		for _, name := range sortedKeys(fn.Env) {
			for _, p := range fn.Env[name] {
				if p.Ref != nil {
					b.checkReference(&fn, p.Ref, needs[fn.Name])
				}
			}
		}
	}
	done := map[string]bool{}
	for _, fn := range b.g.Functions {
		b.referenceCycle(fn.Name, needs, nil, done)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (b *builder) checkReference(fn *graph.Function, ref *graph.Ref, needs map[string]diag.Pos) {
	width := len("${" + ref.Group + "." + ref.Name + "." + ref.Attr + "}")
	if ref.Group != "functions" {
		for _, g := range groups {
			if g.key == ref.Group {
				b.lookup(g.kind, ref.Name, ref.Pos, width, nil)
			}
		}
		return
	}
	target := b.g.Function(ref.Name)
	if target == nil {
		d := b.l.Errorf(ref.Pos, "unknown-function", "there is no function %q", ref.Name)
		d.Width = width
		var names []string
		for _, f := range b.g.Functions {
			names = append(names, f.Name)
		}
		d.Hint = "functions are " + clip(strings.Join(names, ", "), 120)
		if near := nearest(ref.Name, names); near != "" {
			d.Hint = "did you mean \"" + near + "\"?"
		}
		return
	}
	switch ref.Attr {
	case "id":
		needs[ref.Name] = ref.Pos
	case "url":
		if !slices.ContainsFunc(target.Triggers, func(t graph.Trigger) bool { return t.HTTP != nil }) {
			d := b.l.Errorf(ref.Pos, "no-url", "function %q has no http trigger, so it has no url", ref.Name)
			d.Width, d.Hint = width, "add an http trigger to it, or refer to its name or id"
		}
	}
}

// referenceCycle reports functions that need each other's id before they exist.
func (b *builder) referenceCycle(name string, needs map[string]map[string]diag.Pos, chain []string, done map[string]bool) {
	if i := slices.Index(chain, name); i >= 0 {
		d := b.l.Errorf(needs[chain[len(chain)-1]][name], "reference-cycle", "functions need each other's id before they exist: %s", strings.Join(append(slices.Clone(chain[i:]), name), " → "))
		d.Width, d.Hint = 1, "refer to ${functions."+name+".name} instead; names are known beforehand"
		return
	}
	if done[name] {
		return
	}
	chain = append(chain, name)
	for _, next := range sortedKeys(needs[name]) {
		b.referenceCycle(next, needs, chain, done)
	}
	done[name] = true
}
