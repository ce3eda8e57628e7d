package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"github.com/blang/semver"
	"github.com/hashicorp/hcl/v2"
	pulumihost "github.com/pulumi/pulumi/pkg/v3/host"
	"github.com/pulumi/pulumi/pkg/v3/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/promise"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/env"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/providers"
)

// A host is a plugin host for one run of the engine. The program and the
// packages of ResourceServers live in this process; everything else is left to
// Pulumi's own host, which starts plugins.
type host struct {
	plugin.Host
	program  *program
	servers  map[string]providers.ResourceServer
	refusals *refusals
}

// newHost makes a host whose plugins report to the given sinks.
func newHost(ctx context.Context, d, status diag.Sink, debugging plugin.DebugContext, p *program, servers map[string]providers.ResourceServer, refused *refusals) (*host, error) {
	// No language plugin, schema loader, converter or package resolver: the
	// program is ours and none of them is asked for.
	inner, err := pulumihost.New(ctx, d, status, debugging, nil, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	p.engine = inner.ServerAddr()
	return &host{Host: inner, program: p, servers: servers, refusals: refused}, nil
}

// LanguageRuntime returns the program, whatever its language is called.
func (h *host) LanguageRuntime(*plugin.Context, string) (plugin.LanguageRuntime, error) {
	return h.program, nil
}

// Provider returns the server of an in-process package in any version: the one
// that wrote a state may be older than this program.
func (h *host) Provider(ctx *plugin.Context, d workspace.PluginDescriptor, e env.Env) (plugin.Provider, error) {
	if s, ok := h.servers[d.Name]; ok {
		return &server{ResourceServer: s, refusals: h.refusals}, nil
	}
	return h.Host.Provider(ctx, d, e)
}

// ResolvePlugin answers for in-process packages, so that none is looked for on
// the disk.
func (h *host) ResolvePlugin(ctx *plugin.Context, d workspace.PluginDescriptor) (*workspace.PluginInfo, error) {
	if s, ok := h.servers[d.Name]; ok && d.Kind == apitype.ResourcePlugin {
		return &workspace.PluginInfo{Name: d.Name, Kind: d.Kind, Version: versionOf(s)}, nil
	}
	return h.Host.ResolvePlugin(ctx, d)
}

// SignalCancellation does nothing. A first interruption lets the running steps
// finish; telling plugins to abort would leave half-made resources behind.
func (h *host) SignalCancellation() error { return nil }

func versionOf(s providers.ResourceServer) *semver.Version {
	v, err := semver.ParseTolerant(s.Version())
	if err != nil {
		panic(fmt.Sprintf("engine: package %s has the version %q: %v", s.Package(), s.Version(), err))
	}
	return &v
}

// A program runs a Pulumi program in this process. To the engine it is the
// runtime of some language; what an engine never asks of a runtime that is
// already there is refused.
type program struct {
	run     pulumi.RunFunc
	engine  string // address of the host
	servers map[string]providers.ResourceServer

	mu  sync.Mutex
	err error
}

// failure returns what the program itself returned or panicked with.
func (p *program) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Run runs the program against the engine at info.MonitorAddress. The text it
// returns is the program's error.
func (p *program) Run(ctx context.Context, info plugin.RunInfo) (string, bool, error) {
	cfg := make(map[string]string, len(info.Config))
	for k, v := range info.Config {
		cfg[k.String()] = v
	}
	pctx, err := pulumi.NewContext(ctx, pulumi.RunInfo{
		Project: info.Project, Stack: info.Stack, Organization: info.Organization,
		RootDirectory: info.Info.RootDirectory(), Config: cfg, Parallel: info.Parallel, DryRun: info.DryRun,
		MonitorAddr: info.MonitorAddress, EngineAddr: p.engine,
	})
	if err != nil {
		return "", false, err
	}
	defer pctx.Close()
	var own error // of our function, apart from what the SDK adds to it
	err = pulumi.RunWithContext(pctx, func(c *pulumi.Context) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = &PanicError{Value: r, Stack: debug.Stack()}
			}
			own = err
		}()
		if p.run == nil {
			return nil
		}
		return p.run(c)
	})
	p.mu.Lock()
	p.err = own
	p.mu.Unlock()
	if err != nil {
		return err.Error(), false, nil
	}
	return "", false, nil
}

// GetRequiredPackages names the in-process packages, with the version that goes
// into the state.
func (p *program) GetRequiredPackages(context.Context, plugin.ProgramInfo) ([]workspace.PackageDescriptor, []workspace.PackageSpec, error) {
	var list []workspace.PackageDescriptor
	for name, s := range p.servers {
		list = append(list, workspace.PackageDescriptor{PluginDescriptor: workspace.PluginDescriptor{
			Name: name, Kind: apitype.ResourcePlugin, Version: versionOf(s),
		}})
	}
	return list, nil, nil
}

func (p *program) Close() error { return nil }

func (p *program) Cancel(context.Context) error { return nil }

func (p *program) GetPluginInfo(context.Context) (plugin.PluginInfo, error) {
	return plugin.PluginInfo{}, nil
}

func (p *program) About(context.Context, plugin.ProgramInfo) (plugin.AboutInfo, error) {
	return plugin.AboutInfo{}, nil
}

func (p *program) GetProgramDependencies(context.Context, plugin.ProgramInfo, bool) ([]plugin.DependencyInfo, error) {
	return nil, nil
}

func (p *program) RuntimeOptionsPrompts(context.Context, plugin.ProgramInfo) ([]plugin.RuntimeOptionPrompt, error) {
	return nil, nil
}

var errNotALanguage = errors.New("the program is part of this process; there is no language runtime")

func (p *program) InstallDependencies(context.Context, plugin.InstallDependenciesRequest) (io.Reader, io.Reader, <-chan error, error) {
	return nil, nil, nil, errNotALanguage
}

func (p *program) Template(context.Context, plugin.ProgramInfo, tokens.PackageName) error {
	return errNotALanguage
}

func (p *program) RunPlugin(context.Context, plugin.RunPluginInfo) (io.Reader, io.Reader, *promise.Promise[int32], error) {
	return nil, nil, nil, errNotALanguage
}

func (p *program) GenerateProject(context.Context, string, string, string, bool, string, map[string]string) (hcl.Diagnostics, error) {
	return nil, errNotALanguage
}

func (p *program) GeneratePackage(context.Context, string, string, map[string][]byte, string, map[string]string, bool) (hcl.Diagnostics, error) {
	return nil, errNotALanguage
}

func (p *program) GenerateProgram(context.Context, map[string]string, string, bool) (map[string][]byte, hcl.Diagnostics, error) {
	return nil, nil, errNotALanguage
}

func (p *program) Pack(context.Context, string, string) (string, error) { return "", errNotALanguage }

func (p *program) Link(context.Context, plugin.ProgramInfo, []workspace.LinkablePackageDescriptor, string) (string, error) {
	return "", errNotALanguage
}
