package host

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// A testHost is a host that a test started with Ensure.
type testHost struct {
	*Client
	t    testing.TB
	home string
	url  string // of stack "shop-dev", once it has a service
}

const testStack = "shop-dev"

// startHost starts a host with a home of its own and stops it with the test.
func startHost(t *testing.T) *testHost {
	t.Helper()
	// Sockets need short paths; t.TempDir holds the name of the test.
	home, err := os.MkdirTemp("", "home")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	c, err := Ensure(t.Context(), testStart(home))
	if err != nil {
		t.Fatal(err)
	}
	h := &testHost{Client: c, t: t, home: home}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := c.Stop(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(home, "local", "host.log"))
			t.Logf("host.log:\n%s", text)
		}
	})
	return h
}

func testStart(home string) Start {
	return Start{Home: home, Command: []string{os.Args[0]}, Version: "test"}
}

// artifact uploads a zip that holds the test program as a worker.
func (h *testHost) artifact(content string) string {
	h.t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("version")
	if err != nil {
		h.t.Fatal(err)
	}
	io.WriteString(w, content)
	if err := z.Close(); err != nil {
		h.t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	hash := hex.EncodeToString(sum[:])
	file := filepath.Join(h.t.TempDir(), "a.zip")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		h.t.Fatal(err)
	}
	if err := h.PutArtifact(h.t.Context(), hash, file); err != nil {
		h.t.Fatal(err)
	}
	return hash
}

// service puts the HTTP front.
func (h *testHost) service(change func(*api.ServiceSpec)) {
	h.t.Helper()
	spec := api.ServiceSpec{Service: "shop", Stage: "dev", Owner: "/project"}
	if change != nil {
		change(&spec)
	}
	out := h.put(api.KindService, "shop", spec)
	h.url = out["url"].(string)
}

// function puts a function that runs the test worker.
func (h *testHost) function(name string, change func(*api.FunctionSpec)) {
	h.t.Helper()
	h.put(api.KindFunction, name, h.spec(name, change))
}

func (h *testHost) spec(name string, change func(*api.FunctionSpec)) api.FunctionSpec {
	spec := api.FunctionSpec{
		Artifact: h.artifact("1"), Command: []string{os.Args[0], "worker"}, Runtime: "custom",
		MemoryMB: 256, Timeout: api.Duration(10 * time.Second), PerInstance: 1,
		Env: map[string]string{"NAME": name},
	}
	if change != nil {
		change(&spec)
	}
	return spec
}

// route puts a route named after its method and path.
func (h *testHost) route(method, path, function string, change func(*api.RouteSpec)) {
	h.t.Helper()
	spec := api.RouteSpec{Function: function, Method: method, Path: path}
	if change != nil {
		change(&spec)
	}
	h.put(api.KindRoute, method+" "+strings.ReplaceAll(path, "/", ":"), spec)
}

func (h *testHost) put(kind api.Kind, name string, spec any) api.Outputs {
	h.t.Helper()
	out, err := h.Put(h.t.Context(), testStack, kind, name, spec)
	if err != nil {
		h.t.Fatalf("put %s %s: %v", kind, name, err)
	}
	return out
}

// api puts a service and one function that gets all requests.
func (h *testHost) api(change func(*api.FunctionSpec)) {
	h.t.Helper()
	h.service(nil)
	h.function("api", change)
	h.route("*", "/{path+}", "api", nil)
}

// get requests a path and returns status and body.
func (h *testHost) get(path string) string {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.url+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return answerOf(http.DefaultClient.Do(req))
}

// answerOf writes an answer as "200 body".
func answerOf(resp *http.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Sprintf("%d %s (%v)", resp.StatusCode, body, err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

// eventually waits until check returns "" and fails with what it returned last.
func eventually(t testing.TB, check func() string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		last := check()
		if last == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(last)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (h *testHost) status() api.Status {
	h.t.Helper()
	st, err := h.Status(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return st
}

// functionStatus returns the counts of a function.
func (h *testHost) functionStatus(name string) api.FunctionStatus {
	h.t.Helper()
	for _, s := range h.status().Stacks {
		for _, f := range s.Functions {
			if f.Name == name {
				return f
			}
		}
	}
	h.t.Fatalf("no function %q in the status", name)
	return api.FunctionStatus{}
}

// newTestMachine returns what functions need, without a host around it.
func newTestMachine(t *testing.T) *machine {
	t.Helper()
	l := layoutOf(t.TempDir())
	if err := l.prepare(); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	m := &machine{
		layout: l, log: log, logs: openLogbook(l.logs, log), spawner: newSpawner(),
		boots: make(chan struct{}, 4), idle: time.Minute, getenv: os.Getenv, ctx: context.Background(),
		restored: make(chan struct{}),
	}
	t.Cleanup(func() {
		m.tasks.Wait()
		m.spawner.close()
		m.logs.close()
	})
	return m
}
