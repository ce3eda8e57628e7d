package manifest

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// A shapeMode says which tree is checked.
type shapeMode int

const (
	_ shapeMode = iota
	// rawMode is for a file as written: a variable may stand for any value.
	rawMode
	// finalMode is for the resolved tree, which is also brought into its long
	// form: short texts become mappings, bare values lists.
	finalMode
)

// checkShape reports where n differs from s: keys, types and forms, not what
// they mean together.
func checkShape(l *diag.List, n *node, s *shape, mode shapeMode) {
	c := shapeChecker{l: l, mode: mode}
	c.check(n, s, nil)
}

type shapeChecker struct {
	l    *diag.List
	mode shapeMode
}

// A trail is the way from the root to a value, for messages.
type trail struct {
	parent *trail
	key    string
	index  int // of a list entry when key is ""
}

// String returns "functions.api.triggers[2]".
func (t *trail) String() string {
	if t == nil {
		return ""
	}
	up := t.parent.String()
	switch {
	case t.key == "":
		return up + "[" + strconv.Itoa(t.index) + "]"
	case up == "":
		return t.key
	}
	return up + "." + t.key
}

// subject names the value in a message: its key.
func (t *trail) subject() string {
	switch {
	case t == nil:
		return "the manifest"
	case t.key == "":
		return "an entry of " + t.parent.subject()
	}
	return t.key
}

// check may change n in finalMode.
func (c *shapeChecker) check(n *node, s *shape, t *trail) {
	if c.mode == rawMode && n.kind == textKind && !s.literal && s.kind != anyShape && strings.Contains(n.text, "${") && variableText.MatchString(n.text) {
		return
	}
	if n.hasRefs() && !s.refs {
		ref := n.firstRef()
		d := c.errorf(n, "deploy-time", "%s must be known before the deploy, and %s is not", t.subject(), ref)
		d.Pos, d.Width = ref.Pos, utf8.RuneCountInString(ref.String())
		d.Hint = "references to deployed resources can stand in env only"
		return
	}
	switch s.kind {
	case objectShape, dictShape:
		c.mapping(n, s, t)
	case listShape:
		c.list(n, s, t)
	case textShape:
		c.text(n, s, t)
	case scalarShape:
		if n.kind != textKind && n.kind != numberKind && n.kind != boolKind {
			c.wrongType(n, t, "text, a number, true or false")
		}
	case integerShape:
		c.integer(n, s, t)
	case booleanShape:
		c.boolean(n, t)
	case memoryShape:
		if !isSize(n, memoryText.MatchString) {
			c.errorf(n, "invalid-memory", "%s must be a size such as 512MB or 1.5GB, not %s", t.subject(), n.describe()).Hint = memoryHint(n.text)
		}
	case durationShape:
		if !isSize(n, durationText.MatchString) {
			c.errorf(n, "invalid-duration", "%s must be a duration such as 30s, 1h30m or 14d, not %s", t.subject(), n.describe()).Hint = durationHint(n.text)
		}
	case anyShape:
		c.anything(n, t)
	default:
		panic(fmt.Sprintf("manifest: shape kind %d", s.kind))
	}
}

func (c *shapeChecker) errorf(n *node, code, format string, args ...any) *diag.Diagnostic {
	d := c.l.Errorf(n.pos, code, format, args...)
	d.Width, d.Origin = n.width, n.origin
	return d
}

func (c *shapeChecker) wrongType(n *node, t *trail, want string) *diag.Diagnostic {
	return c.errorf(n, "wrong-type", "%s must be %s, not %s", t.subject(), want, n.describe())
}

// isSize reports whether n is a bare whole number or a text that matches.
func isSize(n *node, matches func(string) bool) bool {
	switch n.kind {
	case numberKind:
		i, ok := wholeNumber(n.text)
		return ok && i >= 0 && i <= wholeLimit
	case textKind:
		return matches(n.text)
	}
	return false
}

// wholeNumber reads a number that may be written as 512, 512.0 or 5e2.
func wholeNumber(s string) (int64, bool) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, true
	}
	if len(s) > 40 {
		return 0, false
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		return 0, false
	}
	return r.Num().Int64(), true
}

