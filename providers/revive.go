package providers

import "context"

// A Reviver is an optional ability of a provider whose resources can stop,
// vanish or move without anybody's doing, for example because the machine they
// are on was started anew or wiped.
type Reviver interface {
	// Revive makes sure that what is recorded runs, and returns what differs
	// from the record. recorded are all resources of one stack. It is called
	// before a deploy: when something differs, the caller refreshes the state
	// first, so that the deploy makes again what is gone and tells the others
	// about what has moved. It starts nothing when all is gone.
	Revive(ctx context.Context, o HostOptions, recorded []Recorded) (Revived, error)
}

// Recorded is a resource as the state knows it.
type Recorded struct {
	ID      string
	Outputs map[string]any // as decoded from JSON
}

// Revived holds ids of recorded resources that are not as recorded, in the order
// in which they were given.
type Revived struct {
	Gone  []string // exist no longer
	Moved []string // exist with other outputs, such as another port

	// Down says what exists and cannot be brought back before the user does
	// something, which may be the deploy that follows.
	Down []string
}
