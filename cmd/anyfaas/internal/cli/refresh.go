package cli

import (
	"context"
	"fmt"

	"github.com/anyfaas/anyfaas/cmd/anyfaas/internal/view"
	"github.com/anyfaas/anyfaas/stacks/event"
)

func newRefresh() *command {
	return &command{
		name: "refresh", summary: "read back what really exists and record it",
		about:    "Use it after something was changed or deleted by other means; the next deploy\nthen puts it right.",
		examples: []string{"anyfaas refresh", "anyfaas refresh --stage prod -o json"},
		exits:    exitsChange, answers: true,
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			return refresh(ctx, c)
		},
	}
}

func refresh(ctx context.Context, c call) error {
	s, err := c.openRecorded()
	if err != nil {
		return err
	}
	if _, err := s.State(ctx); err != nil {
		return err
	}
	sink, stop := c.progress()
	r, err := s.Refresh(ctx, sink)
	stop()
	if err != nil {
		return err
	}
	c.warn(r.Warnings)
	id := s.ID()
	if c.json {
		return c.answer(struct {
			Version int            `json:"version"`
			Summary view.Summary   `json:"summary"`
			Changes []event.Change `json:"changes"`
		}{1, view.Summarize(r.Counts), list(r.Changes)})
	}
	if len(r.Changes) == 0 {
		fmt.Fprintf(c.Stdout, "%s is as recorded\n", id)
		return nil
	}
	return view.PlanText(c.Stdout, view.Plan{
		Service: id.Service, Stage: id.Stage, Provider: id.Provider, Graph: s.Graph(), Changes: r.Changes, Counts: r.Counts,
	}, c.style(c.Terminal.Out))
}
