package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// Times of a start.
const (
	startTimeout = 60 * time.Second // until the socket answers
	busyTimeout  = 10 * time.Second // until a host of another version is idle
	outputSize   = 1 << 20          // of host.log before it is rotated
)

// Start says how to start a host.
type Start struct {
	Home    string
	Command []string // this program: ["/usr/bin/anyfaas"]; "local serve --home <Home>" is appended
	Version string   // a running host of another version is replaced when it is idle; "" accepts any
}

// Ensure returns a client for the host of s.Home, after starting it when it is
// not running. Several may do so at once; one host runs afterwards.
func Ensure(ctx context.Context, s Start) (*Client, error) {
	s.Home = absolute(s.Home)
	c := NewClient(s.Home)
	c.start = &s
	if err := c.ensure(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Kept reports whether a host of this home runs or would have something to
// bring back.
func Kept(ctx context.Context, home string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c := NewClient(home)
	defer c.Close()
	if _, err := c.Status(ctx); !errors.Is(err, ErrNotRunning) {
		return true, err
	}
	path := c.layout.database
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: 50 * time.Millisecond})
	for errors.Is(err, bolterrors.ErrTimeout) {
		// A host that is starting has the file open already and answers soon.
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("the local host does not answer: %w", ctx.Err())
		default:
		}
		if _, err := c.Status(ctx); !errors.Is(err, ErrNotRunning) {
			return true, err
		}
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: 50 * time.Millisecond})
	}
	if err != nil {
		return false, fmt.Errorf("open %s: %w", path, err)
	}
	defer db.Close()
	kept := false
	err = db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(stacksBucket); b != nil {
			first, _ := b.Cursor().First()
			kept = first != nil
		}
		return nil
	})
	return kept, err
}

// ensure makes a host of the right version answer.
func (c *Client) ensure(ctx context.Context) error {
	c.starting.Lock()
	defer c.starting.Unlock()
	if st, err := c.Status(ctx); err == nil && c.fits(st) {
		return nil
	}
	if err := c.layout.prepare(); err != nil {
		return err
	}
	lock := flock.New(c.layout.startLock, flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another command that starts the local host: %w", err)
	}
	defer lock.Unlock()

	st, err := c.Status(ctx)
	switch {
	case err == nil && c.fits(st):
		return nil
	case err == nil:
		if err := c.replace(ctx, st); err != nil {
			return err
		}
	case isStopping(err):
		if err := c.Stop(ctx); err != nil {
			return err
		}
	}
	return c.launch(ctx)
}

func (c *Client) fits(st api.Status) bool {
	return c.start.Version == "" || st.Version == c.start.Version
}

// replace stops a host of another version once it has nothing to do.
func (c *Client) replace(ctx context.Context, st api.Status) error {
	deadline := time.Now().Add(busyTimeout)
	for busy(st) {
		if time.Now().After(deadline) {
			return fmt.Errorf("the local host is of version %s, this is %s, and it is busy: try again later, or stop it first", st.Version, c.start.Version)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		var err error
		if st, err = c.Status(ctx); errors.Is(err, ErrNotRunning) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return c.Stop(ctx)
}

func busy(st api.Status) bool {
	for _, s := range st.Stacks {
		for _, f := range s.Functions {
			if f.Busy > 0 {
				return true
			}
		}
	}
	return false
}

// launch starts the process and waits until the socket answers. The caller
// holds the start lock.
func (c *Client) launch(ctx context.Context) error {
	rotateOutput(c.layout.output)
	out, err := os.OpenFile(c.layout.output, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	from, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	args := append(c.start.Command[1:len(c.start.Command):len(c.start.Command)], "local", "serve", "--home", c.layout.home)
	cmd := exec.Command(c.start.Command[0], args...)
	cmd.Dir = c.layout.root
	cmd.Env = append(hostEnvironment(os.Environ()), roleEnv+"="+roleSupervisor)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = detached()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the local host: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if _, err := c.Status(ctx); err == nil {
			return nil
		}
		select {
		case err := <-exited:
			// Another host may have been faster.
			if _, serr := c.Status(ctx); serr == nil {
				return nil
			}
			return fmt.Errorf("the local host did not start (%v)%s", exitText(err), lastOutput(c.layout.output, from))
		case <-ctx.Done():
			return fmt.Errorf("the local host does not answer: %w%s", ctx.Err(), lastOutput(c.layout.output, from))
		case <-time.After(pause):
		}
	}
}

func exitText(err error) string {
	if err == nil {
		return "it ended at once"
	}
	return err.Error()
}

// lastOutput quotes the end of what the host wrote since it was started.
func lastOutput(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-4096)
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return ""
	}
	text, err := io.ReadAll(f)
	if err != nil || len(text) == 0 {
		return "; see " + path
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-12):]
	return "; the end of " + path + ":\n  " + strings.Join(lines, "\n  ")
}

// passedOn are the variables that the host takes over from the command that
// starts it. It lives longer than that command, so nothing else: no secrets, no
// settings of one project.
var passedOn = []string{
	"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	"GOCOVERDIR", "GOMAXPROCS", "SystemRoot", "USERPROFILE", "LOCALAPPDATA", "TEMP", "TMP",
}

func hostEnvironment(environ []string) []string {
	var kept []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		keep := strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "ANYFAAS_LOCAL_") && name != roleEnv
		for _, p := range passedOn {
			keep = keep || name == p
		}
		if keep {
			kept = append(kept, kv)
		}
	}
	return kept
}

// rotateOutput moves the content of a large host.log to host.log.1. The file
// itself stays, since the running host writes to it.
func rotateOutput(path string) {
	info, err := os.Stat(path)
	if err != nil || info.Size() < outputSize {
		return
	}
	src, err := os.Open(path)
	if err != nil {
		return
	}
	defer src.Close()
	dst, err := os.OpenFile(path+".1", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer dst.Close()
	if _, err := io.Copy(dst, src); err == nil {
		os.Truncate(path, 0)
	}
}
