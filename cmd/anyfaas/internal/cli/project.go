package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/anyfaas/anyfaas/manifest"
	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks"
)

// load reads the manifest for the stage and the provider asked for. The graph is
// nil when the diagnostics have errors.
func (c call) load() (*graph.Graph, diag.List) { return c.loadFor(c.provider) }

// loadFor is load for a provider; "" means the manifest's own.
func (c call) loadFor(provider string) (*graph.Graph, diag.List) {
	g, sources, list := manifest.Load(c.manifestOptions(provider))
	c.session.remember(sources)
	return g, list
}

// manifestOptions say which manifest, for which stage and for which provider;
// "" means the manifest's own.
func (c call) manifestOptions(provider string) manifest.Options {
	return manifest.Options{
		Dir: c.Dir, File: c.file, Stage: c.stage, Provider: provider,
		Params: c.params, Env: c.Lookup, Git: gitFacts(c.Dir),
	}
}

// remember keeps sources for the snippets of diagnostics.
func (s *session) remember(sources manifest.Sources) {
	if s.sources == nil {
		s.sources = manifest.Sources{}
	}
	for name, data := range sources {
		s.sources[name] = data
	}
}

// open reads the manifest and opens its stack. What is wrong with the manifest
// is an *InvalidError; warnings are told at once.
func (c call) open() (*stacks.Stack, error) {
	g, list := c.load()
	if g == nil {
		return nil, &stacks.InvalidError{Diagnostics: list}
	}
	p, ok := c.Providers.Get(g.Provider)
	if !ok {
		list.Errorf(g.Position.At("provider"), "unsupported-provider", "this version of anyfaas cannot deploy to %s", g.Provider).Hint = "use " + alternatives(c.Providers.Names())
		return nil, &stacks.InvalidError{Diagnostics: list}
	}
	c.tell(list)
	return c.stack(stacks.ID{Service: g.Service, Stage: g.Stage, Provider: g.Provider}, g, p, g.Dir, g.Backend)
}

// openRecorded opens the stack for what needs only the recorded state. When the
// manifest has errors, its service, stage and provider are read from the lines
// that name them, so that a stack can be removed whatever became of the file.
func (c call) openRecorded() (*stacks.Stack, error) {
	g, list := c.load()
	if g != nil {
		if p, ok := c.Providers.Get(g.Provider); ok {
			return c.stack(stacks.ID{Service: g.Service, Stage: g.Stage, Provider: g.Provider}, g, p, g.Dir, g.Backend)
		}
	}
	file, data, err := c.manifestFile()
	if err != nil {
		return nil, err
	}
	who := identify(data)
	if c.stage != "" {
		who["stage"] = c.stage
	}
	if c.provider != "" {
		who["provider"] = c.provider
	}
	p, ok := c.Providers.Get(who["provider"])
	if who["service"] == "" || !ok {
		return nil, &stacks.InvalidError{Diagnostics: list}
	}
	c.warn([]string{filepath.Base(file) + " has errors, so only what was recorded is used; see anyfaas validate"})
	id := stacks.ID{Service: who["service"], Stage: who["stage"], Provider: who["provider"]}
	return c.stack(id, nil, p, filepath.Dir(file), who["backend"])
}

// stack opens a stack. dir is the manifest's folder.
func (c call) stack(id stacks.ID, g *graph.Graph, p providers.Provider, dir, backend string) (*stacks.Stack, error) {
	if c.backend != "" {
		backend = c.backend
	}
	eng, err := c.Env.Engine(EngineOptions{Dir: dir, Backend: backend})
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	return stacks.New(stacks.Config{
		ID: id, Graph: g, Provider: p, Engine: eng, Secrets: eng,
		Build: c.builder(dir), Home: c.home(), Command: c.Command, Version: c.Release.Host(),
	}), nil
}

// manifestFile finds and reads the manifest without understanding it.
func (c call) manifestFile() (string, []byte, error) {
	names := manifest.FileNames
	if c.file != "" {
		names = []string{c.file}
	}
	for _, n := range names {
		data, err := os.ReadFile(c.abs(n))
		if err == nil {
			return c.abs(n), data, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", nil, err
		}
	}
	return "", nil, hintedError{
		fmt.Errorf("there is no %s in %s", alternatives(names), c.Dir),
		"go to the project's folder, name it with --cwd, or start a project with\n    anyfaas init",
	}
}

// identify picks the top-level words "service", "stage", "provider" and
// "backend" out of a manifest that cannot be understood as a whole. What is not
// a plain word is left out, and the language's own defaults are filled in.
func identify(data []byte) map[string]string {
	who := map[string]string{"stage": "dev", "provider": "local"}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), ":")
		if !ok {
			continue
		}
		value, _, _ = strings.Cut(value, " #")
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch key {
		case "service", "stage", "provider", "backend":
			if value != "" && !strings.Contains(value, "${") {
				who[key] = value
			}
		}
	}
	return who
}
