package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Inputs are the files that decided a build: those read, the folders whose
// listing mattered (a new file there may be found first, or belong in), and the
// paths that were looked for in vain. Paths are relative to the project.
type inputs struct {
	Files  []inputFile `json:"files"`
	Dirs   []inputDir  `json:"dirs"`
	Absent []string    `json:"absent,omitempty"`
}

type inputFile struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	MTime  int64  `json:"mtime"` // nanoseconds
	SHA256 string `json:"sha256"`
}

type inputDir struct {
	Path   string `json:"path"`
	Filter filter `json:"filter"`
	MTime  int64  `json:"mtime"`
	Names  string `json:"names"` // sorted, those the filter lets through, with slashes between: one text is read faster than a list
}

// A filter names the entries of a folder that matter to a language.
type filter string

const (
	anyNames filter = "any" // all but what starts with a dot, and __pycache__
	jsNames  filter = "js"  // what module resolution looks at
	goNames  filter = "go"  // what a Go package is made of
)

func (f filter) passes(e fs.DirEntry) bool {
	name := e.Name()
	switch f {
	case jsNames:
		if e.IsDir() || e.Type()&fs.ModeSymlink != 0 {
			return true
		}
		switch filepath.Ext(name) {
		case ".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json":
			return true
		}
		return false
	case goNames:
		return !e.IsDir() && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") || name == "go.mod"
	}
	return !strings.HasPrefix(name, ".") && name != "__pycache__"
}

// list returns the names in dir that pass, sorted, with slashes between.
func (f filter) list(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var names []string
	for _, e := range entries {
		if f.passes(e) {
			names = append(names, e.Name())
		}
	}
	return strings.Join(names, "/"), nil
}

// An inputSet collects inputs by absolute path.
type inputSet struct {
	root  string
	files map[string]string // path → hash when known
	dirs  map[string]filter
	none  map[string]bool
}

func newInputSet(root string) *inputSet {
	return &inputSet{root, map[string]string{}, map[string]filter{}, map[string]bool{}}
}

func (s *inputSet) file(path string)          { s.files[path] = "" }
func (s *inputSet) dir(path string, f filter) { s.dirs[path] = f }

// maybe adds a file that matters whether it exists or not.
func (s *inputSet) maybe(path string) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		s.file(path)
	} else {
		s.none[path] = true
	}
}

// data adds a file whose content is at hand.
func (s *inputSet) data(path string, content []byte) {
	sum := sha256.Sum256(content)
	s.files[path] = hex.EncodeToString(sum[:])
}

// errMoved says that an input changed while it was being used.
var errMoved = errors.New("sources changed during the build")

// seal stamps everything collected. errMoved is returned when a file or folder is
// gone or younger than start: what was built may not be what is there.
func (s *inputSet) seal(start time.Time) (inputs, error) {
	var in inputs
	for path, sum := range s.files {
		info, err := os.Stat(path)
		if err != nil || info.ModTime().After(start) {
			return inputs{}, errMoved
		}
		if sum == "" {
			if sum, err = hashFile(path); err != nil {
				return inputs{}, err
			}
		}
		in.Files = append(in.Files, inputFile{relative(s.root, path), info.Size(), info.ModTime().UnixNano(), sum})
	}
	for path, f := range s.dirs {
		info, err := os.Stat(path)
		if err != nil {
			return inputs{}, errMoved
		}
		names, err := f.list(path)
		if err != nil {
			return inputs{}, err
		}
		in.Dirs = append(in.Dirs, inputDir{relative(s.root, path), f, info.ModTime().UnixNano(), names})
	}
	for path := range s.none {
		in.Absent = append(in.Absent, relative(s.root, path))
	}
	slices.SortFunc(in.Files, func(a, b inputFile) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(in.Dirs, func(a, b inputDir) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(in.Absent)
	return in, nil
}

// A stamp older than this when it was taken tells a changed file by itself; a
// younger one may be shared by two writes within one tick of the file system.
const tick = 2 * time.Second

// changed compares in with what is there now and names the first difference:
// "src/api.ts changed". Stamps are brought up to date on the way; touched says
// that some were.
func (in *inputs) changed(root string, taken time.Time) (why string, touched bool) {
	sure := taken.Add(-tick).UnixNano()
	for i := range in.Files {
		f := &in.Files[i]
		path := absolute(root, f.Path)
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return f.Path + " is gone", touched
		}
		mtime := info.ModTime().UnixNano()
		if info.Size() == f.Size && mtime == f.MTime && mtime < sure {
			continue
		}
		if sum, err := hashFile(path); err != nil || sum != f.SHA256 {
			return f.Path + " changed", touched
		}
		f.MTime, touched = mtime, true
	}
	for i := range in.Dirs {
		d := &in.Dirs[i]
		path := absolute(root, d.Path)
		info, err := os.Stat(path)
		if err != nil || !info.IsDir() {
			return d.Path + " is gone", touched
		}
		mtime := info.ModTime().UnixNano()
		if mtime == d.MTime && mtime < sure {
			continue
		}
		names, err := d.Filter.list(path)
		if err != nil {
			return d.Path + " cannot be read", touched
		}
		if why := difference(d.Path, d.Names, names); why != "" {
			return why, touched
		}
		d.MTime, touched = mtime, true
	}
	for _, path := range in.Absent {
		if _, err := os.Stat(absolute(root, path)); err == nil {
			return path + " was added", touched
		}
	}
	return "", touched
}

// difference names one entry that was added to or removed from a folder.
func difference(dir, before, after string) string {
	if before == after {
		return ""
	}
	old, now := strings.Split(before, "/"), strings.Split(after, "/")
	for _, name := range now {
		if name != "" && !slices.Contains(old, name) {
			return filepath.ToSlash(filepath.Join(dir, name)) + " was added"
		}
	}
	for _, name := range old {
		if name != "" && !slices.Contains(now, name) {
			return filepath.ToSlash(filepath.Join(dir, name)) + " is gone"
		}
	}
	return ""
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// relative returns path as seen from root with slashes, or path itself when the
// two share no root (volumes of Windows).
func relative(root, path string) string {
	if rel, err := filepath.Rel(root, path); err == nil {
		return filepath.ToSlash(rel)
	}
	return filepath.ToSlash(path)
}

// absolute is the inverse of relative.
func absolute(root, path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}
