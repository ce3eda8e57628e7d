package bundle

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// python packages the project's modules as they are, with the adapter as package
// _anyfaas and a main module that starts it.
type python struct {
	module string // of the adapter that serves the target
}

// pythonMain is the program of a package.
const pythonMain = "_anyfaas_main.py"

func (p python) plan(ctx context.Context, j *job) (recipe, error) {
	v := j.fn.Runtime.Version
	t, err := j.interpreter(ctx, need{
		language: "Python",
		names:    []string{"python" + v, "python3", "python"},
		version:  v,
		install:  "install Python " + v + " from https://www.python.org or with a version manager, and put python" + v + " on PATH",
		probe:    probe{args: []string{"-c", "import sys; print(sys.executable); print('.'.join(map(str, sys.version_info[:3])))"}},
	})
	if err != nil {
		return recipe{}, err
	}
	return recipe{tool: t.Path, runner: t.Path, Tool: "Python " + release(t.Version), Adapter: adapterHash("python")}, nil
}

// release returns "3.12" of "3.12.4".
func release(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}

// A pythonHandler is a handler found on disk.
type pythonHandler struct {
	handlerRef
	file   string // relative to the project, with slashes
	module string // dotted
	name   string
}

func (p python) build(ctx context.Context, j *job) (output, error) {
	set := newInputSet(j.graph.Dir)
	handlers, err := j.pythonHandlers(set)
	if err != nil {
		return output{}, err
	}
	files, err := j.pythonTree(handlers, set)
	if err != nil {
		return output{}, err
	}
	if err := j.checkPython(ctx, handlers); err != nil {
		return output{}, err
	}
	vendored, err := j.vendor(ctx, handlers, set)
	if err != nil {
		return output{}, err
	}
	files, err = j.addPackageFiles(files, set)
	if err != nil {
		return output{}, err
	}
	files = append(files, vendored...)
	for name, data := range adapterFiles("python") {
		if name != "check.py" {
			files = append(files, file{name: "_anyfaas/" + name, data: data})
		}
	}
	files = append(files, file{name: pythonMain, data: p.main(handlers)})
	out := output{files: files, inputs: set, args: []string{pythonMain}, largest: map[string]int64{}}
	for _, f := range files {
		name := f.name
		switch parts := strings.Split(name, "/"); {
		case parts[0] == "_vendor":
			name = path.Join(parts[:2]...)
		case parts[0] == "_anyfaas":
			name = "adapter"
		}
		out.largest[name] += int64(len(f.data))
	}
	return out, nil
}

// main is the program: it names the handlers and leaves the rest to the adapter.
func (p python) main(handlers []pythonHandler) []byte {
	var s strings.Builder
	fmt.Fprintf(&s, "from _anyfaas import %s\n\n%s.main({\n", p.module, p.module)
	for _, h := range handlers {
		fmt.Fprintf(&s, "    %q: (%s, %s, %s),\n", h.kind, pythonString(h.text), pythonString(h.module), pythonString(h.name))
	}
	s.WriteString("})\n")
	return []byte(s.String())
}

