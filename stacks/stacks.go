// Package stacks is what a user does with a deployed service: preview, deploy,
// remove, refresh, look at outputs and history. It builds the functions, asks
// the provider for the program and hands it to an Engine. It knows neither the
// Pulumi engine nor any cloud.
package stacks

import (
	"context"
	"encoding/json"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// An ID names a stack: one service in one stage on one provider. Its stack name
// in the Pulumi state is "<stage>-<provider>", its project is the service.
type ID struct{ Service, Stage, Provider string }

// An Engine runs programs against the state. The methods of one Engine may be
// called one after another, each holds the stack's lock while it runs when it
// changes anything. A cancelled ctx asks to finish running steps and record
// them; the error is then ErrInterrupted.
type Engine interface {
	Preview(ctx context.Context, id ID, p Program, o Options, sink event.Sink) (Result, error)
	Up(ctx context.Context, id ID, p Program, o Options, sink event.Sink) (Result, error)
	Destroy(ctx context.Context, id ID, p Program, o Options, sink event.Sink) (Result, error)
	Refresh(ctx context.Context, id ID, p Program, o Options, sink event.Sink) (Result, error)

	// State returns the resources and outputs as last recorded, interrupted
	// runs included; nil when the stack does not exist.
	State(ctx context.Context, id ID) (*State, error)
	History(ctx context.Context, id ID) ([]Update, error)
	List(ctx context.Context, service string) ([]Summary, error)
	Export(ctx context.Context, id ID) (json.RawMessage, error)
	Import(ctx context.Context, id ID, deployment json.RawMessage) error
	// Lock returns who holds the stack, or nil.
	Lock(ctx context.Context, id ID) (*Holder, error)
	// Unlock removes the lock, whoever holds it.
	Unlock(ctx context.Context, id ID) error
}

// A Program is what to run and how its resources are served.
type Program struct {
	Run       pulumi.RunFunc             // nil for Destroy and Refresh without a program
	InProcess []providers.ResourceServer // served without a plugin
	Owners    func(urn string) string    // function a resource belongs to; may be nil
	Stateful  func(typ string) bool      // types whose loss loses data; may be nil
	Config    map[string]string          // provider configuration, "aws:region"
}

// Options of an operation. The zero value is the ordinary run.
type Options struct {
	AllowDataLoss bool
	Targets       []string // URNs; empty means everything
	Parallel      int      // steps at once; 0 means the engine's default
	Message       string   // for the history
}

// A Result is what an operation did, or would do.
type Result struct {
	Changes  []event.Change // everything but Same, in display order
	Counts   map[event.Op]int
	Outputs  map[string]any // of the stack; secrets as "[secret]"
	Warnings []string
}

// Changed reports whether anything was or would be changed.
func (r Result) Changed() bool { return len(r.Changes) > 0 }

// State is a stack as recorded.
type State struct {
	Outputs   map[string]any
	Resources []Resource
	Pending   []string // URNs of steps that an interrupted run left open
	Serial    int
	Updated   time.Time
}

// A Resource as recorded.
type Resource struct {
	URN     string         `json:"urn"`
	Type    string         `json:"type"`
	Name    string         `json:"name"`
	ID      string         `json:"id"`
	Inputs  map[string]any `json:"inputs,omitempty"`
	Outputs map[string]any `json:"outputs,omitempty"`
}

// An Update is one entry of the history.
type Update struct {
	Version   int              `json:"version"`
	Operation string           `json:"operation"`
	Result    string           `json:"result"` // succeeded, failed, interrupted
	Started   time.Time        `json:"started"`
	Ended     time.Time        `json:"ended"`
	Message   string           `json:"message,omitempty"`
	Counts    map[event.Op]int `json:"counts"`
}

// A Summary lists a stack.
type Summary struct {
	ID        ID        `json:"id"`
	Resources int       `json:"resources"`
	Updated   time.Time `json:"updated"`
	Locked    *Holder   `json:"locked,omitempty"`
}

// A Holder is who holds a lock.
type Holder struct {
	User      string    `json:"user"`
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	Command   string    `json:"command"` // the operation: deploy, remove …
	Since     time.Time `json:"since"`
	Heartbeat time.Time `json:"heartbeat"`
	// Stale says that the holder has been silent for so long that it is most
	// likely dead. Nobody takes the lock from it: `anyfaas stack unlock` does.
	Stale bool `json:"stale,omitempty"`
}
