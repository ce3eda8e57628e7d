// Package bundle turns functions into artefacts: zips that a worker host or a
// cloud runs, with the adapter between the portable handler contract and the
// target added. The same sources give the same bytes on every machine and in
// every folder; what has not changed is not built again. It knows languages and
// targets, and neither Pulumi programs nor what is deployed.
//
// # What a package holds
//
// Node and TypeScript are bundled into one file (main.cjs, or main.mjs where the
// code needs it) with its source map; modules named under package.external and
// those with native addons go along as node_modules.
//
// Python packages hold every .py file below the manifest's folder, whatever else
// lies in the handler's own folder, and under _vendor what requirements.txt asks
// for. Folders that start with a dot, virtual environments, node_modules and
// __pycache__ stay out. The import path is the manifest's folder, then _vendor,
// then the handler's folder, then the one that holds the handler's package (src of
// src/shop/api/web.py). A handler that is a WSGI or ASGI application is mounted.
//
// Go packages hold one static executable. cgo is off unless the environment says
// CGO_ENABLED=1; GOFLAGS is respected.
//
// Custom functions bring the files of package.include and are started by their
// own command, with the package as working folder. Their program serves plain
// HTTP on the address in ANYFAAS_LISTENER ("unix:/path" or "host:port").
//
// package.include adds files to any of them, package.exclude removes; both are
// glob patterns relative to the manifest's folder, with ** for any depth.
package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// Options of a build. Only Cache is required.
type Options struct {
	Cache    string               // folder of artefacts and build records; shared by processes
	Parallel int                  // builds at once; 0 means one per processor
	Progress func(event.Building) // called for one event at a time; nil to drop them
	Env      []string             // environment of compilers, "NAME=value"; nil means this process's
	Now      func() time.Time     // nil means time.Now
}

// A Report says how one function got its artefact.
type Report struct {
	Function string
	Artifact providers.Artifact
	Cached   bool          // nothing was built
	Why      string        // "cached", or what made the build necessary: "src/api.ts changed"
	Took     time.Duration // zero when cached
	Largest  []Contributor // at most ten, largest first
}

// A Contributor is a file or module and its share of an artefact.
type Contributor struct {
	Name string
	Size int64 // bytes
}

// Build packages the named functions of g for the target g.Provider; nil means
// all of them. What the user can put right is in the list, at the place in the
// manifest that asked for it; functions with errors there have no artefact, the
// others do. Reports are sorted by function. The error is for everything else: a
// cache that cannot be written, a cancelled ctx.
func Build(ctx context.Context, g *graph.Graph, functions []string, o Options) (providers.Artifacts, []Report, diag.List, error) {
	b, err := newBuilder(g, o)
	if err != nil {
		return nil, nil, nil, err
	}
	chosen, err := choose(g, functions)
	if err != nil {
		return nil, nil, nil, err
	}
	if _, ok := targets[g.Provider]; !ok {
		var l diag.List
		l.Errorf(g.Position.At("provider"), CodeTarget, "functions cannot be packaged for provider %q", g.Provider)
		return providers.Artifacts{}, nil, l, nil
	}

	type outcome struct {
		report Report
		diags  diag.List
		other  *otherVersion
		ok     bool
	}
	outcomes := make([]outcome, len(chosen))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cmp.Or(max(o.Parallel, 0), runtime.GOMAXPROCS(0)))
	for i, f := range chosen {
		group.Go(func() error {
			j := &job{builder: b, fn: f}
			report, err := j.run(ctx)
			if err != nil && !errors.Is(err, errDiagnosed) {
				return fmt.Errorf("package function %q: %w", f.Name, err)
			}
			outcomes[i] = outcome{report, j.diags, j.other, err == nil}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, nil, cmp.Or(context.Cause(ctx), err)
	}

	artifacts, diags := providers.Artifacts{}, diag.List{}
	var reports []Report
	var others []*otherVersion
	for _, out := range outcomes {
		diags = append(diags, out.diags...)
		if out.other != nil {
			others = append(others, out.other)
		}
		if out.ok {
			artifacts[out.report.Function] = out.report.Artifact
			reports = append(reports, out.report)
		}
	}
	warnOfVersions(&diags, others)
	b.store.prune(b.now())
	return artifacts, reports, diags.Sorted(), nil
}

// choose returns the named functions in the graph's order.
func choose(g *graph.Graph, names []string) ([]*graph.Function, error) {
	var chosen []*graph.Function
	for i := range g.Functions {
		if f := &g.Functions[i]; names == nil || slices.Contains(names, f.Name) {
			chosen = append(chosen, f)
		}
	}
	for _, name := range names {
		if g.Function(name) == nil {
			return nil, fmt.Errorf("package function %q: no such function", name)
		}
	}
	return chosen, nil
}

// A builder holds what the jobs of one Build share.
type builder struct {
	graph  *graph.Graph
	store  *store
	env    environment
	now    func() time.Time
	report func(event.Building)
	tools  toolbox
	flight flight
}

func newBuilder(g *graph.Graph, o Options) (*builder, error) {
	if o.Cache == "" {
		return nil, errors.New("package functions: no cache folder given")
	}
	cache, err := filepath.Abs(o.Cache)
	if err != nil {
		return nil, fmt.Errorf("package functions: %w", err)
	}
	b := &builder{graph: g, store: &store{dir: cache}, env: environment(o.Env), now: o.Now, report: func(event.Building) {}}
	if o.Env == nil {
		b.env = os.Environ()
	}
	if b.now == nil {
		b.now = time.Now
	}
	if o.Progress != nil {
		var mu sync.Mutex
		b.report = func(e event.Building) {
			mu.Lock()
			defer mu.Unlock()
			o.Progress(e)
		}
	}
	return b, nil
}

// errDiagnosed says that a function cannot be built and that its diagnostics
// tell why.
var errDiagnosed = errors.New("see diagnostics")
