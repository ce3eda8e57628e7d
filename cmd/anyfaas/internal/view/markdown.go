package view

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/anyfaas/anyfaas/stacks/event"
)

// markdownLimit is below what forges take as one comment (65,536 characters).
const markdownLimit = 60_000

// PlanMarkdown writes a plan as a comment for a pull request: a table with a row
// for each function, and the resources folded below. What does not fit into
// 60,000 characters is counted instead.
func PlanMarkdown(w io.Writer, p Plan) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s/%s on %s: %s\n", inline(p.Service), inline(p.Stage), inline(p.Provider), sentence(p.Counts))
	groups := p.groups()
	var lost []string
	for _, name := range p.Lost() {
		lost = append(lost, "`"+code(name)+"`")
	}
	if len(lost) > 0 {
		fmt.Fprintf(&b, "\n> **Stored data is lost:** %s\n", cut(strings.Join(lost, ", "), 2000))
	}
	if len(groups) > 0 {
		b.WriteString("\n| | what | changes |\n| --- | --- | --- |\n")
		writeLimited(&b, markdownLimit/2, len(groups), func(i int) string {
			g := groups[i]
			details := inline(cut(strings.Join(g.details, ", "), 1000))
			if g.lost {
				details = strings.TrimSpace(details + " **stored data is lost**")
			}
			return fmt.Sprintf("| %s | `%s` | %s |\n", word(g.op), code(g.title), details)
		}, "| | | … and %d more |\n")
	}
	warnings := slices.Concat(p.Warnings, p.Notes)
	for i, warning := range warnings {
		if b.Len() > markdownLimit*2/3 {
			fmt.Fprintf(&b, "\n> … and %d more warnings\n", len(warnings)-i)
			break
		}
		fmt.Fprintf(&b, "\n> **Warning:** %s\n", inline(cut(warning, 1000)))
	}
	if len(p.Changes) > 0 {
		b.WriteString("\n<details><summary>Resources</summary>\n\n```diff\n")
		closing := "```\n\n</details>\n"
		writeLimited(&b, markdownLimit-len(closing)-100, len(p.Changes), func(i int) string { return resource(p.Changes[i]) }, "# … and %d more\n")
		b.WriteString(closing)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// word names an operation in a table.
func word(op event.Op) string {
	if op == event.Delete || op == event.Replace {
		return "**" + string(op) + "**"
	}
	return string(op)
}

// writeLimited writes n pieces, as long as b stays below most bytes; more says
// how many were left out.
func writeLimited(b *strings.Builder, most, n int, piece func(int) string, more string) {
	for i := range n {
		text := piece(i)
		if b.Len()+len(text) > most {
			fmt.Fprintf(b, more, n-i)
			return
		}
		b.WriteString(text)
	}
}

// resource shows one change in diff syntax, which forges colour.
func resource(c event.Change) string {
	sign := map[event.Op]string{event.Create: "+", event.Delete: "-"}[c.Op]
	if sign == "" {
		sign = "!"
	}
	lost := ""
	if c.DataLoss {
		lost = "  (stored data is lost)"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %s%s\n", sign, c.Op, code(c.Type), code(c.Name), lost)
	for _, p := range c.Diff {
		for _, q := range leaves(p) {
			fmt.Fprintf(&b, "!     %s: %s → %s\n", code(q.Path), code(text(q.Old)), code(text(q.New)))
		}
	}
	return b.String()
}

// code makes text safe inside a code span or block of one line.
func code(s string) string {
	return strings.NewReplacer("`", "'", "\n", " ", "|", "¦").Replace(clean(s))
}

// inline makes text safe inside a table cell: nothing of it is markup.
func inline(s string) string {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "<", "&lt;", "\n", " ", "@", "@\u200b").Replace(clean(s))
}
