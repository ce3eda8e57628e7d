package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

type packageOptions struct {
	Functions []string // nil means all
	Out       string   // folder to copy artifacts to; "" leaves them in the cache
	Why       bool
}

func newPackage() *command {
	return &command{
		name: "package", args: "[FUNCTION…]", summary: "build the artifacts of functions",
		about: "Prints each artifact's path. The same source gives the same bytes; what did not\n" +
			"change comes from the cache. --why tells what made each one be built.",
		examples: []string{"anyfaas package", "anyfaas package api --why", "anyfaas package --out dist"},
		exits:    exitsRead, answers: true,
		flags: []flag{
			{name: "out", value: "DIR", usage: "copy the artifacts there, as FUNCTION.zip"},
			{name: "why", usage: "tell why each artifact was built, or was not"},
		},
		run: func(ctx context.Context, c call) error {
			functions, err := c.args("[FUNCTION…]")
			if err != nil {
				return err
			}
			o := packageOptions{Out: c.flags.String("out"), Why: c.flags.Bool("why")}
			if len(functions) > 0 {
				o.Functions = functions
			}
			return packageFunctions(ctx, c, o)
		},
	}
}

// A packagedJSON is an artifact in the answer of package.
type packagedJSON struct {
	Function string `json:"function"`
	Path     string `json:"path"`
	SHA256   string `json:"sha256"`
	Size     int64  `json:"size"`
	Reason   string `json:"reason"`
}

func packageFunctions(ctx context.Context, c call, o packageOptions) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	known := []string{}
	for _, f := range s.Graph().Functions {
		known = append(known, f.Name)
	}
	for _, name := range o.Functions {
		if !slices.Contains(known, name) {
			return &stacks.UnknownFunctionError{Name: name, Known: known}
		}
	}
	sink, stop := c.progress()
	reasons := map[string]string{}
	arts, found, err := s.Build(ctx, o.Functions, event.Func(func(e event.Event) {
		if b, ok := e.(event.Building); ok && b.Done {
			reasons[b.Function] = b.Reason
		}
		sink.Event(e)
	}))
	stop()
	if err != nil {
		return err
	}
	if found.HasErrors() {
		return &stacks.InvalidError{Diagnostics: found, Packaging: true}
	}
	c.tell(found)
	built := []packagedJSON{}
	for _, name := range known {
		a, ok := arts[name]
		if !ok {
			continue
		}
		if o.Out != "" {
			if a.Path, err = export(a, c.abs(o.Out)); err != nil {
				return fmt.Errorf("write artifact of %s: %w", name, err)
			}
		}
		built = append(built, packagedJSON{name, a.Path, a.SHA256, a.Size, reasons[name]})
	}
	if c.json {
		return c.answer(struct {
			Version   int            `json:"version"`
			Artifacts []packagedJSON `json:"artifacts"`
		}{1, built})
	}
	for _, b := range built {
		why := ""
		if o.Why {
			why = b.Reason
		}
		fmt.Fprintln(c.Stdout, strings.TrimRight(fmt.Sprintf("%-14s %9s  %s  %s", b.Function, size(b.Size), b.Path, why), " "))
	}
	return nil
}

// export copies an artifact to <folder>/<function>.zip, whole or not at all.
func export(a providers.Artifact, folder string) (string, error) {
	if a.Path == "" {
		return a.Image, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	from, err := os.Open(a.Path)
	if err != nil {
		return "", err
	}
	defer from.Close()
	to, err := os.CreateTemp(folder, "."+a.Function+"-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(to.Name()) // nothing is left there once it was renamed
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		return "", err
	}
	if err := to.Chmod(0o644); err != nil {
		to.Close()
		return "", err
	}
	if err := to.Close(); err != nil {
		return "", err
	}
	path := filepath.Join(folder, a.Function+".zip")
	return path, os.Rename(to.Name(), path)
}
