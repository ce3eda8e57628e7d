package manifest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	kebab      = regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)
	shownCode  = regexp.MustCompile(`(?m)\[([a-z]+(?:-[a-z]+)+)\]$`)
	documented = regexp.MustCompile("(?ms)^### ([a-z-]+)\n\n(.*?)\n\n```(yaml|text)\n(.*?)\n```\n\n(.*?)\n")
)

// TestCodes compares the codes in the source, in ERRORS.md and in the golden
// files.
func TestCodes(t *testing.T) {
	source := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil && kebab.MatchString(s) {
					source[s] = true
				}
			}
			return true
		})
	}
	page, err := os.ReadFile("ERRORS.md")
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]bool{}
	for _, m := range documented.FindAllStringSubmatch(string(page), -1) {
		if docs[m[1]] {
			t.Errorf("ERRORS.md explains %s twice", m[1])
		}
		docs[m[1]] = true
	}
	outs, err := filepath.Glob("testdata/err/*.out")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, file := range outs {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shownCode.FindAllStringSubmatch(string(data), -1) {
			shown[m[1]] = true
		}
	}
	sorted := func(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }
	if d := cmp.Diff(sorted(source), sorted(docs)); d != "" {
		t.Errorf("codes in the source (-) and in ERRORS.md (+):\n%s", d)
	}
	if d := cmp.Diff(sorted(source), sorted(shown)); d != "" {
		t.Errorf("codes in the source (-) and in testdata/err (+):\n%s", d)
	}
}

// TestDocumentedExamples runs the examples of ERRORS.md: each gives its code and
// no other.
func TestDocumentedExamples(t *testing.T) {
	page, err := os.ReadFile("ERRORS.md")
	if err != nil {
		t.Fatal(err)
	}
	if headings := strings.Count(string(page), "\n### "); headings != len(documented.FindAllString(string(page), -1)) {
		t.Errorf("%d headings, %d of them with cause, example and fix", headings, len(documented.FindAllString(string(page), -1)))
	}
	for _, m := range documented.FindAllStringSubmatch(string(page), -1) {
		code, fence, text := m[1], m[3], m[4]+"\n"
		if fence != "yaml" {
			continue
		}
		t.Run(code, func(t *testing.T) {
			if code != "api-version" && code != "empty-file" {
				text = "apiVersion: anyfaas/v1\nservice: shop\n" + text
			}
			_, sources, list := Load(Options{ReadFile: func(path string) ([]byte, error) {
				if path == "serverless.yaml" {
					return []byte(text), nil
				}
				return nil, os.ErrNotExist
			}})
			found := map[string]bool{}
			for _, d := range list {
				found[d.Code] = true
			}
			if len(found) != 1 || !found[code] {
				t.Errorf("the example of %s gives:\n%s", code, rendered(t, list, sources))
			}
		})
	}
}
