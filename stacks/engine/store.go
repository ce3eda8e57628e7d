package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/stacks"
)

// A store keeps the files of the state under slash-separated keys. Reading what
// is not there is fs.ErrNotExist, creating what is there already fs.ErrExist.
// Its methods may be called from several goroutines.
type store interface {
	Read(ctx context.Context, key string) ([]byte, error)
	// Write replaces the value in one step. It is durable when Write returns.
	Write(ctx context.Context, key string, data []byte) error
	// Put replaces the value in one step, but a power cut may undo it. It is
	// for copies and signs of life.
	Put(ctx context.Context, key string, data []byte) error
	// Create writes the value unless the key exists; of several at once
	// exactly one succeeds.
	Create(ctx context.Context, key string, data []byte) error
	// Delete removes the key. Removing what is gone succeeds. A power cut may
	// bring the key back.
	Delete(ctx context.Context, key string) error
	// List returns what lies under prefix, which ends in "/", at any depth,
	// sorted by key.
	List(ctx context.Context, prefix string) ([]entry, error)

	// OpenLog starts a new log; an existing one of that key is an error.
	OpenLog(ctx context.Context, key string) (appender, error)
	// ReadLog returns everything appended so far, in order.
	ReadLog(ctx context.Context, key string) ([]byte, error)
	// DeleteLog removes a log for good.
	DeleteLog(ctx context.Context, key string) error

	// Guard serialises the processes of this machine while they decide about
	// locks of the state.
	Guard(ctx context.Context) (release func(), err error)
}

// An appender adds to a log. What was appended is durable when Append returns.
type appender interface {
	Append(ctx context.Context, data []byte) error
	Close() error
}

// An entry is one listed key.
type entry struct {
	Key      string
	Modified time.Time
}

// Keys of Pulumi's own layout ("DIY", version 1), and ours beside it under
// .pulumi/anyfaas, where Pulumi does not look.
const (
	metaKey    = ".pulumi/meta.yaml"
	stacksRoot = ".pulumi/stacks/"
	ownRoot    = ".pulumi/anyfaas/"
)

func checkpointKey(id stacks.ID) string {
	return stacksRoot + id.Service + "/" + id.StackName() + ".json"
}

func historyRoot(id stacks.ID) string {
	return ".pulumi/history/" + id.Service + "/" + id.StackName() + "/"
}

func backupRoot(id stacks.ID) string {
	return ".pulumi/backups/" + id.Service + "/" + id.StackName() + "/"
}

func lockRoot(id stacks.ID) string {
	return ".pulumi/locks/organization/" + id.Service + "/" + id.StackName() + "/"
}

func journalKey(id stacks.ID) string {
	return ownRoot + "journal/" + id.Service + "/" + id.StackName() + ".jsonl"
}

// foldMarkKey holds the mark of a fold that may be under way.
func foldMarkKey(id stacks.ID) string {
	return ownRoot + "journal/" + id.Service + "/" + id.StackName() + ".folded"
}

// asideKey is where a journal goes that no longer fits its state.
func asideKey(id stacks.ID, now time.Time) string {
	return fmt.Sprintf("%saside/%s/%s.%d.jsonl", ownRoot, id.Service, id.StackName(), now.UnixNano())
}

func configKey(id stacks.ID) string {
	return ownRoot + "config/" + id.Service + "/" + id.StackName() + ".yaml"
}

// stackOf is the inverse of checkpointKey; ok is false for other keys.
func stackOf(key string) (id stacks.ID, ok bool) {
	service, file, found := strings.Cut(strings.TrimPrefix(key, stacksRoot), "/")
	name, json := strings.CutSuffix(file, ".json")
	i := strings.LastIndexByte(name, '-')
	if !found || !json || i <= 0 || i == len(name)-1 || strings.Contains(name, "/") {
		return id, false
	}
	return stacks.ID{Service: service, Stage: name[:i], Provider: name[i+1:]}, true
}

