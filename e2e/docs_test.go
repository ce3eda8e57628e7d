package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/anyfaas/anyfaas/manifest"
)

// documents returns the Markdown files that people read, by path below the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) == ".md" {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			found[filepath.ToSlash(strings.TrimPrefix(name, ".."+string(filepath.Separator)))] = string(data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A manifest in a document is a manifest: what people copy must work. One that
// shows a mistake on purpose is titled broken.yaml, and the document shows what
// validate says about it.
func TestManifestsInDocumentsAreValid(t *testing.T) {
	seen := 0
	for name, document := range documents(t) {
		if name == "manifest/ERRORS.md" {
			continue // nothing but mistakes; package manifest compares them
		}
		for _, b := range blocks(document) {
			if b.language != "yaml" || b.title == "broken.yaml" {
				continue
			}
			seen++
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "serverless.yaml"), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, list := manifest.Load(manifest.Options{Dir: dir})
			for _, d := range list {
				t.Errorf("%s:%d: %s", name, b.line+d.Pos.Line-1, d)
			}
		}
	}
	if seen == 0 {
		t.Error("no document shows a manifest")
	}
}

func TestExamplesAndTemplatesAreValidWithoutWarnings(t *testing.T) {
	t.Parallel()
	var dirs []string
	for _, pattern := range []string{"../examples/*/serverless.yaml", "../templates/*/*/serverless.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			dirs = append(dirs, filepath.Dir(f))
		}
	}
	if len(dirs) < 11 {
		t.Errorf("found only %v", dirs)
	}
	w := newWorld(t, "")
	for _, dir := range dirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			t.Fatal(err)
		}
		if r := w.run("-C", abs, "validate"); r.code != 0 || strings.Contains(r.stderr, "warning") {
			t.Errorf("%s: exit code %d\n%s%s", dir, r.code, r.stdout, r.stderr)
		}
	}
}

func TestEveryCommandIsInTheREADME(t *testing.T) {
	w := newWorld(t, "")
	readme := documents(t)["README.md"]
	_, commands, ok := strings.Cut(w.must(0, "--help").stdout, "Commands:\n")
	if !ok {
		t.Fatal("help lists no commands")
	}
	commands, _, _ = strings.Cut(commands, "\n\n")
	names := regexp.MustCompile(`(?m)^  ([a-z]+)`).FindAllStringSubmatch(commands, -1)
	if len(names) < 15 {
		t.Fatalf("found only %v in\n%s", names, commands)
	}
	for _, name := range names {
		if !regexp.MustCompile("`" + name[1] + `[ \x60]`).MatchString(readme) {
			t.Errorf("README.md does not tell of %q", name[1])
		}
	}
}

// A link to a file of this repository leads somewhere.
func TestLinksInDocumentsLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for name, document := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(document, -1) {
			if _, err := os.Stat(filepath.Join("..", filepath.Dir(name), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Every example is on the list of the README and has a README of its own that
// TestDocumentsShowWhatHappens follows.
func TestEveryExampleIsDocumented(t *testing.T) {
	files, err := filepath.Glob("../examples/*/serverless.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := documents(t)
	for _, f := range files {
		name := filepath.Base(filepath.Dir(f))
		if !strings.Contains(all["README.md"], "(examples/"+name+")") {
			t.Errorf("README.md does not link examples/%s", name)
		}
		if !strings.Contains(all["examples/"+name+"/README.md"], "```console\n$ ") {
			t.Errorf("examples/%s/README.md shows no commands", name)
		}
	}
}
