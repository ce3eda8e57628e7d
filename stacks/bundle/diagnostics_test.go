package bundle_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/stacks/bundle"
)

// Each file of testdata/diagnostics is a project and what packaging it tells. Its
// comment describes the function, "key: value" a line; the file "want" holds the
// diagnostics. UPDATE=1 rewrites them.
//
//	runtime: node 22       language and version; "node *" is this machine's
//	http, event: handlers
//	provider: aws          "local" when not given
//	include, exclude, external, command: lists, separated by blanks
//	path: tools            PATH holds nothing but the project's folder tools
//	link: name target      a symbolic link to be made
//	needs: python          language that must be installed
func TestDiagnostics(t *testing.T) {
	files, err := filepath.Glob("testdata/diagnostics/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want, wantAt := "", -1
			for i, f := range archive.Files {
				if f.Name == "want" {
					want, wantAt = string(f.Data), i
				}
			}
			got := diagnose(t, archive)
			if os.Getenv("UPDATE") != "" {
				if wantAt < 0 {
					archive.Files = append(archive.Files, txtar.File{Name: "want"})
					wantAt = len(archive.Files) - 1
				}
				archive.Files[wantAt].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
		})
	}
}

func diagnose(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, string(txtar.Format(archive)))
	f := graph.Function{Name: "api"}
	var env []string
	provider := "local"
	for line := range strings.Lines(string(archive.Comment)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		words := strings.Fields(value)
		switch key {
		case "runtime":
			f.Runtime.Language = words[0]
			if len(words) > 1 {
				f.Runtime.Version = words[1]
			}
			if f.Runtime.Version == "*" {
				f.Runtime = runtimeOf(t, words[0])
			}
		case "needs":
			requireTool(t, value)
		case "http":
			f.HTTPHandler = value
		case "event":
			f.EventHandler = value
		case "include":
			f.Package.Include = words
		case "exclude":
			f.Package.Exclude = words
		case "external":
			f.Package.External = words
		case "command":
			f.Command = words
		case "image":
			f.Image = value
		case "provider":
			provider = value
		case "path":
			env = []string{"PATH=" + filepath.Join(dir, value)}
		case "link":
			if err := os.Symlink(words[1], filepath.Join(dir, words[0])); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("unknown key %q", key)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "tools")); err == nil {
		tools, _ := os.ReadDir(filepath.Join(dir, "tools"))
		for _, tool := range tools {
			if err := os.Chmod(filepath.Join(dir, "tools", tool.Name()), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	g := service(dir, f)
	g.Provider = provider
	artifacts, _, diags, err := bundle.Build(context.Background(), g, nil, bundle.Options{Cache: t.TempDir(), Env: env})
	if err != nil {
		t.Fatal(err)
	}
	if diags.HasErrors() == (len(artifacts) > 0) {
		t.Errorf("%d artefacts with these diagnostics:\n%s", len(artifacts), lines(diags))
	}
	return strings.NewReplacer(dir, "$DIR", fmt.Sprintf("%q", dir), `"$DIR"`).Replace(lines(diags))
}
