package manifest

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// FuzzLoad reads any bytes as a manifest and as a file that it includes. What
// holds for every input: no panic, a graph or errors and never both, no place
// outside the files, a list that sorting does not change, snippets that can be
// drawn, and the same answer twice.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/ok/*.yaml", "testdata/err/*.yaml", "../serverless.yaml.example"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, []byte("team: payments\nlist: [a, b]\nself: ${file(other.yaml).list}\n"))
		}
	}
	f.Fuzz(func(t *testing.T, data, other []byte) { checkInvariants(t, data, other) })
}

// TestInvariants checks what FuzzLoad checks on manifests made from the language,
// which get further than bytes made by chance.
func TestInvariants(t *testing.T) {
	graphs := 0
	rapid.Check(t, func(t *rapid.T) {
		g := generator{t: t, mistakes: rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "mistakes per hundred")}
		tree := g.value(language, 0)
		if m, ok := tree.(map[string]any); ok && rapid.Bool().Draw(t, "plain") {
			// Without what has to fit together most of them are right.
			m["apiVersion"], m["service"] = APIVersion, "shop"
			keep(m, "apiVersion", "service", "tags", "accept", "functions")
			functions, _ := m["functions"].(map[string]any)
			for _, f := range functions {
				if f, ok := f.(map[string]any); ok {
					keep(f, "description", "architecture", "tracing", "native", "env", "network", "package", "accept")
					f["runtime"], f["handler"] = "go", "api.Handle"
				}
			}
		}
		raw, err := json.MarshalIndent(tree, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if checkInvariants(t, raw, nil) {
			graphs++
		}
	})
	if graphs == 0 {
		t.Error("no generated manifest had a graph")
	}
}

func keep(m map[string]any, keys ...string) {
	maps.DeleteFunc(m, func(k string, _ any) bool { return !slices.Contains(keys, k) })
}

// A reporter is a testing.T or a rapid.T.
type reporter interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
}

// checkInvariants reads data and reports whether it has a graph.
func checkInvariants(t reporter, data, other []byte) bool {
	t.Helper()
	o := Options{
		Stage:  "prod",
		Params: map[string]string{"count": "3"},
		Env:    func(name string) (string, bool) { return "value", name == "SET" },
		Git:    func(string) (string, error) { return "0123abc", nil },
		ReadFile: func(path string) ([]byte, error) {
			switch path {
			case "serverless.yaml":
				return data, nil
			case "other.yaml":
				return other, nil
			}
			return nil, os.ErrNotExist
		},
	}
	g, sources, list := Load(o)
	if (g == nil) != list.HasErrors() {
		t.Errorf("graph: %v, errors: %v", g != nil, list)
	}
	for _, d := range list {
		checkPlace(t, d, d.Pos, sources)
		for _, p := range d.Origin {
			checkPlace(t, d, p, sources)
		}
		if d.Code == "" || d.Message == "" || !utf8.ValidString(d.Message+d.Hint) {
			t.Errorf("a diagnostic without code or text: %#v", d)
		}
	}
	if sorted := list.Sorted(); !slices.EqualFunc(sorted, list, func(a, b diag.Diagnostic) bool { return a.String() == b.String() }) {
		t.Errorf("sorting changes the list:\n%v\n%v", list, sorted)
	}
	for _, color := range []bool{false, true} {
		var b bytes.Buffer
		if err := diag.Render(&b, list, sources, diag.RenderOptions{Color: color}); err != nil {
			t.Error(err)
		}
		if !color && strings.ContainsFunc(b.String(), func(r rune) bool { return r < ' ' && r != '\n' }) {
			t.Errorf("control characters in %q", b.String())
		}
	}
	if g != nil {
		for _, s := range g.Used {
			checkPlace(t, diag.Diagnostic{Message: s.Path}, s.Pos, sources)
			if !slices.Contains(allPaths, s.Path) {
				t.Errorf("setting %s is not in the list of paths", s.Path)
			}
		}
		if _, err := json.Marshal(g); err != nil {
			t.Errorf("the graph cannot be written: %v", err)
		}
	}
	g2, _, list2 := Load(o)
	if !reflect.DeepEqual(g, g2) || !reflect.DeepEqual(list, list2) {
		t.Error("loading twice gives two answers")
	}
	return g != nil
}

var allPaths = Paths()

// checkPlace fails when a place is outside its file.
func checkPlace(t reporter, d diag.Diagnostic, p diag.Pos, sources Sources) {
	t.Helper()
	if !p.IsValid() {
		if p.File == "" {
			t.Errorf("%q has no place at all", d.Message)
		}
		return
	}
	data, ok := sources[p.File]
	if !ok {
		t.Errorf("%v: no such file: %s", p, d.Message)
		return
	}
	starts := diag.LineStarts(data)
	if p.Line > len(starts) {
		t.Errorf("%v is after the last line, %d: %s", p, len(starts), d.Message)
		return
	}
	line := data[starts[p.Line-1]:]
	if p.Line < len(starts) {
		line = data[starts[p.Line-1]:starts[p.Line]]
	}
	if n := utf8.RuneCount(line) + 1; p.Column < 1 || p.Column > n {
		t.Errorf("%v is after the end of the line, %d: %s", p, n, d.Message)
	}
}
