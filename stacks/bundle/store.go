package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A store is the cache folder:
//
//	artifacts/<sha256>.zip   packages, named for their content
//	records/<key>.json       what a package was built from; see record
//	functions/<key>.json     the recipe a function was last built with
//	tools/<key>.json         versions of programs found
//	vendor/<key>/            installed requirements
//	tmp/                     files being written
//
// Everything appears under its final name by a rename, so that any number of
// processes may use one folder and an interrupted one leaves nothing half done.
// What cannot be read is built again.
type store struct{ dir string }

func (s *store) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// temp returns a new empty folder on the same file system.
func (s *store) temp() (string, error) {
	if err := os.MkdirAll(s.path("tmp"), 0o755); err != nil {
		return "", err
	}
	return os.MkdirTemp(s.path("tmp"), "b-")
}

// write puts data at the path below the store, at once.
func (s *store) write(data []byte, parts ...string) error {
	dir, err := s.temp()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	from, to := filepath.Join(dir, "file"), s.path(parts...)
	if err := os.WriteFile(from, data, 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// writeJSON is write for a value.
func (s *store) writeJSON(v any, parts ...string) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.write(data, parts...)
}

// readJSON reads what writeJSON wrote, or says false.
func (s *store) readJSON(v any, parts ...string) bool {
	data, err := os.ReadFile(s.path(parts...))
	return err == nil && json.Unmarshal(data, v) == nil
}

// artifact returns the path of a stored package.
func (s *store) artifact(sum string) string { return s.path("artifacts", sum+".zip") }

// holds reports whether the package is there in full, and marks it as used.
func (s *store) holds(sum string, size int64, now time.Time) bool {
	info, err := os.Stat(s.artifact(sum))
	if err != nil || info.Size() != size {
		return false
	}
	if now.Sub(info.ModTime()) > 24*time.Hour {
		os.Chtimes(s.artifact(sum), now, now) // only prune looks at it
	}
	return true
}

// keep is the age at which unused packages and installed requirements go.
const keep = 14 * 24 * time.Hour

// prune removes what has not been used for a while. At most once a day, and
// errors don't matter: the next run tries again.
func (s *store) prune(now time.Time) {
	mark := s.path("pruned")
	if info, err := os.Stat(mark); err == nil && now.Sub(info.ModTime()) < 24*time.Hour {
		return
	} else if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(s.dir); err != nil {
			return // nothing was ever built
		}
	}
	for _, folder := range []string{"artifacts", "records", "functions", "tools", "vendor", "tmp"} {
		entries, _ := os.ReadDir(s.path(folder))
		for _, e := range entries {
			if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > keep {
				os.RemoveAll(s.path(folder, e.Name()))
			}
		}
	}
	s.write(nil, "pruned")
}

// digest returns the hash of a value's JSON, for names of files.
func digest(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("bundle: %T has no JSON form: %v", v, err))
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}
