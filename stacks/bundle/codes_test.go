package bundle_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every code is in the source, on the page that explains codes, and in the golden
// files.
func TestCodesAreExplainedAndTested(t *testing.T) {
	collect := func(pattern, expression string) []string {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		found := map[string]bool{}
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(string(data), -1) {
				found[m[1]] = true
			}
		}
		return slices.Sorted(maps.Keys(found))
	}
	source := collect("codes.go", `= "([a-z-]+)"`)
	if diff := cmp.Diff(source, collect("ERRORS.md", "(?m)^\\| `([a-z-]+)`")); diff != "" {
		t.Errorf("codes in the source (-) and in ERRORS.md (+):\n%s", diff)
	}
	if diff := cmp.Diff(source, collect("testdata/diagnostics/*.txtar", `\[([a-z-]+)\]\n`)); diff != "" {
		t.Errorf("codes in the source (-) and in testdata/diagnostics (+):\n%s", diff)
	}
}
