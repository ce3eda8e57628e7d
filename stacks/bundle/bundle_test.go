package bundle_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/stacks/bundle"
)

// requireTool skips a test where a language is not installed. MUST_RUN lists
// those that have to be there, "node,python": their absence is then a failure.
func requireTool(t *testing.T, language string) {
	t.Helper()
	program := map[string]string{"node": "node", "python": "python3", "go": "go"}[language]
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if slices.Contains(strings.Split(os.Getenv("MUST_RUN"), ","), language) {
		t.Fatalf("%s is not installed, and MUST_RUN lists it", language)
	}
	t.Skipf("%s is not installed", language)
}

// project writes the files of a txtar archive into a new folder.
func project(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, archive)
	return dir
}

func write(t *testing.T, dir, archive string) {
	t.Helper()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		file := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// service returns a graph for provider local with the given functions, each of
// whose settings has a place of its own.
func service(dir string, functions ...graph.Function) *graph.Graph {
	at := func(line, column int) diag.Pos { return diag.Pos{File: "serverless.yaml", Line: line, Column: column} }
	for i := range functions {
		f := &functions[i]
		line := 10 * (i + 1)
		f.Position = graph.Positions{
			"": at(line, 3), "handler": at(line+1, 14), "runtime": at(line+2, 14), "package": at(line+3, 14),
			"package.include": at(line+4, 16), "package.exclude": at(line+5, 16), "package.external": at(line+6, 17),
			"command": at(line+7, 14), "image": at(line+8, 12),
		}
		if f.Env == nil {
			f.Env = map[string]graph.Text{}
		}
	}
	slices.SortFunc(functions, func(a, b graph.Function) int { return strings.Compare(a.Name, b.Name) })
	return &graph.Graph{
		Service: "shop", Stage: "dev", Provider: "local", Dir: dir, File: "serverless.yaml",
		Functions: functions, Position: graph.Positions{"provider": at(3, 11)},
	}
}

// runtimeOf returns the runtime that this machine has of a language.
func runtimeOf(t *testing.T, language string) graph.Runtime {
	t.Helper()
	requireTool(t, language)
	switch language {
	case "node":
		out := output(t, "node", "-p", "process.versions.node.split('.')[0]")
		return graph.Runtime{Language: "node", Version: out}
	case "python":
		out := output(t, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
		return graph.Runtime{Language: "python", Version: out}
	}
	return graph.Runtime{Language: language}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// build packages every function of g and returns the reports by function.
func build(t *testing.T, g *graph.Graph, cache string) (map[string]bundle.Report, diag.List) {
	t.Helper()
	_, reports, diags, err := bundle.Build(context.Background(), g, nil, bundle.Options{Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]bundle.Report{}
	for _, r := range reports {
		byName[r.Function] = r
	}
	return byName, diags
}

// mustBuild is build for what has nothing wrong with it.
func mustBuild(t *testing.T, g *graph.Graph, cache string) map[string]bundle.Report {
	t.Helper()
	reports, diags := build(t, g, cache)
	if len(diags) > 0 {
		t.Fatalf("unexpected diagnostics:\n%s", lines(diags))
	}
	return reports
}

// lines shows diagnostics as a person would read them.
func lines(l diag.List) string {
	var b strings.Builder
	for _, d := range l {
		b.WriteString(d.String() + "\n")
		if d.Hint != "" {
			b.WriteString("  hint: " + d.Hint + "\n")
		}
	}
	return b.String()
}
