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

	esbuild "github.com/evanw/esbuild/pkg/api"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// node packages JavaScript and TypeScript. Its adapter is a set of modules that
// esbuild finds under "anyfaas:", with the entry generated beside them.
type node struct {
	entry string // module of the target's adapter
}

// nodeExtensions in the order in which a handler's file is looked for.
var nodeExtensions = []string{".ts", ".tsx", ".mts", ".cts", ".js", ".mjs", ".cjs", ".jsx"}

func (n node) plan(ctx context.Context, j *job) (recipe, error) {
	t, err := j.interpreter(ctx, need{
		language: "Node.js",
		names:    []string{"node" + j.fn.Runtime.Version, "node", "nodejs"},
		version:  j.fn.Runtime.Version,
		install:  "install Node.js " + j.fn.Runtime.Version + " from https://nodejs.org or with a version manager, and put node on PATH",
		probe:    probe{args: []string{"-p", "process.execPath + '\\n' + process.versions.node"}},
	})
	if err != nil {
		return recipe{}, err
	}
	r := recipe{runner: t.Path, Adapter: adapterHash("node")}
	if compareVersions(t.Version, j.fn.Runtime.Version) < 0 {
		r.Tool = major(t.Version) // newer syntax has to be rewritten for it
	}
	return r, nil
}

// major returns "22" of "22.11.0".
func major(version string) string {
	first, _, _ := strings.Cut(version, ".")
	return first
}

// A nodeHandler is a handler found on disk.
type nodeHandler struct {
	handlerRef
	file   string // absolute
	export string
}

func (n node) build(ctx context.Context, j *job) (output, error) {
	set := newInputSet(j.graph.Dir)
	handlers, err := j.nodeHandlers(set)
	if err != nil {
		return output{}, err
	}
	b := &nodeBundle{job: j, node: n, handlers: handlers, inputs: set, addons: map[string]string{}, loads: map[string]int{}}
	result := b.bundle(esbuild.FormatCommonJS)
	name := "main.cjs"
	if b.wantsModule(result) {
		result, name = b.bundle(esbuild.FormatESModule), "main.mjs"
	}
	if ctx.Err() != nil {
		return output{}, context.Cause(ctx)
	}
	if len(result.Errors) > 0 {
		b.report(result.Errors)
		return output{}, errDiagnosed
	}
	out := output{inputs: set, args: []string{"--enable-source-maps", name}}
	for _, f := range result.OutputFiles {
		out.files = append(out.files, file{name: relative(j.graph.Dir, f.Path), data: f.Contents})
	}
	meta, err := readMetafile(result.Metafile)
	if err != nil {
		return output{}, err
	}
	b.trackInputs(meta)
	out.largest = meta.sizes()
	modules, err := b.externalModules()
	if err != nil {
		return output{}, err
	}
	out.files = append(out.files, modules...)
	out.files, err = j.addPackageFiles(out.files, set)
	for _, f := range out.files[len(result.OutputFiles):] {
		out.largest[contributorName(f.name)] += int64(len(f.data))
	}
	return out, err
}

// nodeHandlers finds the file of each handler.
func (j *job) nodeHandlers(set *inputSet) ([]nodeHandler, error) {
	refs, err := j.handlers()
	if err != nil {
		return nil, err
	}
	var found []nodeHandler
	for _, ref := range refs {
		h := nodeHandler{handlerRef: ref}
		stem, name := ref.split()
		h.file, h.export = j.nodeFile(stem, set), name
		if h.file == "" || name == "" {
			// "src/api" and "src/api.v1" without a name mean the default export.
			if whole := j.nodeFile(path.Clean(ref.text), set); whole != "" {
				h.file, h.export = whole, "default"
			}
		}
		if h.file == "" {
			d := j.diags.Errorf(j.fn.Position.At(ref.setting), CodeHandlerFile, "handler %q: there is no file %s with one of the endings %s", ref.text, stem, strings.Join(nodeExtensions, " "))
			d.Hint = j.similarFile(stem, nodeExtensions)
			continue
		}
		found = append(found, h)
	}
	if len(found) < len(refs) {
		return nil, errDiagnosed
	}
	return found, nil
}

// nodeFile returns the source file of a path without its ending, or "". What was
// looked for in vain is an input: once it exists, it wins.
func (j *job) nodeFile(stem string, set *inputSet) string {
	for _, ext := range nodeExtensions {
		file := filepath.Join(j.graph.Dir, filepath.FromSlash(stem)) + ext
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
		set.none[file] = true
	}
	return ""
}

// similarFile is a hint that names the file most like stem in its folder, or "".
func (j *job) similarFile(stem string, endings []string) string {
	dir := path.Dir(stem)
	entries, _ := os.ReadDir(filepath.Join(j.graph.Dir, filepath.FromSlash(dir)))
	var names []string
	for _, e := range entries {
		if ext := path.Ext(e.Name()); slices.Contains(endings, ext) {
			names = append(names, strings.TrimSuffix(e.Name(), ext))
		}
	}
	if name := diag.Nearest(path.Base(stem), names); name != "" {
		return fmt.Sprintf("did you mean %q?", path.Join(dir, name))
	}
	return "the path starts at the manifest's folder"
}

