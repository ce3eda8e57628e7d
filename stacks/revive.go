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
// that follows makes it again; what has moved is recorded where it is, so that
// those who use it are told.
func (s *Stack) revive(ctx context.Context, sink event.Sink) error {
	r, ok := s.c.Provider.(providers.Reviver)
	if !ok {
		return nil
	}
	st, err := s.c.Engine.State(ctx, s.c.ID)
	if err != nil || st == nil {
		return err
	}
	var recorded []providers.Recorded
	for _, res := range st.Resources {
		if !strings.HasPrefix(res.Type, "pulumi:") { // the stack and its providers
			recorded = append(recorded, providers.Recorded{ID: res.ID, Outputs: res.Outputs})
		}
	}
	got, err := r.Revive(ctx, s.hostOptions(sink), recorded)
	if err != nil {
		return err
	}
	for _, text := range got.Down {
		sink.Event(event.Message{Severity: "warning", Text: text})
	}
	if len(got.Gone)+len(got.Moved) == 0 {
		return nil
	}
	if n := len(got.Gone); n > 0 {
		sink.Event(event.Message{Severity: "warning", Text: fmt.Sprintf("%d of %d resources are gone and will be made again", n, len(recorded))})
	}
	if n := len(got.Moved); n > 0 {
		sink.Event(event.Message{Severity: "warning", Text: fmt.Sprintf("%d of %d resources have moved: their old ports are taken; what uses them is changed", n, len(recorded))})
	}
	_, err = s.c.Engine.Refresh(ctx, s.c.ID, s.recorded(sink), Options{}, event.Discard)
	return err
}
