package manifest

import "regexp"

// A shapeKind is a form a value can have. The zero shapeKind is invalid.
type shapeKind int

const (
	_             shapeKind = iota
	objectShape             // a mapping with known keys
	dictShape               // a mapping from names to values of one shape
	listShape               // a list of values of one shape
	textShape               // text, of a pattern or from a set
	scalarShape             // text, a number or a boolean, kept as written
	integerShape            // a whole number
	booleanShape            // true or false
	memoryShape             // 512MB, 1.5GB, 512
	durationShape           // 15s, 1h30m, 14d, 15
	anyShape                // anything
)

// A shape describes a value. Shapes are built once, with the functions below.
type shape struct {
	kind shapeKind
	name string // object: its name in the JSON Schema and in messages
	doc  string // object

	keys []key    // object
	one  []string // object: exactly one of these keys is set
	own  bool     // object: being there is a setting by itself
	// Objects can be written as a short text; expand makes the mapping of it.
	// Without expand the text itself is the setting.
	short  *shape
	expand func(n *node) *node

	names *pattern // dict
	elem  *shape   // dict, list

	single bool // list: one bare value stands for a list of it
	filled bool // list: not empty

	pattern *pattern // text; nil takes any
	options []string // text: one of these; nil takes any
	literal bool     // text: variables cannot stand here
	// What a text that does not match was probably meant to be, or "".
	guess func(string) string
	// object, list: one line of YAML in the right form for a value, not nothing,
	// of another form; made of that value where it can be.
	example func(n *node) string
	refs    bool // scalar: references known at deploy time may stand here

	min, max int64 // integer
}

// A key is an entry of an object.
type key struct {
	name     string
	doc      string
	standard string // what counts when it is not set, as one would write it
	required bool
	shape    *shape
}

// A pattern is what a name or a short text must look like: an expression or a
// set of options.
type pattern struct {
	expr    string
	options []string
	code    string // of the diagnostic when it does not
	rule    string // in words
	re      *regexp.Regexp
}

func (p *pattern) matches(s string) bool {
	if p.options != nil {
		for _, o := range p.options {
			if o == s {
				return true
			}
		}
		return false
	}
	return p.re.MatchString(s)
}

func object(name, doc string, keys ...key) *shape {
	return &shape{kind: objectShape, name: name, doc: doc, keys: keys}
}

// overlay is an object none of whose keys are required.
func overlay(doc string, keys ...key) *shape {
	return &shape{kind: objectShape, doc: doc, keys: keys}
}

func dict(names *pattern, elem *shape) *shape {
	names.compile()
	return &shape{kind: dictShape, names: names, elem: elem}
}

func list(elem *shape) *shape { return &shape{kind: listShape, elem: elem} }

func text(p *pattern) *shape {
	if p != nil {
		p.compile()
	}
	return &shape{kind: textShape, pattern: p}
}

func (p *pattern) compile() {
	if p.options == nil && p.re == nil {
		p.re = regexp.MustCompile(p.expr)
	}
}

func choice(options ...string) *shape { return &shape{kind: textShape, options: options} }

func literal(value string) *shape {
	return &shape{kind: textShape, options: []string{value}, literal: true}
}

func scalar() *shape                 { return &shape{kind: scalarShape} }
func integer(low, high int64) *shape { return &shape{kind: integerShape, min: low, max: high} }
func boolean() *shape                { return &shape{kind: booleanShape} }
func memory() *shape                 { return &shape{kind: memoryShape} }
func duration() *shape               { return &shape{kind: durationShape} }
func anything() *shape               { return &shape{kind: anyShape} }

// orText lets a short text stand for the object; see shape.expand.
func (s *shape) orText(short *shape, expand func(*node) *node) *shape {
	s.short, s.expand = short, expand
	return s
}

func (s *shape) orSingle() *shape { s.single = true; return s }
func (s *shape) nonEmpty() *shape { s.filled = true; return s }
func (s *shape) withRefs() *shape { s.refs = true; return s }

// asSetting makes an object a setting by itself, besides its keys.
func (s *shape) asSetting() *shape { s.own = true; return s }

func (s *shape) guessing(guess func(string) string) *shape { s.guess = guess; return s }

// shownAs gives an object or a list the example for values of another form.
func (s *shape) shownAs(example func(n *node) string) *shape { s.example = example; return s }

func (s *shape) exactlyOne(keys ...string) *shape { s.one = keys; return s }

// key returns the entry of that name, or nil.
func (s *shape) key(name string) *key {
	for i := range s.keys {
		if s.keys[i].name == name {
			return &s.keys[i]
		}
	}
	return nil
}

// keyNames returns the names of an object's entries in their order.
func (s *shape) keyNames() []string {
	names := make([]string, len(s.keys))
	for i, k := range s.keys {
		names[i] = k.name
	}
	return names
}

// isMap reports whether values of the shape are mappings.
func (s *shape) isMap() bool { return s.kind == objectShape || s.kind == dictShape }

// Memory and duration as text. The digits are bounded so that no sum overflows
// unnoticed.
const (
	memoryExpr   = `^([0-9]{1,9} ?(MB|MiB)?|[0-9]{1,6}(\.[0-9]{1,3})? ?(GB|GiB))$`
	durationExpr = `^([0-9]{1,9}|([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h|d))+)$`
	// variableExpr finds a variable in a text: ${ that is not written $${.
	variableExpr = `(^|[^$])\$\{`
	wholeLimit   = 999_999_999
)

var (
	memoryText   = regexp.MustCompile(memoryExpr)
	durationText = regexp.MustCompile(durationExpr)
	variableText = regexp.MustCompile(variableExpr)
)
