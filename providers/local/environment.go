package local

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

// environment gives a function its identity, the connections it uses and what
// the manifest sets, which wins.
func (p *program) environment(f *graph.Function) map[string]value {
	env := map[string]value{
		"ANYFAAS_SERVICE":  known(p.g.Service),
		"ANYFAAS_STAGE":    known(p.g.Stage),
		"ANYFAAS_PROVIDER": known(p.g.Provider),
		"ANYFAAS_FUNCTION": known(f.Name),
		"EVENTS_URL":       {output: p.front.Events},
	}
	for _, u := range f.Uses {
		attributes := []string{"url", "name"}
		if u.Kind == graph.BucketKind {
			attributes = append(attributes, "endpoint")
		}
		for _, a := range attributes {
			env[providers.ConnectionVariable(u.Kind, u.Name, a)] = p.attribute(u.Kind, u.Name, a)
		}
	}
	for name, text := range f.Env {
		env[name] = p.text(text)
	}
	return env
}

// secrets gives the values of the secrets a function names. Those without a
// value are left out: the caller has reported them.
func (p *program) secrets(f *graph.Function) map[string]value {
	m := map[string]value{}
	for _, name := range f.Secrets {
		if s, ok := p.in.Secrets[name]; ok {
			m[name] = value{output: pulumi.ToSecret(pulumi.String(s.Reveal())).(pulumi.StringOutput)}
		}
	}
	return m
}

// text turns a text with references into an input.
func (p *program) text(t graph.Text) value {
	if s, ok := t.Literal(); ok {
		return known(s)
	}
	parts := make([]any, len(t))
	for i, part := range t {
		if part.Ref == nil {
			parts[i] = part.Literal
			continue
		}
		parts[i] = p.reference(*part.Ref).input()
	}
	joined := pulumi.All(parts...).ApplyT(func(parts []any) string {
		var b strings.Builder
		for _, part := range parts {
			fmt.Fprint(&b, part)
		}
		return b.String()
	})
	return value{output: joined.(pulumi.StringOutput)}
}

// reference resolves ${group.name.attr}. The references to functions depend on
// the service only, so that functions may name each other.
func (p *program) reference(r graph.Ref) value {
	if r.Group == "functions" {
		f := p.g.Function(r.Name)
		switch {
		case f == nil:
			p.fail(fmt.Errorf("function %q is not declared", r.Name))
			return value{}
		case r.Attr == "url":
			return value{output: p.functionURL(f)}
		case r.Attr == "id":
			return known(identity(p.member.Stack, api.KindFunction, r.Name))
		}
		return known(r.Name)
	}
	for kind, group := range groups {
		if group == r.Group {
			return p.attribute(kind, r.Name, r.Attr)
		}
	}
	p.fail(fmt.Errorf("unknown reference %s", graph.Text{{Ref: &r}}))
	return value{}
}
