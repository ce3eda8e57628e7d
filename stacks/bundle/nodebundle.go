package bundle

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	esbuild "github.com/evanw/esbuild/pkg/api"
)

// adapterNamespace is where esbuild finds the adapter's modules.
const adapterNamespace = "anyfaas"

// A nodeBundle is one run of esbuild, with what it found out about modules that
// stay outside.
type nodeBundle struct {
	*job
	node
	handlers []nodeHandler
	inputs   *inputSet

	mu     sync.Mutex
	addons map[string]string // module with native code → its folder
}

// importLine is the entry's import of a handler; missing exports are reported on it.
func (b *nodeBundle) importLine(h nodeHandler) string {
	spec, _ := json.Marshal("./" + relative(b.graph.Dir, h.file))
	return fmt.Sprintf("import { %s as %s } from %s", h.export, h.kind, spec)
}

// entrySource is the program: the web globals first, then the user's modules.
func (b *nodeBundle) entrySource() string {
	var s strings.Builder
	fmt.Fprintf(&s, "import %q\n", adapterNamespace+":web.mjs")
	fmt.Fprintf(&s, "import { serve } from %q\n", adapterNamespace+":"+b.entry)
	for _, h := range b.handlers {
		s.WriteString(b.importLine(h) + "\n")
	}
	s.WriteString("serve({\n")
	for _, h := range b.handlers {
		name, _ := json.Marshal(h.text)
		fmt.Fprintf(&s, "  %s: { value: %s, name: %s },\n", h.kind, h.kind, name)
	}
	s.WriteString("})\n")
	return s.String()
}

// moduleBanner gives a bundle in ES module form what CommonJS dependencies
// expect, without declaring names that a source file may declare too.
const moduleBanner = `import{createRequire as __anyfaasRequire}from'node:module';` +
	`globalThis.require??=__anyfaasRequire(import.meta.url);` +
	`globalThis.__filename??=import.meta.filename;globalThis.__dirname??=import.meta.dirname;`

func (b *nodeBundle) run(format esbuild.Format) esbuild.BuildResult {
	options := esbuild.BuildOptions{
		EntryPoints:    []string{adapterNamespace + ":entry"},
		AbsWorkingDir:  b.graph.Dir,
		Outfile:        filepath.Join(b.graph.Dir, "main.cjs"),
		Bundle:         true,
		Write:          false,
		Format:         format,
		Platform:       esbuild.PlatformNode,
		Engines:        []esbuild.Engine{{Name: esbuild.EngineNode, Version: cmp.Or(b.recipe.Tool, b.fn.Runtime.Version)}},
		Sourcemap:      esbuild.SourceMapLinked,
		SourcesContent: esbuild.SourcesContentExclude, // Node reads the map at each start
		LegalComments:  esbuild.LegalCommentsNone,
		KeepNames:      true,
		Metafile:       true,
		LogLevel:       esbuild.LogLevelSilent,
		Plugins:        []esbuild.Plugin{{Name: "anyfaas", Setup: b.setup}},
	}
	if format == esbuild.FormatESModule {
		options.Outfile = filepath.Join(b.graph.Dir, "main.mjs")
		options.Banner = map[string]string{"js": moduleBanner}
	}
	return esbuild.Build(options)
}

