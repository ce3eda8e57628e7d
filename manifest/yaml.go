package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// Limits of what a file may unfold to. A large real manifest has some ten
// thousand values and is nested eight deep.
const (
	maxDepth     = 64
	maxExpansion = 200_000
)

// parse turns a file into nodes, aliases and merge keys resolved, or returns nil
// after reporting why not.
func (l *loader) parse(s *source) *node {
	if !s.checkEncoding(&l.diags) {
		return nil
	}
	in, err := yaml.NewLoader(bytes.NewReader(s.data))
	var doc yaml.Node
	if err == nil {
		err = in.Load(&doc)
	}
	switch {
	case errors.Is(err, io.EOF):
		l.diags.Errorf(diag.Pos{File: s.name, Line: 1, Column: 1}, "empty-file", "the file is empty").Hint =
			"make the first line `apiVersion: " + APIVersion + "`"
		return nil
	case err != nil:
		l.syntaxError(s, err)
		return nil
	}
	var next yaml.Node
	switch err := in.Load(&next); {
	case err == nil:
		l.diags.Errorf(s.pos(next.Line, next.Column), "yaml-documents", "a second YAML document starts here; a file holds one").Hint = "move it to a file of its own"
		return nil
	case !errors.Is(err, io.EOF):
		l.syntaxError(s, err)
		return nil
	}
	if doc.Kind == yaml.DocumentNode {
		if len(doc.Content) == 0 {
			doc.Kind = yaml.ScalarNode
			doc.Tag = "!!null"
		} else {
			doc = *doc.Content[0]
		}
	}
	c := &converter{loader: l, source: s, open: map[*yaml.Node]bool{}}
	root := c.convert(&doc, 0)
	if root == nil {
		return nil
	}
	if root.kind == nullKind {
		l.diags.Errorf(root.pos, "empty-file", "the file is empty").Hint = "make the first line `apiVersion: " + APIVersion + "`"
		return nil
	}
	if s.name == l.file && root.kind != mapKind {
		l.diags.Errorf(root.pos, "wrong-type", "a manifest is a mapping of keys to values, not %s", root.describe()).Hint =
			"make the first line `apiVersion: " + APIVersion + "`"
		return nil
	}
	return root
}

// syntaxError reports an error of the YAML reader in plain words.
func (l *loader) syntaxError(s *source, err error) {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		l.diags.Errorf(s.pos(1, 1), "yaml-syntax", "not valid YAML: %v", err)
		return
	}
	pos := s.pos(le.Mark.Line, le.Mark.Column)
	if m, ok := strings.CutPrefix(le.Message, "unknown anchor '"); ok {
		name, _, _ := strings.Cut(m, "'")
		l.diags.Errorf(pos, "yaml-alias", "alias *%s names no anchor", name).Hint = "put &" + name + " before the value it stands for, above this line"
		return
	}
	message := le.Message
	if le.ContextMsg != "" {
		message = le.ContextMsg + ": " + message
	}
	opened := strings.Contains(le.ContextMsg, "flow") || strings.Contains(le.ContextMsg, "quoted scalar")
	if i, ok := s.offset(pos); opened && (!ok || len(bytes.TrimSpace(s.data[i:])) == 0) {
		// The end of the file is where the reader gave up, not where to look.
		pos = s.pos(le.ContextMark.Line, le.ContextMark.Column)
		l.diags.Errorf(pos, "yaml-syntax", "not valid YAML: what is opened here is not closed").Hint = "close it with the matching quote or bracket"
		return
	}
	d := l.diags.Errorf(pos, "yaml-syntax", "not valid YAML: %s", message)
	switch {
	case s.tabAt(pos):
		d.Message = "a tab cannot indent YAML"
		d.Hint = "indent with spaces"
	case strings.Contains(le.Message, "max depth"):
		d.Code, d.Message = "too-deep", fmt.Sprintf("values are nested more than %d deep", maxDepth)
	case strings.Contains(le.Message, "mapping values are not allowed"):
		d.Hint = "quote the value if it holds a colon; otherwise check the indentation"
	case strings.Contains(le.Message, "did not find expected key"), strings.Contains(le.Message, "did not find expected '-'"),
		strings.Contains(le.Message, "could not find expected ':'"):
		d.Hint = "check the indentation of this line and the ones above it"
	case opened:
		d.Hint = "close what was opened at " + s.short(le.ContextMark)
	case strings.Contains(le.Message, "cannot start any token"):
		d.Hint = "quote the value; it starts with a character that YAML reserves"
	}
}

