package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/anyfaas/anyfaas/cmd/anyfaas/internal/view"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

type deployOptions struct {
	Function      string
	Yes           bool
	AllowDataLoss bool
	Message       string
}

func newDeploy() *command {
	return &command{
		name: "deploy", aliases: []string{"up"},
		summary: "make what runs equal to the manifest",
		about: "Shows what would change, asks, deploys, and prints the outputs. Stopping it with\n" +
			"Ctrl-C, or killing it, loses nothing: the next deploy goes on from there.",
		examples: []string{
			"anyfaas deploy",
			"anyfaas deploy --stage prod --yes",
			"anyfaas deploy --function api",
		},
		exits: exitsChange, answers: true,
		flags: []flag{
			{name: "yes", short: "y", usage: "do not ask", env: "ANYFAAS_YES"},
			{name: "function", value: "NAME", usage: "only this function and what it needs new"},
			{name: "allow-data-loss", usage: "let stored data go when a change deletes or replaces what holds it"},
			{name: "message", short: "m", value: "TEXT", usage: "a note for the history"},
		},
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			return deploy(ctx, c, deployOptions{
				Function: c.flags.String("function"), Yes: c.flags.Bool("yes"),
				AllowDataLoss: c.flags.Bool("allow-data-loss"), Message: c.flags.String("message"),
			})
		},
	}
}

func deploy(ctx context.Context, c call, o deployOptions) error {
	if err := c.mustAsk("deploy", "anyfaas preview", o.Yes); err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	if !o.Yes {
		goOn, err := c.review(ctx, s, o)
		if err != nil || !goOn {
			return err
		}
	}
	sink, stop := c.progress()
	r, err := s.Deploy(ctx, stacks.DeployOptions{
		Function: o.Function, AllowDataLoss: o.AllowDataLoss, Message: o.Message,
	}, sink)
	stop()
	if err != nil {
		return err
	}
	if o.Yes { // otherwise the review has told them
		c.tell(s.Findings())
		c.warn(r.Warnings)
	}
	return c.deployed(s, r)
}

// review shows the plan and asks whether to go on.
func (c call) review(ctx context.Context, s *stacks.Stack, o deployOptions) (bool, error) {
	plan, err := c.plan(ctx, s, o.Function)
	if err != nil {
		return false, err
	}
	if err := view.PlanText(c.Stderr, plan, c.style(c.Terminal.Err)); err != nil {
		return false, err
	}
	if len(plan.Changes) == 0 {
		return true, nil
	}
	if lost := plan.Lost(); len(lost) > 0 && !o.AllowDataLoss {
		return false, fmt.Errorf("deploy %s: %w", s.ID(), &stacks.DataLossError{Resources: lost})
	}
	yes, err := c.confirm(ctx, "Deploy?")
	if err == nil && !yes {
		return false, errors.New("not deployed: nothing was changed")
	}
	return yes, err
}

// deployed prints what the stack gives.
func (c call) deployed(s *stacks.Stack, r stacks.Result) error {
	id := s.ID()
	if c.json {
		if r.Outputs == nil {
			r.Outputs = map[string]any{}
		}
		return c.answer(struct {
			Version  int            `json:"version"`
			Service  string         `json:"service"`
			Stage    string         `json:"stage"`
			Provider string         `json:"provider"`
			Summary  view.Summary   `json:"summary"`
			Changes  []event.Change `json:"changes"`
			Outputs  map[string]any `json:"outputs"`
			Warnings []string       `json:"warnings"`
		}{1, id.Service, id.Stage, id.Provider, view.Summarize(r.Counts), list(r.Changes), r.Outputs, list(r.Warnings)})
	}
	writeOutputs(c, r.Outputs)
	return nil
}

// writeOutputs prints outputs, sorted by name.
func writeOutputs(c call, outputs map[string]any) {
	var rows [][2]string
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		rows = append(rows, [2]string{name, fmt.Sprint(outputs[name])})
	}
	writeRows(c.Stdout, rows)
}

// list is l, never nil, so that JSON shows [].
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// mustAsk refuses a change that nobody can be asked about; look is the command
// that shows beforehand what it is about.
func (c call) mustAsk(what, look string, yes bool) error {
	if yes || c.asks() {
		return nil
	}
	return &usageError{
		text: what + " has nobody to ask: this is no terminal",
		hint: "look at `" + look + "`, then say yes beforehand:\n    anyfaas " + what + " --yes",
	}
}
