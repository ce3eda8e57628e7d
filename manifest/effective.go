package manifest

import (
	"fmt"
	"slices"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// An effective manifest is what counts for one stage and one provider: overlays
// merged, variables resolved, short forms written out.
type effective struct {
	root     *node
	service  string
	stage    string
	provider string
}

// effective builds the effective manifest, or returns nil after reporting why
// there is none.
func (l *loader) effective(root *node) *effective {
	l.budget += maxExpansion
	r := &resolver{loader: l, root: root, files: map[string]include{}}
	stage, ok1 := r.stageName()
	provider, ok2 := r.providerName()
	if !ok1 || !ok2 {
		return nil
	}
	r.stage, r.provider = stage, provider
	r.checkStage()

	merged := r.without(root, "stages")
	if over := r.stageOverlay(); over != nil {
		if !r.checkIncluded(over, language.key("stages").shape.elem, &trail{parent: &trail{key: "stages"}, key: stage}) {
			return nil
		}
		merged = r.merge(merged, over, language)
	}
	if merged == nil {
		return nil
	}
	if merged = r.narrow(merged); merged == nil {
		return nil
	}
	out := r.resolve(merged, nil)
	if out == nil || l.diags.HasErrors() {
		return nil
	}
	checkShape(&l.diags, out, language, finalMode)
	if l.diags.HasErrors() {
		return nil
	}
	if r.checkStageFunctions(out); l.diags.HasErrors() {
		return nil
	}
	return &effective{root: out, service: out.get("service").text, stage: stage, provider: provider}
}

// checkStageFunctions reports the functions that the stage alone has and that
// have nothing to run: a name was mistyped. out is the tree with everything merged.
func (r *resolver) checkStageFunctions(out *node) {
	base, over := r.root.get("functions"), r.stageOverlay().get("functions")
	if over == nil || over.kind != mapKind || base != nil && base.kind != mapKind {
		return
	}
	var known []string
	if base != nil {
		for _, f := range base.fields {
			known = append(known, f.key)
		}
	}
	for _, f := range over.fields {
		fn := out.get("functions", f.key)
		if slices.Contains(known, f.key) || fn == nil || fn.field("handler") != nil || fn.field("command") != nil || fn.field("image") != nil {
			continue
		}
		d := r.diags.Errorf(f.pos, "unknown-function", "stage %q sets up function %q, which does not exist", r.stage, f.key)
		d.Width, d.Origin = len(f.key), f.value.origin
		d.Hint = "a function of this stage alone needs a handler"
		if near := nearestOf(&r.diags, f.key, known); near != "" {
			d.Hint = fmt.Sprintf("did you mean %q? ", near) + d.Hint
		}
	}
}

// stageName returns the stage: --stage, the manifest's, or dev.
func (r *resolver) stageName() (string, bool) {
	if r.stage != "" {
		return r.stage, true
	}
	if s := r.options.Stage; s != "" {
		if !namePattern.matches(s) {
			r.diags.Errorf(diag.Pos{File: r.file}, namePattern.code, "stage cannot be %q", clip(s, 60)).Hint = "it takes " + namePattern.rule
			return "", false
		}
		r.stage = s
		return s, true
	}
	s, ok := r.scalar(r.root, "stage")
	if s == "" {
		s = "dev"
	}
	return s, ok
}

// providerName returns the provider: --provider, the stage's, the manifest's, or
// local.
func (r *resolver) providerName() (string, bool) {
	if r.provider != "" {
		return r.provider, true
	}
	if p := r.options.Provider; p != "" {
		if !slices.Contains(Providers, p) {
			r.diags.Errorf(diag.Pos{File: r.file}, "unknown-provider", "unknown provider %q", clip(p, 60)).Hint = orList(p, Providers)
			return "", false
		}
		r.provider = p
		return p, true
	}
	if _, ok := r.stageName(); !ok {
		return "", false
	}
	if over := r.stageOverlay(); over.field("provider") != nil {
		return r.scalar(over, "provider")
	}
	p, ok := r.scalar(r.root, "provider")
	if p == "" {
		p = "local"
	}
	return p, ok
}

func (r *resolver) serviceName() (string, bool) { return r.scalar(r.root, "service") }

// region returns the region of the provider in use, "" when none is set.
func (r *resolver) region() (string, bool) {
	provider, ok := r.providerName()
	if !ok {
		return "", false
	}
	name := regionKey(provider)
	if name == "" {
		return "local", true
	}
	for _, from := range []*node{r.stageOverlay(), r.root} {
		for _, step := range []string{"providers", provider} {
			f := from.field(step)
			if f == nil {
				from = nil
				break
			}
			if from = r.expand(f.value, nil); from == nil {
				return "", false
			}
		}
		if from.field(name) != nil {
			return r.scalar(from, name)
		}
	}
	return "", true
}

// regionKey is what a provider calls its region, "" when it has none.
func regionKey(provider string) string {
	switch provider {
	case "local":
		return ""
	case "azure":
		return "location"
	}
	return "region"
}

// scalar resolves one setting of a mapping and checks it, "" when it is not set.
func (r *resolver) scalar(from *node, name string) (string, bool) {
	f := from.field(name)
	if f == nil {
		return "", true
	}
	v := r.resolve(f.value, nil)
	if v == nil {
		return "", false
	}
	s := text(nil)
	if k := language.key(name); k != nil {
		s = k.shape
	}
	before := len(r.diags)
	c := shapeChecker{l: &r.diags, mode: finalMode}
	c.check(v, s, &trail{key: name})
	return v.text, len(r.diags) == before
}

// stageOverlay returns the overlay of the stage, or nil.
func (r *resolver) stageOverlay() *node {
	stage, ok := r.stageName()
	f := r.root.field("stages")
	if !ok || f == nil {
		return nil
	}
	stages := r.expand(f.value, nil)
	if stages == nil {
		return nil
	}
	if f = stages.field(stage); f == nil {
		return nil
	}
	return r.expand(passVia(f.value, stages.via), nil)
}

// checkIncluded checks the shape of an overlay that came from another file: once
// it is merged, what it may not hold can no longer be told from what it may.
func (r *resolver) checkIncluded(n *node, s *shape, t *trail) bool {
	if n.pos.File == r.file {
		return true // checked with the rest of the manifest
	}
	before := len(r.diags)
	c := shapeChecker{l: &r.diags, mode: rawMode}
	c.check(n, s, t)
	for i := before; i < len(r.diags); i++ {
		r.diags[i].Origin = join(r.diags[i].Origin, n.via)
	}
	return len(r.diags) == before
}

// checkStage says when the stage looks like a mistyped one: a new name silently
// makes a new stack.
func (r *resolver) checkStage() {
	f := r.root.field("stages")
	if f == nil || r.stageOverlay() != nil {
		return
	}
	stages := r.expand(f.value, nil)
	if stages == nil {
		return
	}
	var names []string
	for _, s := range stages.fields {
		names = append(names, s.key)
	}
	if near := diag.Nearest(r.stage, names); near != "" {
		pos := f.pos
		if own := r.root.field("stage"); own != nil && r.options.Stage == "" {
			pos = own.place()
		}
		r.diags.Warnf(pos, "unlisted-stage", "stage %q has no overlay here and becomes a stage of its own", r.stage).Hint = fmt.Sprintf("did you mean %q?", near)
	}
}

func (r *resolver) without(n *node, names ...string) *node {
	out := *n
	out.fields = slices.DeleteFunc(slices.Clone(n.fields), func(f field) bool { return slices.Contains(names, f.key) })
	return &out
}

// merge lays over onto base: mappings merge, everything else is replaced. It
// returns nil after reporting an error.
func (r *resolver) merge(base, over *node, s *shape) *node {
	if s.isMap() && s.short == nil {
		base, over = r.expand(base, nil), r.expand(over, nil)
		if base == nil || over == nil {
			return nil
		}
		if over.kind == nullKind {
			return base
		}
	}
	if base.kind != mapKind || over.kind != mapKind {
		return over
	}
	out := *base
	out.via = nil
	at := make(map[string]int, len(base.fields))
	out.fields = make([]field, 0, len(base.fields)+len(over.fields))
	for _, f := range base.fields {
		at[f.key] = len(out.fields)
		f.value = passVia(f.value, base.via)
		out.fields = append(out.fields, f)
	}
	for _, f := range over.fields {
		f.value = passVia(f.value, over.via)
		i, ok := at[f.key]
		if !ok {
			out.fields = append(out.fields, f)
			continue
		}
		sub := anyValue
		if s.kind == dictShape {
			sub = s.elem
		} else if k := s.key(f.key); k != nil {
			sub = k.shape
		}
		v := r.merge(out.fields[i].value, f.value, sub)
		if v == nil {
			return nil
		}
		pos := f.pos
		if v.kind == mapKind {
			pos = out.fields[i].pos
		}
		out.fields[i] = field{key: f.key, pos: pos, value: v}
	}
	return &out
}

// passVia hands the origin of a mapping on to a value taken out of it.
func passVia(n *node, via []diag.Pos) *node {
	if len(via) == 0 {
		return n
	}
	out := *n
	out.via = join(n.via, via)
	return &out
}

// narrow puts defaults and the provider's overlay into each function and leaves
// out what is for other providers, whose variables need not have values.
func (r *resolver) narrow(root *node) *node {
	out := r.without(root, "defaults", "providers", "functions", "resources")
	whole := true // as long as every part could be read; all mistakes are told at once
	take := func(name string, edit func(*field) *field) {
		f := root.field(name)
		if f == nil {
			return
		}
		if f = edit(f); f == nil {
			whole = false
			return
		}
		out.fields = append(out.fields, *f)
	}
	take("providers", func(f *field) *field {
		return r.only(f, language.key("providers").shape, &trail{key: "providers"})
	})
	take("resources", r.selectExternal)
	var defaults *node
	if f := root.field("defaults"); f != nil {
		if defaults = r.expand(f.value, nil); defaults == nil || !r.checkIncluded(defaults, defaultsShape, &trail{key: "defaults"}) {
			return nil
		}
		if defaults.kind != mapKind && defaults.kind != nullKind {
			// Only a variable can be of the wrong kind here; resolving it
			// lets the last shape check say so.
			out.fields = append(out.fields, *f)
			defaults = nil
		}
	}
	take("functions", func(f *field) *field { return r.selectFunctions(f, defaults) })
	if !whole {
		return nil
	}
	return out
}

// only reduces a mapping by provider to the provider in use. s and t say what the
// mapping is.
func (r *resolver) only(f *field, s *shape, t *trail) *field {
	v := r.expand(f.value, nil)
	if v == nil || !r.checkIncluded(v, s, t) {
		return nil
	}
	if v.kind != mapKind {
		return &field{key: f.key, pos: f.pos, value: v}
	}
	out := *v
	out.fields = nil
	for _, e := range v.fields {
		if e.key == r.provider {
			out.fields = append(out.fields, e)
		}
	}
	return &field{key: f.key, pos: f.pos, value: &out}
}

// each replaces the entries of a mapping; edit returns nil after an error.
func (r *resolver) each(f *field, edit func(field) *field) *field {
	v := r.expand(f.value, nil)
	if v == nil {
		return nil
	}
	if v.kind != mapKind {
		return &field{key: f.key, pos: f.pos, value: v}
	}
	out := *v
	out.fields = make([]field, 0, len(v.fields))
	whole := true
	for _, e := range v.fields {
		n := edit(e)
		if n == nil {
			whole = false
			continue
		}
		out.fields = append(out.fields, *n)
	}
	if !whole {
		return nil
	}
	return &field{key: f.key, pos: f.pos, value: &out}
}

func (r *resolver) selectExternal(f *field) *field {
	return r.each(f, func(group field) *field {
		if group.key != "external" {
			return &group
		}
		external := language.key("resources").shape.key("external").shape
		t := &trail{parent: &trail{key: "resources"}, key: "external"}
		return r.each(&group, func(kinds field) *field {
			k := external.key(kinds.key)
			if k == nil {
				return &kinds // the last shape check says so
			}
			t := &trail{parent: t, key: kinds.key}
			return r.each(&kinds, func(name field) *field {
				return r.only(&name, k.shape.elem, &trail{parent: t, key: name.key})
			})
		})
	})
}

func (r *resolver) selectFunctions(f *field, defaults *node) *field {
	return r.each(f, func(fn field) *field {
		v := r.expand(fn.value, nil)
		if v == nil {
			return nil
		}
		if v.kind == nullKind {
			v = &node{kind: mapKind, pos: v.pos, origin: v.origin, via: v.via}
		}
		if v.kind != mapKind {
			return &fn
		}
		var on *node
		if o := v.field("on"); o != nil {
			t := &trail{parent: &trail{parent: &trail{key: "functions"}, key: fn.key}, key: "on"}
			if o = r.only(o, functionShape.key("on").shape, t); o == nil {
				return nil
			}
			on = o.value.get(r.provider)
			if on != nil {
				if on = r.expand(passVia(on, join(o.value.via, v.via)), nil); on == nil {
					return nil
				}
				if !r.checkIncluded(on, functionShape.key("on").shape.elem, &trail{parent: t, key: r.provider}) {
					return nil
				}
			}
			if o.value.kind == mapKind || o.value.kind == nullKind { // otherwise the last shape check says so
				v = r.without(v, "on")
			}
		}
		if defaults != nil {
			if v = r.merge(defaults, v, functionShape); v == nil {
				return nil
			}
		}
		if on != nil {
			if v = r.merge(v, on, functionShape); v == nil {
				return nil
			}
		}
		v.pos = fn.value.pos
		return &field{key: fn.key, pos: fn.pos, value: v}
	})
}
