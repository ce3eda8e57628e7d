package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// roleEnv tells a process that Ensure started, or its child, what it is. Without
// it Run runs the host in the process that calls it.
const roleEnv = "ANYFAAS_LOCAL_ROLE"

const (
	roleSupervisor = "supervisor"
	roleHost       = "host"
)

// Pauses before a host that died is started again.
const (
	minRevive   = 100 * time.Millisecond
	maxRevive   = 10 * time.Second
	reviveFresh = time.Minute // a host that lasted longer begins with the short pause again
)

// supervise runs the host as a child of this process, if that is the role of
// this process, and starts it again when it dies. It reports whether that was
// the role. A host that never became ready is not started again: what hinders
// it would hinder it again, and Ensure shows what it said.
func supervise(ctx context.Context, l layout) (bool, error) {
	if os.Getenv(roleEnv) != roleSupervisor {
		return false, nil
	}
	// Held as long as a host may come back, which Stop has to know. It is a
	// shared lock: two commands may start supervisors at once, of which one ends
	// when its child finds the other's host.
	lock := flock.New(l.guardLock, flock.SetPermissions(0o600))
	if _, err := lock.TryRLockContext(ctx, 5*time.Millisecond); err != nil {
		return true, fmt.Errorf("lock %s: %w", l.guardLock, err)
	}
	defer lock.Unlock()
	program, err := os.Executable()
	if err != nil {
		return true, err
	}
	for pause := minRevive; ; pause = min(2*pause, maxRevive) {
		began := time.Now()
		ready, err := runChild(ctx, program)
		if err == nil || ctx.Err() != nil || !ready {
			return true, err
		}
		if time.Since(began) > reviveFresh {
			pause = minRevive
		}
		fmt.Fprintf(os.Stderr, "the host died (%v); it is started again\n", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return true, nil
		}
	}
}

// runChild runs the host until it ends and reports whether it ever was ready.
func runChild(ctx context.Context, program string) (ready bool, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return false, err
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, program, os.Args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Env = append(os.Environ(), roleEnv+"="+roleHost)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		w.Close()
		return false, err
	}
	w.Close()
	// The child writes a byte when it is ready; its end closes the pipe.
	n, _ := r.Read(make([]byte, 1))
	err = cmd.Wait()
	if errors.Is(ctx.Err(), context.Canceled) {
		err = nil
	}
	return n == 1, err
}

// supervised reports whether a process stands by to start the host of l again.
func supervised(l layout) bool {
	if _, err := os.Stat(l.guardLock); err != nil {
		return false
	}
	lock := flock.New(l.guardLock, flock.SetFlag(os.O_RDWR))
	defer lock.Close()
	free, err := lock.TryLock()
	return err == nil && !free
}

// readyFile is the descriptor that a supervisor gives its child.
const readyFile = 3

// reportReady tells the supervisor, if there is one.
func reportReady() {
	if os.Getenv(roleEnv) != roleHost {
		return
	}
	if f := os.NewFile(readyFile, "ready"); f != nil {
		f.Write([]byte{1})
		f.Close()
	}
}

// supervisorPID returns the process that starts this one again, 0 when there is
// none or it is gone.
func supervisorPID(parent int) int {
	if os.Getenv(roleEnv) != roleHost || os.Getppid() != parent {
		return 0
	}
	return parent
}
