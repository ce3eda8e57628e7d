package bundle

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
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
	runs   int
	loads  map[string]int // folders of modules found to load addons → the run that found it
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

// textLoaders are for files that are imported as strings, besides .txt.
var textLoaders = map[string]esbuild.Loader{
	".html": esbuild.LoaderText, ".md": esbuild.LoaderText, ".sql": esbuild.LoaderText,
	".graphql": esbuild.LoaderText, ".gql": esbuild.LoaderText,
}

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
		Loader:         textLoaders,
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
	// An addon inside a module: the module stays outside on the next run.
	build.OnLoad(esbuild.OnLoadOptions{Filter: `\.node$`}, func(a esbuild.OnLoadArgs) (esbuild.OnLoadResult, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		dir := moduleFolder(a.Path)
		if run := b.loads[dir]; dir == "" || run != 0 && run != b.runs {
			return esbuild.OnLoadResult{Errors: []esbuild.Message{{
				Text:  fmt.Sprintf("%s: a native addon cannot be bundled", relative(b.graph.Dir, a.Path)),
				Notes: []esbuild.Note{{Text: "import the module that loads it by its name, or add the file with package.include and load it with createRequire"}},
			}}}, nil
		}
		b.loads[dir] = b.runs
		empty := ""
		return esbuild.OnLoadResult{Contents: &empty, Loader: esbuild.LoaderJS}, nil
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
		if !listed && !hasNativeCode(dir) && !b.loaded(realPath(dir)) {
			return esbuild.OnResolveResult{}, nil
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.addons[module] = dir
		return esbuild.OnResolveResult{Path: a.Path, External: true}, nil
	})
}

// bundle runs esbuild until no module with native code is in the bundle: some are
// known only by the addon they load.
func (b *nodeBundle) bundle(format esbuild.Format) esbuild.BuildResult {
	for {
		b.runs++
		known := len(b.loads)
		result := b.run(format)
		if len(b.loads) == known {
			return result
		}
	}
}

// loaded reports whether the module in a folder was seen to load an addon.
func (b *nodeBundle) loaded(dir string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.loads[dir] != 0
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
