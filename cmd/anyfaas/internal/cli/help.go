package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

func allCodes() []int {
	var all []int
	for _, e := range exitCodes {
		all = append(all, e.code)
	}
	return all
}

// writeHelp tells about the command that l names.
func writeHelp(w io.Writer, l line, shared []flag) {
	c := l.verb()
	name := strings.TrimSpace("anyfaas " + pathOf(l))
	fmt.Fprintf(w, "%s: %s\n\nUsage:\n  %s\n", name, c.summary, usageLine(name, c))
	if len(c.aliases) > 0 {
		fmt.Fprintf(w, "\nAlso called:\n  %s\n", strings.Join(c.aliases, ", "))
	}
	if c.about != "" {
		fmt.Fprintf(w, "\n%s\n", c.about)
	}
	if len(c.examples) > 0 {
		fmt.Fprintf(w, "\nExamples:\n  %s\n", strings.Join(c.examples, "\n  "))
	}
	if kids := c.visible(); len(kids) > 0 {
		var rows [][2]string
		for _, k := range kids {
			rows = append(rows, [2]string{strings.Join(k.names(), ", "), k.summary})
		}
		fmt.Fprint(w, "\nCommands:\n")
		writeRows(w, rows)
	}
	if own := c.own(); len(own) > 0 {
		fmt.Fprint(w, "\nFlags:\n")
		writeFlags(w, own)
	}
	fmt.Fprint(w, "\nFlags of every command:\n")
	writeFlags(w, append(slices.Clone(shared), helpFlag))
	if len(c.exits) > 0 {
		fmt.Fprint(w, "\nExit codes:\n")
		for _, e := range exitCodes {
			if slices.Contains(c.exits, e.code) {
				fmt.Fprintf(w, "  %3d  %s\n", e.code, e.meaning)
			}
		}
	}
	if len(c.children) > 0 {
		fmt.Fprintf(w, "\n%s COMMAND --help tells more.\n", name)
	}
}

func usageLine(name string, c *command) string {
	switch {
	case len(c.children) > 0:
		return name + " COMMAND [flags]"
	case c.args != "":
		return name + " " + c.args + " [flags]"
	}
	return name + " [flags]"
}

func writeFlags(w io.Writer, flags []flag) {
	var rows [][2]string
	for _, f := range flags {
		left := "    --" + f.name
		if f.short != "" {
			left = "-" + f.short + ", --" + f.name
		}
		if f.value != "" {
			left += " " + f.value
		}
		right := f.usage
		if f.env != "" {
			right += " [$" + f.env + "]"
		}
		rows = append(rows, [2]string{left, right})
	}
	writeRows(w, rows)
}

// writeRows writes two columns, the left one as wide as it has to be.
func writeRows(w io.Writer, rows [][2]string) {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	for _, r := range rows {
		fmt.Fprintf(w, "  %-*s  %s\n", width, r[0], r[1])
	}
}