// pythonString quotes s; JSON strings are Python strings.
func pythonString(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func (j *job) pythonHandlers(set *inputSet) ([]pythonHandler, error) {
	refs, err := j.handlers()
	if err != nil {
		return nil, err
	}
	var found []pythonHandler
	for _, ref := range refs {
		stem, name := ref.split()
		if name == "" {
			j.diags.Errorf(j.fn.Position.At(ref.setting), CodeHandlerForm, "handler %q names no function", ref.text).
				Hint = "add the function's name after a dot: " + stem + ".handler"
			continue
		}
		rel := ""
		for _, candidate := range []string{stem + ".py", path.Join(stem, "__init__.py")} {
			full := filepath.Join(j.graph.Dir, filepath.FromSlash(candidate))
			if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() {
				rel = candidate
				break
			}
			set.none[full] = true
		}
		if rel == "" {
			j.diags.Errorf(j.fn.Position.At(ref.setting), CodeHandlerFile, "handler %q: there is no file %s.py", ref.text, stem).
				Hint = j.similarFile(stem, []string{".py"})
			continue
		}
		if strings.Contains(stem, ".") {
			j.diags.Errorf(j.fn.Position.At(ref.setting), CodeHandlerForm, "handler %q: Python cannot import a path with a dot in it", ref.text)
			continue
		}
		found = append(found, pythonHandler{ref, rel, strings.ReplaceAll(stem, "/", "."), name})
	}
	if len(found) < len(refs) {
		return nil, errDiagnosed
	}
	return found, nil
}

// pythonTree returns the project's files that belong into a package; see the
// package comment for which.
func (j *job) pythonTree(handlers []pythonHandler, set *inputSet) ([]file, error) {
	var folders []string
	for _, h := range handlers {
		if dir := path.Dir(h.file); dir != "." {
			folders = append(folders, dir)
		}
	}
	w := &walker{job: j, inputs: set, root: j.graph.Dir}
	return w.walk(func(rel string, isDir bool) bool {
		if matchesAny(j.fn.Package.Exclude, rel) {
			return false
		}
		if isDir {
			name := path.Base(rel)
			_, err := os.Stat(filepath.Join(j.graph.Dir, filepath.FromSlash(rel), "pyvenv.cfg"))
			return name != "node_modules" && name != "_vendor" && name != "_anyfaas" && err != nil
		}
		return strings.HasSuffix(rel, ".py") || slices.ContainsFunc(folders, func(dir string) bool { return strings.HasPrefix(rel, dir+"/") })
	})
}

// A pythonFinding is what check.py prints, one a line.
type pythonFinding struct {
	Kind    string   `json:"kind"` // "syntax" or "missing"
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Column  int      `json:"column"`
	Text    string   `json:"text"`
	Handler int      `json:"handler"`
	Names   []string `json:"names"`
}

// checkPython lets the interpreter parse each handler's module and all that it
// imports from the project, and looks for the handler among its names.
func (j *job) checkPython(ctx context.Context, handlers []pythonHandler) error {
	type request struct {
		File string `json:"file"`
		Name string `json:"name"`
	}
	var requests []request
	for _, h := range handlers {
		requests = append(requests, request{h.file, h.name})
	}
	input, err := json.Marshal(requests)
	if err != nil {
		return err
	}
	cmd := j.program(ctx, j.graph.Dir, j.recipe.tool, "-I", "-S", "-c", string(adapterFile("python/check.py")))
	cmd.Stdin = strings.NewReader(string(input))
	stdout, stderr, err := capture(cmd)
	if err != nil {
		return fmt.Errorf("check the sources with %s: %w\n%s", j.recipe.tool, err, stderr)
	}
	bad := false
	for line := range strings.Lines(string(stdout)) {
		var f pythonFinding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			return fmt.Errorf("check the sources with %s: %w in %q", j.recipe.tool, err, line)
		}
		bad = true
		h := handlers[f.Handler]
		pos := j.fn.Position.At(h.setting)
		if f.Kind == "syntax" {
			j.diags.Errorf(pos, CodeBuildFailed, "%s:%d:%d: %s", f.File, f.Line, f.Column, f.Text)
			continue
		}
		d := j.diags.Errorf(pos, CodeHandlerExport, "handler %q: %s defines no %q", h.text, h.file, h.name)
		if near := diag.Nearest(h.name, f.Names); near != "" {
			d.Hint = fmt.Sprintf("did you mean %q?", near)
		} else if len(f.Names) > 0 {
			d.Hint = "it defines " + joinWords(f.Names)
		} else {
			d.Hint = "the file defines nothing"
		}
	}
	if bad {
		return errDiagnosed
	}
	return nil
}
