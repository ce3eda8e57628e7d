package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestReference keeps REFERENCE.md equal to the language.
func TestReference(t *testing.T) {
	r := reference{seen: map[*shape]bool{}}
	r.b.WriteString(`# The manifest, key by key

This page is made from the language itself: ` + "`UPDATE=1 go test ./manifest`" + ` rewrites it.
` + "`serverless.yaml.example`" + ` shows every key at work, ` + "`ERRORS.md`" + ` explains every message.

Any value may be a variable such as ` + "`${stage}`, `${env.NAME:-default}` or `${file(other.yaml).key}`" + `.
A list marked *one or a list* takes a bare value for a list of one.
`)
	r.object("The top", language)
	golden(t, "REFERENCE.md", r.b.String())
}

type reference struct {
	b    strings.Builder
	seen map[*shape]bool
}

// object writes the table of an object and, after it, those of what it holds.
func (r *reference) object(title string, s *shape) {
	if r.seen[s] || len(s.keys) == 0 {
		return
	}
	r.seen[s] = true
	fmt.Fprintf(&r.b, "\n## %s\n\n%s\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n", title, s.doc)
	type child struct {
		title string
		shape *shape
	}
	var children []child
	for _, k := range s.keys {
		name := k.name
		if k.required {
			name += " (required)"
		}
		doc := k.doc
		if doc == "" {
			doc = k.shape.doc
		}
		form, inner, step := describeShape(k.shape)
		fmt.Fprintf(&r.b, "| `%s` | %s | %s | %s |\n", name, form, code(k.standard), strings.ReplaceAll(doc, "|", `\|`))
		if inner != nil {
			path := k.name + step
			if title != "The top" {
				path = strings.Trim(title, "`") + "." + path
			}
			children = append(children, child{"`" + path + "`", inner})
		}
	}
	// What functions and defaults share is shown with the functions.
	slices.SortStableFunc(children, func(a, b child) int {
		return cmp.Compare(strings.Count(a.title, "defaults"), strings.Count(b.title, "defaults"))
	})
	for _, c := range children {
		if c.shape.name != "" || c.shape.kind == objectShape && strings.HasSuffix(c.title, "stages.*`") {
			r.object(c.title, c.shape)
		}
	}
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// describeShape says in words what a value is, and returns the object inside it
// with the way there.
func describeShape(s *shape) (form string, inner *shape, step string) {
	switch s.kind {
	case objectShape:
		form = "mapping"
		if s.short != nil {
			form = "text or mapping"
		}
		return form, s, ""
	case dictShape:
		form, inner, step = describeShape(s.elem)
		return "mapping from names to " + form, inner, ".*" + step
	case listShape:
		form, inner, step = describeShape(s.elem)
		if s.single {
			return "one or a list of " + form, inner, "[]" + step
		}
		return "list of " + form, inner, "[]" + step
	case textShape:
		if s.options != nil {
			quoted := make([]string, len(s.options))
			for i, o := range s.options {
				quoted[i] = code(o)
			}
			return strings.Join(quoted, ", "), nil, ""
		}
		return "text", nil, ""
	case scalarShape:
		return "text, number or boolean", nil, ""
	case integerShape:
		return fmt.Sprintf("whole number, %d to %d", s.min, s.max), nil, ""
	case booleanShape:
		return "`true` or `false`", nil, ""
	case memoryShape:
		return "size", nil, ""
	case durationShape:
		return "duration", nil, ""
	case anyShape:
		return "anything", nil, ""
	}
	panic("unknown shape")
}
