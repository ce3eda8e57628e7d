package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// files is a store in a folder. Every write goes to a temporary file that is
// synced and renamed, so that a reader, a crash or a full disk never leaves half
// a file; the folder is synced too, so that the name survives a power cut.
type files struct {
	root   string
	ignore string // folder that gets a .gitignore for everything; "" for none
}

func (f *files) path(key string) (string, error) {
	if err := cleanKey(key); err != nil {
		return "", err
	}
	return filepath.Join(f.root, filepath.FromSlash(key)), nil
}

func (f *files) Read(_ context.Context, key string) ([]byte, error) {
	p, err := f.path(key)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(p)
}

func (f *files) Write(ctx context.Context, key string, data []byte) error {
	p, err := f.replace(key, data, durable)
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(p))
}

func (f *files) Put(_ context.Context, key string, data []byte) error {
	_, err := f.replace(key, data, passing)
	return err
}

// replace puts a new file in place of the old one and returns its name.
func (f *files) replace(key string, data []byte, d durability) (string, error) {
	p, err := f.path(key)
	if err != nil {
		return "", err
	}
	if err := f.makeParent(p); err != nil {
		return "", err
	}
	tmp, err := writeTemporary(p, data, d)
	if err != nil {
		return "", err
	}
	if err := os.Rename(tmp, p); err != nil {
		os.Remove(tmp)
		return "", err
	}
	// Pulumi keeps a checksum of what it wrote itself beside the file.
	if err := os.Remove(p + ".attrs"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return p, nil
}

func (f *files) Create(_ context.Context, key string, data []byte) error {
	p, err := f.path(key)
	if err != nil {
		return err
	}
	if err := f.makeParent(p); err != nil {
		return err
	}
	tmp, err := writeTemporary(p, data, durable)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	// A link fails when the name exists and never shows a half-written file.
	if err := os.Link(tmp, p); err != nil && !errors.Is(err, fs.ErrExist) {
		return createExclusively(p, data) // a file system without hard links
	} else if err != nil {
		return err
	}
	return nil
}

func (f *files) Delete(_ context.Context, key string) error {
	p, err := f.path(key)
	if err != nil {
		return err
	}
	for _, name := range []string{p, p + ".attrs"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (f *files) List(_ context.Context, prefix string) ([]entry, error) {
	p, err := f.path(strings.TrimSuffix(prefix, "/"))
	if err != nil {
		return nil, err
	}
	var list []entry
	err = filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() || strings.HasSuffix(name, ".attrs") || strings.HasPrefix(d.Name(), temporaryPrefix):
			return nil
		}
		rel, err := filepath.Rel(f.root, name)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		list = append(list, entry{Key: filepath.ToSlash(rel), Modified: info.ModTime()})
		return nil
	})
	return list, err
}

func (f *files) OpenLog(_ context.Context, key string) (appender, error) {
	p, err := f.path(key)
	if err != nil {
		return nil, err
	}
	if err := f.makeParent(p); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(p, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syncFolder(filepath.Dir(p)); err != nil {
		file.Close()
		return nil, err
	}
	return fileLog{file}, nil
}

func (f *files) ReadLog(ctx context.Context, key string) ([]byte, error) { return f.Read(ctx, key) }

func (f *files) DeleteLog(ctx context.Context, key string) error {
	if err := f.Delete(ctx, key); err != nil {
		return err
	}
	p, err := f.path(key)
	if err != nil {
		return err
	}
	if err := syncFolder(filepath.Dir(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (f *files) Guard(ctx context.Context) (func(), error) {
	p, err := f.path(ownRoot + "guard")
	if err != nil {
		return nil, err
	}
	if err := f.makeParent(p); err != nil {
		return nil, err
	}
	return guardFile(ctx, p)
}

// makeParent creates the folders above p, readable by their owner only, and on
// the first occasion the .gitignore that keeps the state out of repositories.
func (f *files) makeParent(p string) error {
	if _, err := os.Stat(filepath.Dir(p)); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		return err
	}
	if f.ignore == "" {
		return nil
	}
	return ignoreAll(f.ignore)
}

// ignoreAll puts a .gitignore into dir that hides all of it, unless there is one.
func ignoreAll(dir string) error {
	err := createExclusively(filepath.Join(dir, ".gitignore"), []byte("*\n"))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

type fileLog struct{ file *os.File }

func (l fileLog) Append(_ context.Context, data []byte) error {
	if _, err := l.file.Write(data); err != nil {
		return err
	}
	return l.file.Sync()
}

func (l fileLog) Close() error { return l.file.Close() }

const temporaryPrefix = ".anyfaas-"

// Durability says whether a write has to survive a power cut.
type durability int

const (
	_ durability = iota
	durable
	passing
)

// writeTemporary writes data to a new file beside p and returns its name.
func writeTemporary(p string, data []byte, d durability) (string, error) {
	tmp, err := os.CreateTemp(filepath.Dir(p), temporaryPrefix+"*")
	if err != nil {
		return "", err
	}
	_, err = tmp.Write(data)
	if err == nil && d == durable {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(tmp.Name())
		return "", err
	}
	return tmp.Name(), nil
}

// createExclusively writes a new file with owner-only rights; an existing one is
// fs.ErrExist.
func createExclusively(p string, data []byte) error {
	file, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	return err
}

// guardPatience is how long somebody else may have a guard, which is held for
// moments only. Tests shorten it.
var guardPatience = 10 * time.Second

// guardFile takes the operating system's lock on a file, which ends with the
// process, whatever way it ends. A process that was suspended in between keeps
// it, so the wait is bounded.
func guardFile(ctx context.Context, p string) (func(), error) {
	l := flock.New(p, flock.SetPermissions(0o600))
	limited, cancel := context.WithTimeout(ctx, guardPatience)
	defer cancel()
	if _, err := l.TryLockContext(limited, 5*time.Millisecond); err != nil {
		if ctx.Err() == nil && limited.Err() != nil {
			err = fmt.Errorf("another process has held %s for %v, which takes moments unless it is suspended: look for a stopped anyfaas, let it go on or end it", p, guardPatience)
		}
		return nil, err
	}
	return func() { l.Close() }, nil
}
