package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// requirementsFile returns the requirements.txt of a function: the one nearest to
// its handler, up to the manifest's folder; "" when there is none.
func (j *job) requirementsFile(handlers []pythonHandler, set *inputSet) string {
	for dir := path.Dir(handlers[0].file); ; dir = path.Dir(dir) {
		full := filepath.Join(j.graph.Dir, filepath.FromSlash(dir), "requirements.txt")
		if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() {
			return full
		}
		set.none[full] = true
		if dir == "." {
			return ""
		}
	}
}

// vendor returns what the function's requirements install, as files below
// _vendor. Installations are kept in the store by the text of the requirements,
// the interpreter's release and the platform.
func (j *job) vendor(ctx context.Context, handlers []pythonHandler, set *inputSet) ([]file, error) {
	main := j.requirementsFile(handlers, set)
	if main == "" {
		return nil, nil
	}
	texts, err := j.requirements(main, set, nil)
	if err != nil {
		return nil, err
	}
	wanted := false
	for line := range strings.Lines(strings.Join(texts, "\n")) {
		line = strings.TrimSpace(line)
		wanted = wanted || line != "" && line[0] != '#' && !strings.HasPrefix(line, "-")
	}
	if !wanted {
		return nil, nil
	}
	local, err := j.localRequirements(texts, filepath.Dir(main), set)
	if err != nil {
		return nil, err
	}
	key := digest([]any{texts, local, j.recipe.Tool, runtime.GOOS, runtime.GOARCH})
	folder := j.store.path("vendor", key)
	if _, err := os.Stat(folder); err != nil {
		if err := j.install(ctx, main, key); err != nil {
			return nil, err
		}
	}
	now := j.now()
	os.Chtimes(folder, now, now) // only prune looks at it
	return j.vendored(folder)
}

// requirements returns the texts of a requirements file and of those it names
// with -r and -c, and records them as inputs.
func (j *job) requirements(file string, set *inputSet, seen []string) ([]string, error) {
	data, err := j.read(file)
	if err != nil {
		return nil, err
	}
	set.data(file, data)
	texts := []string{string(data)}
	seen = append(seen, file)
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) != 2 || fields[0] != "-r" && fields[0] != "-c" && fields[0] != "--requirement" && fields[0] != "--constraint" {
			continue
		}
		next := filepath.Join(filepath.Dir(file), filepath.FromSlash(fields[1]))
		if strings.Contains(fields[1], "://") || slices.Contains(seen, next) {
			continue
		}
		more, err := j.requirements(next, set, seen)
		if err != nil {
			return nil, err
		}
		texts = append(texts, more...)
	}
	return texts, nil
}

