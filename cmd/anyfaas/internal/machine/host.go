package machine

import (
	"context"
	"errors"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/anyfaas/anyfaas/providers/local/host"
)

// A Host starts, asks and stops the process that runs functions on this machine.
type Host struct {
	Command []string // how to start this program again
	Version string
}

// Serve runs the host in this process.
func (h Host) Serve(ctx context.Context, home string) error {
	return host.Run(ctx, host.Options{Home: home, Version: h.Version})
}

// Status returns nil when no host runs.
func (h Host) Status(ctx context.Context, home string) (*api.Status, error) {
	c := host.NewClient(home)
	defer c.Close()
	st, err := c.Status(ctx)
	if errors.Is(err, host.ErrNotRunning) {
		return nil, nil
	}
	return &st, err
}

// Start starts the host unless it runs already.
func (h Host) Start(ctx context.Context, home string) (*api.Status, error) {
	c, err := host.Ensure(ctx, host.Start{Home: home, Command: h.Command, Version: h.Version})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	st, err := c.Status(ctx)
	return &st, err
}

// Stop ends the host and reports whether one ran.
func (h Host) Stop(ctx context.Context, home string) (bool, error) {
	st, err := h.Status(ctx, home)
	if err != nil || st == nil {
		return false, err
	}
	c := host.NewClient(home)
	defer c.Close()
	return true, c.Stop(ctx)
}
