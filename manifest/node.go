package manifest

import (
	"strconv"
	"strings"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
)

// A kind is what a value of the file is. The zero kind is invalid on purpose.
type kind int

const (
	_ kind = iota
	nullKind
	boolKind
	numberKind
	textKind
	listKind
	mapKind
)

// A node is a value with the place it stands at. Nodes may be shared; they are
// not changed once they are built, but for the last shape check, which writes
// short forms out.
type node struct {
	kind   kind
	text   string   // of a scalar, without quotes and escapes
	pos    diag.Pos // where the value starts
	width  int      // characters it takes on its first line; 0 when not known
	list   []*node
	fields []field // in file order, keys unique

	source *source    // the file of pos; nil for made-up values
	start  int        // offset in source of a scalar's first byte
	folded bool       // a block scalar: its text starts on the next line
	soft   bool       // text that came from a variable: "5" may be a number
	parts  graph.Text // text with references known at deploy time only
	origin []diag.Pos // the aliases and includes that brought it here, innermost first
	via    []diag.Pos // to be added to the origin of everything below when resolved
}

// A field is one entry of a mapping.
type field struct {
	key   string
	pos   diag.Pos // of the key
	value *node
}

// field returns the entry of that key, or nil.
func (n *node) field(key string) *field {
	if n == nil {
		return nil
	}
	for i := range n.fields {
		if n.fields[i].key == key {
			return &n.fields[i]
		}
	}
	return nil
}

// get returns the value at a path of keys, or nil.
func (n *node) get(path ...string) *node {
	for _, k := range path {
		f := n.field(k)
		if f == nil {
			return nil
		}
		n = f.value
	}
	return n
}

// count returns how many values n is made of, itself included.
func (n *node) count() int {
	total := 1
	for _, item := range n.list {
		total += item.count()
	}
	for i := range n.fields {
		total += n.fields[i].value.count()
	}
	return total
}

func (n *node) isScalar() bool { return n.kind != listKind && n.kind != mapKind }

// hasRefs reports whether n's text is known at deploy time only.
func (n *node) hasRefs() bool { return n.parts != nil }

// describe names n in messages: its own words when it is short, otherwise what
// it is.
func (n *node) describe() string {
	switch n.kind {
	case nullKind:
		return "nothing"
	case listKind:
		return "a list"
	case mapKind:
		return "a mapping"
	case boolKind, numberKind:
		return n.text
	}
	if n.hasRefs() {
		return strconv.Quote(clip(n.parts.String(), 60))
	}
	return strconv.Quote(clip(n.text, 60))
}

// clip shortens s to at most n characters.
func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return strings.TrimRight(string(r[:n-1]), " ") + "…"
}

// place is where a message about n points: the value of a scalar, the key of a
// mapping or a list, whose own start is on another line as a rule.
func (f *field) place() diag.Pos {
	if f.value.isScalar() && f.value.kind != nullKind && f.value.pos.IsValid() {
		return f.value.pos
	}
	return f.pos
}

// firstRef returns the first reference of a text that has one.
func (n *node) firstRef() *graph.Ref {
	for _, p := range n.parts {
		if p.Ref != nil {
			return p.Ref
		}
	}
	return nil
}
