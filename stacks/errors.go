package stacks

import (
	"errors"
	"fmt"
	"time"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// ErrInterrupted says that an operation stopped because it was asked to, with
// everything recorded.
var ErrInterrupted = errors.New("interrupted")

// A LockedError says that another run holds the stack. Commands exit 5 on it.
type LockedError struct {
	ID     ID
	Holder Holder
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("stack %s is locked by %s of %s@%s (process %d) since %s",
		e.ID, e.Holder.Command, e.Holder.User, e.Holder.Host, e.Holder.PID, e.Holder.Since.Format(time.RFC3339))
}

// A DataLossError lists stateful resources an operation would delete or replace,
// as "name (type)" when it comes from an Engine and by Label when it comes from a
// Stack.
type DataLossError struct{ Resources []string }

func (e *DataLossError) Error() string {
	if len(e.Resources) == 1 {
		return "the data of 1 resource would be lost"
	}
	return fmt.Sprintf("the data of %d resources would be lost", len(e.Resources))
}

// String returns "service/stage (provider)".
func (id ID) String() string { return id.Service + "/" + id.Stage + " (" + id.Provider + ")" }

// StackName is the name in the Pulumi state.
func (id ID) StackName() string { return id.Stage + "-" + id.Provider }

// An InvalidError says that the manifest, or the source that it names, cannot be
// deployed as it is. Commands show its diagnostics and exit 4.
type InvalidError struct {
	Diagnostics diag.List
	Packaging   bool // they were found while functions were packaged
	deploying   bool // by a deploy, which did nothing then
}

func (e *InvalidError) Error() string {
	n := 0
	for _, d := range e.Diagnostics {
		if d.Severity == diag.Error {
			n++
		}
	}
	count := "1 error"
	if n != 1 {
		count = fmt.Sprintf("%d errors", n)
	}
	switch {
	case e.Packaging && e.deploying:
		return "packaging failed with " + count + "; nothing was deployed"
	case e.Packaging:
		return "packaging failed with " + count
	}
	return "the manifest has " + count
}

// ErrNoManifest says that an operation needs a manifest that could be read.
var ErrNoManifest = errors.New("there is no valid manifest")

// ErrNotDeployed says that a stack has no recorded state.
var ErrNotDeployed = errors.New("the stack is not deployed")

// An UnknownFunctionError names a function that the manifest does not have.
type UnknownFunctionError struct {
	Name  string
	Known []string // sorted
}

func (e *UnknownFunctionError) Error() string { return fmt.Sprintf("there is no function %q", e.Name) }
