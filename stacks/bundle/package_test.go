package bundle_test

import (
	"archive/zip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/anyfaas/anyfaas/manifest/graph"
)

// contents lists the files of a package.
func contents(t *testing.T, path string) []string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	return names
}

const tree = `
-- server --
#!/bin/sh
-- assets/a.txt --
-- assets/deep/b.txt --
-- assets/deep/c.md --
-- .env --
-- .git/config --
-- node_modules/m/index.js --
-- src/x.json --
`

func TestIncludeAndExclude(t *testing.T) {
	for _, c := range []struct {
		name             string
		include, exclude []string
		want             []string
	}{
		{"one file", []string{"server"}, nil, []string{"server"}},
		{"a folder by its name", []string{"assets"}, nil, []string{"assets/a.txt", "assets/deep/b.txt", "assets/deep/c.md"}},
		{"any depth", []string{"assets/**"}, nil, []string{"assets/a.txt", "assets/deep/b.txt", "assets/deep/c.md"}},
		{"what lies in a folder, its folders included", []string{"assets/*"}, nil, []string{"assets/a.txt", "assets/deep/b.txt", "assets/deep/c.md"}},
		{"an ending", []string{"**/*.txt"}, nil, []string{"assets/a.txt", "assets/deep/b.txt"}},
		{"minus some", []string{"assets/**"}, []string{"**/*.md"}, []string{"assets/a.txt", "assets/deep/b.txt"}},
		{"minus a folder", []string{"assets/**"}, []string{"assets/deep"}, []string{"assets/a.txt"}},
		{"everything but modules and what starts with a dot", []string{"**"}, nil, []string{"assets/a.txt", "assets/deep/b.txt", "assets/deep/c.md", "server", "src/x.json"}},
		{"modules by their name", []string{"node_modules/m/**"}, nil, []string{"node_modules/m/index.js"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := graph.Function{Name: "api", Runtime: graph.Runtime{Language: "custom"}, Command: []string{"./server"}, Package: graph.Package{Include: c.include, Exclude: c.exclude}}
			r := mustBuild(t, service(project(t, tree), f), t.TempDir())["api"]
			if diff := cmp.Diff(c.want, contents(t, r.Artifact.Path)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLinksInsideTheProjectAreFollowed(t *testing.T) {
	dir := project(t, "-- data/a.txt --\nhello\n-- server --\n#!/bin/sh\n")
	for link, to := range map[string]string{"data/b.txt": "a.txt", "data/around": "..", "more": "data"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	f := graph.Function{Name: "api", Runtime: graph.Runtime{Language: "custom"}, Command: []string{"./server"}, Package: graph.Package{Include: []string{"more/**"}}}
	r := mustBuild(t, service(dir, f), t.TempDir())["api"]
	if diff := cmp.Diff([]string{"more/a.txt", "more/b.txt"}, contents(t, r.Artifact.Path)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// A custom program only has to serve HTTP on the address it is given.
func TestCustomProgramsAreStartedAsTheyAre(t *testing.T) {
	requireTool(t, "node")
	dir := project(t, `
-- run.sh --
#!/bin/sh
exec node server.js "$1"
-- server.js --
require('http').createServer((q, s) => s.end(process.argv[2])).listen(process.env.ANYFAAS_LISTENER.slice(5))
`)
	if err := os.Chmod(filepath.Join(dir, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	f := graph.Function{Name: "api", Runtime: graph.Runtime{Language: "custom"}, Command: []string{"./run.sh", "an argument"}, Package: graph.Package{Include: []string{"run.sh", "*.js"}}}
	w := start(t, mustBuild(t, service(dir, f), t.TempDir())["api"].Artifact)
	if got := w.call("GET", "/", ""); got.body != "an argument" {
		t.Errorf("answer is %d %q", got.status, got.body)
	}
}
