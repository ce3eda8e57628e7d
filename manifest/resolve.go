package manifest

import (
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
)

// maxText bounds what variables may make of one text.
const maxText = 256 << 10

// A resolver replaces variables by their values. Values are found when they are
// asked for, so the order of the file does not matter.
type resolver struct {
	*loader
	root     *node  // the manifest as written
	stage    string // "" until known
	provider string // "" until known

	open  []*node            // being resolved, outermost first, to find cycles
	depth int                // of values
	files map[string]include // by name
	full  bool               // the budget is spent, and that has been said
}

// resolve returns n without variables, or nil after reporting why not. chain is
// where includes brought n from.
func (r *resolver) resolve(n *node, chain []diag.Pos) *node {
	if r.isOpen(n) {
		r.cycle(n)
		return nil
	}
	if len(chain) > 0 {
		r.budget--
	}
	if r.budget < 0 {
		r.spent(n, chain)
		return nil
	}
	if r.depth > 4*maxDepth {
		r.diags.Errorf(n.pos, "too-deep", "includes are nested too deeply").Origin = chain
		return nil
	}
	r.open = append(r.open, n)
	r.depth++
	defer func() { r.open = r.open[:len(r.open)-1]; r.depth-- }()

	if len(n.via) > 0 {
		chain = join(n.via, chain)
	}
	switch n.kind {
	case textKind:
		return r.text(n, chain)
	case listKind, mapKind:
	default:
		if len(chain) == 0 {
			return n
		}
		out := *n
		out.origin, out.via = join(n.origin, chain), nil
		return &out
	}
	ok, same := true, len(chain) == 0
	list := make([]*node, len(n.list))
	for i, item := range n.list {
		list[i] = r.resolve(item, chain)
		ok, same = ok && list[i] != nil, same && list[i] == item
	}
	fields := make([]field, len(n.fields))
	for i, f := range n.fields {
		fields[i] = field{key: f.key, pos: f.pos, value: r.resolve(f.value, chain)}
		ok, same = ok && fields[i].value != nil, same && fields[i].value == f.value
	}
	switch {
	case !ok:
		return nil
	case same:
		return n
	}
	out := *n
	out.origin, out.via, out.list, out.fields = join(n.origin, chain), nil, list, fields
	return &out
}

// join puts the inner places before the outer ones.
func join(inner, outer []diag.Pos) []diag.Pos {
	switch {
	case len(outer) == 0:
		return inner
	case len(inner) == 0:
		return outer
	}
	return append(append(make([]diag.Pos, 0, len(inner)+len(outer)), inner...), outer...)
}

func (r *resolver) isOpen(n *node) bool {
	for _, o := range r.open {
		if o == n {
			return true
		}
	}
	return false
}

// spent reports once that the budget is spent: where the outermost include
// stands, or at n when it was spent on text.
func (r *resolver) spent(n *node, chain []diag.Pos) {
	if r.full {
		return
	}
	r.full = true
	pos := n.pos
	if len(chain) > 0 {
		pos = chain[len(chain)-1]
	}
	r.diags.Errorf(pos, "too-large", "variables and includes unfold to more than %d values", maxExpansion)
}

// cycle reports that resolving n needs n.
func (r *resolver) cycle(n *node) {
	var steps []string
	var first *node
	inside := false
	for _, o := range r.open {
		inside = inside || o == n
		if inside && o.kind == textKind {
			if first == nil {
				first = o
			}
			steps = append(steps, fmt.Sprintf("%s (%s)", clip(o.text, 60), o.pos))
		}
	}
	if first == nil {
		first = n
	} else {
		steps = append(steps, clip(first.text, 60))
	}
	d := r.diags.Errorf(first.pos, "variable-cycle", "the value needs itself: %s", strings.Join(steps, " → "))
	d.Width = first.width
	d.Hint = "give one of them a value of its own"
}

// text resolves a text. One that is just a variable becomes the variable's
// value with its type; otherwise values are put into the text.
func (r *resolver) text(n *node, chain []diag.Pos) *node {
	if !strings.Contains(n.text, "${") {
		if len(chain) == 0 {
			return n
		}
		out := *n
		out.origin, out.via = join(n.origin, chain), nil
		return &out
	}
	return r.template(n, 0, len(n.text), chain)
}

