package view

import (
	"bufio"
	"fmt"
	"io"
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
		title := clean(g.title)
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(g.title))
		details := clean(strings.Join(g.details, ", "))
		if g.lost {
			details = strings.TrimPrefix(details+"  ", "  ") + s.paint(red, "! stored data is lost")
		}
		line := fmt.Sprintf("  %s %s%s  %s", s.mark(g.op), title, pad, details)
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

// writeResources writes what is behind a line of the plan.
func writeResources(w io.Writer, g group, s Style) {
	for _, c := range g.changes {
		fmt.Fprintf(w, "      %s %s\n", s.mark(c.Op), s.paint(dim, clean(c.Type+" "+c.Name)))
		for _, p := range c.Diff {
			for _, q := range leaves(p) {
				fmt.Fprintf(w, "          %s: %s → %s\n", clean(q.Path), clean(text(orNull(q.Old))), clean(text(orNull(q.New))))
			}
		}
	}
}

func orNull(raw []byte) []byte {
	if len(raw) == 0 {
		return []byte("null")
	}
	return raw
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
