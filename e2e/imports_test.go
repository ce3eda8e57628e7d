package e2e

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/anyfaas/anyfaas"

// mayImport is the direction of the project: cmd → stacks → providers →
// manifest, and inside each the few packages that may know each other. A folder
// that is not listed may import nothing of ours.
var mayImport = map[string][]string{
	"manifest/diag":  {},
	"manifest/graph": {"manifest/diag"},
	"manifest":       {"manifest/diag", "manifest/graph"},

	"providers":              {"manifest/diag", "manifest/graph"},
	"providers/local/api":    {},
	"providers/local/broker": {"manifest/diag", "providers/local/api"},
	"providers/local/host":   {"providers/local/api", "providers/local/broker"},
	"providers/local":        {"manifest/diag", "manifest/graph", "providers", "providers/local/api", "providers/local/host"},
	"providers/all":          {"providers", "providers/local"},
	"providers/providertest": {"manifest", "manifest/diag", "manifest/graph", "providers"},

	"stacks/event":  {},
	"stacks/bundle": {"manifest/diag", "manifest/graph", "providers", "stacks/event"},
	"stacks":        {"manifest/diag", "manifest/graph", "providers", "stacks/event"},
	"stacks/engine": {"providers", "stacks", "stacks/event"},

	"templates": {},

	"cmd/anyfaas/internal/view": {"manifest/graph", "stacks", "stacks/event"},
	"cmd/anyfaas/internal/cli": {
		"manifest", "manifest/diag", "manifest/graph", "providers", "providers/local/api",
		"stacks", "stacks/event", "templates", "cmd/anyfaas/internal/view",
	},
	"cmd/anyfaas/internal/machine": {"providers/local/api", "providers/local/host", "cmd/anyfaas/internal/cli"},
	"cmd/anyfaas/internal/quiet":   {},
	"cmd/anyfaas": {
		"manifest/diag", "manifest/graph", "providers", "providers/all",
		"stacks/bundle", "stacks/engine", "cmd/anyfaas/internal/cli", "cmd/anyfaas/internal/machine", "cmd/anyfaas/internal/quiet",
	},
}

// owners are the folders that may know a heavy dependency, and nobody else: an
// upgrade or a replacement is then a small thing. "x/..." means x and below.
var owners = map[string][]string{
	"github.com/pulumi/pulumi/pkg/v3":       {"stacks/engine"},
	"github.com/pulumi/pulumi/sdk/v3":       {"stacks", "stacks/engine", "providers", "providers/local", "providers/providertest"},
	"go.yaml.in/yaml/v4":                    {"manifest"},
	"github.com/urfave/cli/v2":              {"cmd/..."},
	"github.com/charmbracelet/lipgloss":     {"cmd/..."},
	"github.com/mattn/go-isatty":            {"cmd/..."},
	"golang.org/x/term":                     {"cmd/..."},
	"github.com/go-git/go-git/v5":           {"cmd/anyfaas/internal/cli"},
	"github.com/evanw/esbuild":              {"stacks/bundle"},
	"github.com/bmatcuk/doublestar/v4":      {"stacks/bundle"},
	"gocloud.dev":                           {"stacks/engine"},
	"github.com/nats-io":                    {"providers/local/broker"},
	"github.com/johannesboyne/gofakes3":     {"providers/local/broker"},
	"go.etcd.io/bbolt":                      {"providers/local/broker", "providers/local/host"},
	"github.com/adhocore/gronx":             {"providers/local/broker", "manifest"},
	"github.com/go-jose/go-jose/v4":         {"providers/local/host"},
	"github.com/fsnotify/fsnotify":          {"stacks/bundle"},
	"github.com/shirou/gopsutil/v4":         {"providers/local/host", "stacks/engine", "cmd/anyfaas/internal/machine"},
	"github.com/gofrs/flock":                {"providers/local/host", "stacks/engine", "stacks/bundle"},
	"github.com/google/go-cmp":              {},
	"go.uber.org/goleak":                    {},
	"pgregory.net/rapid":                    {},
	"github.com/rogpeppe/go-internal":       {"providers/providertest"},
	"github.com/santhosh-tekuri/jsonschema": {},
}