func (b *nodeBundle) setup(build esbuild.PluginBuild) {
	build.OnResolve(esbuild.OnResolveOptions{Filter: `^` + adapterNamespace + `:`}, func(a esbuild.OnResolveArgs) (esbuild.OnResolveResult, error) {
		return esbuild.OnResolveResult{Path: strings.TrimPrefix(a.Path, adapterNamespace+":"), Namespace: adapterNamespace}, nil
	})
	build.OnResolve(esbuild.OnResolveOptions{Filter: `^\./`, Namespace: adapterNamespace}, func(a esbuild.OnResolveArgs) (esbuild.OnResolveResult, error) {
		if a.Importer == "entry" {
			return esbuild.OnResolveResult{}, nil
		}
		return esbuild.OnResolveResult{Path: strings.TrimPrefix(a.Path, "./"), Namespace: adapterNamespace}, nil
	})
	build.OnLoad(esbuild.OnLoadOptions{Filter: `.*`, Namespace: adapterNamespace}, func(a esbuild.OnLoadArgs) (esbuild.OnLoadResult, error) {
		source := b.entrySource()
		if a.Path != "entry" {
			source = string(adapterFile("node/" + a.Path))
		}
		return esbuild.OnLoadResult{Contents: &source, ResolveDir: b.graph.Dir, Loader: esbuild.LoaderJS}, nil
	})
	// Bare imports: what the manifest calls external, and modules with native
	// code, which cannot be moved into one file.
	build.OnResolve(esbuild.OnResolveOptions{Filter: `^[^./]`}, func(a esbuild.OnResolveArgs) (esbuild.OnResolveResult, error) {
		if a.Namespace != "file" || a.Kind == esbuild.ResolveEntryPoint || strings.HasPrefix(a.Path, "node:") || filepath.IsAbs(a.Path) {
			return esbuild.OnResolveResult{}, nil
		}
		module := moduleName(a.Path)
		listed := matchesModule(b.fn.Package.External, module)
		dir := findModule(a.ResolveDir, module)
		if dir == "" && !listed {
			return esbuild.OnResolveResult{}, nil
		}
		if !listed && !hasNativeCode(dir) {
			return esbuild.OnResolveResult{}, nil
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.addons[module] = dir
		return esbuild.OnResolveResult{Path: a.Path, External: true}, nil
	})
}

// wantsModule reports whether a CommonJS bundle failed, or would misbehave, for a
// reason that the ES module form does not have.
func (b *nodeBundle) wantsModule(r esbuild.BuildResult) bool {
	for _, m := range r.Errors {
		if strings.HasPrefix(m.Text, "Top-level await is currently not supported") {
			return true
		}
	}
	return slices.ContainsFunc(r.Warnings, func(m esbuild.Message) bool { return m.ID == "empty-import-meta" })
}

// trackInputs records what the bundle was made from and what decided which files
// those are: settings of folders above, and listings that a new file would change.
func (b *nodeBundle) trackInputs(meta metafile) {
	folders := map[string]bool{}
	for name := range meta.Inputs {
		if strings.HasPrefix(name, adapterNamespace+":") {
			continue
		}
		file := absolute(b.graph.Dir, name)
		b.inputs.file(file)
		folders[filepath.Dir(file)] = true
	}
	folders[b.graph.Dir] = true
	for dir := range folders {
		for ; ; dir = filepath.Dir(dir) {
			inside := dir == b.graph.Dir || strings.HasPrefix(dir, b.graph.Dir+string(filepath.Separator))
			module := strings.Contains(filepath.ToSlash(dir)+"/", "/node_modules/")
			b.inputs.maybe(filepath.Join(dir, "package.json"))
			if !module {
				b.trackConfig(filepath.Join(dir, "tsconfig.json"))
				b.trackConfig(filepath.Join(dir, "jsconfig.json"))
			}
			if inside && !module {
				b.inputs.dir(dir, jsNames)
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	for dir := b.graph.Dir; ; dir = filepath.Dir(dir) {
		for _, lock := range []string{"package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", ".pnp.cjs"} {
			b.inputs.maybe(filepath.Join(dir, lock))
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
}

var extendsSetting = regexp.MustCompile(`"extends"\s*:\s*(\[[^\]]*\]|"[^"]*")`)

// trackConfig records a tsconfig.json and those it extends. The file may hold
// comments, so it is searched rather than parsed.
func (b *nodeBundle) trackConfig(file string) {
	if _, seen := b.inputs.files[file]; seen || b.inputs.none[file] {
		return
	}
	b.inputs.maybe(file)
	data, err := os.ReadFile(file)
	if err != nil {
		return
	}
	for _, m := range extendsSetting.FindAllStringSubmatch(string(data), -1) {
		for _, quoted := range quotedText.FindAllString(m[1], -1) {
			base := strings.Trim(quoted, `"`)
			if strings.HasPrefix(base, ".") || filepath.IsAbs(base) {
				base = absolute(filepath.Dir(file), base)
			} else if dir := findModule(filepath.Dir(file), moduleName(base)); dir != "" {
				base = filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(base, moduleName(base))))
			}
			if info, err := os.Stat(base); err == nil && info.IsDir() {
				base = filepath.Join(base, "tsconfig.json")
			} else if filepath.Ext(base) != ".json" {
				base += ".json"
			}
			b.trackConfig(base)
		}
	}
}

var quotedText = regexp.MustCompile(`"[^"]*"`)

// findModule returns the folder of a module as Node would find it from dir, or "".
func findModule(dir, module string) string {
	for ; ; dir = filepath.Dir(dir) {
		if filepath.Base(dir) != "node_modules" {
			candidate := filepath.Join(dir, "node_modules", filepath.FromSlash(module))
			if info, err := os.Stat(candidate); err == nil && info.IsDir() {
				return candidate
			}
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// matchesModule reports whether a pattern of package.external covers module:
// "sharp", "@scope/name", "@scope/*".
func matchesModule(patterns []string, module string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, module)
		return err == nil && ok || moduleName(p) == module
	})
}

// A packageJSON is what matters of a module's description.
type packageJSON struct {
	GypFile              bool              `json:"gypfile"`
	Binary               json.RawMessage   `json:"binary"`
	NAPI                 json.RawMessage   `json:"napi"`
	Dependencies         map[string]string `json:"dependencies"`
	OptionalDependencies map[string]string `json:"optionalDependencies"`
	PeerDependencies     map[string]string `json:"peerDependencies"`
}

func readPackageJSON(dir string) packageJSON {
	var p packageJSON
	if data, err := os.ReadFile(filepath.Join(dir, "package.json")); err == nil {
		_ = json.Unmarshal(data, &p) // a broken one is esbuild's to report
	}
	return p
}

// hasNativeCode tells modules that load a compiled addon by the loaders they use.
func hasNativeCode(dir string) bool {
	p := readPackageJSON(dir)
	if p.GypFile || len(p.Binary) > 0 || len(p.NAPI) > 0 {
		return true
	}
	for _, loader := range []string{"bindings", "node-gyp-build", "node-gyp-build-optional-packages", "@mapbox/node-pre-gyp", "prebuild-install", "node-addon-api", "nan"} {
		if _, ok := p.Dependencies[loader]; ok {
			return true
		}
	}
	for _, sign := range []string{"binding.gyp", "prebuilds"} {
		if _, err := os.Stat(filepath.Join(dir, sign)); err == nil {
			return true
		}
	}
	return false
}

// externalModules returns the files of modules left outside the bundle, with
// everything they depend on, laid out so that Node finds each from the other.
func (b *nodeBundle) externalModules() ([]file, error) {
	type want struct{ module, dir, placed string }
	var queue []want
	for module, dir := range b.addons {
		if dir == "" {
			b.notes = append(b.notes, note{"package.external", CodePackageFile, fmt.Sprintf("module %q is external and not installed", module), "install it, unless the function can do without"})
			continue
		}
		queue = append(queue, want{module, dir, b.placeOf(dir)})
	}
	slices.SortFunc(queue, func(a, b want) int { return strings.Compare(a.module, b.module) })
	var files []file
	placed := map[string]string{} // place in the package → real folder
	for ; len(queue) > 0; queue = queue[1:] {
		w := queue[0]
		if placed[w.placed] != "" {
			continue
		}
		placed[w.placed] = realPath(w.dir)
		found, err := b.moduleFiles(w.dir, w.placed)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
		p := readPackageJSON(w.dir)
		b.inputs.maybe(filepath.Join(w.dir, "package.json"))
		for _, deps := range []map[string]string{p.Dependencies, p.OptionalDependencies, p.PeerDependencies} {
			for _, name := range slices.Sorted(maps.Keys(deps)) {
				if dir := findModule(w.dir, name); dir != "" {
					queue = append(queue, want{name, dir, b.placeOf(dir)})
				} else if dir := findModule(realPath(w.dir), name); dir != "" && !visible(placed, w.placed, name, realPath(dir)) {
					// Linked from a store (pnpm): its neighbours are seen from there only.
					queue = append(queue, want{name, dir, w.placed + "/node_modules/" + name})
				}
			}
		}
	}
	return files, nil
}

// visible reports whether Node would find this very module from a placed one.
func visible(placed map[string]string, from, name, real string) bool {
	for {
		if dir := placed[path.Join(from, "node_modules", name)]; dir != "" {
			return dir == real
		}
		i := strings.LastIndex(from, "/node_modules/")
		if i < 0 {
			return placed["node_modules/"+name] == real
		}
		from = from[:i]
	}
}

// placeOf is where a module's folder lies in the package: as in the project, or
// in the package's own node_modules when it lies above the project.
func (b *nodeBundle) placeOf(dir string) string {
	if rel := relative(b.graph.Dir, dir); !strings.HasPrefix(rel, "../") {
		return rel
	}
	slash := filepath.ToSlash(dir)
	return slash[strings.Index(slash, "/node_modules/")+1:]
}

func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// moduleFiles returns the files of one module folder under its place. Modules
// nested in it are followed on their own.
func (b *nodeBundle) moduleFiles(dir, place string) ([]file, error) {
	w := &walker{job: b.job, inputs: b.inputs, root: realPath(dir)}
	found, err := w.walk(func(rel string, isDir bool) bool { return !isDir || path.Base(rel) != "node_modules" })
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i].name = place + "/" + found[i].name
	}
	return found, nil
}
