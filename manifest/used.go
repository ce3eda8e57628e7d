package manifest

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/anyfaas/anyfaas/manifest/graph"
)

// Paths returns the schema path of every setting a provider has to know, in the
// form of graph.Setting.Path and sorted. The keys of defaults, on and stages are
// not among them: what they set is a setting of the function or the service.
func Paths() []string {
	var out []string
	leaves(language, "", func(path string) { out = append(out, path) })
	slices.Sort(out)
	return out
}

// overlayKeys hold settings that take effect somewhere else.
var overlayKeys = []string{"stages", "defaults", "functions.*.on"}

func leaves(s *shape, path string, yield func(string)) {
	if slices.Contains(overlayKeys, path) {
		return
	}
	switch s.kind {
	case objectShape:
		if s.own || s.short != nil && s.expand == nil {
			yield(path)
		}
		for _, k := range s.keys {
			leaves(k.shape, below(path, k.name), yield)
		}
	case dictShape:
		leaves(s.elem, below(path, "*"), yield)
	case listShape:
		if s.elem.kind == objectShape {
			leaves(s.elem, path+"[]", yield)
			return
		}
		yield(path)
	default:
		yield(path)
	}
}

func below(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// used lists the settings of the effective manifest in file order.
func used(root *node, service []string) []graph.Setting {
	out := make([]graph.Setting, 0, root.count())
	u := user{service: service, out: &out}
	u.walk(&field{value: root, pos: root.pos}, language, "")
	slices.SortFunc(out, func(a, b graph.Setting) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Function, b.Function))
	})
	return out
}

type user struct {
	out      *[]graph.Setting
	service  []string // accepted in the whole service
	function string
	accept   []string // accepted where it stands
}

func (u user) walk(f *field, s *shape, path string) {
	n := f.value
	leaf := func() {
		accept := u.accept
		if u.function == "" {
			accept = u.service
		}
		*u.out = append(*u.out, graph.Setting{Path: path, Pos: f.place(), Function: u.function, Accept: accept})
	}
	switch {
	case slices.Contains(overlayKeys, path):
	case s.kind == objectShape && n.kind == mapKind:
		if s.own {
			leaf()
		}
		for i := range n.fields {
			e := &n.fields[i]
			u.walk(e, s.key(e.key).shape, below(path, e.key))
		}
	case s.kind == dictShape:
		for i := range n.fields {
			e, v := &n.fields[i], u
			if path == "functions" {
				v.function = e.key
				v.accept = merged(u.service, texts(e.value.get("accept")))
			}
			v.walk(e, s.elem, below(path, "*"))
		}
	case s.kind == listShape && s.elem.kind == objectShape:
		for _, item := range n.list {
			u.walk(&field{pos: item.pos, value: item}, s.elem, path+"[]")
		}
	default:
		leaf()
	}
}

// merged returns the sorted union of two lists, or nil when both are empty.
func merged(a, b []string) []string {
	out := slices.Concat(a, b)
	if len(out) == 0 {
		return nil
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// positions returns the places of everything below f, by path.
func positions(f *field) graph.Positions {
	p := make(graph.Positions, f.value.count())
	p[""] = f.pos
	place(p, f.value, "")
	return p
}

func place(p graph.Positions, n *node, path string) {
	for i := range n.fields {
		f := &n.fields[i]
		at := below(path, f.key)
		p[at] = f.place()
		place(p, f.value, at)
	}
	for i, item := range n.list {
		at := path + "[" + strconv.Itoa(i) + "]"
		p[at] = item.pos
		place(p, item, at)
	}
}
