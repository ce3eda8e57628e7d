package providers

import "context"

// A Reviver is an optional ability of a provider whose resources can stop or
// vanish without anybody's doing, for example because the machine they are on
// was started anew or wiped.
type Reviver interface {
	// Revive makes sure that what is recorded runs, and returns those of ids
	// that no longer exist, in the order given. ids are the recorded ids of
	// all resources of one stack. It is called before a deploy: when something
	// is gone, the caller refreshes the state first, so that the deploy makes
	// it again. It starts nothing when all of ids are gone.
	Revive(ctx context.Context, o HostOptions, ids []string) (gone []string, err error)
}