// template resolves the part of n's text between two offsets.
func (r *resolver) template(n *node, from, to int, chain []diag.Pos) *node {
	pieces, bad := parseTemplate(n.text, from, to)
	if bad != nil {
		r.templateError(n, bad)
		return nil
	}
	out := *n
	out.origin, out.via, out.text, out.soft = join(n.origin, chain), nil, "", false
	if len(pieces) == 1 && pieces[0].variable != nil {
		if v := pieces[0].variable; graph.Attributes[v.source] == nil {
			return r.value(n, v, chain)
		}
	}
	var parts graph.Text
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			parts = append(parts, graph.Part{Literal: b.String()})
			b.Reset()
		}
	}
	refs := false
	for _, p := range pieces {
		switch {
		case p.variable == nil:
			b.WriteString(p.literal)
		case graph.Attributes[p.variable.source] != nil:
			flush()
			refs = true
			parts = append(parts, r.reference(n, p.variable))
		default:
			out.soft = true
			v := r.value(n, p.variable, chain)
			if v == nil {
				return nil
			}
			if v.hasRefs() {
				flush()
				refs = true
				parts = append(parts, v.parts...)
				continue
			}
			if !v.isScalar() {
				d := r.diags.Errorf(n.at(p.variable.start), "wrong-type", "%s is %s, which cannot stand inside a text", quoteVariable(n.text, p.variable), v.describe())
				d.Width = utf8.RuneCountInString(n.text[p.variable.start:p.variable.end])
				d.Origin = join(n.origin, chain)
				return nil
			}
			b.WriteString(v.text)
		}
		if b.Len() > maxText {
			r.diags.Errorf(n.pos, "too-large", "variables make this text longer than %d bytes", maxText).Origin = join(n.origin, chain)
			return nil
		}
	}
	r.budget -= b.Len() / 64
	if refs {
		flush()
		out.parts = parts
		return &out
	}
	out.text = b.String()
	return &out
}

func (r *resolver) reference(n *node, v *variable) graph.Part {
	return graph.Part{Ref: &graph.Ref{Group: v.source, Name: v.path[0], Attr: v.path[1], Pos: n.at(v.start)}}
}

// value finds what a variable stands for.
func (r *resolver) value(n *node, v *variable, chain []diag.Pos) *node {
	if v.source == "file" {
		return r.include(n, v, chain)
	}
	found := func(s string) *node {
		out := *n
		out.origin, out.via, out.text, out.soft, out.kind = join(n.origin, chain), nil, s, true, textKind
		if v.start == 0 { // otherwise the value becomes a part of a text, whose place counts
			out.pos, out.width = n.at(v.start), utf8.RuneCountInString(n.text[v.start:v.end])
		}
		return &out
	}
	fail := func(code, hint, format string, args ...any) *node {
		d := r.diags.Errorf(n.at(v.start), code, format, args...)
		d.Width, d.Hint, d.Origin = utf8.RuneCountInString(n.text[v.start:v.end]), hint, join(n.origin, chain)
		return nil
	}
	missing := func(hint, format string, args ...any) *node {
		if v.fallback != nil {
			return r.fallback(n, v, chain)
		}
		return fail("variable-unset", hint, format, args...)
	}
	switch v.source {
	case "stage":
		if s, ok := r.stageName(); ok {
			return found(s)
		}
		return nil
	case "provider":
		if s, ok := r.providerName(); ok {
			return found(s)
		}
		return nil
	case "service":
		if s, ok := r.serviceName(); ok {
			return found(s)
		}
		return nil
	case "region":
		s, ok := r.region()
		switch {
		case !ok:
			return nil
		case s == "":
			return missing("set it under providers."+r.provider, "provider %s has no region set", r.provider)
		}
		return found(s)
	case "env":
		name := v.path[0]
		if r.options.Env != nil {
			// As in a shell, :- stands in for an empty variable too.
			if s, ok := r.options.Env(name); ok && (s != "" || v.fallback == nil) {
				if !utf8.ValidString(s) || len(s) > maxText {
					return fail("variable-value", "", "environment variable %s is not text that a manifest can hold", name)
				}
				return found(s)
			}
		}
		return missing("set it, or give a default: ${env."+name+":-default}", "environment variable %s is not set", name)
	case "param":
		name := v.path[0]
		if s, ok := r.options.Params[name]; ok {
			if !utf8.ValidString(s) || len(s) > maxText {
				return fail("variable-value", "", "parameter %s is not text that a manifest can hold", name)
			}
			return found(s)
		}
		return missing("give it with --param "+name+"=value", "parameter %s is not given", name)
	case "git":
		if r.options.Git == nil {
			return missing("", "git.%s is not known outside a repository", v.path[0])
		}
		s, err := r.options.Git(v.path[0])
		if err != nil {
			return missing("", "git.%s is not known: %v", v.path[0], err)
		}
		return found(s)
	}
	panic("manifest: unknown variable source " + v.source)
}

func (r *resolver) fallback(n *node, v *variable, chain []diag.Pos) *node {
	out := r.template(n, v.backAt, v.backAt+len(*v.fallback), chain)
	if out == nil {
		return nil
	}
	if out.kind == textKind && !out.hasRefs() {
		out.soft = true
	}
	return out
}