func (s *source) short(m yaml.Mark) string {
	p := s.pos(m.Line, m.Column)
	p.File = ""
	return p.String()
}

// tabAt reports whether the place, or the white space before it, is a tab.
func (s *source) tabAt(p diag.Pos) bool {
	i, ok := s.offset(p)
	if !ok {
		return false
	}
	start := s.lines[p.Line-1]
	rest := s.data[start:]
	indent := rest[:len(rest)-len(bytes.TrimLeft(rest, " \t"))]
	return i <= start+len(indent) && bytes.IndexByte(indent, '\t') >= 0
}

// A converter turns the YAML reader's nodes of one file into ours.
type converter struct {
	loader *loader
	source *source
	open   map[*yaml.Node]bool // being converted, to find aliases inside themselves
	alias  []diag.Pos          // aliases being followed, innermost first
	over   bool                // the budget is spent, and that has been said
}

// convert returns nil after reporting an error.
func (c *converter) convert(y *yaml.Node, depth int) *node {
	if y.Kind == yaml.AliasNode {
		pos := c.source.pos(y.Line, y.Column)
		if c.open[y.Alias] {
			c.loader.diags.Errorf(pos, "yaml-alias", "alias *%s stands inside the value it names", y.Value).Width = len(y.Value) + 1
			return nil
		}
		c.alias = append([]diag.Pos{pos}, c.alias...)
		defer func() { c.alias = c.alias[1:] }()
		return c.convert(y.Alias, depth)
	}
	n := &node{pos: c.source.pos(y.Line, y.Column), source: c.source, origin: c.alias}
	if depth > maxDepth {
		c.loader.diags.Errorf(n.pos, "too-deep", "values are nested more than %d deep", maxDepth)
		return nil
	}
	if len(c.alias) > 0 {
		if c.loader.budget--; c.loader.budget < 0 {
			if !c.over {
				c.over = true
				c.loader.diags.Errorf(c.alias[len(c.alias)-1], "too-large", "aliases unfold to more than %d values", maxExpansion)
			}
			return nil
		}
	}
	c.open[y] = true
	defer delete(c.open, y)
	ok := c.checkTag(y, n)
	switch y.Kind {
	case yaml.ScalarNode:
		c.scalar(y, n)
	case yaml.SequenceNode:
		n.kind = listKind
		for _, item := range y.Content {
			v := c.convert(item, depth+1)
			if v == nil {
				ok = false
				continue
			}
			n.list = append(n.list, v)
		}
	case yaml.MappingNode:
		n.kind = mapKind
		ok = c.mapping(y, n, depth) && ok
	default:
		c.loader.diags.Errorf(n.pos, "yaml-syntax", "not valid YAML")
		return nil
	}
	if !ok {
		return nil
	}
	return n
}

// checkTag refuses explicit tags: they change types behind the reader's back.
func (c *converter) checkTag(y *yaml.Node, n *node) bool {
	if y.Style&yaml.TaggedStyle == 0 || y.Tag == "!!str" && y.Kind == yaml.ScalarNode {
		return true
	}
	c.loader.diags.Errorf(n.pos, "yaml-tag", "a manifest has no use for the tag %q", y.Tag).Hint = "remove the tag, and quote the value if it shall be text"
	return false
}

