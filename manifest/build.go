package manifest

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
)

// A builder turns an effective manifest, whose shape is right, into a graph and
// reports what does not fit together.
type builder struct {
	l    *diag.List
	root *node
	g    *graph.Graph

	names   map[graph.ResourceKind]map[string]*field // declared resources, with their place
	missing map[graph.ResourceKind]map[string]*field // external ones without an identity on this provider
	sorted  map[graph.ResourceKind][]string          // names, once asked for
	zones   map[string]bool                          // time zones that were looked up
}

func build(l *diag.List, e *effective, dir, file string) *graph.Graph {
	b := &builder{
		l:       l,
		root:    e.root,
		g:       &graph.Graph{Service: e.service, Stage: e.stage, Provider: e.provider, Dir: dir, File: file},
		names:   map[graph.ResourceKind]map[string]*field{},
		missing: map[graph.ResourceKind]map[string]*field{},
		sorted:  map[graph.ResourceKind][]string{},
		zones:   map[string]bool{},
	}
	b.service()
	b.resources()
	b.http()
	b.functions()
	b.checkResources()
	b.checkRoutes()
	b.checkReferences()
	b.g.Used = used(e.root, b.g.Accept)
	return b.g
}

func (b *builder) service() {
	g := b.g
	g.Position = graph.Positions{"": b.root.pos}
	for i := range b.root.fields {
		f := &b.root.fields[i]
		g.Position[f.key] = f.place()
		if f.key == "tags" || f.key == "providers" {
			place(g.Position, f.value, f.key)
		}
	}
	g.Accept = merged(texts(b.root.get("accept")), nil)
	g.Tags = map[string]string{}
	for _, f := range fieldsOf(b.root.get("tags")) {
		g.Tags[f.key] = f.value.text
	}
	g.Settings = map[string]string{}
	for _, f := range fieldsOf(b.root.get("providers", g.Provider)) {
		g.Settings[f.key] = f.value.text
		if f.value.kind == numberKind {
			g.Settings[f.key] = whole(f.value)
		}
	}
	if k := regionKey(g.Provider); k != "" {
		g.Region = g.Settings[k]
	}
	b.checkURL(b.root.field("providers").sub(g.Provider).sub("endpoint"), "endpoint", "http", "https")
	g.Backend = str(b.root, "backend")
	b.checkURL(b.root.field("backend"), "backend", "file", "s3", "gs", "azblob", "https", "http")
}

// sub returns the field below f, or nil.
func (f *field) sub(key string) *field {
	if f == nil {
		return nil
	}
	return f.value.field(key)
}

// errorf reports an error at a setting.
func (b *builder) errorf(f *field, code, format string, args ...any) *diag.Diagnostic {
	d := b.l.Errorf(f.place(), code, format, args...)
	b.aim(d, f)
	return d
}

func (b *builder) warnf(f *field, code, format string, args ...any) *diag.Diagnostic {
	d := b.l.Warnf(f.place(), code, format, args...)
	b.aim(d, f)
	return d
}

func (b *builder) aim(d *diag.Diagnostic, f *field) {
	d.Origin = f.value.origin
	d.Width = f.value.width
	if d.Pos != f.value.pos {
		d.Width = len([]rune(f.key))
	}
}

// The readers below take a tree whose shape was checked; what is not set reads
// as the zero value.

func fieldsOf(n *node) []field {
	if n == nil {
		return nil
	}
	return n.fields
}

func str(n *node, path ...string) string {
	if v := n.get(path...); v != nil {
		return v.text
	}
	return ""
}

// texts returns the texts of a list, in its order.
func texts(n *node) []string {
	if n == nil {
		return nil
	}
	var out []string
	for _, item := range n.list {
		out = append(out, item.text)
	}
	return out
}

func truth(n *node, path ...string) bool { return str(n, path...) == "true" }

func whole(n *node) string {
	if i, ok := wholeNumber(n.text); ok {
		return itoa(i)
	}
	return n.text
}

func number(n *node, standard int, path ...string) int {
	v := n.get(path...)
	if v == nil {
		return standard
	}
	i, _ := wholeNumber(v.text)
	return int(i)
}

// duration reads a duration and reports one outside low and high.
func (b *builder) duration(n *node, low, high, standard time.Duration, path ...string) time.Duration {
	last := len(path) - 1
	f := n.get(path[:last]...).field(path[last])
	if f == nil {
		return standard
	}
	d := parseDuration(sizeText(f.value))
	if d < low || d > high {
		b.errorf(f, "out-of-range", "%s must be from %s to %s, not %s", path[last], shortDuration(low), shortDuration(high), f.value.text)
	}
	return d
}

// memory reads a size in MiB and reports one outside low and high.
func (b *builder) memory(n *node, low, high, standard int, name string) int {
	f := n.field(name)
	if f == nil {
		return standard
	}
	m := parseMemory(sizeText(f.value))
	if m < low || m > high {
		b.errorf(f, "out-of-range", "%s must be from %dMB to %dGB, not %s", name, low, high/1024, f.value.text)
	}
	return m
}

// sizeText is a size as text; numbers such as 5e2 are written out.
func sizeText(n *node) string {
	if n.kind == numberKind {
		return whole(n)
	}
	return n.text
}

// shortDuration writes a duration as a manifest does.
func shortDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%(24*time.Hour) == 0:
		return itoa(int64(d/(24*time.Hour))) + "d"
	case d%time.Hour == 0:
		return itoa(int64(d/time.Hour)) + "h"
	case d%time.Minute == 0:
		return itoa(int64(d/time.Minute)) + "m"
	case d%time.Second == 0:
		return itoa(int64(d/time.Second)) + "s"
	}
	return itoa(int64(d/time.Millisecond)) + "ms"
}

func byName[T any](list []T, name func(T) string) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(name(a), name(b)) })
}

// plain turns a value of any form into what encoding/json would make of it, but
// for whole numbers, which become int64.
func plain(n *node) any {
	switch n.kind {
	case mapKind:
		out := map[string]any{}
		for _, f := range n.fields {
			out[f.key] = plain(f.value)
		}
		return out
	case listKind:
		out := []any{}
		for _, item := range n.list {
			out = append(out, plain(item))
		}
		return out
	case boolKind:
		return n.text == "true"
	case numberKind:
		if i, ok := wholeNumber(n.text); ok {
			return i
		}
		f, err := strconv.ParseFloat(n.text, 64)
		if err != nil { // too large for a float
			return n.text
		}
		return f
	case nullKind:
		return nil
	}
	return n.text
}

// checkURL reports a setting that is not a URL of one of the schemes.
func (b *builder) checkURL(f *field, name string, schemes ...string) {
	if f == nil || f.value.text == "" {
		return
	}
	scheme, rest, ok := strings.Cut(f.value.text, "://")
	if ok && rest != "" && slices.Contains(schemes, scheme) {
		return
	}
	b.errorf(f, "invalid-url", "%s cannot be %s", name, f.value.describe()).Hint = "it takes a URL that starts with " + strings.Join(schemes, "://, ") + "://"
}
