package cli

import (
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"time"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// An Env is the world as commands see it. Tests put their own in; main the real
// one. Every field is required unless it says otherwise.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer // the answer
	Stderr io.Writer // the conversation

	Terminal Terminal
	Dir      string                      // current folder, absolute
	Lookup   func(string) (string, bool) // environment variables
	UserHome string                      // the user's home folder; "" when there is none
	Command  []string                    // how to start this program again
	Now      func() time.Time
	After    func(time.Duration) <-chan time.Time // a tick once the time is over

	Release   Release
	Providers *providers.Registry
	Engine    func(EngineOptions) (Engine, error)
	Build     func(ctx context.Context, g *graph.Graph, functions []string, o BuildOptions) (providers.Artifacts, diag.List, error)
	Host      Host
	Tools     Tools
}

// A Terminal tells which streams are one, and asks there for what must not be
// seen. The zero Terminal is none.
type Terminal struct {
	In, Out, Err bool
	Width        func() int             // columns of stderr; nil means 80
	Secret       func() (string, error) // reads a line without echo; used only when In is set
}

// A Release is what this program was built from.
type Release struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a changed working tree
	Go       string `json:"go"`
	Platform string `json:"platform"` // "linux/amd64"
	Pulumi   string `json:"pulumi"`   // version of the engine inside
	Build    string `json:"-"`        // tells builds of an unreleased version apart; "" for a released one
}

// Host is the version that the process which runs functions goes by: a command of
// another version replaces that process. For an unreleased version it changes with
// every build.
func (r Release) Host() string {
	if r.Build == "" {
		return r.Version
	}
	return r.Version + "+" + r.Build
}

// EngineOptions say where state lives.
type EngineOptions struct {
	Dir     string // the manifest's folder
	Backend string // URL; "" means a folder below Dir
}

// An Engine is what commands need of the deployment engine.
type Engine interface {
	stacks.Engine
	stacks.SecretStore
}

// BuildOptions of packaging.
type BuildOptions struct {
	Cache    string // folder of finished artifacts
	Progress func(event.Building)
}

// A Host is the process that runs the functions of provider local.
type Host interface {
	// Serve runs the host in this process until it is asked to stop.
	Serve(ctx context.Context, home string) error
	// Status returns nil when no host runs.
	Status(ctx context.Context, home string) (*api.Status, error)
	// Start starts the host unless it runs already.
	Start(ctx context.Context, home string) (*api.Status, error)
	// Stop ends the host and its functions; what is deployed comes back with
	// the next start. It reports whether one ran.
	Stop(ctx context.Context, home string) (bool, error)
}

// Tools look at the machine for the doctor.
type Tools struct {
	// Version runs a program with arguments and returns the first line it
	// prints; the error says that it is not there or does not run.
	Version func(ctx context.Context, program string, args ...string) (string, error)
	// Free returns the bytes left on the disk of a folder.
	Free func(folder string) (uint64, error)
	// Listen reports whether a loopback TCP port can be had.
	Listen func(port int) error
}

// getenv returns a variable, "" when it is not set.
func (e Env) getenv(name string) string {
	v, _ := e.Lookup(name)
	return v
}

// home is the folder of what belongs to this machine rather than to a project.
func (e Env) home() string {
	if h := e.getenv("ANYFAAS_HOME"); h != "" {
		return h
	}
	return filepath.Join(e.UserHome, ".anyfaas")
}

// answer writes one JSON object to stdout; v is a struct with Version 1 first.
func (e Env) answer(v any) error {
	enc := json.NewEncoder(e.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
