package all

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/anyfaas/anyfaas/manifest"
	"github.com/anyfaas/anyfaas/providers"
)

// providers/FEATURES.md is written by UPDATE=1.
func TestFeaturesDocument(t *testing.T) {
	const file = "../FEATURES.md"
	got := []byte(providers.FeatureTable(Providers()))
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got) {
		t.Errorf("%s is not what the tables say; rewrite it with UPDATE=1:\n%s", file, diff.Diff(file, want, "tables", got))
	}
}

// A provider without a name in the manifest's language could never be chosen.
func TestNames(t *testing.T) {
	known := map[string]bool{}
	for _, n := range manifest.Providers {
		known[n] = true
	}
	for _, n := range Providers().Names() {
		if !known[n] {
			t.Errorf("provider %q is not in manifest.Providers", n)
		}
	}
}
