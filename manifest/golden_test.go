package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// optionsOf reads "# load: stage=prod env.HOME=/root" from the first line of a
// test manifest, so that a case is one file.
func optionsOf(t *testing.T, dir, name string, data []byte) Options {
	t.Helper()
	env := map[string]string{}
	o := Options{
		Dir:    dir,
		File:   name,
		Params: map[string]string{},
		Env:    func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Git: func(key string) (string, error) {
			switch key {
			case "sha":
				return "0123abc", nil
			case "branch":
				return "main", nil
			}
			return "", errors.New("no such key")
		},
	}
	first, _, _ := strings.Cut(string(data), "\n")
	settings, ok := strings.CutPrefix(first, "# load: ")
	if !ok {
		return o
	}
	for _, s := range strings.Fields(settings) {
		k, v, _ := strings.Cut(s, "=")
		if plain, err := strconv.Unquote(`"` + v + `"`); err == nil {
			v = plain
		}
		switch kind, name, _ := strings.Cut(k, "."); kind {
		case "stage":
			o.Stage = v
		case "provider":
			o.Provider = v
		case "param":
			o.Params[name] = v
		case "env":
			env[name] = v
		case "dir": // look for a manifest in a folder that has none
			o.Dir, o.File = filepath.Join(dir, v), ""
		case "git":
			o.Git = nil
		case "pad": // make the file so many bytes long
			size, err := strconv.Atoi(v)
			if err != nil {
				t.Fatal(err)
			}
			o.ReadFile = func(path string) ([]byte, error) {
				data, err := os.ReadFile(path)
				return append(data, bytes.Repeat([]byte("# padding\n"), size/10)...), err
			}
		default:
			t.Fatalf("%s: unknown setting %q", name, s)
		}
	}
	return o
}

// rendered is what a user sees.
func rendered(t *testing.T, l diag.List, s Sources) string {
	t.Helper()
	var b bytes.Buffer
	if err := diag.Render(&b, l, s, diag.RenderOptions{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// golden compares got with a file, or rewrites the file with UPDATE=1.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("not what %s says:\n%s", file, diff.Diff("want", want, "got", []byte(got)))
	}
}

// cases lists the manifests of a folder and fails on files that belong to none.
func cases(t *testing.T, dir, ending string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	claimed := map[string]bool{}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok {
			names = append(names, name)
			claimed[e.Name()], claimed[name+ending] = true, true
		}
	}
	for _, e := range entries {
		if !e.IsDir() && !claimed[e.Name()] {
			t.Errorf("%s belongs to no case", filepath.Join(dir, e.Name()))
		}
	}
	if len(names) == 0 {
		t.Fatalf("no cases in %s", dir)
	}
	return names
}

func TestMistakes(t *testing.T) {
	dir := filepath.Join("testdata", "err")
	for _, name := range cases(t, dir, ".out") {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, name+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			g, sources, list := Load(optionsOf(t, dir, name+".yaml", data))
			if len(list) == 0 {
				t.Error("nothing was reported")
			}
			if (g == nil) != list.HasErrors() {
				t.Errorf("graph %v beside %v", g != nil, list)
			}
			golden(t, filepath.Join(dir, name+".out"), rendered(t, list, sources))
		})
	}
}

func TestGraphs(t *testing.T) {
	dir := filepath.Join("testdata", "ok")
	for _, name := range cases(t, dir, ".json") {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, name+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			g, sources, list := Load(optionsOf(t, dir, name+".yaml", data))
			if len(list) > 0 {
				t.Fatalf("a good manifest is reported:\n%s", rendered(t, list, sources))
			}
			if !filepath.IsAbs(g.Dir) {
				t.Errorf("folder %q is not absolute", g.Dir)
			}
			g.Dir = filepath.Base(g.Dir)
			golden(t, filepath.Join(dir, name+".json"), indented(t, g))
		})
	}
}

// indented writes a value as JSON, places as "file:line:col".
func indented(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(compact(tree)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// compact writes places as text and leaves out what is not set, so that a
// golden file can be read.
func compact(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = compact(v[i])
		}
		return v
	case map[string]any:
		if len(v) == 3 && v["Line"] != nil && v["Column"] != nil {
			return fmt.Sprintf("%v:%v:%v", v["File"], v["Line"], v["Column"])
		}
		for _, k := range slices.Collect(maps.Keys(v)) {
			e := compact(v[k])
			if e == nil || e == "" || e == false || e == 0.0 {
				delete(v, k)
				continue
			}
			v[k] = e
		}
		return v
	}
	return v
}
