package manifest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(schemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shapeOf runs the phases that the schema stands for: syntax and shape, on the
// text of one file. ok is false when it is not even YAML of ours.
func shapeOf(name string, data []byte) (root *node, found diag.List, ok bool) {
	l := newLoader(Options{})
	l.file = name
	root = l.parse(l.add(name, data))
	if root == nil || l.diags.HasErrors() {
		return nil, l.diags, false
	}
	checkShape(&l.diags, root, language, rawMode)
	return root, l.diags, true
}

// TestSchemaOfFiles compares the verdicts of schema and decoder on every
// manifest of the test data.
func TestSchemaOfFiles(t *testing.T) {
	schema := compiledSchema(t)
	var files []string
	for _, pattern := range []string{"testdata/ok/*.yaml", "testdata/err/*.yaml", "../serverless.yaml.example"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	good, bad := 0, 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		root, found, ok := shapeOf(filepath.Base(file), data)
		if !ok {
			continue
		}
		if compareVerdicts(t.Errorf, schema, file, root, found) {
			good++
		} else {
			bad++
		}
	}
	if good < 20 || bad < 20 {
		t.Errorf("compared %d good and %d bad manifests, which is too few to mean anything", good, bad)
	}
}

func compareVerdicts(errorf func(string, ...any), schema *jsonschema.Schema, name string, root *node, found diag.List) bool {
	raw, err := json.Marshal(jsonOf(root))
	if err != nil {
		errorf("%s: %v", name, err)
		return false
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		errorf("%s: %v", name, err)
		return false
	}
	verdict := schema.Validate(value)
	if (verdict == nil) == found.HasErrors() {
		errorf("%s: the schema says %v, the decoder says %v\n%s", name, verdict, found, raw)
	}
	return verdict == nil
}

// jsonOf is the value other tools see in the file.
func jsonOf(n *node) any {
	switch n.kind {
	case mapKind:
		out := map[string]any{}
		for _, f := range n.fields {
			out[f.key] = jsonOf(f.value)
		}
		return out
	case listKind:
		out := []any{}
		for _, item := range n.list {
			out = append(out, jsonOf(item))
		}
		return out
	case boolKind:
		return n.text == "true"
	case numberKind:
		return json.Number(n.text)
	case nullKind:
		return nil
	}
	return n.text
}

// TestSchemaOfGenerated compares the verdicts on manifests made from the
// language, right ones and ones with a mistake somewhere.
func TestSchemaOfGenerated(t *testing.T) {
	schema := compiledSchema(t)
	good, bad := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		g := generator{t: t, mistakes: rapid.SampledFrom([]int{0, 0, 2, 10}).Draw(t, "mistakes per hundred")}
		raw, err := json.Marshal(g.value(language, 0))
		if err != nil {
			t.Fatal(err)
		}
		root, found, ok := shapeOf("serverless.yaml", raw)
		if !ok {
			if root == nil && !slices.ContainsFunc(found, func(d diag.Diagnostic) bool {
				return d.Code == "wrong-type" || d.Code == "empty-file" || d.Code == "file-encoding"
			}) {
				t.Fatalf("%s\n%v", raw, found)
			}
			return
		}
		if compareVerdicts(t.Fatalf, schema, "generated", root, found) {
			good++
		} else {
			bad++
		}
	})
	if good < 3 || bad < 3 {
		t.Errorf("generated %d good and %d bad manifests, which is too few to mean anything", good, bad)
	}
}

// A generator makes values of a shape.
type generator struct {
	t        *rapid.T
	mistakes int // in a hundred values
}

func (g generator) chance(percent int) bool {
	return percent > 0 && rapid.IntRange(1, 100).Draw(g.t, "chance") <= percent
}

func (g generator) pick(values ...any) any { return rapid.SampledFrom(values).Draw(g.t, "pick") }

