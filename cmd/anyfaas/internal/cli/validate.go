package cli

import (
	"context"
	"fmt"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/stacks"
)

type validateOptions struct {
	Providers []string // to check against; empty means the manifest's own
}

func newValidate() *command {
	return &command{
		name: "validate", summary: "check the manifest, and that the provider can do what it asks",
		about: "Everything that is wrong is told at once, at the line that says it. Nothing is\n" +
			"built and no network is used. --provider all checks against every provider.",
		examples: []string{"anyfaas validate", "anyfaas validate --stage prod --provider all", "anyfaas validate -o json"},
		exits:    []int{exitOK, exitFailed, exitUsage, exitInvalid}, answers: true,
		run: func(_ context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			o := validateOptions{}
			switch c.provider {
			case "":
			case "all":
				o.Providers = c.Providers.Names()
			default:
				o.Providers = []string{c.provider}
			}
			return validate(c, o)
		},
	}
}

func validate(c call, o validateOptions) error {
	wanted := o.Providers
	if len(wanted) == 0 {
		wanted = []string{""}
	}
	var list diag.List
	var functions int
	checked := []string{}
	file := ""
	for _, name := range wanted {
		g, found := c.loadFor(name)
		list = append(list, found...)
		if g == nil {
			continue
		}
		p, ok := c.Providers.Get(g.Provider)
		if !ok {
			list.Errorf(g.Position.At("provider"), "unsupported-provider", "this version of anyfaas cannot deploy to %s", g.Provider).Hint = "use " + alternatives(c.Providers.Names())
			continue
		}
		list = append(list, stacks.Check(g, p)...)
		functions, file = len(g.Functions), g.File
		checked = append(checked, g.Provider)
	}
	list = list.Sorted()
	if c.json {
		err := c.answer(struct {
			Version     int              `json:"version"`
			Valid       bool             `json:"valid"`
			Providers   []string         `json:"providers"`
			Diagnostics []diagnosticJSON `json:"diagnostics"`
		}{1, !list.HasErrors(), checked, diagnosticsJSON(list)})
		if err == nil && list.HasErrors() {
			err = exitError(exitInvalid)
		}
		return err
	}
	if list.HasErrors() {
		return &stacks.InvalidError{Diagnostics: list}
	}
	c.tell(list)
	warnings := ""
	if len(list) > 0 {
		warnings = ", " + count(len(list), "warning")
	}
	fmt.Fprintf(c.Stdout, "%s is valid: %s on %s%s\n", file, count(functions, "function"), all(checked), warnings)
	return nil
}
