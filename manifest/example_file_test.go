package manifest

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExampleUsesEveryKey reads serverless.yaml.example for every provider: it is
// right, and together the settings that took effect are all there are.
func TestExampleUsesEveryKey(t *testing.T) {
	data, err := os.ReadFile("../serverless.yaml.example")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, provider := range Providers {
		o := optionsOf(t, "..", "serverless.yaml.example", data)
		o.Provider = provider
		g, sources, list := Load(o)
		if len(list) > 0 {
			t.Fatalf("%s: the example is reported:\n%s", provider, rendered(t, list, sources))
		}
		for _, s := range g.Used {
			used[s.Path] = true
		}
	}
	if d := cmp.Diff(Paths(), slices.Sorted(maps.Keys(used))); d != "" {
		t.Errorf("settings of the language (-) and of the example (+):\n%s", d)
	}
	for _, key := range []string{"defaults", "stages"} {
		root, _, _ := shapeOf("serverless.yaml.example", data)
		if root.field(key) == nil {
			t.Errorf("the example does not show %s", key)
		}
	}
}
