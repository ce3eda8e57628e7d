package manifest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

const small = "apiVersion: anyfaas/v1\nservice: shop\n"

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFileNames(t *testing.T) {
	t.Run("the second name is found", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "serverless.yml"), small)
		g, _, list := Load(Options{Dir: dir})
		if g == nil || g.File != "serverless.yml" || g.Dir != dir {
			t.Fatalf("%+v %v", g, list)
		}
	})
	t.Run("the first name wins", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "serverless.yml"), small)
		write(t, filepath.Join(dir, "serverless.yaml"), strings.Replace(small, "shop", "first", 1))
		if g, _, list := Load(Options{Dir: dir}); g == nil || g.Service != "first" {
			t.Fatal(list)
		}
	})
	t.Run("a named file in another folder", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "services", "shop.yaml"), small+"tags: ${file(../shared/tags.yaml)}\n")
		write(t, filepath.Join(dir, "shared", "tags.yaml"), "team: payments\n")
		g, sources, list := Load(Options{Dir: dir, File: "services/shop.yaml"})
		if g == nil || g.Dir != filepath.Join(dir, "services") || g.File != "services/shop.yaml" || g.Tags["team"] != "payments" {
			t.Fatalf("%+v %v", g, list)
		}
		if sources["shared/tags.yaml"] == nil {
			t.Errorf("the included file is not among %v", sources)
		}
	})
	t.Run("an absolute file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "shop.yaml")
		write(t, file, small)
		if g, _, list := Load(Options{File: file}); g == nil || g.Dir != filepath.Dir(file) {
			t.Fatal(list)
		}
	})
	t.Run("a named file that is not there", func(t *testing.T) {
		_, _, list := Load(Options{Dir: t.TempDir(), File: "other.yaml"})
		want := `other.yaml: cannot read "other.yaml": there is no such file [file-unreadable]`
		if len(list) != 1 || list[0].String() != want {
			t.Errorf("want %s, got %v", want, list)
		}
	})
	t.Run("a folder in place of the file", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "serverless.yaml"), 0o755); err != nil {
			t.Fatal(err)
		}
		_, _, list := Load(Options{Dir: dir})
		want := `serverless.yaml: cannot read "serverless.yaml": is a directory [file-unreadable]`
		if len(list) != 1 || list[0].String() != want {
			t.Errorf("want %s, got %v", want, list)
		}
	})
}

// fromText reads a manifest that is not in a file.
func fromText(text string) Options {
	return Options{ReadFile: func(path string) ([]byte, error) {
		if path == "serverless.yaml" {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}}
}

func TestPositionsOfGraph(t *testing.T) {
	g, _, list := Load(fromText(small + `functions:
  api:
    runtime: go
    handler: api.Handle
    memory: 1GB
    concurrency:
      max: 5
    triggers:
      - http: GET /x
      - queue: { name: jobs, batch: 3 }
resources:
  queues:
    jobs: { retention: 1d }
`))
	if g == nil {
		t.Fatal(list)
	}
	f := g.Function("api")
	for path, want := range map[string]string{
		"":                        "4:3",
		"memory":                  "7:13",
		"concurrency":             "8:5",
		"concurrency.max":         "9:12",
		"concurrency.warm":        "8:5",
		"triggers[0].http.path":   "11:19",
		"triggers[1].queue.batch": "12:37",
		"timeout":                 "4:3",
	} {
		if got := at(f.Position.At(path)); got != want {
			t.Errorf("%q stands at %s, want %s", path, got, want)
		}
	}
	if got := at(g.Queues[0].Position.At("retention")); got != "15:24" {
		t.Errorf("retention stands at %s", got)
	}
}

// TestHostileFiles reads files that are large or costly on purpose: each gets an
// answer, and not one of minutes.
func TestHostileFiles(t *testing.T) {
	many := func(n int, s string) string { return strings.Repeat(s, n) }
	numbered := func(n int, format func(i string) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(format(itoa(int64(i))))
		}
		return b.String()
	}
	letters := func(n int) string {
		var b strings.Builder
		for i := 1; i < n; i++ {
			b.WriteString("    q" + itoa(int64(i)) + ": { deadLetter: q" + itoa(int64(i-1)) + " }\n")
		}
		return b.String()
	}
	tests := []struct{ name, text string }{
		{"many unknown keys", small + numbered(10_000, func(i string) string { return "k" + i + ": 1\n" })},
		{"many dangling names", small + "functions:\n" + numbered(2_000, func(i string) string {
			return "  f" + i + ": { runtime: go, handler: a.B, triggers: [{ queue: q" + i + " }], env: { A: '${functions.g" + i + ".id}' } }\n"
		}) + "resources:\n  queues:\n" + numbered(2_000, func(i string) string { return "    r" + i + ": {}\n" })},
		{"a long chain of dead letters", small + "resources:\n  queues:\n    q0: {}\n" + letters(10_000)},
		{"a long circle of dead letters", small + "resources:\n  queues:\n    q0: { deadLetter: q9999 }\n" + letters(10_000)},
		{"many variables in a text", small + "tags: { a: '" + many(100_000, "${stage}") + "' }\n"},
		{"many texts with variables", small + "tags:\n" + numbered(20_000, func(i string) string { return "  t" + i + ": 'a ${stage} ${service}'\n" })},
		{"deep defaults of a variable", small + "tags: { a: '" + many(60, "${env.A:-") + many(60, "}") + "' }\n"},
		{"deeper defaults of a variable", small + "tags: { a: '" + many(5_000, "${env.A:-") + many(5_000, "}") + "' }\n"},
		{"nesting in blocks", small + "tags:\n" + many(9_000, "- ")},
		{"a long text for every function", small + "defaults: { runtime: go, env: { A: '${stage}" + many(200_000, "x") + "' } }\nfunctions:\n" + numbered(2_000, func(i string) string { return "  f" + i + ": {}\n" })},
		{"many duplicate keys", small + many(20_000, "a: 1\n")},
		{"a long line of quotes", small + "tags: { a: \"" + many(1_000_000, "x") + "\" }\n"},
		{"many anchors and merges", small + "tags: &a0 { a: 1 }\n" + numbered(200, func(i string) string { return "x" + i + ": { <<: [" + many(200, "*a0,") + "] }\n" })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answered := make(chan diag.List, 1)
			go func() {
				_, sources, list := Load(fromText(tt.text))
				rendered(t, list, sources)
				answered <- list
			}()
			select {
			case <-answered:
			case <-time.After(60 * time.Second):
				t.Fatal("no answer for a minute")
			}
		})
	}
}

// TestHugeFile names a file of eight gigabytes, which is read as far as it takes
// to see that.
func TestHugeFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "serverless.yaml")
	write(t, file, small)
	if err := os.Truncate(file, 8<<30); err != nil {
		t.Fatal(err)
	}
	_, sources, list := Load(Options{File: file})
	want := file + ": the file is larger than 4 MiB [file-too-large]"
	if len(list) != 1 || list[0].String() != want {
		t.Errorf("want %s, got %v", want, list)
	}
	if n := len(sources[file]); n > maxFileSize+1 {
		t.Errorf("%d bytes were read", n)
	}
}

// TestConcurrentLoads: the language is shared by all loads, and none changes it.
func TestConcurrentLoads(t *testing.T) {
	data, err := os.ReadFile("testdata/ok/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	for range 8 {
		go func() {
			g, _, _ := Load(fromText(string(data)))
			done <- g != nil
		}()
	}
	for range 8 {
		if !<-done {
			t.Error("a load has no graph")
		}
	}
}
