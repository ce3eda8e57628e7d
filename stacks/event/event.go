// Package event is what an operation on a stack tells while it goes on: typed
// events for whoever shows them. It knows neither the engine nor a terminal.
package event

import (
	"encoding/json"
	"time"
)

// A Sink receives events, one at a time, in order. Event must return quickly
// and must not call back into the operation.
type Sink interface{ Event(Event) }

// A Func is a function used as a Sink.
type Func func(Event)

// Event calls f.
func (f Func) Event(e Event) { f(e) }

// Discard is a Sink that drops everything.
var Discard Sink = Func(func(Event) {})

// An Event is one of the types below; the set is closed.
type Event interface{ kind() string }

// Kind names an event in JSON: "started", "step", …
func Kind(e Event) string { return e.kind() }

// Started opens an operation: "preview", "deploy", "remove", "refresh".
type Started struct {
	Operation string    `json:"operation"`
	Service   string    `json:"service"`
	Stage     string    `json:"stage"`
	Provider  string    `json:"provider"`
	Time      time.Time `json:"time"`
}

// Building tells of a function being packaged. Done is false at the start and
// true at the end, when Reason says "cached" or why it was built.
type Building struct {
	Function string        `json:"function"`
	Done     bool          `json:"done"`
	Reason   string        `json:"reason,omitempty"`
	Size     int64         `json:"size,omitempty"`
	Took     time.Duration `json:"took,omitempty"`
}

// Op is what happens to a resource.
type Op string

// The operations, in display order.
const (
	Create  Op = "create"
	Update  Op = "update"
	Replace Op = "replace"
	Delete  Op = "delete"
	Read    Op = "read"
	Refresh Op = "refresh"
	Same    Op = "same"
)

// Resource identifies a resource and the part of the manifest it belongs to.
type Resource struct {
	URN      string `json:"urn"`
	Type     string `json:"type"`
	Name     string `json:"name"`
	Function string `json:"function,omitempty"` // "" for what the service shares
}

// Change is what a step does or would do.
type Change struct {
	Op Op `json:"op"`
	Resource
	Diff     []Property `json:"diff,omitempty"` // of updates and replacements
	DataLoss bool       `json:"dataLoss"`       // stored data would go
}

// Property is one changed property. Old and New are JSON; null means absent,
// the string "[unknown]" means known after the deploy, "[secret]" hidden.
type Property struct {
	Path     string          `json:"path"`
	Old      json.RawMessage `json:"old"`
	New      json.RawMessage `json:"new"`
	Replaces bool            `json:"replaces"`
}

// StepStarted says that work on a resource begins. Previews send none.
type StepStarted struct {
	Change
	Time time.Time `json:"time"`
}

// StepDone says that a resource is done (or planned, in a preview). Err is ""
// on success.
type StepDone struct {
	Change
	Took time.Duration `json:"took"`
	Err  string        `json:"error,omitempty"`
}

// Message is a line of text from the program, a provider or the engine.
type Message struct {
	Severity string   `json:"severity"` // debug, info, warning, error
	Text     string   `json:"text"`
	About    Resource `json:"about"`
}

// Stopping says that the operation was asked to stop and finishes what runs.
type Stopping struct {
	Running int `json:"running"`
}

// Finished closes an operation. Err is "" on success.
type Finished struct {
	Operation string        `json:"operation"`
	Counts    map[Op]int    `json:"counts"`
	Took      time.Duration `json:"took"`
	Err       string        `json:"error,omitempty"`
}

func (Started) kind() string     { return "started" }
func (Building) kind() string    { return "building" }
func (StepStarted) kind() string { return "step-started" }
func (StepDone) kind() string    { return "step-done" }
func (Message) kind() string     { return "message" }
func (Stopping) kind() string    { return "stopping" }
func (Finished) kind() string    { return "finished" }
