package cli

import (
	"context"
	"path/filepath"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// builder packages the functions of the manifest in dir, with the project's own
// cache.
func (c call) builder(dir string) stacks.Build {
	return func(ctx context.Context, g *graph.Graph, functions []string, progress func(event.Building)) (providers.Artifacts, diag.List, error) {
		return c.Env.Build(ctx, g, functions, BuildOptions{
			Cache: filepath.Join(dir, ".anyfaas", "cache"), Progress: progress,
		})
	}
}
