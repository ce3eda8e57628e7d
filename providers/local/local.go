// Package local is the provider "local": it runs a service on this machine. Its
// resource types are ordinary Pulumi resources, served inside the command by a
// [providers.ResourceServer] that applies them to the local host process
// (providers/local/host), which really runs the functions.
//
// One file holds one thing: its inputs in the words of the manifest, its
// translation to the host's specification and back, and nothing else. program.go
// puts them together, server.go applies them. The package knows neither the
// manifest's syntax nor how the host does its work.
package local

import (
	"strings"

	"github.com/anyfaas/anyfaas/providers"
)

// Package is the Pulumi package of the resource types.
const Package = "anyfaas-local"

// Version is recorded in the state with every resource.
const Version = "1.0.0"

// Provider is the provider "local". The zero value is ready to use.
type Provider struct{}

var (
	_ providers.Provider  = Provider{}
	_ providers.Describer = Provider{}
	_ providers.Host      = Provider{}
	_ providers.Reviver   = Provider{}
	_ providers.LogReader = Provider{}
	_ providers.Invoker   = Provider{}
)

// Name returns "local".
func (Provider) Name() string { return "local" }

// Resources returns the server of this package's resource types.
func (Provider) Resources(o providers.HostOptions) providers.ResourceServer {
	return &server{artifacts: o.Artifacts, open: opener(o)}
}

// OwnerOf returns the function that a resource belongs to: the part of its name
// before the first dot, for functions and their triggers.
func (Provider) OwnerOf(typ, name string) string {
	k, ok := kindOf(typ)
	if !ok || k.shared {
		return ""
	}
	owner, _, _ := strings.Cut(name, ".")
	return owner
}

// Stateful reports whether a type keeps data: queues hold messages, buckets
// objects, tables items and streams records. Topics keep nothing.
func (Provider) Stateful(typ string) bool {
	k, ok := kindOf(typ)
	return ok && k.stateful
}
