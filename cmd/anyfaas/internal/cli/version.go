package cli

import (
	"context"
	"fmt"
)

func newVersion() *command {
	return &command{
		name: "version", summary: "tell which anyfaas this is",
		examples: []string{"anyfaas version", "anyfaas version -o json"},
		exits:    exitsPlain, answers: true,
		run: func(_ context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			return version(c)
		},
	}
}

func version(c call) error {
	r := c.Release
	if c.json {
		return c.answer(struct {
			Version int     `json:"version"`
			Release Release `json:"release"`
		}{1, r})
	}
	commit := r.Commit
	if r.Modified {
		commit += " with changes"
	}
	fmt.Fprintf(c.Stdout, "anyfaas %s\n", r.Version)
	for _, row := range [][2]string{{"commit", commit}, {"date", r.Date}, {"go", r.Go}, {"platform", r.Platform}, {"pulumi", r.Pulumi}} {
		if row[1] != "" {
			fmt.Fprintf(c.Stdout, "  %-9s %s\n", row[0], row[1])
		}
	}
	return nil
}
