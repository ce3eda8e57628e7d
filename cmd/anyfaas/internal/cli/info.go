package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/anyfaas/anyfaas/stacks"
)

func newInfo() *command {
	return &command{
		name: "info", aliases: []string{"outputs"},
		summary:  "show the URLs, functions and resources of what is deployed",
		about:    "Reads what was recorded; --verbose lists each resource.",
		examples: []string{"anyfaas info", "anyfaas info -o json | jq -r '.outputs[\"api.url\"]'"},
		exits:    exitsRead, answers: true,
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			return info(ctx, c)
		},
	}
}

func info(ctx context.Context, c call) error {
	s, err := c.openRecorded()
	if err != nil {
		return err
	}
	i, err := s.Info(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.answer(infoJSON(i))
	}
	id := s.ID()
	fmt.Fprintf(c.Stdout, "%s/%s on %s, deployed %s\n", id.Service, id.Stage, id.Provider, i.Updated.UTC().Format("2006-01-02 15:04:05 UTC"))
	if len(i.Functions) > 0 {
		fmt.Fprint(c.Stdout, "\nFunctions:\n")
	}
	for _, f := range i.Functions {
		facts := slices.DeleteFunc([]string{f.Runtime, f.Memory, f.Timeout}, func(s string) bool { return s == "" })
		fmt.Fprintf(c.Stdout, "  %s\n", strings.TrimRight(fmt.Sprintf("%-14s %s", f.Name, strings.Join(facts, ", ")), " "))
		for _, t := range f.Triggers {
			fmt.Fprintf(c.Stdout, "    %s\n", t)
		}
	}
	if len(i.Outputs) > 0 {
		fmt.Fprint(c.Stdout, "\nOutputs:\n")
		writeOutputs(c, i.Outputs)
	}
	if c.verbose && len(i.Resources) > 0 {
		fmt.Fprint(c.Stdout, "\nResources:\n")
		var rows [][2]string
		for _, r := range i.Resources {
			rows = append(rows, [2]string{r.Type + " " + r.Name, r.ID})
		}
		writeRows(c.Stdout, rows)
	}
	if len(i.Pending) > 0 {
		c.warn([]string{fmt.Sprintf("an interrupted run left %s open; the next deploy finishes them", count(len(i.Pending), "step"))})
	}
	return nil
}

// A resourceJSON is a resource in the answer of info.
type resourceJSON struct {
	Type string `json:"type"`
	Name string `json:"name"`
	ID   string `json:"id"`
}

func infoJSON(i stacks.Info) any {
	resources := []resourceJSON{}
	for _, r := range i.Resources {
		resources = append(resources, resourceJSON{r.Type, r.Name, r.ID})
	}
	return struct {
		Version   int                   `json:"version"`
		Outputs   map[string]any        `json:"outputs"`
		Functions []stacks.FunctionInfo `json:"functions"`
		Resources []resourceJSON        `json:"resources"`
	}{1, i.Outputs, list(i.Functions), resources}
}
