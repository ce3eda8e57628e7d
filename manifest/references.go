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
	for i := range b.g.Functions {
		fn := &b.g.Functions[i]
		needs[fn.Name] = map[string]diag.Pos{}
		for _, name := range sortedKeys(fn.Env) {
			for _, p := range fn.Env[name] {
				if p.Ref != nil {
					b.checkReference(p.Ref, needs[fn.Name])
				}
			}
		}
	}
	cycles(b.functionNames(), func(name string) []string { return sortedKeys(needs[name]) }, func(circle []string) {
		last := circle[len(circle)-1]
		d := b.l.Errorf(needs[last][circle[0]], "reference-cycle", "functions need each other's id before they exist: %s", round(circle))
		d.Width, d.Hint = len("${functions."+circle[0]+".id}"), "refer to ${functions."+circle[0]+".name} instead; names are known beforehand"
	})
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (b *builder) checkReference(ref *graph.Ref, needs map[string]diag.Pos) {
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
		names := b.functionNames()
		d.Hint = "functions are " + listed(names)
		if near := nearestOf(b.l, ref.Name, names); near != "" {
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

func (b *builder) functionNames() []string {
	names := make([]string, len(b.g.Functions))
	for i, f := range b.g.Functions {
		names[i] = f.Name
	}
	return names
}

// listed shows names in a hint.
func listed(names []string) string {
	return clip(strings.Join(names[:min(len(names), 20)], ", "), 120)
}

// cycles follows next from each of the names and yields every circle once, each
// beginning with the name that was reached first.
func cycles(names []string, next func(string) []string, yield func(circle []string)) {
	const (
		_ = iota
		open
		done
	)
	state := map[string]int{}
	var chain []string
	var visit func(string)
	visit = func(name string) {
		switch state[name] {
		case done:
			return
		case open:
			yield(chain[slices.Index(chain, name):])
			return
		}
		state[name] = open
		chain = append(chain, name)
		for _, n := range next(name) {
			visit(n)
		}
		chain = chain[:len(chain)-1]
		state[name] = done
	}
	for _, name := range names {
		visit(name)
	}
}

// round shows a circle: a → b → a.
func round(circle []string) string {
	shown := circle
	if len(shown) > 10 {
		shown = append(slices.Clone(circle[:9]), "…")
	}
	return strings.Join(append(slices.Clone(shown), circle[0]), " → ")
}
