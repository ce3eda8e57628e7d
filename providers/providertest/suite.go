// Package providertest is the suite that every provider passes. A provider's
// own tests are one call:
//
//	func TestConformance(t *testing.T) {
//		providertest.Run(t, toy.Provider{}, "../../examples/*/serverless.yaml")
//	}
//
// In the order in which a new provider meets them, the tests are
//
//   - features: the table has an entry for every setting of the manifest;
//   - fields: no setting is dropped. Each one is changed in a graph that has
//     everything, and the program or the diagnostics must change with it, or
//     the table must say why not;
//   - graph/<example>: the resources of each manifest are those in
//     testdata/graph/<example>.json (UPDATE=1 rewrites it), the same on every
//     run, without a repeated URN, with every secret marked, and the program
//     ends in a preview, where outputs are unknown.
//
// The suite runs programs under Pulumi's mocks: no engine, no plugin, no
// network. It knows no provider.
package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/rogpeppe/go-internal/diff"

	"github.com/anyfaas/anyfaas/manifest"
	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
)

// Run runs the suite on p and the manifests that match the globs.
func Run(t *testing.T, p providers.Provider, globs ...string) {
	t.Helper()
	Suite{Provider: p, Manifests: globs}.Run(t)
}

// A Suite is the conformance test of one provider. Only Provider is required.
type Suite struct {
	Provider  providers.Provider
	Manifests []string          // globs
	Settings  map[string]string // plausible values under providers.<name>, where "2000" is none
	Golden    string            // folder of the snapshots; "" means testdata/graph
	// Outputs returns the outputs a resource has once made, unknown ones as
	// computed values. Nil asks the provider's own resource server in preview,
	// when it has one.
	Outputs OutputsFunc
	// Resource reports what is wrong with one resource by the provider's own
	// rules: names, lengths, tags. May be nil.
	Resource func(Resource) error

	patience time.Duration // 0 means the constant of that name
}

// Run runs the suite.
func (s Suite) Run(t *testing.T) {
	t.Helper()
	t.Run("features", func(t *testing.T) { report(t, s.tableProblems()) })
	t.Run("fields", func(t *testing.T) {
		if problems := s.tableProblems(); len(problems) > 0 {
			t.Skip("the table of features is not complete yet")
		}
		report(t, s.fieldProblems())
	})
	t.Run("graph", func(t *testing.T) { s.examples(t) })
}

func report(t *testing.T, problems []string) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}

// examples compares the snapshot of each manifest.
func (s Suite) examples(t *testing.T) {
	folder := s.Golden
	if folder == "" {
		folder = filepath.Join("testdata", "graph")
	}
	claimed := map[string]string{}
	for _, glob := range s.Manifests {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Errorf("no manifest matches %s", glob)
		}
		for _, file := range files {
			name := exampleName(file)
			golden := filepath.Join(folder, name+".json")
			if other := claimed[golden]; other != "" {
				t.Errorf("%s and %s have the same snapshot %s; rename one", other, file, golden)
			}
			claimed[golden] = file
			t.Run(name, func(t *testing.T) { s.example(t, file, golden) })
		}
	}
	there, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range there {
		if claimed[f] == "" {
			t.Errorf("%s belongs to no manifest; remove it", f)
		}
	}
}

// exampleName is the folder of a serverless.yaml, or the name of another file
// without .yaml.
func exampleName(file string) string {
	base := strings.TrimSuffix(filepath.Base(file), ".yaml")
	if base != "serverless" {
		return base
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return base
	}
	return filepath.Base(filepath.Dir(abs))
}

// A goldenFile is what is kept of an example: what the provider reports, and
// what it declares unless one of the reports is an error.
type goldenFile struct {
	Diagnostics []string `json:"diagnostics,omitempty"`
	*Snapshot
}

func (s Suite) example(t *testing.T, file, golden string) {
	g := load(t, file, s.Provider.Name())
	pristine := load(t, file, s.Provider.Name())

	kept, problems := s.judge(g)
	report(t, problems)
	if !reflect.DeepEqual(g, pristine) {
		t.Error("the provider changed the graph; it must leave it as it is")
	}
	compare(t, golden, encode(t, kept))
}

// judge checks a graph and what the provider makes of it.
func (s Suite) judge(g *graph.Graph) (goldenFile, []string) {
	var kept goldenFile
	list := append(providers.CheckFeatures(g, s.Provider.Features()), s.Provider.Check(g)...).Sorted()
	for _, d := range list {
		kept.Diagnostics = append(kept.Diagnostics, d.String())
	}
	if list.HasErrors() {
		return kept, nil
	}
	snapshot, err := s.take(g)
	if err != nil {
		return kept, []string{err.Error()}
	}
	kept.Snapshot = snapshot
	return kept, append(s.snapshotProblems(g, snapshot), s.again(g, snapshot)...)
}

