package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// golang compiles a function with the adapter into one executable. The adapter
// and main are laid over the user's module by the compiler's -overlay: nothing is
// written into it.
type golang struct{}

// goOldest is the first release whose standard library the adapter can use.
const goOldest = "1.22"

// goSettings of the environment show in what the compiler makes.
var goSettings = []string{"GOFLAGS", "CGO_ENABLED", "GOEXPERIMENT", "GOAMD64", "GOARM64", "GOWORK", "GODEBUG", "GO111MODULE", "CC", "CGO_CFLAGS", "CGO_LDFLAGS"}

func (golang) plan(ctx context.Context, j *job) (recipe, error) {
	install := "install Go from https://go.dev/dl and put go on PATH"
	t, err := j.interpreter(ctx, need{
		language: "Go",
		names:    []string{"go"},
		install:  install,
		probe:    probe{args: []string{"env", "GOROOT", "GOVERSION"}},
	})
	if err != nil {
		return recipe{}, err
	}
	version := strings.TrimPrefix(t.Version, "go")
	if compareVersions(version, goOldest) < 0 {
		j.diags.Errorf(j.fn.Position.At("runtime"), CodeToolchainMissing, "runtime go needs Go %s or later, and go on PATH is %s", goOldest, version).Hint = install
		return recipe{}, errDiagnosed
	}
	r := recipe{tool: filepath.Join(t.Path, "bin", "go"), Tool: t.Version, Adapter: adapterHash("go/worker")}
	if runtime.GOOS == "windows" {
		r.tool += ".exe"
	}
	for _, name := range goSettings {
		if v := j.env.get(name); v != "" {
			r.Env = append(r.Env, name+"="+v)
		}
	}
	return r, nil
}

// goProgram is the executable in the package.
func goProgram() string {
	if runtime.GOOS == "windows" {
		return "main.exe"
	}
	return "main"
}

func (golang) build(ctx context.Context, j *job) (output, error) {
	set := newInputSet(j.graph.Dir)
	handlers, err := j.goHandlers(set)
	if err != nil {
		return output{}, err
	}
	b := &goBuild{job: j, handlers: handlers, home: handlers[0].folder, inputs: set}
	for _, h := range handlers {
		if h.pkg == "main" {
			b.home = h.folder // main cannot be imported, so ours goes there
		}
	}
	if err := b.list(ctx); err != nil {
		return output{}, err
	}
	program, err := b.compile(ctx)
	if err != nil {
		return output{}, err
	}
	files, err := j.addPackageFiles([]file{{name: goProgram(), data: program, exec: true}}, set)
	return output{files: files, inputs: set, args: []string{"./" + goProgram()}}, err
}

// A goBuild is one compilation.
type goBuild struct {
	*job
	handlers []goHandler
	home     string // absolute folder that main is put in or below
	inputs   *inputSet
	paths    map[string]string // folder → import path
}

