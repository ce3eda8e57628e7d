package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// A target is where packages shall run: an adapter per language.
type target struct {
	languages map[string]language // by graph.Runtime.Language
}

// targets by provider name. Adding one means adding its adapters.
var targets = map[string]target{
	"local": {map[string]language{
		"node":   node{entry: "local.mjs"},
		"python": python{module: "local"},
		"go":     golang{},
		"custom": custom{},
	}},
}

// A language packages functions for one target. Methods may be called from
// several goroutines.
type language interface {
	// plan finds the toolchain and fills in what of the recipe depends on it.
	plan(ctx context.Context, j *job) (recipe, error)
	// build makes the files of the package. Diagnostics go to j.
	build(ctx context.Context, j *job) (output, error)
}

// A recipe is everything that decides a package besides the content of files.
// Functions of one recipe share a package.
type recipe struct {
	Dir      string   `json:"dir"` // of the project
	Target   string   `json:"target"`
	Runtime  string   `json:"runtime"`
	HTTP     string   `json:"http,omitempty"`
	Event    string   `json:"event,omitempty"`
	Include  []string `json:"include,omitempty"`
	Exclude  []string `json:"exclude,omitempty"`
	External []string `json:"external,omitempty"`
	Command  []string `json:"command,omitempty"`
	Tool     string   `json:"tool,omitempty"` // version of a toolchain that shows in the result
	Env      []string `json:"env,omitempty"`  // settings of the environment that do
	Adapter  string   `json:"adapter"`        // hash of ours

	tool   string // path of the toolchain on this machine; not part of the identity
	runner string // program that starts the package, "" when it starts by itself
}

// changed names what differs from an older recipe of the same function.
func (r recipe) changed(old recipe) string {
	switch {
	case r.Runtime != old.Runtime:
		return fmt.Sprintf("runtime was %s", old.Runtime)
	case r.HTTP != old.HTTP, r.Event != old.Event:
		return "handler changed"
	case r.Tool != old.Tool:
		return fmt.Sprintf("toolchain was %s", old.Tool)
	case r.Adapter != old.Adapter:
		return "adapter changed"
	case !slices.Equal(r.Env, old.Env):
		return "build environment changed"
	case !slices.Equal(r.Command, old.Command):
		return "command changed"
	}
	return "package settings changed"
}

// An output is what a language made.
type output struct {
	files   []file
	inputs  *inputSet
	args    []string         // after the program, to start the package
	largest map[string]int64 // sizes by name; nil to take the files
}

// A record tells what a package was made from.
type record struct {
	SHA256  string        `json:"sha256"`
	Size    int64         `json:"size"`
	Args    []string      `json:"args,omitempty"`
	Largest []Contributor `json:"largest,omitempty"`
	Taken   time.Time     `json:"taken"`
	Inputs  inputs        `json:"inputs"`
	Notes   []note        `json:"notes,omitempty"`
}

