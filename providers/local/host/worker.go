package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// Times of a worker's life.
const (
	bootTimeout = 60 * time.Second       // from the start of the process until it accepts connections
	stopGrace   = 2 * time.Second        // from the polite to the forceful end
	crashGrace  = 500 * time.Millisecond // from a broken connection to the end of the process
	drainGrace  = 500 * time.Millisecond // for outputs that a grandchild still holds open
)

// A program is what the workers of one version of a function run.
type program struct {
	artifact string // hash
	dir      string // where it is unpacked
	command  []string
	env      []string
	memory   int64  // bytes; 0 is no limit
	level    string // log lines below are dropped
}

// A worker is one process that serves one function.
type worker struct {
	program *program
	journal *journal
	socket  string
	temp    string
	pid     atomic.Int64
	stdin   *os.File
	conns   idleConns
	running running
	stderr  tail
	rss     atomic.Int64 // bytes, as sampled last
	fault   atomic.Pointer[string]
	ending  atomic.Bool   // we asked it to exit
	exited  chan struct{} // closed when the process is gone
	exit    string        // how it ended; valid after exited
	done    chan struct{} // closed when its output has been read and its files are gone

	// Guarded by the mutex of the function.
	ready   bool
	fresh   bool // its first calls are being handed out
	retired bool
	load    int
	idle    time.Time // since when load is 0

	cancelBoot context.CancelFunc // ends a start that is under way
}

// A spawner starts processes from one thread that lasts as long as it does: the
// kernel ends workers when the thread that started them ends.
type spawner struct {
	requests chan func()
	done     chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan func()), done: make(chan struct{})}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(s.done)
		for start := range s.requests {
			start()
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) error {
	result := make(chan error)
	s.requests <- func() { result <- cmd.Start() }
	return <-result
}

func (s *spawner) close() {
	close(s.requests)
	<-s.done
}

// errRetired ends the start of a worker that is no longer wanted.
var errRetired = errors.New("the worker is no longer wanted")

// start runs the process and waits until it accepts connections. The worker
// watches its process until done; on error it is gone.
func (w *worker) start(ctx context.Context, s *spawner) error {
	if err := w.spawn(s); err != nil {
		os.RemoveAll(w.temp)
		w.exit = err.Error()
		close(w.exited)
		close(w.done)
		return fmt.Errorf("start %s: %w", strings.Join(w.program.command, " "), err)
	}
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(pause*5/4, 20*time.Millisecond) {
		if c, err := net.Dial("unix", w.socket); err == nil {
			w.conns.put(newConn(c))
			return nil
		}
		select {
		case <-w.done:
			return w.startFailure()
		case <-ctx.Done():
			w.stop(0)
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("the worker did not listen within %v", bootTimeout)
			}
			return errRetired
		case <-time.After(pause):
		}
	}
}

func (w *worker) startFailure() error {
	if f := w.fault.Load(); f != nil {
		return errors.New(*f)
	}
	if cause := w.stderr.cause(); cause != "" {
		return fmt.Errorf("the worker exited before it was ready (%s): %s", w.exit, cause)
	}
	return fmt.Errorf("the worker exited before it was ready (%s)", w.exit)
}

func (w *worker) spawn(s *spawner) error {
	if err := os.Mkdir(w.temp, 0o700); err != nil {
		return err
	}
	if len(w.program.command) == 0 {
		return errors.New("the function has no command")
	}
	os.Remove(w.socket)
	var opened []*os.File
	pipe := func() (r, w *os.File, err error) {
		r, w, err = os.Pipe()
		opened = append(opened, r, w)
		return r, w, err
	}
	fail := func(err error) error {
		for _, f := range opened {
			if f != nil {
				f.Close()
			}
		}
		return err
	}
	inR, inW, err := pipe()
	if err != nil {
		return fail(err)
	}
	outR, outW, err := pipe()
	if err != nil {
		return fail(err)
	}
	errR, errW, err := pipe()
	if err != nil {
		return fail(err)
	}
	name, err := lookCommand(w.program.dir, w.program.command[0], w.program.env)
	if err != nil {
		return fail(err)
	}
	cmd := &exec.Cmd{
		Path: name, Args: w.program.command, Dir: w.program.dir,
		Env:   append(w.program.env[:len(w.program.env):len(w.program.env)], "TMPDIR="+w.temp, api.ListenerEnv+"=unix:"+w.socket),
		Stdin: inR, Stdout: outW, Stderr: errW, SysProcAttr: grouped(),
	}
	if err := s.start(cmd); err != nil {
		return fail(err)
	}
	inR.Close()
	outW.Close()
	errW.Close()
	w.stdin = inW
	w.pid.Store(int64(cmd.Process.Pid))
	go w.watch(cmd, outR, errR)
	return nil
}