func (g generator) value(s *shape, depth int) any {
	if g.chance(g.mistakes) {
		return g.pick(nil, true, false, 0, -1, 1.5, 7, 512.0, 1e3, 1e300, 999999999, 1000000000, "", "x", "X", "12", "512GBB", "1h 30m", "GET", "yes", "${stage}", "$${stage}", "a${env.B}c", "$${",
			[]any{}, []any{"x"}, []any{nil}, map[string]any{}, map[string]any{"x": 1}, map[string]any{"name": "jobs"})
	}
	if depth > 0 && !s.literal && g.chance(3) {
		return g.pick("${stage}", "x-${env.A:-b}")
	}
	switch s.kind {
	case objectShape:
		if s.short != nil && g.chance(40) {
			return g.value(s.short, depth+1)
		}
		out := map[string]any{}
		one := ""
		if s.one != nil {
			one = rapid.SampledFrom(s.one).Draw(g.t, "one")
		}
		for _, k := range s.keys {
			likely := 35
			if depth == 0 {
				likely = 60
			}
			switch {
			case k.required || k.name == one:
				likely = 100 - g.mistakes
			case slices.Contains(s.one, k.name):
				likely = g.mistakes
			}
			if g.chance(likely) {
				out[k.name] = g.value(k.shape, depth+1)
			}
		}
		if g.chance(g.mistakes) {
			out[g.pick("memroy", "x", "on", "").(string)] = 1
		}
		return out
	case dictShape:
		out := map[string]any{}
		for range rapid.IntRange(0, 2).Draw(g.t, "entries") {
			name := g.pick("a", "jobs", "id").(string)
			switch {
			case s.names.options != nil:
				name = rapid.SampledFrom(s.names.options).Draw(g.t, "name")
			case s.names == servicePattern:
				name = "shop"
			}
			if g.chance(g.mistakes) {
				name = g.pick("A b", "1", "x-", "", "$", strings.Repeat("n", 41), "aws").(string)
			}
			out[name] = g.value(s.elem, depth+1)
		}
		return out
	case listShape:
		if s.single && g.chance(30) {
			return g.value(s.elem, depth+1)
		}
		out := []any{}
		least := 0
		if s.filled {
			least = 1
		}
		for range rapid.IntRange(least, 2).Draw(g.t, "entries") {
			out = append(out, g.value(s.elem, depth+1))
		}
		return out
	case textShape:
		switch {
		case s.options != nil:
			return rapid.SampledFrom(s.options).Draw(g.t, "option")
		case s.pattern == routePattern:
			return g.pick("GET /", "* /a/{b}", "POST /x")
		case s.pattern == pathPattern:
			return g.pick("/", "/a/{b}")
		case s.pattern == nil:
			return g.pick("", "text", "a b", "12", "true", "$x")
		}
		return g.pick("jobs", "a1", "go")
	case scalarShape:
		return g.pick("x", 1, 1.5, true, "")
	case integerShape:
		return g.pick(s.min, s.max, s.min+1, s.min-1, s.max+1)
	case booleanShape:
		return g.pick(true, false)
	case memoryShape:
		return g.pick(512, "512MB", "1.5GB", "1 GiB", "0", strconv.Itoa(wholeLimit), "1.5 GiB", "1.5MB", "GB")
	case durationShape:
		return g.pick(15, "15s", "1h30m", "14d", "1.5h", "100ms", "5", "5 s", "1.5")
	case anyShape:
		return g.pick(nil, 1, "x", []any{1}, map[string]any{"a": "${x"})
	}
	panic("unknown shape")
}

// TestSchemaIsStable guards the published schema: a change of the language is a
// change of this file.
func TestSchemaIsStable(t *testing.T) {
	if !bytes.Equal(JSONSchema(), JSONSchema()) {
		t.Error("two schemas differ")
	}
	golden(t, filepath.Join("testdata", "schema.json"), string(JSONSchema()))
}

// TestPathsAreStable guards the names of settings, which providers list.
func TestPathsAreStable(t *testing.T) {
	golden(t, filepath.Join("testdata", "paths.txt"), strings.Join(Paths(), "\n")+"\n")
}
