package local

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
)

// Program declares the resources of g in the order in which they depend on each
// other: the service, what stores things, the functions, their triggers.
//
// Logical names are the names of the manifest; a trigger is called
// "<function>.<kind>" and what tells it from others of its kind, and belongs to
// the function as its child.
func (Provider) Program(g *graph.Graph, in providers.Inputs) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		p := &program{
			ctx:    ctx,
			g:      g,
			in:     in,
			member: member{Stack: g.Service + "-" + g.Stage},
			stores: map[storeKey]*store{},
			names:  map[string]int{},
		}
		return p.run()
	}
}

// A program is one run of Program.
type program struct {
	ctx    *pulumi.Context
	g      *graph.Graph
	in     providers.Inputs
	member member
	front  *service
	stores map[storeKey]*store
	names  map[string]int // triggers so far by name, to tell repetitions apart
	errs   []error
}

func (p *program) run() error {
	p.service()
	p.queues()
	for i := range p.g.Topics {
		if t := &p.g.Topics[i]; !p.external(graph.TopicKind, t.Name, t.External) {
			p.topic(t)
		}
	}
	for i := range p.g.Streams {
		if s := &p.g.Streams[i]; !p.external(graph.StreamKind, s.Name, s.External) {
			p.stream(s)
		}
	}
	for i := range p.g.Tables {
		if t := &p.g.Tables[i]; !p.external(graph.TableKind, t.Name, t.External) {
			p.table(t)
		}
	}
	for i := range p.g.Buckets {
		if b := &p.g.Buckets[i]; !p.external(graph.BucketKind, b.Name, b.External) {
			p.bucket(b)
		}
	}
	for i := range p.g.Functions {
		f := p.function(&p.g.Functions[i])
		for _, t := range f.Triggers {
			p.connect(f, t)
		}
	}
	p.outputs()
	return errors.Join(p.errs...)
}

// queues declares each queue after its dead-letter queue. The manifest refuses
// cycles of dead letters; should one get here, one of its links is left out of
// the dependencies rather than followed for ever.
func (p *program) queues() {
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		i := slices.IndexFunc(p.g.Queues, func(q graph.Queue) bool { return q.Name == name })
		if i < 0 || seen[name] {
			return
		}
		seen[name] = true
		q := &p.g.Queues[i]
		visit(q.DeadLetter)
		if !p.external(graph.QueueKind, q.Name, q.External) {
			p.queue(q)
		}
	}
	for _, q := range p.g.Queues {
		visit(q.Name)
	}
}

// connect declares one trigger of a function.
func (p *program) connect(f *deployed, t graph.Trigger) {
	switch t.Kind() {
	case "http":
		p.route(f, t.HTTP)
	case "schedule":
		p.schedule(f, t.Schedule)
	case "queue":
		p.queueConsumer(f, t.Queue)
	case "topic":
		p.subscription(f, t.Topic)
	case "storage":
		p.notification(f, t.Storage)
	case "stream":
		p.streamReader(f, t.Stream)
	case "table":
		p.tableReader(f, t.Table)
	case "event":
		p.eventRule(f, t.Event)
	default:
		panic("local: unknown trigger kind " + t.Kind())
	}
}

// register declares one resource. Everything depends on the service.
func (p *program) register(token, name string, in any, res pulumi.CustomResource, opts ...pulumi.ResourceOption) {
	if p.front != nil && res != pulumi.CustomResource(p.front) {
		opts = append(opts, pulumi.DependsOn([]pulumi.Resource{p.front}))
	}
	if err := p.ctx.RegisterResource(token, name, encode(in), res, opts...); err != nil {
		p.fail(fmt.Errorf("declare %s %q: %w", token, name, err))
	}
}

// trigger declares a resource that belongs to a function. The second trigger
// with the same name is called "name#2", and so on.
func (p *program) trigger(token string, f *deployed, rest string, in any, res pulumi.CustomResource) {
	name := f.Name + "." + rest
	p.names[name]++
	if n := p.names[name]; n > 1 {
		name += "#" + strconv.Itoa(n)
	}
	p.register(token, name, in, res, pulumi.Parent(f.res))
}

func (p *program) fail(err error) { p.errs = append(p.errs, err) }

// A store is a queue, topic, stream, table or bucket.
type store struct {
	pulumi.CustomResourceState
	URL      pulumi.StringOutput `pulumi:"url"`
	Endpoint pulumi.StringOutput `pulumi:"endpoint"` // of buckets
	external string              // URL of one that exists already; then it is no resource
}

type storeKey struct {
	kind graph.ResourceKind
	name string
}

func (p *program) store(k graph.ResourceKind, name, token string, in any, opts ...pulumi.ResourceOption) {
	s := &store{}
	p.stores[storeKey{k, name}] = s
	p.register(token, name, in, s, opts...)
}

// external notes a resource that exists already and reports whether it is one.
func (p *program) external(k graph.ResourceKind, name, id string) bool {
	if id != "" {
		p.stores[storeKey{k, name}] = &store{external: id}
	}
	return id != ""
}

// kept makes the engine leave a resource alone when the stack goes.
func kept(retain bool) pulumi.ResourceOption { return pulumi.RetainOnDelete(retain) }

// refer names a store in the inputs of what depends on it.
func (p *program) refer(k graph.ResourceKind, name string) value {
	s := p.stores[storeKey{k, name}]
	if s == nil || s.external != "" {
		return known(name)
	}
	return naming(p.ctx, name, s)
}

// attribute returns an attribute of a store: url, name, id or endpoint.
func (p *program) attribute(k graph.ResourceKind, name, attr string) value {
	s := p.stores[storeKey{k, name}]
	switch {
	case s == nil:
		p.fail(fmt.Errorf("%s %q is not declared", k, name))
		return value{}
	case s.external != "" && attr == "name":
		return known(name)
	case s.external != "":
		return known(s.external)
	case attr == "name":
		return naming(p.ctx, p.member.Stack+"-"+name, s)
	case attr == "id":
		return value{output: s.ID().ToStringOutput()}
	case attr == "endpoint":
		return value{output: s.Endpoint}
	}
	return value{output: s.URL}
}

// functionURL returns where a function answers HTTP requests.
func (p *program) functionURL(f *graph.Function) pulumi.StringOutput {
	if base := providers.BasePath(f); base != "" {
		return pulumi.Sprintf("%s%s", p.front.URL, base)
	}
	return p.front.URL
}

// outputs declares what the stack tells: "url" and "<function>.url" when it has
// routes, "<group>.<name>.url" of everything that can be sent to or fetched
// from, "events.url" of the bus when something listens to it.
func (p *program) outputs() {
	var routes, rules bool
	for i := range p.g.Functions {
		f := &p.g.Functions[i]
		if providers.HasRoutes(f) {
			routes = true
			p.ctx.Export(f.Name+".url", p.functionURL(f))
		}
		rules = rules || slices.ContainsFunc(f.Triggers, func(t graph.Trigger) bool { return t.Event != nil })
	}
	if routes {
		p.ctx.Export("url", p.front.URL)
	}
	if rules {
		p.ctx.Export("events.url", p.front.Events)
	}
	for key := range maps.Keys(p.stores) {
		p.ctx.Export(groups[key.kind]+"."+key.name+".url", p.attribute(key.kind, key.name, "url").input())
	}
}

// groups are the names under which the manifest keeps resources.
var groups = map[graph.ResourceKind]string{
	graph.QueueKind:  "queues",
	graph.TopicKind:  "topics",
	graph.BucketKind: "buckets",
	graph.TableKind:  "tables",
	graph.StreamKind: "streams",
}
