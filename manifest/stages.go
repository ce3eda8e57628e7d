package manifest

import "slices"

// Stages returns the names under `stages:` in the manifest that o names, sorted,
// for who offers them to a person. Of a file that is no YAML there are none.
func Stages(o Options) []string {
	l := newLoader(o)
	src := l.find()
	if src == nil {
		return nil
	}
	root := l.parse(src)
	if root == nil || root.kind != mapKind {
		return nil
	}
	stages := root.field("stages")
	if stages == nil || stages.value.kind != mapKind {
		return nil
	}
	var names []string
	for _, f := range stages.value.fields {
		names = append(names, f.key)
	}
	slices.Sort(names)
	return names
}
