package local

import (
	"context"
	"sync"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/anyfaas/anyfaas/providers/local/host"
)

// A machine is what this package needs of the host process: its admin API.
// Methods are called from several goroutines.
type machine interface {
	// Stack returns the stack's resources, or nil when there is no such stack.
	Stack(ctx context.Context, stack string) (*api.StackState, error)
	Put(ctx context.Context, stack string, kind api.Kind, name string, spec any) (api.Outputs, error)
	// Get returns the resource, or nil when it is gone.
	Get(ctx context.Context, stack string, kind api.Kind, name string) (*api.ResourceState, error)
	Delete(ctx context.Context, stack string, kind api.Kind, name string) error
	HasArtifact(ctx context.Context, sha256 string) (bool, error)
	PutArtifact(ctx context.Context, sha256, file string) error
}

// open returns the running host, after starting it when there is none. With
// ifKept it starts one only to serve what an earlier one has kept, and returns
// nil when there is nothing.
type open func(ctx context.Context, when occasion) (machine, error)

// An occasion says what the host is needed for.
type occasion int

const (
	_      occasion = iota
	always          // something is to be made
	ifKept          // what is there is to be read or removed
)

// opener returns the open function for the host of o.Home, which it connects to
// once.
func opener(o providers.HostOptions) open {
	var mu sync.Mutex
	var client *host.Client
	return func(ctx context.Context, when occasion) (machine, error) {
		mu.Lock()
		defer mu.Unlock()
		if client != nil {
			return client, nil
		}
		if when == ifKept {
			if kept, err := host.Kept(ctx, o.Home); err != nil || !kept {
				return nil, err
			}
		}
		c, err := host.Ensure(ctx, host.Start{Home: o.Home, Command: o.Command, Version: o.Version})
		if err != nil {
			return nil, err
		}
		client = c
		return client, nil
	}
}