// localRequirements returns the hashes of the wheels, archives and source folders
// that requirements name by path, by their paths, and records them as inputs. Paths
// start at the folder in which pip runs.
func (j *job) localRequirements(texts []string, dir string, set *inputSet) (map[string]string, error) {
	hashes := map[string]string{}
	take := func(path string) error {
		data, err := j.read(path)
		if err != nil {
			return err
		}
		set.data(path, data)
		hashes[relative(dir, path)] = set.files[path]
		return nil
	}
	for line := range strings.Lines(strings.Join(texts, "\n")) {
		path := localPath(line)
		if path == "" {
			continue
		}
		path = absolute(dir, path)
		info, err := os.Stat(path)
		if err != nil {
			set.none[path] = true // pip tells what is wrong with it
			continue
		}
		if !info.IsDir() {
			if err := take(path); err != nil {
				return nil, err
			}
			continue
		}
		err = filepath.WalkDir(path, func(full string, e fs.DirEntry, err error) error {
			if err != nil {
				return j.fileError(full, err)
			}
			// What setuptools leaves behind is made from the rest.
			made := e.Name() == "build" || strings.HasSuffix(e.Name(), ".egg-info")
			switch {
			case full != path && e.IsDir() && (made || !anyNames.passes(e)):
				return fs.SkipDir
			case e.IsDir():
				set.dir(full, anyNames)
			case e.Type().IsRegular() && anyNames.passes(e):
				return take(full)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return hashes, nil
}

// localPath returns the path in a line of requirements, or "" when the line names
// no file: "./libs/tool", "-e ../lib", "tool @ file:///libs/tool-1.0.whl",
// "--find-links wheels".
func localPath(line string) string {
	line = strings.TrimSpace(line)
	sure := false
	for _, option := range []string{"-e", "--editable", "-f", "--find-links"} {
		if rest, ok := strings.CutPrefix(line, option); ok && (strings.HasPrefix(rest, " ") || strings.HasPrefix(rest, "=")) {
			line, sure = strings.TrimSpace(rest[1:]), true
		}
	}
	if _, url, ok := strings.Cut(line, " @ "); ok {
		line = strings.TrimSpace(url)
	}
	for _, mark := range []string{" #", " ;", " --"} {
		line, _, _ = strings.Cut(line, mark)
	}
	line = strings.TrimSpace(line)
	if rest, ok := strings.CutPrefix(line, "file:"); ok {
		return strings.TrimPrefix(rest, "//")
	}
	if strings.Contains(line, "://") || strings.HasPrefix(line, "-") || strings.HasPrefix(line, "#") {
		return ""
	}
	line, _, _ = strings.Cut(line, "[") // of extras
	if !sure && line != "." && !strings.ContainsAny(line, "/\\") && !strings.HasSuffix(line, ".whl") && !strings.HasSuffix(line, ".tar.gz") && !strings.HasSuffix(line, ".zip") {
		return ""
	}
	return line
}

// install runs pip into the store.
func (j *job) install(ctx context.Context, requirements, key string) error {
	dir, err := j.store.temp()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	to := filepath.Join(dir, "vendor")
	cmd := j.program(ctx, filepath.Dir(requirements), j.recipe.tool, "-m", "pip", "install",
		"--disable-pip-version-check", "--no-input", "--no-compile", "--quiet",
		"--target", to, "--requirement", requirements)
	_, stderr, err := capture(cmd)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name := relative(j.graph.Dir, requirements)
		pos := j.fn.Position.At("handler")
		message, hint := pipError(string(stderr))
		j.diags.Errorf(pos, CodeRequirements, "%s: %s", name, message).Hint = hint
		return errDiagnosed
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(j.store.path("vendor"), 0o755); err != nil {
		return err
	}
	if err := os.Rename(to, j.store.path("vendor", key)); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, found := os.Stat(j.store.path("vendor", key)); found != nil {
			return err
		}
	}
	return nil
}

// pipError turns what pip printed into one line and a hint. What is not recognised
// is passed on in full.
func pipError(stderr string) (message, hint string) {
	var errs []string
	for line := range strings.Lines(stderr) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "ERROR: "); ok {
			errs = append(errs, text)
		}
	}
	all := strings.TrimSpace(stderr)
	switch {
	case strings.Contains(stderr, "No module named pip"):
		return "pip is not installed for this Python", "run python3 -m ensurepip, or install the package python3-pip"
	case strings.Contains(stderr, "after connection broken by"), strings.Contains(stderr, "There was a problem confirming the ssl certificate"):
		return "pip cannot reach its package index", "check the network and the index (pip config list); to install without one, put wheels into a folder and set PIP_NO_INDEX=1 and PIP_FIND_LINKS=<folder>"
	case strings.Contains(stderr, "No matching distribution found for "):
		_, rest, _ := strings.Cut(stderr, "No matching distribution found for ")
		name := firstLine(rest)
		hint = "check the name and version; to install without a network, put wheels into a folder and set PIP_NO_INDEX=1 and PIP_FIND_LINKS=<folder>"
		return fmt.Sprintf("pip finds no package for %q", name), hint
	case len(errs) > 0:
		return "pip: " + strings.Join(errs, "; "), ""
	case all == "":
		return "pip failed and said nothing", ""
	}
	return "pip: " + all, ""
}

// vendored reads an installation, without what differs from one to the next:
// compiled files, scripts with this machine's paths, and records of both.
func (j *job) vendored(folder string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(folder, func(full string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := relative(folder, full)
		if e.IsDir() {
			if e.Name() == "__pycache__" || rel == "bin" || rel == "Scripts" {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path.Dir(rel), ".dist-info") && (e.Name() == "RECORD" || e.Name() == "direct_url.json" || e.Name() == "REQUESTED") {
			return nil
		}
		data, err := os.ReadFile(full)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		exec := info.Mode()&0o111 != 0 && !bytes.HasPrefix(data, []byte("#!"))
		files = append(files, file{name: "_vendor/" + rel, data: data, exec: exec})
		return nil
	})
	return files, err
}