func (c *shapeChecker) mapping(n *node, s *shape, t *trail) {
	switch {
	case s.short != nil && n.isScalar() && n.kind != nullKind:
		before := len(*c.l)
		c.check(n, s.short, t)
		if c.mode == finalMode && s.expand != nil && len(*c.l) == before {
			*n = *s.expand(n)
		}
		return
	case n.kind == nullKind && s.nullable():
		if c.mode == finalMode {
			n.kind = mapKind
		}
		return
	case n.kind != mapKind:
		want := "a mapping"
		if s.short != nil {
			want = "text or a mapping"
		}
		d := c.wrongType(n, t, want)
		if n.kind == nullKind && s.kind == objectShape {
			d.Hint = "set " + strings.Join(s.wanted(), " or ")
		}
		s.showExample(d, n)
		return
	}
	if s.kind == dictShape {
		c.dict(n, s, t)
		return
	}
	strange := false // a key is not known: it may be meant as the one that is needed
	for i := range n.fields {
		f := &n.fields[i]
		k := s.key(f.key)
		if k == nil {
			c.unknownKey(f, s, t)
			strange = true
			continue
		}
		c.check(f.value, k.shape, &trail{parent: t, key: f.key})
	}
	for _, k := range s.keys {
		if k.required && n.field(k.name) == nil {
			d := c.l.Errorf(n.pos, "missing-key", "%s is missing%s", k.name, in(t))
			d.Hint = "set " + k.name + ": " + firstLower(k.doc)
			d.Origin = n.origin
		}
	}
	if !strange {
		c.exactlyOne(n, s, t)
	}
}

// showExample tells the right form of n, which has another.
func (s *shape) showExample(d *diag.Diagnostic, n *node) {
	if s.example != nil && n.kind != nullKind {
		d.Hint = "write it like this: " + s.example(n)
	}
}

// in says where, for messages: ` in functions.api`, or nothing for the top.
func in(t *trail) string {
	if t == nil {
		return ""
	}
	return " in " + t.String()
}

func firstLower(s string) string {
	if s == "" {
		return ""
	}
	return strings.TrimSuffix(strings.ToLower(s[:1])+s[1:], ".")
}

func (c *shapeChecker) exactlyOne(n *node, s *shape, t *trail) {
	if s.one == nil {
		return
	}
	var found []*field
	for i := range n.fields {
		for _, k := range s.one {
			if n.fields[i].key == k {
				found = append(found, &n.fields[i])
			}
		}
	}
	switch len(found) {
	case 1:
	case 0:
		d := c.l.Errorf(n.pos, "one-of", "%s needs one of %s", t.subject(), strings.Join(s.one, ", "))
		d.Origin = n.origin
	default:
		d := c.l.Errorf(found[1].pos, "one-of", "%s and %s cannot stand together in %s", found[0].key, found[1].key, t.subject())
		d.Width = utf8.RuneCountInString(found[1].key)
		d.Origin = n.origin
	}
}

// nullable reports whether nothing at all is a valid value: an empty mapping or
// list.
func (s *shape) nullable() bool {
	if s.filled || s.one != nil {
		return false
	}
	for _, k := range s.keys {
		if k.required {
			return false
		}
	}
	return s.isMap() || s.kind == listShape
}

// wanted lists the keys an object cannot do without.
func (s *shape) wanted() []string {
	out := append([]string(nil), s.one...)
	for _, k := range s.keys {
		if k.required {
			out = append(out, k.name)
		}
	}
	return out
}

// otherTools are keys of other tools' manifests that people bring along, and what
// they are called here. Each is suggested only where that key can stand.
var otherTools = map[string]string{
	"batchSize": "batch", "environment": "env", "ephemeralStorageSize": "ephemeralStorage",
	"events": "triggers", "eventBridge": "event", "httpApi": "http", "iamRoleStatements": "uses",
	"maximumBatchingWindow": "window", "memorySize": "memory",
	"onError": "deadLetter", "reservedConcurrency": "concurrency", "s3": "storage", "sns": "topic",
	"sqs": "queue", "vpc": "network",
}

func (c *shapeChecker) unknownKey(f *field, s *shape, t *trail) {
	d := c.l.Errorf(f.pos, "unknown-key", "unknown key %q%s", clip(f.key, 60), in(t))
	d.Width = utf8.RuneCountInString(f.key)
	d.Origin = f.value.origin
	switch names := s.keyNames(); {
	case len(names) == 0:
		d.Hint = "nothing can be set here"
	default:
		d.Hint = "valid keys are " + strings.Join(names, ", ")
		near := diag.Nearest(f.key, names)
		if ours := otherTools[f.key]; slices.Contains(names, ours) {
			near = ours
		}
		if near != "" {
			d.Hint = fmt.Sprintf("did you mean %q? ", near) + d.Hint
		}
	}
}