func (b *goBuild) goCommand(ctx context.Context, args ...string) ([]byte, []byte, error) {
	cmd := b.program(ctx, b.home, b.recipe.tool, args...)
	env := b.env.with("GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "PWD="+b.home)
	if b.env.get("CGO_ENABLED") == "" {
		env = env.with("CGO_ENABLED=0")
	}
	cmd.Env = env
	return capture(cmd)
}

// A goPackage is what go list says about a package.
type goPackage struct {
	Dir, ImportPath, Name                        string
	Standard                                     bool
	GoFiles, CgoFiles, CFiles, CXXFiles, HFiles  []string
	SFiles, SysoFiles, EmbedFiles, EmbedPatterns []string
	Module                                       *struct{ Path, Version, Dir string }
}

// list asks go for import paths and records every file that the handlers'
// packages are compiled from. Modules in Go's module cache never change.
func (b *goBuild) list(ctx context.Context) error {
	args := []string{"list", "-e", "-deps", "-json=Dir,ImportPath,Name,Standard,GoFiles,CgoFiles,CFiles,CXXFiles,HFiles,SFiles,SysoFiles,EmbedFiles,EmbedPatterns,Module"}
	folders := map[string]bool{}
	for _, h := range b.handlers {
		folders[h.folder] = true
	}
	stdout, stderr, err := b.goCommand(ctx, append(args, slices.Sorted(maps.Keys(folders))...)...)
	if err != nil {
		return b.refused(ctx, stderr, err)
	}
	b.paths = map[string]string{}
	roots := map[string]bool{b.home: true}
	for dec := json.NewDecoder(strings.NewReader(string(stdout))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("read what go list said: %w", err)
		}
		if folders[p.Dir] {
			b.paths[p.Dir] = p.ImportPath
		}
		if p.Standard || p.Dir == "" || p.Module != nil && p.Module.Version != "" && strings.Contains(p.Dir, "@"+p.Module.Version) {
			continue
		}
		roots[p.Dir] = true
		b.inputs.dir(p.Dir, goNames)
		for _, names := range [][]string{p.GoFiles, p.CgoFiles, p.CFiles, p.CXXFiles, p.HFiles, p.SFiles, p.SysoFiles, p.EmbedFiles} {
			for _, name := range names {
				b.inputs.file(filepath.Join(p.Dir, name))
			}
		}
		if err := b.trackEmbedded(p); err != nil {
			return err
		}
	}
	for dir := range roots {
		for ; ; dir = filepath.Dir(dir) {
			for _, name := range []string{"go.mod", "go.sum", "go.work", "go.work.sum", "vendor/modules.txt"} {
				b.inputs.maybe(filepath.Join(dir, name))
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	if config := b.goEnvFile(); config != "" {
		b.inputs.maybe(config)
	}
	return nil
}

// trackEmbedded records the folders in which a new file would be embedded.
func (b *goBuild) trackEmbedded(p goPackage) error {
	for _, pattern := range p.EmbedPatterns {
		start := strings.TrimPrefix(pattern, "all:")
		for strings.ContainsAny(start, "*?[") {
			start = path.Dir(start)
		}
		root := filepath.Join(p.Dir, filepath.FromSlash(start))
		if info, err := os.Stat(root); err != nil || !info.IsDir() {
			continue // a file, which is among the files, or a mistake for the compiler to tell
		}
		err := filepath.WalkDir(root, func(dir string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				b.inputs.dir(dir, anyNames)
			}
			return err
		})
		if err != nil {
			return b.fileError(root, err)
		}
	}
	return nil
}

// goEnvFile is where "go env -w" writes.
func (b *goBuild) goEnvFile() string {
	if f := b.env.get("GOENV"); f != "" {
		return f
	}
	if dir := b.env.get("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, "go", "env")
	}
	if home := b.env.get("HOME"); home != "" && runtime.GOOS == "linux" {
		return filepath.Join(home, ".config", "go", "env")
	} else if home != "" && runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "go", "env")
	}
	return ""
}

// Names of what is laid over the user's module.
const (
	goMainName   = "zz_anyfaas_main"
	goWorkerName = "zz_anyfaas_worker"
)

// compile lays main and the adapter over the module and builds.
func (b *goBuild) compile(ctx context.Context) ([]byte, error) {
	dir, err := b.store.temp()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	overlay := map[string]string{}
	add := func(virtual, name string, data []byte) error {
		real := filepath.Join(dir, name)
		overlay[virtual] = real
		return os.WriteFile(real, data, 0o644)
	}
	for name, data := range adapterFiles("go/worker") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if err := add(filepath.Join(b.home, goWorkerName, name), name, data); err != nil {
			return nil, err
		}
	}
	pattern, virtual := "./"+goMainName, filepath.Join(b.home, goMainName, "main.go")
	if b.homePackage() == "main" {
		pattern, virtual = ".", filepath.Join(b.home, goMainName+".go")
	}
	if err := add(virtual, "main_go", b.mainSource()); err != nil {
		return nil, err
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o644); err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "program")
	_, stderr, err := b.goCommand(ctx, "build", "-overlay", filepath.Join(dir, "overlay.json"),
		"-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", program, pattern)
	if err != nil {
		return nil, b.refused(ctx, stderr, err)
	}
	return os.ReadFile(program)
}

