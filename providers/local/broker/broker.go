// Package broker is the event half of the local host: queues, topics, streams,
// tables, buckets, schedules and the event bus, and the consumers that feed
// them to functions. It knows how events are kept and when they are due, and
// nothing about processes, HTTP fronts or Pulumi.
package broker

import (
	"context"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// A Caller runs functions; the host implements it.
type Caller interface {
	// Call hands events to a function and waits for the outcome. It waits for
	// a free execution when the function is at its limit (back-pressure). It
	// returns the ids of events that failed; an error means that all did.
	Call(ctx context.Context, c Call) (failed []string, err error)
}

// A Call is one delivery to a function.
type Call struct {
	Stack    string
	Function string
	Ordered  bool
	Events   []api.CloudEvent
}