// watch reads the outputs and waits for the end of the process.
func (w *worker) watch(cmd *exec.Cmd, stdout, stderr *os.File) {
	var outputs sync.WaitGroup
	outputs.Go(func() {
		(&capture{kind: "out", journal: w.journal, running: &w.running, level: w.program.level}).copy(stdout)
	})
	outputs.Go(func() {
		(&capture{kind: "err", journal: w.journal, running: &w.running, level: w.program.level, tail: &w.stderr}).copy(stderr)
	})
	err := cmd.Wait()
	w.exit = "exit status 0"
	if err != nil {
		w.exit = err.Error()
	}
	close(w.exited)
	kill(cmd.Process.Pid) // what it started and left behind
	endStrays(w.socket + "\x00")
	drained := make(chan struct{})
	go func() { outputs.Wait(); close(drained) }()
	select {
	case <-drained:
	case <-time.After(drainGrace):
		stdout.SetReadDeadline(time.Now())
		stderr.SetReadDeadline(time.Now())
		<-drained
	}
	stdout.Close()
	stderr.Close()
	w.stdin.Close()
	w.conns.close()
	os.Remove(w.socket)
	os.RemoveAll(w.temp)
	close(w.done)
}

// stop asks the process to exit, ends it by force after grace and returns when
// it is gone.
func (w *worker) stop(grace time.Duration) {
	w.ending.Store(true)
	defer func() { <-w.done }()
	select {
	case <-w.exited:
		return
	default:
	}
	pid := int(w.pid.Load())
	if grace > 0 {
		terminate(pid)
		select {
		case <-w.exited:
			return
		case <-time.After(grace):
		}
	}
	kill(pid)
}

// abort ends the process by force because of a fault that its calls report.
func (w *worker) abort(fault string) {
	select {
	case <-w.exited:
		return
	default:
	}
	if w.fault.CompareAndSwap(nil, &fault) {
		kill(int(w.pid.Load()))
	}
}

// crash returns why a call lost its worker. It waits a moment for the end of
// the process to become known; "" means that the process still runs.
func (w *worker) crash() string {
	select {
	case <-w.exited:
	case <-time.After(crashGrace):
	}
	if f := w.fault.Load(); f != nil {
		return *f
	}
	select {
	case <-w.exited:
		return "the worker exited (" + w.exit + ")"
	default:
		return ""
	}
}

// lookCommand finds the program: a path with a slash is inside the artifact,
// any other name is looked up in the worker's own PATH.
func lookCommand(dir, name string, env []string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	if strings.ContainsRune(name, '/') {
		return filepath.Join(dir, filepath.FromSlash(name)), nil
	}
	for _, kv := range env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			for _, folder := range filepath.SplitList(path) {
				candidate := filepath.Join(folder, name)
				if found, err := exec.LookPath(candidate); err == nil && filepath.IsAbs(found) {
					return found, nil
				}
			}
		}
	}
	if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		return filepath.Join(dir, name), nil
	}
	return "", fmt.Errorf("%q is neither in PATH nor in the artifact", name)
}

// inherited are the variables of the host that workers get too.
var inherited = []string{"PATH", "HOME", "LANG"}

// environment builds the variables of a worker. Later ones win in every
// language, so the host's own come last.
func environment(spec *api.FunctionSpec, function string, getenv func(string) string) []string {
	vars := map[string]string{}
	for _, name := range inherited {
		if v := getenv(name); v != "" {
			vars[name] = v
		}
	}
	vars["PYTHONUNBUFFERED"] = "1"
	for k, v := range spec.Env {
		vars[k] = v
	}
	for k, v := range spec.Secrets {
		vars[k] = v
	}
	if mb := spec.MemoryMB; mb > 0 {
		tune(vars, spec.Runtime, mb)
	}
	if spec.LogLevel != "" {
		vars["ANYFAAS_LOG_LEVEL"] = spec.LogLevel
	}
	if vars["ANYFAAS_FUNCTION"] == "" {
		vars["ANYFAAS_FUNCTION"] = function
	}
	delete(vars, "TMPDIR")
	delete(vars, api.ListenerEnv)
	env := make([]string, 0, len(vars)+2)
	for k, v := range vars {
		env = append(env, k+"="+v)
	}
	return env
}

// tune tells a language's memory management about the limit, which it would
// otherwise take from the size of the machine and so collect too late.
func tune(vars map[string]string, language string, mb int) {
	switch {
	case strings.HasPrefix(language, "node"):
		if strings.Contains(vars["NODE_OPTIONS"], "--max-old-space-size") || strings.Contains(vars["NODE_OPTIONS"], "--max_old_space_size") {
			return
		}
		// About 48 MB of a Node process are code and not heap.
		heap := max(mb-64, mb/2)
		young := min(max(mb/32, 1), 16)
		vars["NODE_OPTIONS"] = strings.TrimSpace(fmt.Sprintf("--max-old-space-size=%d --max-semi-space-size=%d %s", heap, young, vars["NODE_OPTIONS"]))
	case strings.HasPrefix(language, "go"):
		if vars["GOMEMLIMIT"] == "" {
			vars["GOMEMLIMIT"] = strconv.Itoa(mb*9/10) + "MiB"
		}
	}
}
