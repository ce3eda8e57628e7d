// Package view shows what operations do: a plan as text, JSON or markdown, and
// progress on a terminal, in plain lines or as JSON. It speaks in the words of
// the manifest, grouped by function. It decides nothing and knows no engine.
package view

import (
	"cmp"
	"slices"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// A Plan is what an operation would do to a stack.
type Plan struct {
	Service, Stage, Provider string

	Graph    *graph.Graph   // for what new functions are started by; may be nil
	Changes  []event.Change // everything but Same
	Counts   map[event.Op]int
	Warnings []string
	Notes    []string // findings about the manifest; text leaves them out, as commands show them with their lines
}

// Lost returns the stateful resources whose data would go, as "queue jobs".
func (p Plan) Lost() []string {
	var lost []string
	for _, c := range p.Changes {
		if c.DataLoss {
			lost = append(lost, stacks.Label(c.Resource))
		}
	}
	return lost
}

// A Summary counts resources.
type Summary struct {
	Create  int `json:"create"`
	Update  int `json:"update"`
	Replace int `json:"replace"`
	Delete  int `json:"delete"`
	Same    int `json:"same"`
}

// Summarize picks the counts of a Summary.
func Summarize(counts map[event.Op]int) Summary {
	return Summary{counts[event.Create], counts[event.Update], counts[event.Replace], counts[event.Delete], counts[event.Same]}
}

// A group is one line of a plan: a function with all that belongs to it, or one
// thing that the service shares.
type group struct {
	op      event.Op
	title   string // "api", "queue jobs"
	details []string
	lost    bool
	changes []event.Change
}

// groups sorts the changes by what they mean: shared things first, as functions
// stand on them, then functions, both by name.
func (p Plan) groups() []group {
	var out []group
	functions := map[string][]event.Change{}
	for _, c := range p.Changes {
		if c.Type == stackType {
			continue
		}
		if c.Function != "" {
			functions[c.Function] = append(functions[c.Function], c)
			continue
		}
		g := group{op: c.Op, title: stacks.Label(c.Resource), lost: c.DataLoss, changes: []event.Change{c}}
		if c.Op == event.Update || c.Op == event.Replace {
			g.details = settings(c.Diff)
		}
		out = append(out, g)
	}
	slices.SortStableFunc(out, func(a, b group) int { return cmp.Compare(a.title, b.title) })
	names := make([]string, 0, len(functions))
	for name := range functions {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		out = append(out, p.function(name, functions[name]))
	}
	return out
}

// stackType is the resource that stands for the stack itself: never shown.
const stackType = "pulumi:pulumi:Stack"

// function makes one line of the changes of a function.
func (p Plan) function(name string, changes []event.Change) group {
	g := group{op: event.Update, title: name, changes: changes}
	slices.SortStableFunc(changes, func(a, b event.Change) int {
		return cmp.Compare(a.Name, b.Name) // the function itself has the shortest name
	})
	for _, c := range changes {
		g.lost = g.lost || c.DataLoss
		if c.Name == name {
			g.op = c.Op
		}
	}
	for _, c := range changes {
		own := c.Name == name
		switch {
		case g.op == event.Create, g.op == event.Delete:
			// The triggers come and go with the function.
		case c.Op == event.Update, c.Op == event.Replace:
			words := settings(c.Diff)
			if !own && len(words) > 0 {
				words[0] = stacks.PartOf(c.Resource) + ": " + words[0]
			}
			g.details = append(g.details, words...)
		case !own:
			g.details = append(g.details, symbol(c.Op)+" "+stacks.PartOf(c.Resource))
		}
	}
	if g.op == event.Create {
		g.details = p.startedBy(name, changes)
	}
	return g
}

// startedBy tells what starts a new function.
func (p Plan) startedBy(name string, changes []event.Change) []string {
	var words []string
	if p.Graph != nil {
		if f := p.Graph.Function(name); f != nil {
			for _, t := range f.Triggers {
				words = append(words, stacks.Describe(t))
			}
			return words
		}
	}
	for _, c := range changes {
		if c.Name != name {
			words = append(words, stacks.PartOf(c.Resource))
		}
	}
	return words
}

// symbol stands for an operation in front of a line.
func symbol(op event.Op) string {
	switch op {
	case event.Create:
		return "+"
	case event.Update, event.Refresh:
		return "~"
	case event.Replace:
		return "±"
	case event.Delete:
		return "-"
	case event.Read:
		return "<"
	case event.Same:
		return " "
	}
	panic("view: unknown operation " + string(op))
}
