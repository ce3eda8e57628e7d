package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// A walker collects the files below a folder and records what it saw as inputs.
// Links are followed as long as they stay inside the folder.
type walker struct {
	*job
	inputs *inputSet
	root   string
}

// walk returns the files that want lets through, named relative to the root.
// want is asked for folders too; those it refuses are not entered. Names that
// start with a dot and __pycache__ are never taken.
func (w *walker) walk(want func(rel string, isDir bool) bool) ([]file, error) {
	var files []file
	err := w.folder("", nil, want, &files)
	return files, err
}

func (w *walker) folder(rel string, above []string, want func(string, bool) bool, files *[]file) error {
	dir := filepath.Join(w.root, filepath.FromSlash(rel))
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return w.fileError(dir, err)
	}
	if slices.Contains(above, real) {
		return nil // a link to a folder around it
	}
	above = append(slices.Clone(above), real)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return w.fileError(dir, err)
	}
	w.inputs.dir(dir, anyNames)
	for _, e := range entries {
		if !anyNames.passes(e) {
			continue
		}
		name := path.Join(rel, e.Name())
		full := filepath.Join(dir, e.Name())
		isDir, isFile := e.IsDir(), e.Type().IsRegular()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(full)
			if err != nil {
				if want(name, false) {
					return w.fileError(full, errors.New("the link leads nowhere"))
				}
				continue
			}
			isDir, isFile = info.IsDir(), info.Mode().IsRegular()
			if !want(name, isDir) {
				continue
			}
			if out := w.outside(full); out != "" {
				return w.fileError(full, fmt.Errorf("the link leads out of %s, to %s", w.folderName(), out))
			}
		} else if !want(name, isDir) {
			continue
		}
		switch {
		case isDir:
			if err := w.folder(name, above, want, files); err != nil {
				return err
			}
		case isFile:
			f, err := w.take(full, name)
			if err != nil {
				return err
			}
			*files = append(*files, f)
		}
	}
	return nil
}

// take reads a file into the package.
func (w *walker) take(full, name string) (file, error) {
	data, err := w.read(full)
	if err != nil {
		return file{}, err
	}
	w.inputs.data(full, data)
	info, err := os.Stat(full)
	if err != nil {
		return file{}, w.fileError(full, err)
	}
	return file{name: name, data: data, exec: info.Mode()&0o111 != 0}, nil
}

// outside returns where a link leads when that is not below the root.
func (w *walker) outside(link string) string {
	to, err := filepath.EvalSymlinks(link)
	if err != nil {
		return err.Error()
	}
	root := realPath(w.root)
	if rel, err := filepath.Rel(root, to); err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return to
	}
	return ""
}

func (w *walker) folderName() string {
	if w.root == w.graph.Dir {
		return "the project"
	}
	return relative(w.graph.Dir, w.root)
}

// addPackageFiles applies package.include and package.exclude: files are added
// (the language's own of the same name stay) and then removed.
func (j *job) addPackageFiles(files []file, set *inputSet) ([]file, error) {
	p := j.fn.Package
	for i, pattern := range p.Include {
		if err := j.checkPattern("package.include", i, pattern); err != nil {
			return nil, err
		}
	}
	for i, pattern := range p.Exclude {
		if err := j.checkPattern("package.exclude", i, pattern); err != nil {
			return nil, err
		}
	}
	have := map[string]bool{}
	for _, f := range files {
		have[f.name] = true
	}
	if len(p.Include) > 0 {
		used := make([]bool, len(p.Include))
		w := &walker{job: j, inputs: set, root: j.graph.Dir}
		found, err := w.walk(func(rel string, isDir bool) bool {
			if isDir {
				return slices.ContainsFunc(p.Include, func(pattern string) bool { return mayHold(pattern, rel) })
			}
			if matchesAny(p.Exclude, rel) {
				return false
			}
			in := false
			for i, pattern := range p.Include {
				if matches(pattern, rel) {
					used[i], in = true, true
				}
			}
			return in
		})
		if err != nil {
			return nil, err
		}
		for i, pattern := range p.Include {
			if !used[i] {
				j.notes = append(j.notes, note{fmt.Sprintf("package.include[%d]", i), CodePackagePattern, fmt.Sprintf("include pattern %q matches no file", pattern), "patterns are relative to the manifest's folder; ** means any depth"})
			}
		}
		for _, f := range found {
			if !have[f.name] {
				have[f.name] = true
				files = append(files, f)
			}
		}
	}
	return files, nil
}

// checkPattern refuses what is no pattern, or leads out of the project.
func (j *job) checkPattern(setting string, i int, pattern string) error {
	pos := j.fn.Position.At(fmt.Sprintf("%s[%d]", setting, i))
	switch {
	case !doublestar.ValidatePattern(pattern):
		j.diags.Errorf(pos, CodePackagePattern, "%q is not a pattern", pattern).Hint = "patterns look like assets/** or **/*.json"
	case path.IsAbs(pattern) || pattern == ".." || strings.HasPrefix(pattern, "../") || strings.Contains(pattern, "/../"):
		j.diags.Errorf(pos, CodePackagePattern, "pattern %q leads out of the manifest's folder", pattern)
	default:
		return nil
	}
	return errDiagnosed
}

// matches reports whether pattern covers the file; a folder's name covers all below it.
func matches(pattern, name string) bool {
	pattern = strings.TrimSuffix(path.Clean(pattern), "/")
	return doublestar.MatchUnvalidated(pattern, name) || doublestar.MatchUnvalidated(pattern+"/**", name)
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// mayHold reports whether a file below the folder dir could match the pattern.
func mayHold(pattern, dir string) bool {
	if path.Base(dir) == "node_modules" && !strings.Contains(pattern, "node_modules") {
		return false // reached by its own name only
	}
	parts, dirs := strings.Split(path.Clean(pattern), "/"), strings.Split(dir, "/")
	for i, d := range dirs {
		if i >= len(parts) || parts[i] == "**" {
			return true
		}
		if !doublestar.MatchUnvalidated(parts[i], d) {
			return false
		}
	}
	return true
}
