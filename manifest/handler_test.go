package manifest_test

import (
	"fmt"
	"testing"

	"github.com/anyfaas/anyfaas/manifest"
)

func TestHandlersArePathsAndNames(t *testing.T) {
	for _, c := range []struct {
		runtime, handler string
		ok               bool
	}{
		{"node22", "src/api.handler", true},
		{"node22", "./src/api.handler", true},
		{"node22", "api.v1.handler", true},
		{"node22", "src/v1.2/api.$handler", true},
		{"go", "functions/api.Handler", true},
		{"go", ".Handler", true},
		{"go", "./.Handler", true},
		{"node22", ".handler", false},
		{"python3.12", ".handler", false},
		{"node22", "src/api", false},
		{"node22", "src/.handler", false},
		{"node22", "../shared/api.handler", false},
		{"node22", `src\api.handler`, false},
		{"go", ".", false},
		{"go", "..Handler", false},
	} {
		t.Run(c.runtime+" "+c.handler, func(t *testing.T) {
			text := fmt.Sprintf("apiVersion: anyfaas/v1\nservice: shop\nprovider: local\nfunctions:\n  api:\n    runtime: %s\n    handler: '%s'\n    triggers: [{http: GET /}]\n", c.runtime, c.handler)
			g, _, diags := manifest.Load(manifest.Options{ReadFile: func(string) ([]byte, error) { return []byte(text), nil }})
			if c.ok {
				if g == nil || g.Functions[0].HTTPHandler != c.handler {
					t.Errorf("refused: %v", diags)
				}
			} else if g != nil || len(diags) != 1 || diags[0].Code != "invalid-handler" {
				t.Errorf("diagnostics are %v, want one of invalid-handler", diags)
			}
		})
	}
}
