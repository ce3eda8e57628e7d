// Command anyfaas deploys functions from one serverless.yaml to a cloud or to
// this machine. This file only puts the parts together.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/anyfaas/anyfaas/cmd/anyfaas/internal/cli"
	"github.com/anyfaas/anyfaas/cmd/anyfaas/internal/machine"
	_ "github.com/anyfaas/anyfaas/cmd/anyfaas/internal/quiet" // before a library speaks to the terminal
	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/providers/all"
	"github.com/anyfaas/anyfaas/stacks/bundle"
	"github.com/anyfaas/anyfaas/stacks/engine"
)

// version is set when a release is built: -ldflags "-X main.version=1.2.3".
var version string

func main() { os.Exit(run()) }

func run() int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		cancel() // finish what runs and record it
		<-signals
		os.Exit(130) // abandon it; the journal is recovered by the next command
	}()

	dir, err := os.Getwd()
	if err != nil {
		dir = "/" // the folder was deleted under us; commands say so when they need it
	}
	userHome, _ := os.UserHomeDir() // "" when there is none
	program := programPath()
	release := readRelease(program)
	return cli.Run(ctx, cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal: terminal(), Dir: dir, Lookup: os.LookupEnv, UserHome: userHome,
		Command: []string{program}, Now: time.Now, After: time.After, Release: release,
		Providers: all.Providers(),
		Engine: func(o cli.EngineOptions) (cli.Engine, error) {
			return engine.New(engine.Options{ProjectDir: o.Dir, URL: o.Backend, Env: os.Getenv, Program: program})
		},
		Build: func(ctx context.Context, g *graph.Graph, functions []string, o cli.BuildOptions) (providers.Artifacts, diag.List, error) {
			artifacts, _, list, err := bundle.Build(ctx, g, functions, bundle.Options{Cache: o.Cache, Progress: o.Progress})
			return artifacts, list, err
		},
		Host:  machine.Host{Command: []string{program}, Version: release.Host()},
		Tools: machine.Tools(),
	}, os.Args[1:])
}

// terminal tells which of the standard streams are one.
func terminal() cli.Terminal {
	in, out, err := int(os.Stdin.Fd()), int(os.Stdout.Fd()), int(os.Stderr.Fd())
	return cli.Terminal{
		In: term.IsTerminal(in), Out: term.IsTerminal(out), Err: term.IsTerminal(err),
		Width: func() int {
			if w, _, sizeErr := term.GetSize(err); sizeErr == nil && w > 0 {
				return w
			}
			return 80
		},
		Secret: func() (string, error) {
			b, readErr := term.ReadPassword(in)
			return string(b), readErr
		},
	}
}

// programPath is how to start this program again.
func programPath() string {
	if p, err := os.Executable(); err == nil {
		return p
	}
	return os.Args[0]
}

// readRelease tells what the program in the file of that name, which is this one,
// was built from.
func readRelease(program string) cli.Release {
	r := cli.Release{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return r
	}
	if version == "" && info.Main.Sum == "" { // neither released nor fetched as a module
		r.Build = buildStamp(program)
	}
	if r.Version == "" && info.Main.Version != "(devel)" {
		r.Version = info.Main.Version
	}
	if r.Version == "" {
		r.Version = "0.0.0-dev"
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			r.Commit = s.Value
		case "vcs.time":
			r.Date = s.Value
		case "vcs.modified":
			r.Modified = s.Value == "true"
		}
	}
	for _, d := range info.Deps {
		if d.Path == "github.com/pulumi/pulumi/pkg/v3" {
			r.Pulumi = d.Version
		}
	}
	return r
}

// buildStamp tells builds of one version apart by the program's size and time:
// reading the program itself would cost more than most commands. It is "" when
// the file is gone.
func buildStamp(program string) string {
	info, err := os.Stat(program)
	if err != nil {
		return ""
	}
	return strconv.FormatInt(info.Size(), 36) + "." + strconv.FormatInt(info.ModTime().UnixNano(), 36)
}