func TestImportsPointOneWay(t *testing.T) {
	seen := map[string]bool{}
	eachFile(t, func(folder, file string, f *ast.File) {
		seen[folder] = true
		allowed, known := mayImport[folder]
		if !known {
			return // reported below, once
		}
		for _, path := range imports(f) {
			theirs, ours := strings.CutPrefix(path, module+"/")
			if ours && !slices.Contains(allowed, theirs) {
				t.Errorf("%s: %s must not import %s", file, folder, theirs)
			}
		}
	})
	for folder := range seen {
		if _, known := mayImport[folder]; !known {
			t.Errorf("folder %s is new: say in mayImport what it may import", folder)
		}
	}
	for folder := range mayImport {
		if !seen[folder] {
			t.Errorf("folder %s of mayImport holds no Go file", folder)
		}
	}
}

func TestHeavyDependenciesHaveOneOwner(t *testing.T) {
	eachFile(t, func(folder, file string, f *ast.File) {
		for _, path := range imports(f) {
			for dependency, folders := range owners {
				if path != dependency && !strings.HasPrefix(path, dependency+"/") {
					continue
				}
				if !slices.ContainsFunc(folders, func(owner string) bool { return within(folder, owner) }) {
					t.Errorf("%s: %s belongs to %s", file, dependency, orNobody(folders))
				}
			}
		}
	})
}

// The world comes in through fields: outside cmd nothing reaches for the
// process's streams, arguments or exit. The local host is a process of its own
// that starts itself again, so it may.
func TestOnlyCommandsReachForTheProcess(t *testing.T) {
	forbidden := map[string]string{
		"os.Exit": "return an error", "os.Stdout": "take an io.Writer", "os.Stderr": "take an io.Writer",
		"os.Stdin": "take an io.Reader", "os.Args": "take a parameter",
		"fmt.Print": "take an io.Writer", "fmt.Println": "take an io.Writer", "fmt.Printf": "take an io.Writer",
	}
	eachFile(t, func(folder, file string, f *ast.File) {
		if within(folder, "cmd/...") || folder == "providers/local/host" {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := s.X.(*ast.Ident)
			if !ok || x.Obj != nil {
				return true
			}
			name := x.Name + "." + s.Sel.Name
			if instead, bad := forbidden[name]; bad {
				t.Errorf("%s: %s in %s: %s", file, name, folder, instead)
			}
			return true
		})
	})
}

// The tables above have to be able to fail.
func TestImportRulesCanFail(t *testing.T) {
	for _, c := range []struct {
		name, folder, owner string
		want                bool
	}{
		{"a folder is within itself", "manifest", "manifest", true},
		{"a folder below is not", "manifest/graph", "manifest", false},
		{"a folder below is within a pattern", "cmd/anyfaas", "cmd/...", true},
		{"a folder that begins alike is not", "cmdline", "cmd/...", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := within(c.folder, c.owner); got != c.want {
				t.Errorf("within(%q, %q) = %v, want %v", c.folder, c.owner, got, c.want)
			}
		})
	}
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", `package x; import _ "github.com/anyfaas/anyfaas/stacks"`, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(imports(f)); got != "[github.com/anyfaas/anyfaas/stacks]" {
		t.Errorf("imports = %s", got)
	}
	if slices.Contains(mayImport["manifest"], "stacks") {
		t.Error("manifest may import stacks")
	}
}

func within(folder, owner string) bool {
	if root, ok := strings.CutSuffix(owner, "/..."); ok {
		return folder == root || strings.HasPrefix(folder, root+"/")
	}
	return folder == owner
}

func orNobody(folders []string) string {
	if len(folders) == 0 {
		return "tests alone"
	}
	return strings.Join(folders, ", ")
}

func imports(f *ast.File) []string {
	var paths []string
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			panic(err) // the parser accepted it
		}
		paths = append(paths, p)
	}
	return paths
}

// eachFile parses every Go file of the program: not tests, and not the projects
// that templates, examples and adapters hold.
func eachFile(t *testing.T, visit func(folder, file string, f *ast.File)) {
	t.Helper()
	n := 0
	for _, top := range []string{"manifest", "providers", "stacks", "templates", "cmd"} {
		root := filepath.Join("..", top)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			folder := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), ".."+string(filepath.Separator)))
			switch {
			case d.IsDir():
				if d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") {
					return filepath.SkipDir
				}
				return nil
			case !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"), embedded(folder):
				return nil
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			n++
			visit(folder, strings.TrimPrefix(filepath.ToSlash(path), "../"), f)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 50 {
		t.Fatalf("only %d files were looked at", n)
	}
}

// embedded reports whether a folder holds Go that is given to users rather than
// part of the program.
func embedded(folder string) bool {
	return strings.HasPrefix(folder, "templates/") || strings.HasPrefix(folder, "stacks/bundle/")
}