func (b *goBuild) homePackage() string {
	for _, h := range b.handlers {
		if h.folder == b.home {
			return h.pkg
		}
	}
	panic("bundle: main has no home")
}

// mainSource is the program: only the handlers themselves are named, so nothing
// else of their packages is linked without need.
func (b *goBuild) mainSource() []byte {
	var s strings.Builder
	s.WriteString("package main\n\nimport (\n")
	fmt.Fprintf(&s, "\t%s %q\n", goWorkerName, path.Join(b.paths[b.home], goWorkerName))
	names := map[string]string{} // folder → qualifier
	for _, h := range b.handlers {
		if _, ok := names[h.folder]; ok || h.pkg == "main" {
			continue
		}
		names[h.folder] = "zz_anyfaas_" + h.kind
		fmt.Fprintf(&s, "\t%s %q\n", names[h.folder], b.paths[h.folder])
		names[h.folder] += "."
	}
	fmt.Fprintf(&s, ")\n\nfunc main() {\n\t%s.Main(%s.Functions{\n", goWorkerName, goWorkerName)
	for _, h := range b.handlers {
		field := map[string]string{"http": "HTTP", "event": "Event"}[h.kind]
		fmt.Fprintf(&s, "\t\t%s: %s%s, %sName: %q,\n", field, names[h.folder], h.name, field, h.text)
	}
	s.WriteString("\t})\n}\n")
	return []byte(s.String())
}

// refused turns what go printed into diagnostics, one for each error.
func (b *goBuild) refused(ctx context.Context, stderr []byte, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	lines := goErrors(string(stderr), b.home, b.graph.Dir)
	if len(lines) == 0 {
		return fmt.Errorf("%s: %w", b.recipe.tool, err)
	}
	const most = 10
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("and %d more errors", len(lines)-most))
	}
	for _, line := range lines {
		b.diags.Errorf(b.fn.Position.At(b.handlers[0].setting), CodeBuildFailed, "%s", line).Hint = goHint(line)
	}
	return errDiagnosed
}

// goHint knows what to do about some of go's errors.
func goHint(line string) string {
	switch {
	case strings.Contains(line, "build constraints exclude all Go files"):
		return "if it is cgo that they need, set CGO_ENABLED=1; build tags are given with GOFLAGS=-tags=name"
	case strings.Contains(line, "is not one of the workspace modules"), strings.Contains(line, "go.work"):
		return "add the module to go.work with `go work use`"
	case strings.Contains(line, "missing go.sum entry"), strings.Contains(line, "no required module provides package"), strings.Contains(line, "updates to go.mod needed"):
		return "run `go mod tidy` in the module's folder"
	}
	return ""
}

var goErrorPlace = regexp.MustCompile(`^(\s*)([^:\s][^:]*\.\w+):(\d+)(:\d+)?: `)

// goErrors returns the compiler's errors, one a line, with the paths that start
// them as seen from dir; they come as seen from home. Headings ("# package") are
// dropped.
func goErrors(stderr, home, dir string) []string {
	var lines []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		if m := goErrorPlace.FindStringSubmatch(line); m != nil {
			file := m[2]
			if !filepath.IsAbs(file) {
				file = filepath.Join(home, file)
			}
			line = m[1] + relative(dir, file) + strings.TrimPrefix(line, m[1]+m[2])
		}
		if strings.HasPrefix(line, "\t") && len(lines) > 0 {
			lines[len(lines)-1] += " " + strings.TrimSpace(line)
			continue
		}
		lines = append(lines, line)
	}
	for i, line := range lines {
		if importer, rest, ok := strings.Cut(line, " imports "); ok && strings.HasSuffix(importer, "/"+goMainName) {
			lines[i] = rest // the user has never seen our main
		}
	}
	return lines
}
