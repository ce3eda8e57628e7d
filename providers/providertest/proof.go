package providertest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/anyfaas/anyfaas/manifest"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
)

// tableProblems compares the table of features with the schema of the manifest:
// every setting has an entry, and no entry is about anything else.
func (s Suite) tableProblems() []string {
	var out []string
	table, name := s.Provider.Features(), s.Provider.Name()
	known := map[string]bool{}
	for _, path := range manifest.Paths() {
		known[path] = true
		if !concerns(path, name) {
			continue
		}
		support, ok := table[path]
		if !ok {
			out = append(out, fmt.Sprintf("the table of features says nothing about %s; add an entry with the level that provider %s reaches", path, name))
			continue
		}
		out = append(out, entryProblems(path, name, support)...)
	}
	for _, path := range slices.Sorted(maps.Keys(table)) {
		if !known[path] {
			out = append(out, fmt.Sprintf("the table of features has an entry %s, which is no setting of the manifest; see manifest.Paths", path))
		}
	}
	return out
}

// concerns reports whether a setting can reach a provider: not those under
// providers of another one.
func concerns(path, provider string) bool {
	rest, ok := strings.CutPrefix(path, "providers.")
	return !ok || strings.HasPrefix(rest, provider+".")
}

var codeForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)+$`)

func entryProblems(path, provider string, s providers.Support) []string {
	var out []string
	wrong := func(format string, args ...any) {
		out = append(out, "the table of features, at "+path+": "+fmt.Sprintf(format, args...))
	}
	reported := s.Level == providers.Approximated || s.Level == providers.Unsupported
	switch {
	case s.Level < providers.Exact || s.Level > providers.Unsupported:
		wrong("the level is missing")
	case s.Level == providers.Exact && s != (providers.Support{Level: providers.Exact}):
		wrong("what is exact needs neither a code nor a note")
	case reported && (!codeForm.MatchString(s.Code) || !strings.HasPrefix(s.Code, provider+"-")):
		wrong("the code %q must be words joined by hyphens, the first %q", s.Code, provider)
	case reported && s.Note == "":
		wrong("a note must say what happens instead")
	case !reported && s.Code != "":
		wrong("what is not reported needs no code")
	}
	if n := s.Note; n != "" && (strings.HasSuffix(n, ".") || n[:1] != strings.ToLower(n[:1])) {
		wrong("a note starts in lower case and has no full stop, like other diagnostics: %q", n)
	}
	return out
}

// fieldProblems proves that no setting is dropped: each field of a graph in
// which everything is set is changed, one at a time, and the program or the
// diagnostics must change too, unless the table says why not.
func (s Suite) fieldProblems() []string {
	out := s.mapProblems()
	table := s.Provider.Features()
	if _, err := s.record(s.full(), deploying); err != nil {
		return append(out, fmt.Sprintf("the program of a graph in which everything is set fails; leave out what cannot be done, since Check reports it: %v", err))
	}
	before := s.outcome(s.full())
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		g := s.full()
		var field reflect.Value
		leaves(g, func(p string, v reflect.Value) {
			if p == path && (!field.IsValid() || field.IsZero()) {
				field = v
			}
		})
		if !field.IsValid() || field.IsZero() {
			continue // mapProblems has said so
		}
		change(field)
		if s.outcome(g) == before && !excused(table, fields[path]) {
			out = append(out, dropped(s.Provider.Name(), path, fields[path]))
		}
	}
	return append(out, s.settingProblems(before)...)
}

// settingProblems does the same with the settings under providers.<name>.
func (s Suite) settingProblems(before string) []string {
	var out []string
	table := s.Provider.Features()
	for _, key := range s.settings() {
		g, path := s.full(), "providers."+s.Provider.Name()+"."+key
		if isRegion(key) {
			g.Region += "-changed"
		} else {
			g.Settings[key] += "1"
		}
		if s.outcome(g) == before && !excused(table, []string{path}) {
			out = append(out, dropped(s.Provider.Name(), "Settings."+key, []string{path}))
		}
	}
	return out
}

func dropped(provider, field string, paths []string) string {
	what := "field " + field
	if len(paths) > 0 {
		what = "setting " + strings.Join(paths, ", ") + " (field " + field + " of the graph)"
	}
	return fmt.Sprintf("%s has no effect: changing it changes neither the program of provider %s nor its diagnostics; use it, or say in the table of features why not", what, provider)
}

// excused reports whether the table owns up to what it does with the settings:
// reported as approximated or unsupported, with a note, or handled by anyfaas
// itself.
func excused(table providers.Features, paths []string) bool {
	for _, p := range paths {
		if _, ok := providers.Handled[p]; ok {
			continue
		}
		if e := table[p]; e.Level != providers.Approximated && e.Level != providers.Unsupported && e.Note == "" {
			return false
		}
	}
	return len(paths) > 0
}

// mapProblems are mistakes in this package's own knowledge of the manifest and
// the graph, found when either grows.
func (s Suite) mapProblems() []string {
	var out []string
	set := map[string]bool{} // field path to whether it has a value somewhere
	leaves(s.full(), func(path string, v reflect.Value) { set[path] = set[path] || !v.IsZero() })
	for _, path := range slices.Sorted(maps.Keys(set)) {
		if _, ok := fields[path]; !ok {
			out = append(out, fmt.Sprintf("field %s of the graph is new: tell providertest which setting fills it", path))
		}
	}
	mapped := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		if !set[path] {
			out = append(out, fmt.Sprintf("field %s has no value in providertest.FullGraph", path))
		}
		for _, p := range fields[path] {
			mapped[p] = true
		}
	}
	for _, path := range manifest.Paths() {
		if _, handled := providers.Handled[path]; !mapped[path] && !handled && !strings.HasPrefix(path, "providers.") {
			out = append(out, fmt.Sprintf("setting %s of the manifest is new: tell providertest which field of the graph it fills", path))
		}
	}
	return out
}

// full is FullGraph with settings of the suite's provider.
func (s Suite) full() *graph.Graph {
	g := FullGraph(s.Provider.Name())
	for _, key := range s.settings() {
		if !isRegion(key) {
			g.Settings[key] = cmp.Or(s.Settings[key], "2000")
		}
	}
	return g
}

// settings returns the keys under providers.<name>.
func (s Suite) settings() []string {
	var out []string
	for _, path := range manifest.Paths() {
		if key, ok := strings.CutPrefix(path, "providers."+s.Provider.Name()+"."); ok {
			out = append(out, key)
		}
	}
	return out
}

func isRegion(key string) bool { return key == "region" || key == "location" }

// outcome is everything a provider makes of g, as text.
func (s Suite) outcome(g *graph.Graph) string {
	var b strings.Builder
	for _, d := range s.Provider.Check(g).Sorted() {
		fmt.Fprintln(&b, d)
	}
	r, err := s.record(g, deploying)
	if err != nil {
		fmt.Fprintln(&b, err)
		return b.String()
	}
	b.Write(r.snapshot().JSON())
	return b.String()
}

// Inputs returns artifacts and secrets for a graph without building anything.
// The hash of an artifact depends on what a real one is made from.
func Inputs(g *graph.Graph) providers.Inputs {
	in := providers.Inputs{Artifacts: providers.Artifacts{}, Secrets: map[string]providers.Secret{}}
	for _, f := range g.Functions {
		made, err := json.Marshal([]any{f.Runtime, f.HTTPHandler, f.EventHandler, f.Package, f.Native, f.Command})
		if err != nil {
			panic(fmt.Sprintf("providertest: function %s: %v", f.Name, err))
		}
		sum := sha256.Sum256(made)
		in.Artifacts[f.Name] = providers.Artifact{
			Function: f.Name,
			Path:     g.Dir + "/.anyfaas/cache/" + f.Name + ".zip",
			SHA256:   hex.EncodeToString(sum[:]),
			Size:     1234,
			Command:  []string{"run", f.Name},
			Entry:    "index.handler",
		}
		for _, name := range f.Secrets {
			in.Secrets[name] = providers.NewSecret("the secret value of " + name)
		}
	}
	return in
}
