package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// patience is how long anything may take that should take a moment: machines
// that build on all cores are slow.
const patience = 60 * time.Second

// A world is a project folder and a home of its own. When its test ends, the
// host is stopped and nothing of it may be left.
type world struct {
	*testing.T
	dir  string // of the project
	home string // ANYFAAS_HOME
	env  []string
}

// newWorld copies a folder of this repository, such as "examples/orders", into
// a new world. "" makes an empty project folder.
func newWorld(t *testing.T, project string) *world {
	t.Helper()
	// Not t.TempDir: the path of a unix socket holds little more than a hundred
	// bytes, and the names of tests are sentences.
	root, err := os.MkdirTemp("", "af")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, dir: filepath.Join(root, "project"), home: filepath.Join(root, "home")}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if project != "" {
		copyProject(t, filepath.Join("..", filepath.FromSlash(project)), w.dir)
	}
	// Hosts of other worlds take ports as well; this one's shall still be free
	// when it starts again.
	first := 10000 + 30*rand.IntN(600)
	w.env = append(w.env, "ANYFAAS_HOME="+w.home, "NO_COLOR=1", fmt.Sprintf("ANYFAAS_LOCAL_FIRST_PORT=%d", first))
	t.Cleanup(func() {
		w.run("local", "stop")
		w.nothingRuns()
		if t.Failed() {
			if log, err := os.ReadFile(filepath.Join(w.home, "local", "host.log")); err == nil {
				t.Logf("host.log:\n%s", log)
			}
		}
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
	return w
}

// copyProject copies what a clone of the project would hold.
func copyProject(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".anyfaas", "node_modules", "__pycache__"}, d.Name()) {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A result is what a command left behind.
type result struct {
	stdout, stderr string
	code           int
}

// command prepares the program with the world around it.
func (w *world) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = w.dir
	cmd.Env = w.environ()
	return cmd
}

// environ is the test's own environment without settings of the tool, and with
// the world's.
func (w *world) environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "ANYFAAS_") || strings.HasPrefix(s, "PULUMI_")
	})
	return append(env, w.env...)
}

// run runs the program and returns what it printed and its exit code.
func (w *world) run(args ...string) result {
	w.Helper()
	return w.finish(w.command(args...))
}

func (w *world) finish(cmd *exec.Cmd) result {
	w.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		w.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must runs the program and ends the test unless it exits with the code.
func (w *world) must(code int, args ...string) result {
	w.Helper()
	r := w.run(args...)
	if r.code != code {
		w.Fatalf("anyfaas %s: want exit code %d, got %d\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), code, r.code, r.stdout, r.stderr)
	}
	return r
}

// read decodes the JSON that a command prints.
func (w *world) read(into any, args ...string) {
	w.Helper()
	r := w.must(0, append(args, "--output", "json")...)
	if err := json.Unmarshal([]byte(r.stdout), into); err != nil {
		w.Fatalf("anyfaas %s: %v in\n%s", strings.Join(args, " "), err, r.stdout)
	}
}

// url returns the base URL of the deployed service's HTTP front.
func (w *world) url() string {
	w.Helper()
	return w.status().stack(w).URL
}

// A status is what `anyfaas local status` says; zero when no host runs.
type status struct {
	PID    int
	Data   string // base URL of queues, topics, streams, tables and the bus
	S3     string
	Stacks []stackStatus
}

type stackStatus struct {
	Stack     string
	URL       string
	Functions []struct {
		Name    string
		Workers int
		PIDs    []int
	}
	Queues []struct {
		Name            string
		Ready, InFlight int
	}
}

func (w *world) status() (s status) {
	w.Helper()
	var answer struct{ Host *status }
	w.read(&answer, "local", "status")
	if answer.Host == nil {
		return status{}
	}
	return *answer.Host
}

// stack returns the world's only stack.
func (s status) stack(w *world) stackStatus {
	w.Helper()
	if len(s.Stacks) != 1 {
		w.Fatalf("want one stack on the host, got %+v", s.Stacks)
	}
	return s.Stacks[0]
}

// resource returns the URL of a queue, a topic or another thing of the data
// plane: resource("queues", "jobs").
func (w *world) resource(group, name string) string {
	w.Helper()
	s := w.status()
	return s.Data + "/" + s.stack(w).Stack + "/" + group + "/" + name
}

// object returns the URL of an object in a bucket.
func (w *world) object(bucket, key string) string {
	w.Helper()
	s := w.status()
	return s.S3 + "/" + s.stack(w).Stack + "-" + bucket + "/" + key
}

// waiting returns how many messages a queue holds, those being worked on included.
func (w *world) waiting(queue string) int {
	w.Helper()
	for _, q := range w.status().stack(w).Queues {
		if q.Name == queue {
			return q.Ready + q.InFlight
		}
	}
	w.Fatalf("no queue %q on the host", queue)
	return 0
}

// An answer is what an HTTP call got back; Body without white space around it.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// call makes an HTTP call; one that gets no answer ends the test.
func (w *world) call(method, url, body string, header ...string) answer {
	w.Helper()
	a, err := tryCall(method, url, body, header...)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

func tryCall(method, url, body string, header ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, strings.TrimSpace(string(b))}, err
}

// want checks status and body of an HTTP call.
func (w *world) want(status int, body string, method, url, send string, header ...string) {
	w.Helper()
	if a := w.call(method, url, send, header...); a.Status != status || a.Body != body {
		w.Errorf("%s %s:\nwant %d %s\ngot  %d %s", method, url, status, body, a.Status, a.Body)
	}
}

// eventually waits until check returns "", and ends the test with what it
// returned last when that does not happen in time.
func (w *world) eventually(what string, check func() string) {
	w.Helper()
	var last string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if last = check(); last == "" {
			return
		}
	}
	w.Fatalf("%s: not within %v: %s", what, patience, last)
}

// edit replaces a text in a file of the project; the text must be there.
func (w *world) edit(file, old, new string) {
	w.Helper()
	name := filepath.Join(w.dir, file)
	data, err := os.ReadFile(name)
	if err != nil {
		w.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		w.Fatalf("%s does not hold %q", file, old)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(data), old, new, 1)), 0o644); err != nil {
		w.Fatal(err)
	}
}

