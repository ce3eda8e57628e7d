package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/anyfaas/anyfaas/cmd/anyfaas/internal/view"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

type removeOptions struct {
	Yes bool
}

func newRemove() *command {
	return &command{
		name: "remove", aliases: []string{"destroy"},
		summary: "delete everything that was deployed, stored data included",
		about: "Works from what was recorded: the functions' sources are not needed, nor a\n" +
			"manifest without errors. What the manifest marks `retain: true` keeps its data.",
		examples: []string{"anyfaas remove", "anyfaas remove --stage pr-17 --yes"},
		exits:    exitsChange, answers: true,
		flags: []flag{{name: "yes", short: "y", usage: "do not ask", env: "ANYFAAS_YES"}},
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			return remove(ctx, c, removeOptions{Yes: c.flags.Bool("yes")})
		},
	}
}

func remove(ctx context.Context, c call, o removeOptions) error {
	if err := c.mustAsk("remove", "anyfaas info", o.Yes); err != nil {
		return err
	}
	s, err := c.openRecorded()
	if err != nil {
		return err
	}
	info, err := s.Info(ctx)
	if errors.Is(err, stacks.ErrNotDeployed) {
		return c.removed(s, stacks.Result{})
	}
	if err != nil {
		return err
	}
	if !o.Yes {
		if err := view.PlanText(c.Stderr, removal(s, info), c.style(c.Terminal.Err)); err != nil {
			return err
		}
		yes, err := c.confirm(ctx, "Remove?")
		if err != nil {
			return err
		}
		if !yes {
			return errors.New("not removed: nothing was changed")
		}
	}
	sink, stop := c.progress()
	r, err := s.Remove(ctx, sink)
	stop()
	if err != nil {
		return err
	}
	c.warn(r.Warnings)
	return c.removed(s, r)
}

// removal is the plan of removing everything in info.
func removal(s *stacks.Stack, info stacks.Info) view.Plan {
	id := s.ID()
	p := view.Plan{Service: id.Service, Stage: id.Stage, Provider: id.Provider, Counts: map[event.Op]int{event.Delete: len(info.Resources)}}
	for _, r := range info.Resources {
		retain, _ := r.Inputs["retain"].(bool)
		p.Changes = append(p.Changes, event.Change{
			Op:       event.Delete,
			Resource: event.Resource{URN: r.URN, Type: r.Type, Name: r.Name, Function: s.Owner(r.URN)},
			DataLoss: s.Stateful(r.Type) && !retain,
		})
	}
	return p
}

func (c call) removed(s *stacks.Stack, r stacks.Result) error {
	id := s.ID()
	if c.json {
		return c.answer(struct {
			Version  int          `json:"version"`
			Service  string       `json:"service"`
			Stage    string       `json:"stage"`
			Provider string       `json:"provider"`
			Summary  view.Summary `json:"summary"`
			Warnings []string     `json:"warnings"`
		}{1, id.Service, id.Stage, id.Provider, view.Summarize(r.Counts), list(r.Warnings)})
	}
	if len(r.Changes) == 0 {
		fmt.Fprintf(c.Stdout, "%s is not deployed: nothing to remove\n", id)
		return nil
	}
	fmt.Fprintf(c.Stdout, "%s is removed\n", id)
	return nil
}