// locate checks the URL of a state: "" is the folder .anyfaas/state of the
// project, file://DIR another folder, and s3://, gs:// and azblob:// are buckets.
// It returns the folder of the first two.
func locate(projectDir, rawURL string) (dir string, err error) {
	if rawURL == "" {
		return filepath.Abs(filepath.Join(projectDir, ".anyfaas", "state"))
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", fmt.Errorf("state %q is not a URL: %w", rawURL, err)
	}
	switch u.Scheme {
	case "file":
		dir, err := folderOf(projectDir, strings.TrimPrefix(rawURL, "file://"))
		if err != nil {
			return "", fmt.Errorf("state %q: %w", rawURL, err)
		}
		return dir, nil
	case "s3", "gs", "azblob":
		if u.Host == "" {
			return "", fmt.Errorf("state %q names no bucket; write %s://BUCKET", rawURL, u.Scheme)
		}
		return "", nil
	}
	return "", fmt.Errorf("state %q: use file://DIR, s3://BUCKET, gs://BUCKET or azblob://CONTAINER", rawURL)
}

// openStore opens the state that the URL names.
func openStore(ctx context.Context, projectDir, rawURL string, env func(string) string) (store, error) {
	dir, err := locate(projectDir, rawURL)
	switch {
	case err != nil:
		return nil, err
	case rawURL == "":
		return &files{root: dir, ignore: filepath.Dir(dir)}, nil
	case dir != "":
		return &files{root: dir}, nil
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	return openBucket(ctx, u, env)
}

// folderOf turns the part after file:// into an absolute folder: a leading ~ is
// the home folder, a relative path starts at the project, and query parameters,
// which Pulumi allows there, are dropped.
func folderOf(projectDir, rest string) (string, error) {
	rest, _, _ = strings.Cut(rest, "?")
	rest, err := url.PathUnescape(rest)
	if err != nil {
		return "", err
	}
	if rest == "" {
		return "", fmt.Errorf("names no folder")
	}
	if rest == "~" || strings.HasPrefix(rest, "~/") {
		u, err := user.Current()
		if err != nil {
			return "", err
		}
		return filepath.Join(u.HomeDir, strings.TrimPrefix(rest, "~")), nil
	}
	dir := filepath.FromSlash(rest)
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(projectDir, dir)
	}
	return filepath.Abs(dir)
}

// ensureMeta writes the file that tells Pulumi which layout the state has, and
// refuses a state of another layout.
func ensureMeta(ctx context.Context, s store) error {
	data, err := s.Read(ctx, metaKey)
	if err == nil {
		if v := strings.TrimSpace(string(data)); v != "version: 1" {
			return fmt.Errorf("the state has a layout (%s) that this program does not know", v)
		}
		return nil
	}
	if !isGone(err) {
		return err
	}
	list, err := s.List(ctx, stacksRoot)
	if err != nil {
		return err
	}
	for _, e := range list {
		if !strings.Contains(strings.TrimPrefix(e.Key, stacksRoot), "/") {
			return fmt.Errorf("the state has Pulumi's old layout, with %s; run `pulumi state upgrade` first", e.Key)
		}
	}
	if err := s.Create(ctx, metaKey, []byte("version: 1\n")); err != nil && !isThere(err) {
		return err
	}
	return nil
}

func isGone(err error) bool  { return err != nil && errors.Is(err, fs.ErrNotExist) }
func isThere(err error) bool { return err != nil && errors.Is(err, fs.ErrExist) }

// machineFolder is where this machine keeps what belongs to a remote state but
// not to the project: guards.
func machineFolder(env func(string) string) (string, error) {
	if home := env("ANYFAAS_HOME"); home != "" {
		return filepath.Abs(filepath.Join(home, "state"))
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".anyfaas", "state"), nil
}

// cleanKey refuses keys that would leave the store.
func cleanKey(key string) error {
	if key == "" || path.Clean("/"+key) != "/"+key {
		return fmt.Errorf("state key %q: %w", key, fs.ErrInvalid)
	}
	return nil
}
