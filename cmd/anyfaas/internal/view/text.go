package view

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/anyfaas/anyfaas/stacks/event"
)

// PlanText writes a plan for people.
func PlanText(w io.Writer, p Plan, s Style) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s\n\n", s.paint(bold, fmt.Sprintf("%s/%s on %s", p.Service, p.Stage, p.Provider)))
	groups := p.groups()
	width := 0
	for _, g := range groups {
		width = max(width, utf8.RuneCountInString(g.title))
	}
	for _, g := range groups {
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(g.title))
		indent := strings.Repeat(" ", 2+2+width+2)
		line := fmt.Sprintf("  %s %s%s  %s", s.mark(g.op), clean(g.title), pad, strings.Join(g.phrases(s), "\n"+indent))
		fmt.Fprintln(out, strings.TrimRight(line, " "))
		if s.Verbose {
			writeResources(out, g, s)
		}
	}
	if len(groups) > 0 {
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out, sentence(p.Counts))
	for _, warning := range p.Warnings {
		fmt.Fprintf(out, "%s %s\n", s.paint(yellow, "warning:"), clean(warning))
	}
	return out.Flush()
}

// phrases returns the details of a group: on one line when they are short, else
// one on each.
func (g group) phrases(s Style) []string {
	details := slices.Clone(g.details)
	for i := range details {
		details[i] = clean(details[i])
	}
	if joined := strings.Join(details, ", "); utf8.RuneCountInString(joined) <= 72 && len(details) > 0 {
		details = []string{joined}
	}
	if g.lost {
		details = append(details, s.paint(red, "! stored data is lost"))
	}
	return details
}

// writeResources writes what is behind a line of the plan.
func writeResources(w io.Writer, g group, s Style) {
	for _, c := range g.changes {
		fmt.Fprintf(w, "      %s %s\n", s.mark(c.Op), s.paint(dim, clean(c.Type+" "+c.Name)))
		for _, p := range c.Diff {
			for _, q := range leaves(p) {
				fmt.Fprintf(w, "          %s: %s → %s\n", clean(q.Path), clean(text(q.Old)), clean(text(q.New)))
			}
		}
	}
}

// sentence counts resources: "2 to create, 1 to update, 4 unchanged".
func sentence(counts map[event.Op]int) string {
	var words []string
	for _, op := range []event.Op{event.Create, event.Update, event.Replace, event.Delete} {
		if n := counts[op]; n > 0 {
			words = append(words, fmt.Sprintf("%d to %s", n, op))
		}
	}
	if len(words) == 0 {
		return fmt.Sprintf("no changes, %d unchanged", counts[event.Same])
	}
	if n := counts[event.Same]; n > 0 {
		words = append(words, fmt.Sprintf("%d unchanged", n))
	}
	return strings.Join(words, ", ")
}
