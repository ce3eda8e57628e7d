package manifest

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/anyfaas/anyfaas/manifest/graph"
)

func (b *builder) functions() {
	all := fieldsOf(b.root.get("functions"))
	for i := range all {
		b.g.Functions = append(b.g.Functions, b.function(&all[i]))
	}
	byName(b.g.Functions, func(f graph.Function) string { return f.Name })
}

func (b *builder) function(f *field) graph.Function {
	n := f.value
	fn := graph.Function{
		Name:           f.key,
		Description:    str(n, "description"),
		MemoryMB:       b.memory(n, 1, 1024*1024, graph.DefaultMemoryMB, "memory"),
		Timeout:        b.duration(n, time.Millisecond, 7*24*time.Hour, graph.DefaultTimeout, "timeout"),
		Architecture:   str(n, "architecture"),
		EphemeralMB:    b.memory(n, 1, 1024*1024, 0, "ephemeralStorage"),
		MaxConcurrency: number(n, 0, "concurrency", "max"),
		Warm:           number(n, 0, "concurrency", "warm"),
		PerInstance:    number(n, 0, "concurrency", "perInstance"),
		Secrets:        merged(texts(n.get("secrets")), nil),
		DeadLetter:     str(n, "deadLetter"),
		Logs:           graph.Logs{Level: str(n, "logs", "level")},
		Tracing:        truth(n, "tracing"),
		Network:        graph.Network{Subnets: texts(n.get("network", "subnets")), SecurityGroups: texts(n.get("network", "securityGroups"))},
		Package:        graph.Package{Include: texts(n.get("package", "include")), Exclude: texts(n.get("package", "exclude")), External: texts(n.get("package", "external"))},
		Native:         truth(n, "native"),
		Command:        texts(n.get("command")),
		Image:          str(n, "image"),
		Accept:         merged(b.g.Accept, texts(n.get("accept"))),
		Position:       positions(f),
	}
	if n.get("logs") != nil {
		fn.Logs.Retention = b.duration(n, 24*time.Hour, 10*year, 0, "logs", "retention")
	}
	if r := n.get("retries"); r != nil {
		fn.Retries = graph.Retries{Set: true, Attempts: number(r, 2, "attempts"), MaxAge: b.duration(r, time.Minute, 7*24*time.Hour, 0, "maxAge")}
	}
	if fn.MaxConcurrency > 0 && fn.Warm > fn.MaxConcurrency {
		b.errorf(n.get("concurrency").field("warm"), "warm-over-max", "function %q keeps %d warm but runs at most %d at once", fn.Name, fn.Warm, fn.MaxConcurrency).Hint = "raise concurrency.max or lower concurrency.warm"
	}
	if d := n.field("deadLetter"); d != nil {
		b.lookupField(graph.QueueKind, d)
	}
	b.triggers(&fn, n)
	b.runtime(&fn, f)
	b.handlers(&fn, f)
	b.uses(&fn, n)
	b.environment(&fn, n)
	return fn
}

var runtimeText = regexp.MustCompile(`^([a-z]+)([0-9.]*)$`)

func (b *builder) runtime(fn *graph.Function, f *field) {
	n := f.value
	name := str(n, "runtime")
	if name == "" {
		b.errorf(f, "missing-key", "function %q has no runtime", f.key).Hint = "set runtime here or under defaults: one of " + strings.Join(Runtimes, ", ")
		return
	}
	m := runtimeText.FindStringSubmatch(name)
	fn.Runtime = graph.Runtime{Language: m[1], Version: m[2]}
	for _, key := range []string{"command", "image"} {
		if k := n.field(key); k != nil && name != "custom" {
			b.errorf(k, "custom-only", "%s goes with runtime custom, not with %s", key, name).Hint = "remove " + key + ", or set runtime: custom"
		}
	}
	if name != "custom" {
		return
	}
	switch {
	case len(fn.Command) == 0 && fn.Image == "":
		b.errorf(f, "missing-key", "function %q has runtime custom and neither command nor image", f.key).Hint = "name the program with command: [./server], or a container image with image"
	case len(fn.Command) > 0 && fn.Image != "":
		b.errorf(n.field("image"), "one-of", "command and image cannot stand together in function %q", f.key).Hint = "let the image start its own command"
	}
}

// handlers sorts the handler out by the triggers it serves.
func (b *builder) handlers(fn *graph.Function, f *field) {
	n := f.value
	h := n.field("handler")
	web := slices.ContainsFunc(fn.Triggers, func(t graph.Trigger) bool { return t.HTTP != nil })
	events := slices.ContainsFunc(fn.Triggers, func(t graph.Trigger) bool { return t.HTTP == nil })
	if fn.Runtime.Language == "custom" && h == nil {
		return
	}
	if h == nil || h.value.kind == mapKind && len(h.value.fields) == 0 {
		b.errorf(f, "missing-key", "function %q has no handler", f.key).Hint = "name the file and the exported name: handler: src/" + f.key + ".handler"
		return
	}
	if h.value.kind != mapKind {
		b.checkHandler(fn, h)
		if web {
			fn.HTTPHandler = h.value.text
		}
		if events || !web {
			fn.EventHandler = h.value.text
		}
		return
	}
	parts := []handlerPart{
		{"http", &fn.HTTPHandler, web, "http triggers"},
		{"event", &fn.EventHandler, events || !web, "triggers other than http"},
	}
	missing := false
	for _, part := range parts {
		if part.wanted && len(fn.Triggers) > 0 && h.value.field(part.key) == nil {
			missing = true
			b.errorf(h, "missing-handler", "function %q has %s but no handler.%s", f.key, part.triggers, part.key).Hint = "add handler." + part.key
		}
	}
	for _, part := range parts {
		k := h.value.field(part.key)
		if k == nil {
			continue
		}
		b.checkHandler(fn, k)
		switch {
		case part.wanted:
			*part.to = k.value.text
		case !missing:
			b.warnf(k, "unused-handler", "function %q has no %s, so this handler is never called", f.key, part.triggers).Hint = "remove the handler, or add the trigger"
		}
	}
}

