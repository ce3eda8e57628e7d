package stacks

import (
	"context"
	"fmt"
	"strings"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// revive lets the provider bring back what has stopped since it was deployed.
// What exists no longer is taken out of the recorded state, so that the deploy
// that follows makes it again.
func (s *Stack) revive(ctx context.Context, sink event.Sink) error {
	r, ok := s.c.Provider.(providers.Reviver)
	if !ok {
		return nil
	}
	st, err := s.c.Engine.State(ctx, s.c.ID)
	if err != nil || st == nil {
		return err
	}
	var ids []string
	for _, res := range st.Resources {
		if !strings.HasPrefix(res.Type, "pulumi:") { // the stack and its providers
			ids = append(ids, res.ID)
		}
	}
	gone, err := r.Revive(ctx, s.hostOptions(sink), ids)
	if err != nil || len(gone) == 0 {
		return err
	}
	sink.Event(event.Message{Severity: "warning", Text: fmt.Sprintf("%d of %d resources are gone and will be made again", len(gone), len(ids))})
	_, err = s.c.Engine.Refresh(ctx, s.c.ID, s.recorded(sink), Options{}, event.Discard)
	return err
}