// A note is a warning of a build, told again whenever its package is used.
type note struct {
	Setting string `json:"setting"` // of the function: "handler", "package.include[0]"
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// A job packages one function.
type job struct {
	*builder
	fn     *graph.Function
	recipe recipe
	diags  diag.List
	notes  []note        // of the present attempt to build
	other  *otherVersion // of the language, when there is not the one asked for
}

func (j *job) run(ctx context.Context) (Report, error) {
	lang, ok := targets[j.graph.Provider].languages[j.fn.Runtime.Language]
	if !ok {
		j.diags.Errorf(j.fn.Position.At("runtime"), CodeRuntimeTarget, "runtime %s cannot run on provider %s", j.fn.Runtime, j.graph.Provider).
			Hint = "use node, python, go or custom"
		return Report{}, errDiagnosed
	}
	r, err := lang.plan(ctx, j)
	if err != nil {
		return Report{}, err
	}
	r.Dir, r.Target, r.Runtime = j.graph.Dir, j.graph.Provider, j.fn.Runtime.String()
	r.HTTP, r.Event = j.fn.HTTPHandler, j.fn.EventHandler
	r.Include, r.Exclude, r.External = j.fn.Package.Include, j.fn.Package.Exclude, j.fn.Package.External
	j.recipe = r

	// Functions of one recipe wait for the first of them, then find its record.
	key := digest(r)
	defer j.flight.enter(key)()
	return j.make(ctx, lang, key)
}

// make looks for a valid record and builds when there is none.
func (j *job) make(ctx context.Context, lang language, key string) (Report, error) {
	var rec record
	why := ""
	if j.store.readJSON(&rec, "records", key+".json") {
		var touched bool
		if why, touched = rec.Inputs.changed(j.graph.Dir, rec.Taken); why == "" && !j.store.holds(rec.SHA256, rec.Size, j.now()) {
			why = "the package was not in the cache"
		}
		if why == "" {
			if touched || j.now().Sub(rec.Taken) > 24*time.Hour { // a record in use is not pruned
				rec.Taken = j.now()
				if err := j.store.writeJSON(rec, "records", key+".json"); err != nil {
					return Report{}, err
				}
			}
			return j.finish(rec, Report{Cached: true, Why: "cached"}), nil
		}
	} else if last := (recipe{}); j.store.readJSON(&last, "functions", j.nameKey()) {
		if why = j.recipe.changed(last); digest(last) == key {
			why = "no record of the last build"
		}
	} else {
		why = "first build"
	}

	start := j.now()
	j.report(event.Building{Function: j.fn.Name, Reason: why})
	stop := j.stillBuilding(start)
	rec, err := j.build(ctx, lang)
	stop()
	took := j.now().Sub(start)
	if err != nil {
		if errors.Is(err, errDiagnosed) {
			j.report(event.Building{Function: j.fn.Name, Done: true, Reason: "failed", Took: took})
		}
		return Report{}, err
	}
	if err := j.store.writeJSON(rec, "records", key+".json"); err != nil {
		return Report{}, err
	}
	if err := j.store.writeJSON(j.recipe, "functions", j.nameKey()); err != nil {
		return Report{}, err
	}
	return j.finish(rec, Report{Why: why, Took: took}), nil
}

// build runs the language until its sources held still, and stores the package.
func (j *job) build(ctx context.Context, lang language) (record, error) {
	for attempt := 1; ; attempt++ {
		j.notes = nil
		start := time.Now() // of the file system's clock, not the option's
		out, err := lang.build(ctx, j)
		if err != nil {
			return record{}, cmpError(ctx, err)
		}
		in, err := out.inputs.seal(start)
		if errors.Is(err, errMoved) && attempt < 3 {
			continue
		}
		if err != nil {
			return record{}, err
		}
		data, err := pack(out.files)
		if err != nil {
			return record{}, err
		}
		sum := sha256.Sum256(data)
		rec := record{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data)), Args: out.args, Taken: time.Now(), Inputs: in, Notes: j.notes}
		if out.largest == nil {
			out.largest = map[string]int64{}
			for _, f := range out.files {
				out.largest[f.name] = int64(len(f.data))
			}
		}
		rec.Largest = largest(out.largest)
		if !j.store.holds(rec.SHA256, rec.Size, j.now()) {
			if err := j.store.write(data, "artifacts", rec.SHA256+".zip"); err != nil {
				return record{}, err
			}
		}
		return rec, nil
	}
}

// finish completes a report and announces it.
func (j *job) finish(rec record, r Report) Report {
	for _, n := range rec.Notes {
		j.diags.Warnf(j.fn.Position.At(n.Setting), n.Code, "%s", n.Message).Hint = n.Hint
	}
	r.Function, r.Largest = j.fn.Name, rec.Largest
	r.Artifact = providers.Artifact{
		Function: j.fn.Name,
		Path:     j.store.artifact(rec.SHA256),
		SHA256:   rec.SHA256,
		Size:     rec.Size,
		Command:  j.command(rec.Args),
	}
	j.report(event.Building{Function: j.fn.Name, Done: true, Reason: r.Why, Size: rec.Size, Took: r.Took})
	return r
}

func (j *job) command(args []string) []string {
	if j.recipe.runner == "" {
		return slices.Clone(args)
	}
	return append([]string{j.recipe.runner}, args...)
}

// nameKey is the file of what the function was last built with.
func (j *job) nameKey() string {
	return digest([]string{j.graph.Dir, j.graph.Provider, j.fn.Name}) + ".json"
}

// stillBuilding tells now and then that a build goes on. The returned function
// ends it.
func (j *job) stillBuilding(start time.Time) (stop func()) {
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for wait := 3 * time.Second; ; wait = 10 * time.Second {
			select {
			case <-done:
				return
			case <-time.After(wait):
				j.report(event.Building{Function: j.fn.Name, Reason: "still building", Took: j.now().Sub(start)})
			}
		}
	}()
	return func() { close(done); <-gone }
}

// read returns the content of a project file, or reports why it cannot.
func (j *job) read(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, j.fileError(path, err)
	}
	return data, nil
}

// fileError reports a file that the package needs and that cannot be had.
func (j *job) fileError(path string, err error) error {
	j.diags.Errorf(j.fn.Position.At("package"), CodePackageFile, "%s: %s", relative(j.graph.Dir, path), cause(err))
	return errDiagnosed
}

// cause returns the innermost text of a file error, without its path.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// cmpError prefers the reason of a cancelled context to what it led to.
func cmpError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// A flight lets one holder of a key in at a time. The zero flight is ready.
type flight struct {
	mu   sync.Mutex
	keys map[string]*sync.Mutex
}

// enter waits for the key and returns the function that frees it.
func (f *flight) enter(key string) (leave func()) {
	f.mu.Lock()
	if f.keys == nil {
		f.keys = map[string]*sync.Mutex{}
	}
	m := f.keys[key]
	if m == nil {
		m = new(sync.Mutex)
		f.keys[key] = m
	}
	f.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// joinWords returns "a, b and c".
func joinWords(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