// plainNumber is what counts as a number: decimal, as JSON has it. Other forms
// mean different things to different YAML readers and are kept as text.
var plainNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?$`)

func (c *converter) scalar(y *yaml.Node, n *node) {
	n.text = y.Value
	n.kind = textKind
	if y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		switch y.Tag {
		case "!!null":
			n.kind, n.text = nullKind, ""
		case "!!bool":
			n.kind, n.text = boolKind, strings.ToLower(y.Value)
		case "!!int", "!!float":
			if plainNumber.MatchString(y.Value) {
				n.kind = numberKind
			}
		}
	}
	n.folded = y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0
	start, ok := c.source.offset(n.pos)
	if !ok {
		n.source = nil
		return
	}
	n.start = start
	n.width = c.source.scalarWidth(start, y)
}

// scalarWidth counts the characters of a scalar on its first line.
func (s *source) scalarWidth(start int, y *yaml.Node) int {
	rest := s.data[start:]
	if i := bytes.IndexAny(rest, "\r\n"); i >= 0 {
		rest = rest[:i]
	}
	switch {
	case y.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0 || y.Anchor != "":
		return 0
	case y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		if len(rest) == 0 {
			return 0
		}
		quote := rest[0]
		for i := 1; i < len(rest); i++ {
			switch {
			case rest[i] == '\\' && quote == '"':
				i++
			case rest[i] == quote && quote == '\'' && i+1 < len(rest) && rest[i+1] == quote:
				i++
			case rest[i] == quote:
				return utf8.RuneCount(rest[:i+1])
			}
		}
		return utf8.RuneCount(rest)
	case bytes.HasPrefix(rest, []byte(y.Value)):
		return utf8.RuneCountInString(y.Value)
	}
	return 0
}

// mapping reads the entries of y into n, merge keys last, since a key that is
// written out wins over a merged one.
func (c *converter) mapping(y *yaml.Node, n *node, depth int) bool {
	ok := true
	seen := make(map[string]diag.Pos, len(y.Content)/2)
	n.fields = make([]field, 0, len(y.Content)/2)
	var merges []*yaml.Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		pos := c.source.pos(k.Line, k.Column)
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Tag == "!!merge" {
			merges = append(merges, v)
			continue
		}
		if k.Kind != yaml.ScalarNode || k.Style&yaml.TaggedStyle != 0 {
			c.loader.diags.Errorf(pos, "yaml-key", "a key must be plain text").Hint = "quote it if it starts with [, {, !, * or &"
			ok = false
			continue
		}
		if k.Tag == "!!null" && k.Value == "" {
			c.loader.diags.Errorf(pos, "yaml-key", "a key is missing before the colon")
			ok = false
			continue
		}
		if first, dup := seen[k.Value]; dup {
			at := first
			at.File = ""
			c.loader.diags.Errorf(pos, "duplicate-key", "key %q is already set at %s", clip(k.Value, 60), at).Width = utf8.RuneCountInString(k.Value)
			ok = false
			continue
		}
		seen[k.Value] = pos
		value := c.convert(v, depth+1)
		if value == nil {
			ok = false
			continue
		}
		n.fields = append(n.fields, field{key: k.Value, pos: pos, value: value})
	}
	for _, m := range merges {
		ok = c.merge(m, n, seen, depth) && ok
	}
	return ok
}

// merge adds the entries of a merge key's value, a mapping or a list of them,
// that n does not have yet.
func (c *converter) merge(y *yaml.Node, n *node, seen map[string]diag.Pos, depth int) bool {
	v := c.convert(y, depth+1)
	if v == nil {
		return false
	}
	from := []*node{v}
	if v.kind == listKind {
		from = v.list
	}
	for _, m := range from {
		if m.kind != mapKind {
			c.loader.diags.Errorf(m.pos, "yaml-merge", "the merge key << takes a mapping or a list of mappings, not %s", m.describe())
			return false
		}
		for _, f := range m.fields {
			if _, ok := seen[f.key]; !ok {
				seen[f.key] = f.pos
				n.fields = append(n.fields, f)
			}
		}
	}
	return true
}
