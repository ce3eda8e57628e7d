package manifest

import (
	"slices"
	"time"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
)

// groups are the kinds of resources with their key under resources, in the order
// of documents.
var groups = []struct {
	kind graph.ResourceKind
	key  string
}{
	{graph.QueueKind, "queues"},
	{graph.TopicKind, "topics"},
	{graph.BucketKind, "buckets"},
	{graph.TableKind, "tables"},
	{graph.StreamKind, "streams"},
}

const year = 365 * 24 * time.Hour

func (b *builder) resources() {
	all := b.root.get("resources")
	for _, group := range groups {
		b.names[group.kind] = map[string]*field{}
		b.missing[group.kind] = map[string]*field{}
		own := fieldsOf(all.get(group.key))
		for i := range own {
			f := &own[i]
			b.names[group.kind][f.key] = f
			b.resource(group.kind, f, "")
		}
		outside := fieldsOf(all.get("external", group.key))
		for i := range outside {
			f := &outside[i]
			if first, ok := b.names[group.kind][f.key]; ok {
				at := first.pos
				at.File = ""
				b.errorf(f, "duplicate-name", "%s %q is already declared at %s", group.kind, f.key, at)
				continue
			}
			id := str(f.value, b.g.Provider)
			if id == "" {
				b.missing[group.kind][f.key] = f
				continue
			}
			b.names[group.kind][f.key] = f
			b.resource(group.kind, f, id)
		}
	}
	byName(b.g.Queues, func(q graph.Queue) string { return q.Name })
	byName(b.g.Topics, func(t graph.Topic) string { return t.Name })
	byName(b.g.Buckets, func(t graph.Bucket) string { return t.Name })
	byName(b.g.Tables, func(t graph.Table) string { return t.Name })
	byName(b.g.Streams, func(s graph.Stream) string { return s.Name })
}

// resource adds one resource to the graph; external is its identity when it
// exists already.
func (b *builder) resource(kind graph.ResourceKind, f *field, external string) {
	n, at := f.value, positions(f)
	if external != "" {
		n = nil
	}
	switch kind {
	case graph.QueueKind:
		q := graph.Queue{Name: f.key, External: external, Position: at, DeadLetter: str(n, "deadLetter"), FIFO: truth(n, "fifo"), Retain: truth(n, "retain")}
		if external == "" {
			q.Visibility = b.duration(n, time.Second, 12*time.Hour, 0, "visibility")
			q.Retention = b.duration(n, time.Minute, 14*24*time.Hour, 4*24*time.Hour, "retention")
			if q.DeadLetter != "" {
				q.MaxReceives = number(n, 5, "maxReceives")
			} else if m := n.field("maxReceives"); m != nil {
				q.MaxReceives = number(n, 0, "maxReceives")
				b.warnf(m, "no-dead-letter", "maxReceives has no effect without deadLetter: messages are tried until their retention ends").Hint = "name the queue that takes them with deadLetter"
			}
		}
		b.g.Queues = append(b.g.Queues, q)
	case graph.TopicKind:
		b.g.Topics = append(b.g.Topics, graph.Topic{Name: f.key, External: external, Position: at})
	case graph.BucketKind:
		b.g.Buckets = append(b.g.Buckets, graph.Bucket{Name: f.key, External: external, Position: at, Versioned: truth(n, "versioned"), Retain: truth(n, "retain")})
	case graph.TableKind:
		t := graph.Table{Name: f.key, External: external, Position: at, Stream: truth(n, "stream"), Retain: truth(n, "retain")}
		if external == "" {
			t.Key = b.attribute(f, "key")
			t.Sort = b.attribute(f, "sort")
			if t.Key.Name == "" && n.field("key") == nil {
				b.errorf(f, "missing-key", "table %q has no key", f.key).Hint = "name the attribute and its type: key: { id: string }"
			}
			if t.Key.Name != "" && t.Key.Name == t.Sort.Name {
				b.errorf(n.field("sort"), "table-key", "key and sort of table %q are the same attribute %q", f.key, t.Key.Name)
			}
		}
		b.g.Tables = append(b.g.Tables, t)
	case graph.StreamKind:
		s := graph.Stream{Name: f.key, External: external, Position: at, Retain: truth(n, "retain")}
		if external == "" {
			s.Shards = number(n, 1, "shards")
			s.Retention = b.duration(n, time.Hour, year, 24*time.Hour, "retention")
		}
		b.g.Streams = append(b.g.Streams, s)
	}
}

// attribute reads {id: string}.
func (b *builder) attribute(table *field, name string) graph.Attribute {
	f := table.sub(name)
	if f == nil {
		return graph.Attribute{}
	}
	if len(f.value.fields) != 1 {
		b.errorf(f, "table-key", "%s of table %q must be one attribute, not %d", name, table.key, len(f.value.fields)).Hint = "write it as " + name + ": { id: string }"
		return graph.Attribute{}
	}
	a := f.value.fields[0]
	return graph.Attribute{Name: a.key, Type: a.value.text}
}

