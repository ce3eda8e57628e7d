package bundle

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

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

// moduleFolder returns the folder of the module that a file belongs to, or "".
func moduleFolder(file string) string {
	const folder = "/node_modules/"
	slash := filepath.ToSlash(file)
	i := strings.LastIndex(slash, folder)
	if i < 0 {
		return ""
	}
	start := i + len(folder)
	return filepath.FromSlash(slash[:start] + moduleName(slash[start:]))
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

// platformModule is a module that holds what was compiled for one platform, named
// as is usual: @img/sharp-linux-x64, @node-rs/argon2-darwin-arm64.
var platformModule = regexp.MustCompile(`[-_/](linux|linuxmusl|darwin|win32)[-_](x64|arm64)\b`)

// hasNativeCode tells modules that load a compiled addon by the loaders they use
// and by what they would like installed.
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
	for name := range p.OptionalDependencies {
		if platformModule.MatchString(name) {
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
