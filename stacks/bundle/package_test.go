package bundle_test

import (
	"archive/zip"
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