func (c *shapeChecker) dict(n *node, s *shape, t *trail) {
	for i := range n.fields {
		f := &n.fields[i]
		if !s.names.matches(f.key) {
			d := c.l.Errorf(f.pos, s.names.code, "%q cannot be a name in %s", clip(f.key, 60), t.subject())
			d.Width, d.Hint, d.Origin = utf8.RuneCountInString(f.key), "names are "+s.names.rule, f.value.origin
			if s.names.options != nil {
				d.Message = fmt.Sprintf("unknown provider %q in %s", clip(f.key, 60), t.subject())
				d.Hint = orList(f.key, s.names.options)
			}
		}
		c.check(f.value, s.elem, &trail{parent: t, key: f.key})
	}
}

func (c *shapeChecker) list(n *node, s *shape, t *trail) {
	switch {
	case n.kind == nullKind && s.nullable():
		if c.mode == finalMode {
			n.kind = listKind
		}
		return
	case n.kind != listKind && s.single && n.kind != nullKind && n.kind != mapKind:
		before := len(*c.l)
		c.check(n, s.elem, t)
		if c.mode == finalMode && len(*c.l) == before {
			item := *n
			*n = node{kind: listKind, pos: n.pos, width: n.width, origin: n.origin, list: []*node{&item}}
		}
		return
	case n.kind != listKind:
		d := c.wrongType(n, t, "a list")
		if n.isScalar() && n.kind != nullKind {
			d.Hint = "write it as [" + clip(n.text, 40) + "]"
		}
		s.showExample(d, n)
		return
	case len(n.list) == 0 && s.filled:
		c.errorf(n, "empty-list", "%s must have at least one entry", t.subject())
	}
	for i, item := range n.list {
		c.check(item, s.elem, &trail{parent: t, index: i})
	}
}

func (c *shapeChecker) text(n *node, s *shape, t *trail) {
	switch {
	case n.kind != textKind && !(n.soft && n.isScalar()):
		want := "text"
		if s.options != nil {
			want = "one of " + strings.Join(s.options, ", ")
		}
		d := c.wrongType(n, t, want)
		if n.kind == numberKind || n.kind == boolKind {
			d.Hint = "quote it: " + strconv.Quote(n.text)
		}
	case s.options != nil:
		for _, o := range s.options {
			if o == n.text {
				return
			}
		}
		code := "invalid-value"
		if t != nil && t.key == "provider" {
			code = "unknown-provider"
		}
		c.errorf(n, code, "%s cannot be %s", t.subject(), n.describe()).Hint = s.guessed(n.text, "it takes "+strings.Join(s.options, ", "), s.options)
	case s.pattern != nil && !s.pattern.matches(n.text):
		c.errorf(n, s.pattern.code, "%s cannot be %s", t.subject(), n.describe()).Hint = s.guessed(n.text, "it takes "+s.pattern.rule, nil)
	}
}

// guessed puts what was probably meant before what is taken.
func (s *shape) guessed(got, takes string, options []string) string {
	near := ""
	if s.guess != nil {
		near = s.guess(got)
	}
	if near == "" {
		near = diag.Nearest(got, options)
	}
	if near == "" {
		return takes
	}
	return fmt.Sprintf("did you mean %q? ", near) + takes
}

// orList suggests the nearest of the options, or lists them.
func orList(got string, options []string) string {
	all := "it takes " + strings.Join(options, ", ")
	if near := diag.Nearest(got, options); near != "" {
		return fmt.Sprintf("did you mean %q? ", near) + all
	}
	return all
}

func (c *shapeChecker) integer(n *node, s *shape, t *trail) {
	i, ok := int64(0), false
	if n.kind == numberKind || n.kind == textKind && n.soft {
		i, ok = wholeNumber(n.text)
	}
	switch {
	case !ok:
		d := c.wrongType(n, t, "a whole number")
		if v, valid := wholeNumber(n.text); valid && n.kind == textKind {
			d.Hint = fmt.Sprintf("write it without quotes, as %d", v)
		}
	case i < s.min || i > s.max:
		c.errorf(n, "out-of-range", "%s must be from %d to %d, not %s", t.subject(), s.min, s.max, clip(n.text, 40))
	}
}

func (c *shapeChecker) boolean(n *node, t *trail) {
	if n.kind == boolKind || n.kind == textKind && n.soft && (n.text == "true" || n.text == "false") {
		return
	}
	d := c.wrongType(n, t, "true or false")
	switch strings.ToLower(n.text) {
	case "yes", "y", "on", "1", "true":
		d.Hint = "write true"
	case "no", "n", "off", "0", "false":
		d.Hint = "write false"
	}
}

// anything looks for references inside a value of any form.
func (c *shapeChecker) anything(n *node, t *trail) {
	for i, item := range n.list {
		c.check(item, anyValue, &trail{parent: t, index: i})
	}
	for _, f := range n.fields {
		c.check(f.value, anyValue, &trail{parent: t, key: f.key})
	}
}

var anyValue = anything()
