package host

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// artifacts keeps uploaded zips by hash, and the folders they unpack to. A zip
// is flushed to disk before it counts; a folder is not, so all folders are
// unpacked again after the machine was restarted.
type artifacts struct {
	dir string

	mu       sync.Mutex
	unpacked map[string]*unpacking
	uploaded map[string]time.Time // by hash, in this run
}

type unpacking struct {
	once sync.Once
	err  error
}

// uploadGrace is how long an artifact that no function names yet is kept.
const uploadGrace = 10 * time.Minute

var hashForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// openArtifacts opens the folder. Boot is an identity of this run of the
// machine.
func openArtifacts(dir, boot string) (*artifacts, error) {
	a := &artifacts{dir: dir, unpacked: map[string]*unpacking{}, uploaded: map[string]time.Time{}}
	marker := filepath.Join(dir, "boot")
	if last, err := os.ReadFile(marker); err == nil && string(last) == boot {
		return a, a.clean("*.tmp*")
	}
	// The marker goes last: a start that is interrupted here starts again.
	if err := a.clean("*.tmp*", "*.dir"); err != nil {
		return nil, err
	}
	return a, os.WriteFile(marker, []byte(boot), 0o600)
}

func (a *artifacts) clean(patterns ...string) error {
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(a.dir, pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *artifacts) zipPath(hash string) string { return filepath.Join(a.dir, hash+".zip") }
func (a *artifacts) folder(hash string) string  { return filepath.Join(a.dir, hash+".dir") }

// has reports whether the zip is here, and keeps it from being collected for a
// while: a command that asks is about to use it.
func (a *artifacts) has(hash string) bool {
	if !hashForm.MatchString(hash) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := os.Stat(a.zipPath(hash)); err != nil {
		return false
	}
	a.uploaded[hash] = time.Now()
	return true
}

// errHash is the error of an upload that is not what its name says.
var errHash = errors.New("the content does not have this sha256")

// put stores the zip in r, which must have the given hash.
func (a *artifacts) put(hash string, r io.Reader) error {
	if !hashForm.MatchString(hash) {
		return fmt.Errorf("%q is not a sha256 in lower-case hex", hash)
	}
	f, err := os.CreateTemp(a.dir, hash[:12]+".tmp*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, sum), r); err != nil {
		return fmt.Errorf("artifact %s: %w", hash[:12], err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != hash {
		return fmt.Errorf("artifact %s: %w but %s", hash[:12], errHash, got)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := os.Rename(f.Name(), a.zipPath(hash)); err != nil {
		return err
	}
	a.uploaded[hash] = time.Now()
	return syncFolder(a.dir)
}

// unpack returns the folder with the files of an artifact, unpacking it when
// that has not been done.
func (a *artifacts) unpack(hash string) (string, error) {
	if !a.has(hash) {
		return "", fmt.Errorf("artifact %s has not been uploaded", hash)
	}
	a.mu.Lock()
	u := a.unpacked[hash]
	if u == nil {
		u = &unpacking{}
		a.unpacked[hash] = u
	}
	a.mu.Unlock()
	u.once.Do(func() { u.err = a.extract(hash) })
	if u.err != nil {
		a.mu.Lock()
		if a.unpacked[hash] == u {
			delete(a.unpacked, hash)
		}
		a.mu.Unlock()
	}
	return a.folder(hash), u.err
}

func (a *artifacts) extract(hash string) error {
	dst := a.folder(hash)
	if _, err := os.Stat(dst); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(a.dir, hash[:12]+".tmp*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := unzip(a.zipPath(hash), tmp); err != nil {
		return fmt.Errorf("unpack artifact %s: %w", hash[:12], err)
	}
	return os.Rename(tmp, dst)
}

// unzip unpacks a zip into dst. Names that lead out of dst are refused; links
// may only lead to places inside.
func unzip(path, dst string) error {
	z, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer z.Close()
	root, err := os.OpenRoot(dst)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range z.File {
		if err := unzipFile(root, f); err != nil {
			return fmt.Errorf("%q: %w", f.Name, err)
		}
	}
	return nil
}

func unzipFile(root *os.Root, f *zip.File) error {
	name := strings.TrimSuffix(f.Name, "/")
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return errors.New("the name leads out of the folder")
	}
	name = filepath.FromSlash(name)
	mode := f.Mode()
	if mode.IsDir() {
		return root.MkdirAll(name, 0o755)
	}
	if dir := filepath.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	src, err := f.Open()
	if err != nil {
		return err
	}
	defer src.Close()
	switch mode.Type() {
	case fs.ModeSymlink:
		target, err := io.ReadAll(io.LimitReader(src, 4096))
		if err != nil {
			return err
		}
		to := filepath.FromSlash(string(target))
		if filepath.IsAbs(to) || !filepath.IsLocal(filepath.Join(filepath.Dir(name), to)) {
			return errors.New("the link leads out of the folder")
		}
		return root.Symlink(to, name)
	case 0:
		out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode.Perm()|0o600)
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, src); err != nil {
			out.Close()
			return err
		}
		return out.Close()
	}
	return fmt.Errorf("unexpected kind of file %v", mode)
}

// collect removes the artifacts that used does not name and that nobody has
// uploaded or asked for within grace.
func (a *artifacts) collect(used map[string]bool, grace time.Duration) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		hash, _, ok := strings.Cut(e.Name(), ".")
		if !ok || !hashForm.MatchString(hash) || used[hash] {
			continue
		}
		if at, ok := a.uploaded[hash]; ok && time.Since(at) < grace {
			continue
		}
		if err := os.RemoveAll(filepath.Join(a.dir, e.Name())); err != nil {
			return err
		}
		delete(a.unpacked, hash)
		delete(a.uploaded, hash)
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
