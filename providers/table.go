package providers

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// FeatureTable renders what every provider of r does with every setting, as a
// Markdown document. The same tables give the same bytes.
func FeatureTable(r *Registry) string {
	all := r.All()
	paths := map[string]bool{}
	for _, p := range all {
		for path := range p.Features() {
			paths[path] = true
		}
	}
	var b strings.Builder
	b.WriteString(featureHeader)
	var notes footnotes
	section := ""
	for _, path := range slices.SortedFunc(maps.Keys(paths), bySection) {
		if s := sectionOf(path); s != section {
			section = s
			fmt.Fprintf(&b, "\n## %s\n\n| setting |%s\n|%s\n", section, cells(all, func(p Provider) string { return p.Name() }), strings.Repeat(" --- |", len(all)+1))
		}
		fmt.Fprintf(&b, "| `%s` |%s\n", strings.TrimPrefix(path, prefixOf(section)), cells(all, func(p Provider) string {
			s, ok := p.Features()[path]
			if !ok {
				return "–"
			}
			return s.Level.String() + notes.mark(s)
		}))
	}
	if len(notes.list) > 0 {
		b.WriteString("\n## Notes\n\n")
	}
	for i, s := range notes.list {
		fmt.Fprintf(&b, "%d. %s", i+1, s.Note)
		if s.Code != "" {
			fmt.Fprintf(&b, " (`%s`)", s.Code)
		}
		b.WriteString(".\n")
	}
	return b.String()
}

const featureHeader = `# What each provider does with each setting

This page is made from the tables that the tool itself checks manifests with.

- **exact**: as the manifest says.
- **emulated**: done by anyfaas itself, with the same behaviour.
- **approximated**: done with a difference, which is told in the note and
  reported as a warning with the code, at the line that asks for it.
- **unsupported**: not done; an error, unless the manifest accepts the code.
- **–**: a setting of another provider.

A code is accepted with ` + "`accept: [code]`" + ` for the service or for one function.
`

// Sections are the settings of a function, of its triggers, of each group of
// resources, and the rest.
var sections = []struct{ name, prefix string }{
	{"Triggers", "functions.*.triggers[]."},
	{"Functions", "functions.*."},
	{"HTTP front", "http."},
	{"Resources", "resources."},
	{"Provider settings", "providers."},
	{"Service", ""},
}

// order is how the sections follow each other in the document.
var order = []string{"Service", "Provider settings", "Functions", "Triggers", "HTTP front", "Resources"}

func sectionOf(path string) string {
	for _, s := range sections {
		if strings.HasPrefix(path, s.prefix) {
			return s.name
		}
	}
	panic("providers: unreachable, since every path has the empty prefix")
}

func prefixOf(section string) string {
	for _, s := range sections {
		if s.name == section {
			return s.prefix
		}
	}
	return ""
}

func bySection(a, b string) int {
	return cmp.Or(
		cmp.Compare(slices.Index(order, sectionOf(a)), slices.Index(order, sectionOf(b))),
		strings.Compare(a, b),
	)
}

func cells(all []Provider, text func(Provider) string) string {
	var b strings.Builder
	for _, p := range all {
		fmt.Fprintf(&b, " %s |", text(p))
	}
	return b.String()
}

// footnotes number the notes in the order of their first use.
type footnotes struct{ list []Support }

func (f *footnotes) mark(s Support) string {
	if s.Note == "" {
		return ""
	}
	i := slices.IndexFunc(f.list, func(o Support) bool { return o.Code == s.Code && o.Note == s.Note })
	if i < 0 {
		i = len(f.list)
		f.list = append(f.list, s)
	}
	return fmt.Sprintf(" <sup>%d</sup>", i+1)
}
