package bundle

import (
	"archive/zip"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// A file is one entry of a package.
type file struct {
	name string // slash-separated, relative
	data []byte
	exec bool
}

// A file's time in a package: the earliest that a zip can tell.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// pack returns the zip of files, the same bytes for the same files in any
// order. Entries are stored as they are: on the user's machine unpacking time
// matters and space does not. Two files of one name are a mistake of ours.
func pack(files []file) ([]byte, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for i, f := range files {
		if i > 0 && files[i-1].name == f.name {
			return nil, fmt.Errorf("two files named %q in one package", f.name)
		}
		h := &zip.FileHeader{Name: f.name, Method: zip.Store, Modified: epoch}
		h.SetMode(0o644)
		if f.exec {
			h.SetMode(0o755)
		}
		entry, err := w.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(entry, bytes.NewReader(f.data)); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// largest returns the biggest of parts.
func largest(parts map[string]int64) []Contributor {
	var list []Contributor
	for name, size := range parts {
		list = append(list, Contributor{name, size})
	}
	slices.SortFunc(list, func(a, b Contributor) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Name, b.Name))
	})
	return list[:min(len(list), 10)]
}
