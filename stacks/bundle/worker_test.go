package bundle_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers"
)

// A worker is a packaged function running as a host would run it.
type worker struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.Closer
	client *http.Client
	socket string
	out    *lockedBuffer
	exited chan struct{}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// unpack extracts a package into a new folder.
func unpack(t testing.TB, a providers.Artifact) string {
	t.Helper()
	dir := t.TempDir()
	z, err := zip.OpenReader(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		to := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, f.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// start unpacks and runs a package and waits until its socket answers.
func start(t *testing.T, a providers.Artifact, env ...string) *worker {
	t.Helper()
	w := launch(t, a, env...)
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := net.Dial("unix", w.socket)
		if err == nil {
			conn.Close()
			return w
		}
		select {
		case <-w.exited:
			t.Fatalf("the worker ended early:\n%s", w.out)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the worker does not listen: %v\n%s", err, w.out)
		}
	}
}

// launch runs a package without waiting.
func launch(t *testing.T, a providers.Artifact, env ...string) *worker {
	t.Helper()
	run, err := os.MkdirTemp("", "w") // socket paths must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	w := &worker{t: t, socket: filepath.Join(run, "s"), out: new(lockedBuffer), exited: make(chan struct{})}
	w.cmd = exec.Command(a.Command[0], a.Command[1:]...)
	w.cmd.Dir = unpack(t, a)
	w.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "ANYFAAS_LISTENER=unix:" + w.socket, "ANYFAAS_FUNCTION=" + a.Function, "ANYFAAS_PROVIDER=local"}, env...)
	w.cmd.Stdout, w.cmd.Stderr = w.out, w.out
	if w.stdin, err = w.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		w.cmd.Wait()
		close(w.exited)
	}()
	t.Cleanup(func() {
		w.cmd.Process.Kill()
		<-w.exited
		if t.Failed() {
			t.Logf("output of %s:\n%s", a.Function, w.out)
		}
	})
	w.client = &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", w.socket)
			},
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       30 * time.Second,
	}
	return w
}

// waitExit waits for the worker to end by itself and returns its exit status.
func (w *worker) waitExit() int {
	w.t.Helper()
	select {
	case <-w.exited:
		return w.cmd.ProcessState.ExitCode()
	case <-time.After(20 * time.Second):
		w.t.Fatalf("the worker does not end")
		return 0
	}
}

// An answer of a worker; headers joined by their names in lower case.
type answer struct {
	status int
	header http.Header
	body   string
}

// call sends a request. Headers are given as "Name: value".
func (w *worker) call(method, target, body string, headers ...string) answer {
	w.t.Helper()
	a, err := w.try(method, target, body, headers...)
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", method, target, err, w.out)
	}
	return a
}

func (w *worker) try(method, target, body string, headers ...string) (answer, error) {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, "http://shop.test"+target, content)
	if err != nil {
		return answer{}, err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Add(name, value)
	}
	res, err := w.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(data)}, err
}

// event delivers CloudEvents given as JSON.
func (w *worker) event(events string, headers ...string) answer {
	w.t.Helper()
	return w.call("POST", "/", events, append([]string{"Anyfaas-Kind: event", "Content-Type: application/cloudevents-batch+json"}, headers...)...)
}

// invoke calls the function directly with data as JSON.
func (w *worker) invoke(data string) answer {
	w.t.Helper()
	return w.call("POST", "/", fmt.Sprintf(`{"specversion":"1.0","type":"dev.anyfaas.invoke.v1","source":"/invoke","id":"1","time":"2026-01-01T00:00:00Z","datacontenttype":"application/json","data":%s}`, data),
		"Anyfaas-Kind: invoke", "Content-Type: application/cloudevents+json")
}

func (w *worker) signal(s syscall.Signal) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
}

// logs waits until the output holds text.
func (w *worker) logs(text string) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(w.out.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("output does not hold %q:\n%s", text, w.out)
		}
	}
}
