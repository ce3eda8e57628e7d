package stacks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// State returns what is recorded, or ErrNotDeployed.
func (s *Stack) State(ctx context.Context) (*State, error) {
	st, err := s.state(ctx)
	return st, s.wrap("read", err)
}

// state returns what is recorded. A stack that was removed keeps its history but
// is not deployed.
func (s *Stack) state(ctx context.Context) (*State, error) {
	st, err := s.c.Engine.State(ctx, s.c.ID)
	if err != nil {
		return nil, err
	}
	if st == nil || len(st.Resources) == 0 && len(st.Pending) == 0 {
		return nil, ErrNotDeployed
	}
	return st, nil
}

// History returns the past operations, newest first.
func (s *Stack) History(ctx context.Context) ([]Update, error) {
	u, err := s.c.Engine.History(ctx, s.c.ID)
	slices.SortStableFunc(u, func(a, b Update) int { return b.Version - a.Version })
	return u, s.wrap("history of", err)
}

// List returns the stacks of the service, in every stage and on every provider.
func (s *Stack) List(ctx context.Context) ([]Summary, error) {
	l, err := s.c.Engine.List(ctx, s.c.ID.Service)
	if err != nil {
		err = fmt.Errorf("list stacks of %s: %w", s.c.ID.Service, err)
	}
	return l, err
}

// Export returns the deployment in Pulumi's own form.
func (s *Stack) Export(ctx context.Context) (json.RawMessage, error) {
	d, err := s.c.Engine.Export(ctx, s.c.ID)
	return d, s.wrap("export", err)
}

// Import replaces the recorded state by a deployment in Pulumi's own form.
func (s *Stack) Import(ctx context.Context, deployment json.RawMessage) error {
	return s.wrap("import", s.c.Engine.Import(ctx, s.c.ID, deployment))
}

// Locked returns who holds the stack, or nil.
func (s *Stack) Locked(ctx context.Context) (*Holder, error) {
	h, err := s.c.Engine.Lock(ctx, s.c.ID)
	return h, s.wrap("look at the lock of", err)
}

// Unlock takes the lock away from whoever holds it.
func (s *Stack) Unlock(ctx context.Context) error {
	return s.wrap("unlock", s.c.Engine.Unlock(ctx, s.c.ID))
}
