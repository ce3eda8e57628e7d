package bundle_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anyfaas/anyfaas/manifest/graph"
)

// The same sources give the same bytes in another folder, with another cache, in
// another order on disk and with other times.
func TestPackagesAreTheSameEverywhere(t *testing.T) {
	for language, h := range hello {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			f := graph.Function{Name: "api", Runtime: runtimeOf(t, language), HTTPHandler: h.handler, Package: graph.Package{Include: []string{"data/**"}}}
			data := "-- data/b.txt --\nb\n-- data/a.txt --\na\n"
			var sums []string
			for range 2 {
				dir := project(t, strings.TrimSpace(h.files)+"\n"+data)
				deeper := filepath.Join(dir, "a folder", "deeper")
				if len(sums) > 0 {
					write(t, deeper, data+strings.TrimSpace(h.files)+"\n")
					dir = deeper
				}
				r := mustBuild(t, service(dir, f), t.TempDir())["api"]
				sums = append(sums, r.Artifact.SHA256)
				mentionsNo(t, r.Artifact.Path, dir)
			}
			if sums[0] != sums[1] {
				t.Errorf("packages differ: %q", sums)
			}
		})
	}
}

// mentionsNo checks that no file of a package holds text.
func mentionsNo(t *testing.T, zipPath, text string) {
	t.Helper()
	z, err := zip.OpenReader(zipPath)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(text)) {
			t.Errorf("%s holds the project's path", f.Name)
		}
		if want := os.FileMode(0o644); f.Mode() != want && f.Name != "main" {
			t.Errorf("%s has mode %v, want %v", f.Name, f.Mode(), want)
		} else if f.Name == "main" && f.Mode() != 0o755 {
			t.Errorf("%s has mode %v", f.Name, f.Mode())
		}
	}
}