// report turns esbuild's messages into diagnostics where the handler is named.
func (b *nodeBundle) report(messages []esbuild.Message) {
	const most = 10
	for i, m := range messages {
		setting := b.handlers[0].setting
		for _, h := range b.handlers {
			if m.Location != nil && m.Location.File == relative(b.graph.Dir, h.file) {
				setting = h.setting
			}
		}
		pos := b.fn.Position.At(setting)
		if i == most {
			b.diags.Errorf(pos, CodeBuildFailed, "and %d more errors", len(messages)-most)
			return
		}
		if h, ok := b.missingExport(m); ok {
			d := b.diags.Errorf(b.fn.Position.At(h.setting), CodeHandlerExport, "handler %q: %s has no export %q", h.text, relative(b.graph.Dir, h.file), h.export)
			d.Hint = exportHint(h, exportsOf(h.file))
			continue
		}
		b.diags.Errorf(pos, CodeBuildFailed, "%s", locate(m)).Hint = nodeHint(m)
	}
}

// nodeHint says what to do about a module that is not there; for the rest esbuild's
// own note serves.
func nodeHint(m esbuild.Message) string {
	if spec, ok := strings.CutPrefix(m.Text, "Could not resolve "); ok {
		spec = strings.Trim(spec, `"`)
		if strings.HasPrefix(spec, "require(") || strings.HasPrefix(spec, "import(") { // of a pattern, hence of files
			return ""
		}
		if strings.HasPrefix(spec, ".") || path.IsAbs(spec) {
			return ""
		}
		return fmt.Sprintf("run `npm install %s`, or name it under package.external", moduleName(spec))
	}
	if strings.HasPrefix(m.Text, "No loader is configured for ") {
		return "text is imported from .txt, .html, .md, .sql and .graphql files; add others with package.include and read them when the function runs"
	}
	for _, n := range m.Notes {
		if n.Text != "" {
			return n.Text
		}
	}
	return ""
}

// locate returns "file:line:col: text", columns counted from one.
func locate(m esbuild.Message) string {
	if m.Location == nil || m.Location.Namespace == adapterNamespace {
		return m.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", m.Location.File, m.Location.Line, m.Location.Column+1, m.Text)
}

// missingExport says which handler a message about the generated entry is about.
func (b *nodeBundle) missingExport(m esbuild.Message) (nodeHandler, bool) {
	if m.ID != "import-is-undefined" && !strings.HasPrefix(m.Text, "No matching export in ") {
		return nodeHandler{}, false
	}
	for _, h := range b.handlers {
		if m.Location != nil && m.Location.LineText == b.importLine(h) {
			return h, true
		}
	}
	return nodeHandler{}, false
}

func exportHint(h nodeHandler, exports []string) string {
	if len(exports) == 0 {
		return "the file exports nothing"
	}
	if name := diag.Nearest(h.export, exports); name != "" {
		return fmt.Sprintf("did you mean %q?", name)
	}
	return "it exports " + joinWords(exports)
}

// exportsOf lists the names a module exports, sorted.
func exportsOf(file string) []string {
	result := esbuild.Build(esbuild.BuildOptions{
		EntryPoints: []string{file}, Format: esbuild.FormatESModule, Metafile: true, Write: false,
		LogLevel: esbuild.LogLevelSilent, Outdir: filepath.Dir(file),
	})
	meta, err := readMetafile(result.Metafile)
	if err != nil {
		return nil
	}
	var names []string
	for _, out := range meta.Outputs {
		names = append(names, out.Exports...)
	}
	slices.Sort(names)
	return names
}

// A metafile is what esbuild says about a bundle.
type metafile struct {
	Inputs map[string]struct {
		Imports []struct {
			Path     string `json:"path"`
			External bool   `json:"external"`
		} `json:"imports"`
	} `json:"inputs"`
	Outputs map[string]struct {
		Exports []string `json:"exports"`
		Inputs  map[string]struct {
			BytesInOutput int64 `json:"bytesInOutput"`
		} `json:"inputs"`
	} `json:"outputs"`
}

func readMetafile(text string) (metafile, error) {
	var m metafile
	if text == "" {
		return m, nil
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, fmt.Errorf("read esbuild's metafile: %w", err)
	}
	return m, nil
}

// sizes returns the bytes in the bundle by file of the project or by module.
func (m metafile) sizes() map[string]int64 {
	sizes := map[string]int64{}
	for _, out := range m.Outputs {
		for name, in := range out.Inputs {
			sizes[contributorName(name)] += in.BytesInOutput
		}
	}
	return sizes
}

// contributorName groups the files of a module, and those of the adapter.
func contributorName(name string) string {
	if strings.HasPrefix(name, adapterNamespace+":") {
		return "adapter"
	}
	if name == "main.cjs" || name == "main.mjs" || strings.HasSuffix(name, ".map") {
		return name
	}
	if i := strings.LastIndex("/"+name, "/node_modules/"); i >= 0 {
		return moduleName(name[i+len("node_modules/"):])
	}
	return name
}

// moduleName returns the module of an import: "@scope/name" of "@scope/name/lib".
func moduleName(spec string) string {
	parts := strings.SplitN(spec, "/", 3)
	if strings.HasPrefix(spec, "@") && len(parts) > 1 {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}
