package cli

import (
	"context"
	"strings"

	"github.com/anyfaas/anyfaas/templates"
)

func newTemplates() *command {
	return &command{
		name: "templates", summary: "list what a project can start from",
		examples: []string{"anyfaas templates"},
		exits:    exitsPlain, answers: true,
		run: func(_ context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			return listTemplates(c)
		},
	}
}

// A templateJSON is a template in the answer of templates.
type templateJSON struct {
	Name     string   `json:"name"`
	Summary  string   `json:"summary"`
	Runtimes []string `json:"runtimes"`
}

func listTemplates(c call) error {
	all := templates.List()
	if c.json {
		answer := []templateJSON{}
		for _, t := range all {
			answer = append(answer, templateJSON{t.Name, t.Summary, t.Runtimes})
		}
		return c.answer(struct {
			Version   int            `json:"version"`
			Templates []templateJSON `json:"templates"`
		}{1, answer})
	}
	var rows [][2]string
	for _, t := range all {
		rows = append(rows, [2]string{t.Name, t.Summary + " (" + strings.Join(t.Runtimes, ", ") + ")"})
	}
	writeRows(c.Stdout, rows)
	return nil
}