// A handlerPart is one of the two handlers a function can have.
type handlerPart struct {
	key      string
	to       *string
	wanted   bool
	triggers string
}

var (
	exportText = regexp.MustCompile(`^(?:\./)?[^.]*[^./\\](?:\.[^.]+)*\.[A-Za-z_$][A-Za-z0-9_$]*$`)
	rootExport = regexp.MustCompile(`^(?:\./)?\.[A-Za-z_][A-Za-z0-9_]*$`) // of Go's package in the manifest's own folder
)

func (b *builder) checkHandler(fn *graph.Function, f *field) {
	switch fn.Runtime.Language {
	case "node", "python", "go":
		root := fn.Runtime.Language == "go" && rootExport.MatchString(f.value.text)
		if !root && !exportText.MatchString(f.value.text) || strings.Contains(f.value.text, `\`) {
			b.errorf(f, "invalid-handler", "handler cannot be %s: it must be path.name", f.value.describe()).Hint = "name the file without its ending, or the package folder, then the exported name: src/api.handler"
		}
	}
}

// access lists the rights that each kind of resource has.
var access = map[graph.ResourceKind][]string{
	graph.QueueKind:  {"receive", "send"},
	graph.TopicKind:  {"publish"},
	graph.BucketKind: {"delete", "read", "write"},
	graph.TableKind:  {"delete", "read", "write"},
	graph.StreamKind: {"read", "write"},
}

func (b *builder) uses(fn *graph.Function, n *node) {
	list := n.get("uses")
	if list == nil {
		return
	}
	seen := map[string]*node{}
	for _, item := range list.list {
		for _, group := range groups {
			f := item.field(string(group.kind))
			if f == nil {
				continue
			}
			b.lookupField(group.kind, f)
			id := string(group.kind) + " " + f.value.text
			if first, ok := seen[id]; ok {
				b.errorf(f, "duplicate-use", "%s %q is already used at %s", group.kind, f.value.text, at(first.pos)).Hint = "put both accesses into one entry"
				continue
			}
			seen[id] = f.value
			use := graph.Use{Kind: group.kind, Name: f.value.text, Pos: f.place()}
			for _, a := range item.get("access").list {
				if !slices.Contains(access[group.kind], a.text) {
					d := b.l.Errorf(a.pos, "invalid-access", "a %s cannot be used to %s", group.kind, a.text)
					d.Width, d.Origin, d.Hint = a.width, a.origin, "it takes "+strings.Join(access[group.kind], ", ")
					continue
				}
				use.Access = append(use.Access, graph.Access(a.text))
			}
			slices.Sort(use.Access)
			use.Access = slices.Compact(use.Access)
			fn.Uses = append(fn.Uses, use)
		}
	}
}

// environment reads variables and looks for names that are taken.
func (b *builder) environment(fn *graph.Function, n *node) {
	fn.Env = map[string]graph.Text{}
	taken := map[string]string{"EVENTS_URL": "the event bus"}
	for _, u := range fn.Uses {
		for _, attr := range []string{"URL", "NAME", "ENDPOINT"} {
			if attr != "ENDPOINT" || u.Kind == graph.BucketKind {
				taken[connectionName(u, attr)] = string(u.Kind) + " " + u.Name
			}
		}
	}
	env := fieldsOf(n.get("env"))
	for i := range env {
		f := &env[i]
		fn.Env[f.key] = textOf(f.value)
		switch by, clash := taken[f.key]; {
		case strings.HasPrefix(f.key, "ANYFAAS_"):
			d := b.l.Errorf(f.pos, "reserved-env", "environment variable %s is reserved: names that start with ANYFAAS_ are set by anyfaas", f.key)
			d.Width, d.Hint = utf8.RuneCountInString(f.key), "choose another name"
		case clash:
			d := b.l.Errorf(f.pos, "env-clash", "environment variable %s is already set for %s", f.key, by)
			d.Width, d.Hint = utf8.RuneCountInString(f.key), "choose another name, or leave it out: the function gets it anyway"
		}
	}
	secrets := n.get("secrets")
	if secrets == nil {
		return
	}
	for _, s := range secrets.list {
		_, isEnv := fn.Env[s.text]
		by, clash := taken[s.text]
		d := &s.pos
		switch {
		case isEnv:
			e := b.l.Errorf(*d, "env-clash", "secret %s is also in env", s.text)
			e.Width, e.Origin, e.Hint = s.width, s.origin, "remove it from env"
		case strings.HasPrefix(s.text, "ANYFAAS_"):
			e := b.l.Errorf(*d, "reserved-env", "secret %s is reserved: names that start with ANYFAAS_ are set by anyfaas", s.text)
			e.Width, e.Origin, e.Hint = s.width, s.origin, "choose another name"
		case clash:
			e := b.l.Errorf(*d, "env-clash", "secret %s is already set for %s", s.text, by)
			e.Width, e.Origin, e.Hint = s.width, s.origin, "choose another name"
		}
	}
}

func textOf(n *node) graph.Text {
	if n.hasRefs() {
		return n.parts
	}
	return graph.Text{{Literal: n.text}}
}

// connectionName is the variable that tells a function where a resource is.
func connectionName(u graph.Use, attr string) string {
	return strings.ToUpper(string(u.Kind)+"_"+strings.ReplaceAll(u.Name, "-", "_")) + "_" + attr
}