// lookup reports a name that no resource of the kind has.
func (b *builder) lookup(kind graph.ResourceKind, name string, pos diag.Pos, width int, origin []diag.Pos) bool {
	if _, ok := b.names[kind][name]; ok {
		return true
	}
	key := pluralOf(kind)
	if _, ok := b.missing[kind][name]; ok {
		d := b.l.Errorf(pos, "external-missing", "%s %q exists outside, but its identity on %s is not set", kind, name, b.g.Provider)
		d.Width, d.Origin, d.Hint = width, origin, "set resources.external."+key+"."+name+"."+b.g.Provider
		return false
	}
	d := b.l.Errorf(pos, "unknown-resource", "there is no %s %q under resources", kind, name)
	d.Width, d.Origin = width, origin
	names := b.declared(kind)
	near := nearestOf(b.l, name, names)
	switch {
	case near != "":
		d.Hint = "did you mean \"" + near + "\"?"
	case len(names) > 0:
		d.Hint = key + " are " + listed(names)
	default:
		d.Hint = "declare it: resources: { " + key + ": { " + name + ": {} } }"
	}
	for _, other := range groups {
		if _, ok := b.names[other.kind][name]; ok && near == "" {
			d.Hint = "there is a " + string(other.kind) + " of that name"
		}
	}
	return false
}

// declared returns the names of a kind, sorted.
func (b *builder) declared(kind graph.ResourceKind) []string {
	if names, ok := b.sorted[kind]; ok {
		return names
	}
	var names []string
	for name := range b.names[kind] {
		names = append(names, name)
	}
	slices.Sort(names)
	b.sorted[kind] = names
	return names
}

func pluralOf(kind graph.ResourceKind) string {
	for _, g := range groups {
		if g.kind == kind {
			return g.key
		}
	}
	panic("manifest: unknown kind of resource " + string(kind))
}

// lookupField is lookup for a setting that holds a name.
func (b *builder) lookupField(kind graph.ResourceKind, f *field) bool {
	return b.lookup(kind, f.value.text, f.place(), f.value.width, f.value.origin)
}

// checkResources looks at dead letters, visibility and table streams, once the
// functions are known.
func (b *builder) checkResources() {
	longest := map[string]*graph.Function{}  // the slowest consumer by queue
	followed := map[string][]graph.Trigger{} // triggers by table
	for i := range b.g.Functions {
		fn := &b.g.Functions[i]
		for _, t := range fn.Triggers {
			switch {
			case t.Queue != nil:
				if first := longest[t.Queue.Name]; first == nil || fn.Timeout > first.Timeout {
					longest[t.Queue.Name] = fn
				}
			case t.Table != nil:
				followed[t.Table.Name] = append(followed[t.Table.Name], t)
			}
		}
	}
	var names []string
	next := map[string]string{}
	for i := range b.g.Queues {
		q := &b.g.Queues[i]
		names = append(names, q.Name)
		if f := b.names[graph.QueueKind][q.Name].sub("deadLetter"); f != nil && b.lookupField(graph.QueueKind, f) {
			next[q.Name] = q.DeadLetter
		}
		b.visibility(q, longest[q.Name])
	}
	follow := func(name string) []string {
		if n, ok := next[name]; ok {
			return []string{n}
		}
		return nil
	}
	cycles(names, follow, func(circle []string) {
		f := b.names[graph.QueueKind][circle[0]].sub("deadLetter")
		b.errorf(f, "dead-letter-cycle", "dead letters go round in a circle: %s", round(circle)).Hint = "let the last queue have no deadLetter"
	})
	for i := range b.g.Tables {
		t := &b.g.Tables[i]
		f := b.names[graph.TableKind][t.Name].sub("stream")
		switch {
		case t.External != "" || len(followed[t.Name]) == 0:
		case f == nil:
			t.Stream = true
		case !t.Stream:
			for _, tr := range followed[t.Name] {
				d := b.l.Errorf(tr.Pos, "table-stream", "this trigger follows table %q, whose stream is false", t.Name)
				d.Width, d.Hint = len("table"), "set stream: true at "+at(f.place())
			}
		}
	}
}

// at shows a place in a message about the same file.
func at(p diag.Pos) string {
	p.File = ""
	return p.String()
}

// visibility fills in and checks how long a message is hidden: not shorter than
// its slowest consumer, or nil, may work on it.
func (b *builder) visibility(q *graph.Queue, slowest *graph.Function) {
	if q.External != "" {
		return
	}
	longest := time.Duration(0)
	if slowest != nil {
		longest = slowest.Timeout
	}
	f := b.names[graph.QueueKind][q.Name].sub("visibility")
	switch {
	case f == nil:
		q.Visibility = max(30*time.Second, longest)
	case q.Visibility < longest:
		b.warnf(f, "short-visibility", "a message of queue %q shows again after %s, while function %q may still work on it for %s", q.Name, shortDuration(q.Visibility), slowest.Name, shortDuration(longest)).Hint =
			"make visibility at least " + shortDuration(longest)
	}
}
