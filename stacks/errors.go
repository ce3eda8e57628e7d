package stacks

import (
	"errors"
	"fmt"
	"time"
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

// A DataLossError lists stateful resources an operation would delete or replace.
type DataLossError struct{ Resources []string }

func (e *DataLossError) Error() string {
	return fmt.Sprintf("%d resources with data would be lost", len(e.Resources))
}

// String returns "service/stage (provider)".
func (id ID) String() string { return id.Service + "/" + id.Stage + " (" + id.Provider + ")" }

// StackName is the name in the Pulumi state.
func (id ID) StackName() string { return id.Stage + "-" + id.Provider }
