package cli

import (
	"context"

	"github.com/anyfaas/anyfaas/cmd/anyfaas/internal/view"
	"github.com/anyfaas/anyfaas/stacks"
)

type previewOptions struct {
	Function string
	Format   string // text, json or markdown
	ExitCode bool
}

func newPreview() *command {
	return &command{
		name: "preview", aliases: []string{"plan", "diff"},
		summary: "tell what a deploy would change",
		about: "Functions are packaged and compared with what is recorded; nothing is changed.\n" +
			"The answer groups changes by function, in the manifest's words; --verbose adds\n" +
			"each resource.",
		examples: []string{
			"anyfaas preview",
			"anyfaas preview --stage prod --exit-code",
			"anyfaas preview --format markdown > comment.md",
		},
		exits: []int{exitOK, exitFailed, exitUsage, exitChanges, exitInvalid, exitLocked, exitInterrupted}, answers: true,
		flags: []flag{
			{name: "function", value: "NAME", usage: "only this function and what it needs new"},
			{name: "format", value: "FORMAT", usage: "form of the answer: text, json or markdown", choices: []string{"text", "json", "markdown"}},
			{name: "exit-code", usage: "exit 3 when there are changes"},
		},
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			o := previewOptions{
				Function: c.flags.String("function"), Format: c.flags.String("format"), ExitCode: c.flags.Bool("exit-code"),
			}
			switch {
			case o.Format == "" && c.json:
				o.Format = "json"
			case o.Format == "":
				o.Format = "text"
			case c.json && o.Format != "json":
				return &usageError{text: "--output json and --format " + o.Format + " contradict each other"}
			}
			return preview(ctx, c, o)
		},
	}
}

func preview(ctx context.Context, c call, o previewOptions) error {
	c.session.json = o.Format == "json"
	s, err := c.open()
	if err != nil {
		return err
	}
	plan, err := c.plan(ctx, s, o.Function)
	if err != nil {
		return err
	}
	switch o.Format {
	case "json":
		err = view.PlanJSON(c.Stdout, plan)
	case "markdown":
		err = view.PlanMarkdown(c.Stdout, plan)
	default:
		err = view.PlanText(c.Stdout, plan, c.style(c.Terminal.Out))
	}
	if err == nil && o.ExitCode && len(plan.Changes) > 0 {
		err = exitError(exitChanges)
	}
	return err
}

// plan previews s, showing progress. Warnings about the manifest are told with
// their lines, and are in the plan too for those who read that alone.
func (c call) plan(ctx context.Context, s *stacks.Stack, function string) (view.Plan, error) {
	sink, stop := c.progress()
	r, err := s.Preview(ctx, stacks.PreviewOptions{Function: function}, sink)
	stop()
	if err != nil {
		return view.Plan{}, err
	}
	c.tell(s.Findings())
	id := s.ID()
	p := view.Plan{
		Service: id.Service, Stage: id.Stage, Provider: id.Provider, Graph: s.Graph(),
		Changes: r.Changes, Counts: r.Counts, Warnings: r.Warnings,
	}
	for _, d := range s.Findings() {
		p.Notes = append(p.Notes, d.String())
	}
	return p, nil
}

// style is how to write to a stream that is a terminal or not.
func (c call) style(terminal bool) view.Style {
	return view.Style{
		Color:   terminal && c.getenv("NO_COLOR") == "" && !c.flags.Bool("no-color"),
		Verbose: c.verbose,
	}
}
