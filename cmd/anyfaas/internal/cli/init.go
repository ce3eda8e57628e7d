package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/anyfaas/anyfaas/manifest"
	"github.com/anyfaas/anyfaas/templates"
)

type initOptions struct {
	Folder   string // as the user named it
	Template string
	Runtime  string
	Service  string
	Provider string
}

func newInit() *command {
	return &command{
		name: "init", args: "[DIR]", summary: "start a working project from a template",
		about: "Asks on a terminal for what is not given. Existing files are never replaced.",
		examples: []string{
			"anyfaas init shop",
			"anyfaas init shop --template http-api --runtime go",
			"anyfaas init . --template worker --runtime python --provider local",
		},
		exits: []int{exitOK, exitFailed, exitUsage, exitInterrupted},
		flags: []flag{
			{name: "template", short: "t", value: "NAME", usage: "what to start from; see anyfaas templates", choices: templateNames()},
			{name: "runtime", short: "r", value: "NAME", usage: "the language, such as node, or a version of it, such as node24", choices: templateRuntimes()},
			{name: "service", value: "NAME", usage: "name of the service, instead of the folder's"},
		},
		run: func(ctx context.Context, c call) error {
			args, err := c.args("[DIR]")
			if err != nil {
				return err
			}
			o := initOptions{
				Folder: ".", Template: c.flags.String("template"), Runtime: c.flags.String("runtime"),
				Service: c.flags.String("service"), Provider: c.provider,
			}
			if len(args) == 1 {
				o.Folder = args[0]
			}
			if o, err = c.fill(ctx, o); err != nil {
				return err
			}
			return initProject(c, o)
		},
	}
}

// fill asks for what o lacks, on a terminal.
func (c call) fill(ctx context.Context, o initOptions) (initOptions, error) {
	if !c.asks() {
		return o, nil
	}
	var err error
	if o.Template == "" {
		var summaries []string
		for _, t := range templates.List() {
			summaries = append(summaries, t.Summary)
		}
		if o.Template, err = c.choose(ctx, "What to start from?", templateNames(), summaries); err != nil {
			return o, err
		}
	}
	if o.Runtime == "" {
		for _, t := range templates.List() {
			if t.Name != o.Template {
				continue
			}
			if o.Runtime, err = c.choose(ctx, "In which language?", t.Runtimes, nil); err != nil {
				return o, err
			}
		}
	}
	return o, nil
}

func initProject(c call, o initOptions) error {
	files, err := templates.Write(c.abs(o.Folder), templates.Options{
		Template: o.Template, Runtime: o.Runtime, Service: o.Service, Provider: o.Provider,
	})
	if conflict, ok := errors.AsType[*templates.ConflictError](err); ok {
		return hintedError{conflict, "choose an empty folder, or move what is there away"}
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		fmt.Fprintln(c.Stdout, filepath.ToSlash(filepath.Join(o.Folder, f)))
	}
	next := []string{}
	if o.Folder != "." {
		next = append(next, "cd "+o.Folder)
	}
	next = append(next, "anyfaas deploy", "anyfaas logs "+firstFunction(c, o.Folder)+" --follow", "anyfaas remove")
	fmt.Fprintf(c.Stderr, "\nnext:\n    %s\n", strings.Join(next, "\n    "))
	return nil
}

// firstFunction names a function of the project in folder.
func firstFunction(c call, folder string) string {
	c.Dir, c.file = c.abs(folder), ""
	if g, _ := c.load(); g != nil && len(g.Functions) > 0 {
		return g.Functions[0].Name
	}
	return "FUNCTION"
}

func templateNames() []string {
	var names []string
	for _, t := range templates.List() {
		names = append(names, t.Name)
	}
	return names
}

// templateRuntimes are the languages of the templates, then the versions of them
// that a manifest can name.
func templateRuntimes() []string {
	var all []string
	for _, t := range templates.List() {
		all = append(all, t.Runtimes...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	languages := all
	for _, r := range manifest.Runtimes {
		if slices.Contains(languages, templates.Language(r)) && !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}