// ownPort gives the service a port that no other test is given, for tests in
// which it goes away: a front comes back on the port it had and waits while
// somebody else has it, and a port that is free is soon another test's.
func (w *world) ownPort() {
	w.Helper()
	for {
		port := 20000 + rand.IntN(10000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			w.Fatal(err)
		}
		w.edit("serverless.yaml", "apiVersion: anyfaas/v1\n", fmt.Sprintf("apiVersion: anyfaas/v1\nproviders: { local: { port: %d } }\n", port))
		return
	}
}

// processes returns those that belong to this world: they carry its folder in
// their command line or environment.
func (w *world) processes() []*process.Process {
	all, err := process.Processes()
	if err != nil {
		w.Fatal(err)
	}
	root := filepath.Dir(w.home) + "/"
	return slices.DeleteFunc(all, func(p *process.Process) bool {
		if int(p.Pid) == os.Getpid() {
			return true
		}
		line, _ := p.Cmdline()
		env, _ := p.Environ()
		if !strings.Contains(line, root) && !strings.Contains(strings.Join(env, "\n"), root) {
			return true
		}
		state, _ := p.Status()
		return slices.Contains(state, process.Zombie) // has ended; nobody asked for its exit code yet
	})
}

// killAll ends everything of this world at once, the hard way. What starts a
// process again is older than it, so killing from the oldest leaves nobody to.
func (w *world) killAll() {
	w.Helper()
	for range 3 {
		all := w.processes()
		slices.SortFunc(all, func(a, b *process.Process) int { return int(a.Pid) - int(b.Pid) })
		for _, p := range all {
			_ = p.Kill()
		}
	}
	w.eventually("the end of all processes", func() string {
		if n := len(w.processes()); n > 0 {
			return fmt.Sprint(n, " are left")
		}
		return ""
	})
}

// nothingRuns fails the test when a process or a socket of this world is left.
func (w *world) nothingRuns() {
	w.Helper()
	var left []string
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		left = w.sockets()
		for _, p := range w.processes() {
			line, _ := p.Cmdline()
			left = append(left, fmt.Sprintf("process %d: %s", p.Pid, line))
		}
		if len(left) == 0 {
			return
		}
	}
	w.Errorf("left running:\n%s", strings.Join(left, "\n"))
}

// sockets returns the unix sockets below the home.
func (w *world) sockets() []string {
	var found []string
	err := filepath.WalkDir(w.home, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeSocket != 0 {
			found = append(found, name)
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return found
}

// kill ends a process the hard way.
func (w *world) kill(pid int) {
	w.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		w.Fatal(err)
	}
}