// include returns the value a file variable names, resolved.
func (r *resolver) include(n *node, v *variable, chain []diag.Pos) *node {
	target, found := r.target(n, v, chain)
	switch {
	case !found:
		return nil
	case target == nil:
		return r.fallback(n, v, chain)
	}
	return r.resolve(target, join([]diag.Pos{n.at(v.start)}, join(n.origin, chain)))
}

// target returns the value a file variable names, with its own variables still
// in it: nil and true when there is none and a fallback stands in, nil and false
// after reporting an error.
func (r *resolver) target(n *node, v *variable, chain []diag.Pos) (*node, bool) {
	pos := n.at(v.start)
	width := utf8.RuneCountInString(n.text[v.start:v.end])
	fail := func(code, hint, format string, args ...any) (*node, bool) {
		d := r.diags.Errorf(pos, code, format, args...)
		d.Width, d.Hint, d.Origin = width, hint, join(n.origin, chain)
		return nil, false
	}
	name := r.template(n, v.fileAt, v.fileAt+len(v.file), chain)
	if name == nil {
		return nil, false
	}
	if name.hasRefs() || !name.isScalar() {
		return fail("deploy-time", "", "the name of a file must be known before the deploy")
	}
	file := strings.TrimSpace(name.text)
	if filepath.IsAbs(file) || path.IsAbs(file) {
		return fail("file-absolute", "name it relative to the file that includes it", "an included file cannot have the absolute path %q", clip(file, 60))
	}
	file = r.relative(n, file)
	in, ok := r.files[file]
	if !ok {
		in = r.readInclude(file)
		r.files[file] = in
	}
	switch {
	case in.err != nil && v.fallback != nil:
		return nil, true
	case in.err != nil:
		r.unreadable(pos, width, file, in.err)
		return nil, false
	case in.root == nil:
		return nil, false // what is wrong in the file has been reported there
	}
	at := in.root
	for i, step := range v.path {
		if at = r.expand(at, chain); at == nil {
			return nil, false
		}
		next := child(at, step)
		if next == nil {
			if v.fallback != nil {
				return nil, true
			}
			where := strings.Join(append([]string{file}, v.path[:i]...), " ")
			if i > 0 {
				where = file + ", " + strings.Join(v.path[:i], ".")
			}
			return fail("file-key", r.keysHint(at, step), "there is no %q in %s", step, where)
		}
		at = next
	}
	return at, true
}

// relative resolves a file name from the folder of the file that n stands in.
func (r *resolver) relative(n *node, file string) string {
	base := r.file
	if n.source != nil {
		base = n.source.name
	}
	return filepath.Join(filepath.Dir(base), filepath.FromSlash(file))
}

// An include is a file that variables name: what it holds, or why it could not
// be read. Neither is set when the file is not valid.
type include struct {
	root *node
	err  error
}

func (r *resolver) readInclude(name string) include {
	if name == r.file {
		return include{root: r.root}
	}
	data, err := r.readFile(r.path(name))
	if err != nil {
		return include{err: err}
	}
	root := r.parse(r.add(name, data))
	if root == nil {
		return include{}
	}
	before := len(r.diags)
	r.checkTemplates(root)
	if len(r.diags) > before {
		return include{}
	}
	return include{root: root}
}

func child(n *node, step string) *node {
	switch n.kind {
	case mapKind:
		return n.get(step)
	case listKind:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.list) {
			return n.list[i]
		}
	}
	return nil
}

func (r *resolver) keysHint(n *node, step string) string {
	if n.kind == listKind {
		return fmt.Sprintf("it is a list of %d; count from 0", len(n.list))
	}
	var names []string
	for _, f := range n.fields[:min(len(n.fields), maxCandidates)] {
		names = append(names, f.key)
	}
	if near := nearestOf(&r.diags, step, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(names) > 0 {
		return "it has " + clip(strings.Join(names, ", "), 120)
	}
	return ""
}

// expand follows a text that is nothing but a file variable to the value it
// names, whose own variables stay. Other values are returned as they are.
func (r *resolver) expand(n *node, chain []diag.Pos) *node {
	depth := len(r.open)
	defer func() { r.open = r.open[:depth] }()
	via := n.via
	for n.kind == textKind && strings.HasPrefix(n.text, "${file(") {
		pieces, bad := parseTemplate(n.text, 0, len(n.text))
		if bad != nil || len(pieces) != 1 {
			break
		}
		if r.isOpen(n) {
			r.cycle(n)
			return nil
		}
		r.open = append(r.open, n)
		v := pieces[0].variable
		target, ok := r.target(n, v, chain)
		switch {
		case !ok:
			return nil
		case target == nil:
			return r.fallback(n, v, chain)
		}
		via = join(target.via, join([]diag.Pos{n.at(v.start)}, via))
		n = target
	}
	if len(via) == len(n.via) {
		return n
	}
	out := *n
	out.via = via
	return &out
}
