// Package templates holds the projects that `anyfaas init` starts from: one
// working project for each template and language, embedded as it lies on disk.
// It knows files and names only; whether a project is valid is for the tests to
// say, which read, build, deploy and call every one of them.
//
// A project is a folder <template>/<runtime>. Its manifest says
// `service: <template>` and `provider: local`, its package.json and go.mod name
// the template, and Write puts the user's choices in their place. Go projects
// keep their go.mod as go.mod.tmpl, since embedding leaves out other modules.
package templates

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed all:http-api all:worker
var projects embed.FS

// A Template is a kind of project, in one or more languages.
type Template struct {
	Name     string
	Summary  string   // one line without a full stop
	Runtimes []string // sorted: "go", "node", "python"
}

// List returns the templates sorted by name.
func List() []Template {
	all := []Template{
		{Name: "http-api", Summary: "a JSON API: path and query parameters, request bodies, errors"},
		{Name: "worker", Summary: "background jobs: HTTP to a queue, retries, a dead-letter queue and a schedule"},
	}
	for i := range all {
		entries, err := projects.ReadDir(all[i].Name)
		if err != nil {
			panic("templates: " + err.Error())
		}
		for _, e := range entries {
			all[i].Runtimes = append(all[i].Runtimes, e.Name())
		}
	}
	return all
}

// Options say what to write. The zero value is the first template in its first
// language.
type Options struct {
	Template string // "" means "http-api"
	Runtime  string // a language, or as manifests name one, such as "node24"; "" means "node"
	Service  string // "" means derived from the folder's name
	Provider string // "" means "local"
}

// A ConflictError lists files that exist already and were left alone.
type ConflictError struct {
	Dir   string
	Files []string // slash-separated, below Dir, sorted
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s already holds %s", e.Dir, strings.Join(e.Files, ", "))
}

// Write makes a project in dir, which is made when it does not exist, and
// returns the files it wrote, slash-separated, below dir and sorted. It never
// replaces a file: when one exists already, nothing is written and the error is
// a *ConflictError.
func Write(dir string, o Options) ([]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	p, err := choose(dir, o)
	if err != nil {
		return nil, err
	}
	contents, err := p.render()
	if err != nil {
		return nil, err
	}
	files := slices.Sorted(maps.Keys(contents))
	if taken := existing(dir, files); len(taken) > 0 {
		return nil, &ConflictError{Dir: dir, Files: taken}
	}
	for _, name := range files {
		if err := writeNew(filepath.Join(dir, filepath.FromSlash(name)), contents[name]); err != nil {
			return nil, fmt.Errorf("write project: %w", err)
		}
	}
	return files, nil
}

// existing returns those of files that dir holds already. A serverless.yml
// counts too: the manifest of the same name with .yaml would hide it.
func existing(dir string, files []string) []string {
	var taken []string
	for _, name := range append(slices.Clone(files), "serverless.yml") {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name))); err == nil {
			taken = append(taken, name)
		}
	}
	slices.Sort(taken)
	return taken
}

func writeNew(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