// again runs the program several times at once: the outcome must not depend on
// time, chance, the order of maps or other runs.
func (s Suite) again(g *graph.Graph, first *Snapshot) []string {
	problems := make([]string, 3)
	var wg sync.WaitGroup
	for i := range problems {
		wg.Go(func() {
			next, err := s.take(g)
			if err != nil {
				problems[i] = fmt.Sprintf("another run fails: %v", err)
			} else if a, b := first.JSON(), next.JSON(); !bytes.Equal(a, b) {
				problems[i] = fmt.Sprintf("two runs declare different resources; sort what comes out of maps, and use no clock and no chance:\n%s", diff.Diff("first", a, "second", b))
			}
		})
	}
	wg.Wait()
	problems = slices.DeleteFunc(problems, func(p string) bool { return p == "" })
	return problems[:min(len(problems), 1)] // one says it all
}

// snapshotProblems are the rules that hold for every provider.
func (s Suite) snapshotProblems(g *graph.Graph, snapshot *Snapshot) []string {
	var out []string
	wrong := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	seen := map[string]bool{}
	owned := map[string]bool{}
	describer, _ := s.Provider.(providers.Describer)
	for _, r := range snapshot.Resources {
		if seen[r.urn] {
			wrong("%s is declared twice; put what tells the two apart into the name", r.label())
		}
		seen[r.urn] = true
		if r.Name == "" || strings.Contains(r.Name, "::") || strings.ContainsFunc(r.Name, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			wrong("%s: the name cannot be part of a URN", r.label())
		}
		if s.Resource != nil {
			if err := s.Resource(r); err != nil {
				wrong("%s: %v", r.label(), err)
			}
		}
		if describer != nil {
			owner := describer.OwnerOf(r.Type, r.Name)
			owned[owner] = true
			if owner != "" && g.Function(owner) == nil {
				wrong("%s belongs to function %q, which does not exist; see providers.Describer", r.label(), owner)
			}
		}
	}
	for _, f := range g.Functions {
		if describer != nil && !owned[f.Name] {
			wrong("no resource belongs to function %q; see providers.Describer", f.Name)
		}
		if _, ok := snapshot.Outputs[f.Name+".url"]; providers.HasRoutes(&f) && !ok {
			wrong("the stack has no output %q, which tells where the function answers", f.Name+".url")
		}
	}
	for _, place := range snapshot.leaked {
		wrong("%s shows the value of a secret; pass it on with pulumi.ToSecret", place)
	}
	return out
}

// outputs returns how the outputs of resources are made up.
func (s Suite) outputs() OutputsFunc {
	if s.Outputs != nil {
		return s.Outputs
	}
	host, ok := s.Provider.(providers.Host)
	if !ok {
		return func(string, string, resource.PropertyMap) (resource.PropertyMap, error) { return nil, nil }
	}
	server := host.Resources(providers.HostOptions{Home: "/nonexistent", Log: func(string) {}})
	return func(typ, name string, inputs resource.PropertyMap) (resource.PropertyMap, error) {
		r := providers.Resource{Type: typ, Name: name}
		checked, failures, err := server.Check(context.Background(), r, nil, inputs)
		if err != nil {
			return nil, err
		}
		for _, f := range failures {
			return nil, fmt.Errorf("the resource server refuses input %s: %s", f.Property, f.Reason)
		}
		_, out, err := server.Create(context.Background(), r, checked, true)
		return out, err
	}
}

func load(t *testing.T, file, provider string) *graph.Graph {
	t.Helper()
	g, _, list := manifest.Load(manifest.Options{
		Dir:      filepath.Dir(file),
		File:     filepath.Base(file),
		Provider: provider,
		Env:      func(string) (string, bool) { return "", false },
		Git:      func(key string) (string, error) { return "git-" + key, nil },
		ReadFile: os.ReadFile,
	})
	if g == nil {
		t.Fatalf("%s cannot be read:\n%s", file, lines(list))
	}
	return g
}

func lines(list diag.List) string {
	var b strings.Builder
	for _, d := range list {
		fmt.Fprintln(&b, d)
	}
	return b.String()
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// compare compares with a golden file; UPDATE=1 rewrites it.
func compare(t *testing.T, golden string, got []byte) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v; write it with UPDATE=1 and read it before you commit", err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("the resources have changed; if that is meant, rewrite with UPDATE=1:\n%s", diff.Diff(golden, want, "now", got))
	}
}
