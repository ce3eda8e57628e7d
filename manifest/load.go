// Package manifest reads serverless.yaml: bytes in, a graph for one stage and
// one provider and a list of diagnostics out. It knows YAML, variables, overlays
// and the language of the manifest, and nothing about any cloud.
//
// Reading goes in phases, and each reports everything it finds before the next
// is tried: syntax (is it YAML), shape (are keys and types right), values
// (variables, includes, overlays), meaning (does it fit together).
package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
)

// FileNames are looked for in this order when no file is named.
var FileNames = []string{"serverless.yaml", "serverless.yml"}

// Options say what to read and for whom. The zero value reads the manifest of
// the current folder with its own stage and provider.
type Options struct {
	Dir      string // folder that relative paths start at; "" means the current one
	File     string // manifest, relative to Dir or absolute; "" looks for FileNames
	Stage    string // "" means the manifest's own
	Provider string // "" means the manifest's own

	Params map[string]string // values of ${param.NAME}

	// Env answers ${env.NAME}; nil means that no variable is set.
	Env func(name string) (string, bool)
	// Git answers ${git.sha} and ${git.branch}; nil means not a repository.
	Git func(key string) (string, error)
	// ReadFile reads the manifest and what it includes; nil means
	// from the disk, as far as a manifest may be large.
	ReadFile func(path string) ([]byte, error)
}

// Sources are the files that were read, by their name in diag.Pos.File.
type Sources map[string][]byte

// Load reads a manifest. The graph is nil exactly when the list has errors. The
// list is sorted; it may hold warnings beside a graph.
func Load(o Options) (*graph.Graph, Sources, diag.List) {
	l := newLoader(o)
	g := l.load()
	list := l.diags.Sorted()
	if list.HasErrors() {
		g = nil
	}
	return g, l.sources, list
}

// A loader carries what the phases of one Load share.
type loader struct {
	options  Options
	readFile func(string) ([]byte, error)

	file    string // the manifest's name in messages
	sources Sources
	files   map[string]*source // read so far, by name
	diags   diag.List
	budget  int // values that aliases and includes may still add
}

func newLoader(o Options) *loader {
	l := &loader{
		options:  o,
		readFile: o.ReadFile,
		sources:  Sources{},
		files:    map[string]*source{},
		budget:   maxExpansion,
	}
	if l.readFile == nil {
		l.readFile = readFile
	}
	return l
}

// readFile reads a file, or so much of it as shows that it is too large.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFileSize+1))
}

func (l *loader) load() *graph.Graph {
	src := l.find()
	if src == nil {
		return nil
	}
	root := l.parse(src)
	if root == nil || l.diags.HasErrors() {
		return nil
	}
	if !l.recognise(root) {
		return nil
	}
	checkShape(&l.diags, root, language, rawMode)
	l.checkTemplates(root)
	if l.diags.HasErrors() {
		return nil
	}
	e := l.effective(root)
	if e == nil || l.diags.HasErrors() {
		return nil
	}
	dir, err := filepath.Abs(filepath.Dir(l.path(l.file)))
	if err != nil {
		l.diags.Errorf(diag.Pos{File: l.file}, "file-unreadable", "%v", err)
		return nil
	}
	return build(&l.diags, e, dir, l.file)
}

// find reads the manifest, or reports that there is none.
func (l *loader) find() *source {
	names := FileNames
	if l.options.File != "" {
		names = []string{l.options.File}
	}
	for _, name := range names {
		data, err := l.readFile(l.path(name))
		if errors.Is(err, fs.ErrNotExist) && l.options.File == "" {
			continue
		}
		l.file = name
		if err != nil {
			l.unreadable(diag.Pos{File: name}, 0, name, err)
			return nil
		}
		return l.add(name, data)
	}
	l.file = names[0]
	where := "this folder"
	if l.options.Dir != "" && l.options.Dir != "." {
		where = l.options.Dir
	}
	l.diags.Errorf(diag.Pos{File: names[0]}, "no-manifest", "there is no manifest in %s", where).Hint = "start a project with `anyfaas init`, or name the manifest with --manifest FILE"
	return nil
}

// path turns a name as messages show it into one that ReadFile understands.
func (l *loader) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(l.options.Dir, name)
}

func (l *loader) unreadable(pos diag.Pos, width int, name string, err error) {
	reason := err.Error()
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		reason = pe.Err.Error()
	}
	if errors.Is(err, fs.ErrNotExist) {
		reason = "there is no such file"
	}
	d := l.diags.Errorf(pos, "file-unreadable", "cannot read %q: %s", name, reason)
	d.Width = width
}

func (l *loader) add(name string, data []byte) *source {
	s := newSource(name, data)
	l.sources[name] = data
	l.files[name] = s
	return s
}

// recognise tells our file from others of the same name before its keys are
// looked at, since every one of them would be unknown.
func (l *loader) recognise(root *node) bool {
	f := root.field("apiVersion")
	if f == nil {
		d := l.diags.Errorf(root.pos, "api-version", "apiVersion is missing, so this is not known to be an anyfaas manifest")
		d.Hint = fmt.Sprintf("make the first line `apiVersion: %s`", APIVersion)
		if looksLikeServerlessFramework(root) {
			d.Hint = fmt.Sprintf("this looks like a Serverless Framework file; ours has the same name but starts with `apiVersion: %s`", APIVersion)
		}
		return false
	}
	if f.value.kind == textKind && f.value.text == APIVersion {
		return true
	}
	d := l.diags.Errorf(f.value.pos, "api-version", "apiVersion must be %s, not %s", APIVersion, f.value.describe())
	d.Width = f.value.width
	d.Hint = fmt.Sprintf("this version of anyfaas reads `apiVersion: %s`", APIVersion)
	return false
}

// looksLikeServerlessFramework goes by keys that only its files have.
func looksLikeServerlessFramework(root *node) bool {
	if p := root.field("provider"); p != nil && p.value.kind == mapKind {
		return true
	}
	return slices.ContainsFunc([]string{"frameworkVersion", "plugins", "custom", "configValidationMode", "layers"}, func(k string) bool { return root.field(k) != nil })
}
