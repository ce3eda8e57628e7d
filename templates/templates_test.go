package templates

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteMakesAProjectWithTheUsersChoices(t *testing.T) {
	for _, tt := range []struct {
		name  string
		o     Options
		files []string
		heads map[string]string // first lines of files
	}{
		{
			name:  "nothing said",
			o:     Options{},
			files: []string{".gitignore", "README.md", "anyfaas.d.ts", "package.json", "serverless.yaml", "src/api.ts", "tsconfig.json"},
			heads: map[string]string{
				"serverless.yaml": "apiVersion: anyfaas/v1\nservice: my-shop\nprovider: local\n\nfunctions:\n",
				"package.json":    "{\n  \"name\": \"my-shop\",\n",
				"README.md":       "# my-shop\n",
			},
		},
		{
			name:  "Go, with a name and a cloud",
			o:     Options{Template: "worker", Runtime: "go", Service: "orders", Provider: "aws"},
			files: []string{".gitignore", "README.md", "go.mod", "jobs/jobs.go", "serverless.yaml"},
			heads: map[string]string{
				"serverless.yaml": "apiVersion: anyfaas/v1\nservice: orders\nprovider: aws\nproviders:\n  aws: { region: us-east-1 }\n\nfunctions:\n",
				"go.mod":          "module example.com/orders\n",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "My Shop")
			files, err := Write(dir, tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.files, files); d != "" {
				t.Errorf("files (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.files, onDisk(t, dir)); d != "" {
				t.Errorf("files on disk (-want +got):\n%s", d)
			}
			for name, head := range tt.heads {
				got, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(string(got), head) {
					t.Errorf("%s: want it to start with\n%s\ngot\n%s", name, head, got)
				}
			}
		})
	}
}

func TestWriteNeverReplacesAFile(t *testing.T) {
	dir := t.TempDir()
	mine := map[string]string{"README.md": "mine", "src/api.ts": "mine too", "serverless.yml": "and this"}
	for name, text := range mine {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Write(dir, Options{})
	conflict, ok := errors.AsType[*ConflictError](err)
	if !ok {
		t.Fatalf("want a ConflictError, got %v", err)
	}
	want := []string{"README.md", "serverless.yml", "src/api.ts"}
	if d := cmp.Diff(want, conflict.Files); d != "" {
		t.Errorf("conflicts (-want +got):\n%s", d)
	}
	if want := dir + " already holds README.md, serverless.yml, src/api.ts"; conflict.Error() != want {
		t.Errorf("want %s\ngot  %s", want, conflict)
	}
	if d := cmp.Diff(want, onDisk(t, dir)); d != "" {
		t.Errorf("the folder changed (-want +got):\n%s", d)
	}
	for name, text := range mine {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("%s: want %q, got %q, %v", name, text, got, err)
		}
	}
}

func TestWriteTakesAVersionOfALanguage(t *testing.T) {
	dir := t.TempDir()
	if _, err := Write(dir, Options{Template: "worker", Runtime: "python3.13"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "serverless.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(got), "    runtime: python3.13\n"); n != 3 || strings.Count(string(got), "runtime:") != n {
		t.Errorf("want python3.13 three times and no other:\n%s", got)
	}
}

func TestWriteRefusesWhatDoesNotExist(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"template", Options{Template: "htpp"}, `no template "htpp"; there are http-api, worker`},
		{"runtime", Options{Runtime: "perl"}, `template "http-api" has no runtime "perl"; it has go, node, python`},
		{"a version of a language without a template", Options{Runtime: "ruby3.4"}, `template "http-api" has no runtime "ruby3.4"; it has go, node, python`},
		{"provider", Options{Provider: "moon"}, `no provider "moon"`},
		{"service", Options{Service: "My Shop"}, `service name "My Shop" must be 2 to 40 of a-z, 0-9 and -, and start with a letter`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new")
			_, err := Write(dir, tt.o)
			if err == nil || err.Error() != tt.want {
				t.Errorf("want %s\ngot  %v", tt.want, err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the folder was made: %v", err)
			}
		})
	}
}

func TestServiceName(t *testing.T) {
	for dir, want := range map[string]string{
		"orders":                       "orders",
		"/home/ada/My Shop (v2)":       "my-shop-v2",
		"2024-report":                  "report",
		"9":                            "service",
		"żółw":                         "service",
		"a":                            "service",
		strings.Repeat("long-name", 9): "long-namelong-namelong-namelong-namelong",
		"trailing---":                  "trailing",
	} {
		if got := ServiceName(dir); got != want {
			t.Errorf("ServiceName(%q) = %q, want %q", dir, got, want)
		}
		if got := ServiceName(dir); !legalService.MatchString(got) {
			t.Errorf("ServiceName(%q) = %q, which no manifest accepts", dir, got)
		}
	}
}

// The types are one text, kept in each TypeScript project so that it works as
// it lies on disk.
func TestTypeDeclarationsAreTheSameEverywhere(t *testing.T) {
	files, err := filepath.Glob("../*/*/anyfaas.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	inTemplates, err := filepath.Glob("*/*/anyfaas.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, inTemplates...)
	if len(files) < 3 {
		t.Fatalf("found only %v", files)
	}
	want, err := os.ReadFile("http-api/node/anyfaas.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if got, err := os.ReadFile(f); err != nil || string(got) != string(want) {
			t.Errorf("%s differs from http-api/node/anyfaas.d.ts; copy that over it (%v)", f, err)
		}
	}
}

func onDisk(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		files = append(files, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}
