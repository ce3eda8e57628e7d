package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

func TestFunctionAnswersAndTheLastRemovalLeavesNothing(t *testing.T) {
	h := startHost(t)
	h.service(nil)
	h.function("api", nil)
	h.route("GET", "/hello/{name}", "api", nil)
	if got, want := h.get("/hello/world?x=1"), "200 hello from api"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	st := h.status()
	if st.Version != "test" || st.Supervisor == 0 {
		t.Errorf("status: %+v", st)
	}
	worker := h.functionStatus("api").PIDs
	if len(worker) != 1 {
		t.Fatalf("workers: %v", worker)
	}
	if err := h.Delete(t.Context(), testStack, api.KindRoute, "GET :hello:{name}"); err != nil {
		t.Fatal(err)
	}
	if got, want := h.get("/hello/world"), `404 {"message":"Not Found"}`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := h.DeleteStack(t.Context(), testStack); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		for name, pid := range map[string]int{"host": st.PID, "supervisor": st.Supervisor, "worker": worker[0]} {
			if alive(pid) {
				return "the " + name + " is still there"
			}
		}
		if _, err := os.Stat(Socket(h.home)); !errors.Is(err, os.ErrNotExist) {
			return "the socket is still there"
		}
		return ""
	})
	for _, dir := range []string{"logs", "tmp", "w", "artifacts"} {
		entries, _ := filepath.Glob(filepath.Join(h.home, "local", dir, "*"))
		for _, e := range entries {
			if filepath.Base(e) != "boot" {
				t.Errorf("left behind: %s", e)
			}
		}
	}
}

// deployed puts a service, a function with a route, and a queue with a message
// in it.
func (h *testHost) deployed() (queue string) {
	h.t.Helper()
	h.service(nil)
	h.function("api", func(f *api.FunctionSpec) { f.Secrets = map[string]string{"KEY": "hidden"} })
	h.route("GET", "/{path+}", "api", nil)
	out := h.put(api.KindQueue, "jobs", api.QueueSpec{Visibility: api.Duration(time.Minute), Retention: api.Duration(time.Hour), MaxReceives: 5})
	queue = out["url"].(string)
	if got := answerOf(http.Post(queue, "text/plain", strings.NewReader("m"))); !strings.HasPrefix(got, "201 ") {
		h.t.Fatalf("send: %s", got)
	}
	return queue
}

// same checks that everything that was deployed is there and answers.
func (h *testHost) same(before *api.StackState, queue string) {
	h.t.Helper()
	eventually(h.t, func() string {
		if got, want := h.get("/hello"), "200 hello from api"; got != want {
			return fmt.Sprintf("got %s, want %s", got, want)
		}
		return ""
	})
	after, err := h.Stack(h.t.Context(), testStack)
	if err != nil {
		h.t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		h.t.Errorf("the stack before -, after +:\n%s", diff)
	}
	if got := answerOf(http.Get(queue + "?peek=true")); !strings.Contains(got, `"m"`) {
		h.t.Errorf("the message is gone: %s", got)
	}
}

func (h *testHost) state() *api.StackState {
	h.t.Helper()
	st, err := h.Stack(h.t.Context(), testStack)
	if err != nil || st == nil {
		h.t.Fatal(st, err)
	}
	return st
}

func TestAHostThatIsKilledComesBackByItself(t *testing.T) {
	h := startHost(t)
	queue := h.deployed()
	h.get("/hello")
	before, st := h.state(), h.status()
	worker := h.functionStatus("api").PIDs[0]
	for range 3 {
		pid := h.status().PID
		if err := killProcess(pid); err != nil {
			t.Fatal(err)
		}
		c := NewClient(h.home) // this one starts no host
		eventually(t, func() string {
			if st, err := c.Status(t.Context()); err != nil || st.PID == pid {
				return fmt.Sprintf("no new host: %v", err)
			}
			return ""
		})
		c.Close()
		h.same(before, queue)
	}
	if now := h.status(); now.Supervisor != st.Supervisor {
		t.Errorf("the supervisor was %d and is %d", st.Supervisor, now.Supervisor)
	}
	eventually(t, func() string {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", worker)); err == nil && !strings.Contains(string(stat), ") Z ") {
			return "the worker of the killed host is still there"
		}
		return ""
	})
}

// A host that was just killed is about to be started again: stopping must not
// take it for one that does not run.
func TestStopOfAHostThatIsAboutToComeBackEndsIt(t *testing.T) {
	h := startHost(t)
	h.deployed()
	st := h.status()
	if err := killProcess(st.PID); err != nil {
		t.Fatal(err)
	}
	c := NewClient(h.home)
	defer c.Close()
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if alive(st.Supervisor) {
		t.Error("the supervisor is still there, and would start the host again")
	}
}

func TestAHostWhoseFolderIsReplacedEnds(t *testing.T) {
	h := startHost(t)
	h.deployed()
	st := h.status()
	if err := os.Rename(h.layout.database, h.layout.database+".old"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if alive(st.PID) || alive(st.Supervisor) {
			return "the host serves what nobody can find any more"
		}
		return ""
	})
}

func TestTheNextCommandStartsAHostWhoseSupervisorIsGoneToo(t *testing.T) {
	h := startHost(t)
	queue := h.deployed()
	before, st := h.state(), h.status()
	for _, pid := range []int{st.Supervisor, st.PID} {
		if err := killProcess(pid); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(Socket(h.home)); err != nil {
		t.Fatal("a killed host leaves its socket behind; the next one must cope with it:", err)
	}
	if kept, err := Kept(t.Context(), h.home); err != nil || !kept {
		t.Errorf("kept %v, %v", kept, err)
	}
	// The client was made by Ensure and starts the host with its next call.
	if after := h.state(); after.URL != before.URL {
		t.Errorf("URL %s became %s", before.URL, after.URL)
	}
	h.same(before, queue)
}

func TestAStoppedHostKeepsItsStacks(t *testing.T) {
	h := startHost(t)
	queue := h.deployed()
	h.get("/hello")
	before, st := h.state(), h.status()
	worker := h.functionStatus("api").PIDs[0]
	if err := h.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, pid := range map[string]int{"host": st.PID, "supervisor": st.Supervisor, "worker": worker} {
		if alive(pid) {
			t.Errorf("the %s is still there", name)
		}
	}
	if _, err := h.Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v, want %v", err, ErrNotRunning)
	}
	if kept, err := Kept(t.Context(), h.home); err != nil || !kept {
		t.Errorf("kept %v, %v", kept, err)
	}
	if err := h.Stop(t.Context()); err != nil {
		t.Errorf("stopping what is stopped: %v", err)
	}
	again, err := Ensure(t.Context(), testStart(h.home))
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	h.same(before, queue)
}

func TestSecretsAreNotShown(t *testing.T) {
	h := startHost(t)
	h.deployed()
	r, err := h.Get(t.Context(), testStack, api.KindFunction, "api")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(r.Spec), `"secrets":{"KEY":""}`) || strings.Contains(string(r.Spec), "hidden") {
		t.Errorf("got %s", r.Spec)
	}
	if got := h.get("/env"); !strings.Contains(got, "KEY=hidden\n") {
		t.Errorf("the worker must have it:\n%s", got)
	}
}

func TestWorkersHaveOnlyTheirOwnEnvironment(t *testing.T) {
	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "secret")
	h := startHost(t)
	h.api(func(f *api.FunctionSpec) { f.Runtime = "node22"; f.LogLevel = "warn"; f.Env["TMPDIR"] = "/elsewhere" })
	var names []string
	for line := range strings.SplitSeq(strings.TrimPrefix(h.get("/env"), "200 "), "\n") {
		name, value, _ := strings.Cut(line, "=")
		names = append(names, name)
		if name == "TMPDIR" && !strings.HasPrefix(value, h.home) {
			t.Errorf("TMPDIR is %s", value)
		}
		if name == "NODE_OPTIONS" && value != "--max-old-space-size=192 --max-semi-space-size=8" {
			t.Errorf("NODE_OPTIONS is %s", value)
		}
	}
	for _, name := range []string{"PATH", "HOME", "NAME", "TMPDIR", "ANYFAAS_LISTENER", "ANYFAAS_LOG_LEVEL", "ANYFAAS_FUNCTION"} {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+name+" ") {
			t.Errorf("%s is missing in %v", name, names)
		}
	}
	for _, name := range names {
		if strings.HasPrefix(name, "PULUMI") || name == roleEnv {
			t.Errorf("%s must not be there", name)
		}
	}
}

func TestManyStartsAtOnceMakeOneHost(t *testing.T) {
	h := startHost(t)
	if err := h.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	pids := make([]int, 6)
	var all sync.WaitGroup
	for i := range pids {
		all.Go(func() {
			c, err := Ensure(t.Context(), testStart(h.home))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			st, err := c.Status(t.Context())
			if err != nil {
				t.Error(err)
			}
			pids[i] = st.PID
		})
	}
	all.Wait()
	for _, pid := range pids {
		if pid != pids[0] {
			t.Errorf("several hosts: %v", pids)
		}
	}
}

func TestAHostThatCannotStartSaysWhy(t *testing.T) {
	home := t.TempDir()
	l := layoutOf(home)
	if err := l.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.database, []byte("this is no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Ensure(t.Context(), testStart(home))
	if err == nil {
		t.Fatal("it started")
	}
	want := fmt.Sprintf("the local host did not start (exit status 1); the end of %s:\n  read %s: ", l.output, l.database)
	if got := strings.ReplaceAll(err.Error(), "open "+l.database, "read "+l.database); !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s…", got, want)
	}
}

func TestAHostOfAnotherVersionIsReplacedWhenIdle(t *testing.T) {
	h := startHost(t)
	queue := h.deployed()
	before, old := h.state(), h.status()
	slow := h.start("/sleep/1s")
	h.busy("api", 1)
	t.Setenv("ANYFAAS_LOCAL_TEST_VERSION", "newer")
	start := testStart(h.home)
	start.Version = "newer"
	c, err := Ensure(t.Context(), start)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := <-slow; !strings.HasPrefix(got, "200 ") {
		t.Errorf("the running call: %s", got)
	}
	st, err := c.Status(t.Context())
	if err != nil || st.Version != "newer" || st.PID == old.PID {
		t.Errorf("got %+v, %v", st, err)
	}
	h.Client.start.Version = "newer"
	h.same(before, queue)
}

func TestAStackBelongsToOneProject(t *testing.T) {
	h := startHost(t)
	h.service(nil)
	_, err := h.Put(t.Context(), testStack, api.KindService, "shop", api.ServiceSpec{Service: "shop", Stage: "dev", Owner: "/other"})
	want := &Error{Status: 409, Code: "owned", Text: `stack "shop-dev" on this machine belongs to service "shop", stage "dev", of /project`}
	got, _ := errors.AsType[*Error](err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestPorts(t *testing.T) {
	h := startHost(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := l.Addr().(*net.TCPAddr).Port
	spec := func(port int) api.ServiceSpec {
		return api.ServiceSpec{Service: "shop", Stage: "dev", Owner: "/project", Port: port}
	}
	_, err = h.Put(t.Context(), testStack, api.KindService, "shop", spec(taken))
	if want := fmt.Sprintf("port %d on 127.0.0.1 is taken by another program", taken); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	l.Close()
	out := h.put(api.KindService, "shop", spec(taken))
	data := h.status().Data
	want := api.Outputs{"url": fmt.Sprintf("http://127.0.0.1:%d", taken), "port": float64(taken), "events": data + "/shop-dev/events"}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if again := h.put(api.KindService, "shop", spec(0)); !cmp.Equal(again, want) {
		t.Errorf("a front without a wish keeps its port, got %v", again)
	}
	l, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().(*net.TCPAddr).Port
	l.Close()
	h.put(api.KindService, "shop", spec(free))
	if got, want := answerOf(http.Get(fmt.Sprintf("http://127.0.0.1:%d", free))), `404 {"message":"Not Found"}`; got != want {
		t.Errorf("the new port: got %s, want %s", got, want)
	}
	if got := answerOf(http.Get(want["url"].(string))); !strings.Contains(got, "refused") {
		t.Errorf("the old port still answers: %s", got)
	}
}

func TestTheFirstPortMovesWithTheEnvironment(t *testing.T) {
	const first = 31000
	t.Setenv("ANYFAAS_LOCAL_FIRST_PORT", strconv.Itoa(first))
	h := startHost(t)
	out := h.put(api.KindService, "shop", api.ServiceSpec{Service: "shop", Stage: "dev", Owner: "/project"})
	port := func(address any) int {
		u, err := url.Parse(fmt.Sprint(address))
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(u.Port())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// Others may have the first ones, so they need not be hit exactly.
	if got := port(out["url"]); got < first || got > first+100 {
		t.Errorf("the front is at %d, want about %d", got, first)
	}
	if got, want := port(h.status().Data), first+1320; got < want || got > want+100 {
		t.Errorf("the data plane is at %d, want about %d", got, want)
	}
}

func TestAFirstPortThatIsNoneIsRefused(t *testing.T) {
	for _, text := range []string{"http", "80", "65000"} {
		t.Setenv("ANYFAAS_LOCAL_FIRST_PORT", text)
		_, err := Ensure(t.Context(), testStart(t.TempDir()))
		want := `ANYFAAS_LOCAL_FIRST_PORT must be a number from 1024 to 63535, not "` + text + `"`
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestWhatCannotBePut(t *testing.T) {
	h := startHost(t)
	if _, err := h.Put(t.Context(), testStack, api.KindRoute, "r", api.RouteSpec{Function: "api", Method: "GET", Path: "/"}); err == nil ||
		err.Error() != `stack "shop-dev" has no service yet` {
		t.Errorf("got %v", err)
	}
	h.service(nil)
	good := h.spec("api", nil)
	change := func(c func(*api.FunctionSpec)) api.FunctionSpec { s := good; c(&s); return s }
	tests := []struct {
		name string
		kind api.Kind
		key  string
		spec any
		want string
	}{
		{"an unknown field", api.KindFunction, "api", map[string]any{"artefact": "x"}, `read the specification: json: unknown field "artefact"`},
		{
			"an artifact that was not uploaded", api.KindFunction, "api", change(func(s *api.FunctionSpec) { s.Artifact = strings.Repeat("0", 64) }),
			"artifact " + strings.Repeat("0", 64) + " has not been uploaded",
		},
		{"no command", api.KindFunction, "api", change(func(s *api.FunctionSpec) { s.Command = nil }), `function "api" has no command`},
		{"no timeout", api.KindFunction, "api", change(func(s *api.FunctionSpec) { s.Timeout = 0 }), `function "api" has no timeout`},
		{"more warm than allowed", api.KindFunction, "api", change(func(s *api.FunctionSpec) { s.MaxConcurrency = 1; s.Warm = 2 }), `function "api" keeps 2 executions warm but allows 1`},
		{"a name that leads elsewhere", api.KindFunction, ".x", good, `".x" is not a function name`},
		{"an unknown kind", "gadgets", "g", struct{}{}, `there is no kind of resource "gadgets"`},
		{"a bad path", api.KindRoute, "r", api.RouteSpec{Function: "api", Method: "GET", Path: "x"}, `path "x" must start with /`},
		{"a method in lower case", api.KindRoute, "r", api.RouteSpec{Function: "api", Method: "get", Path: "/"}, `method "get" must be in upper case, or * for any`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := h.Put(t.Context(), testStack, tt.kind, tt.key, tt.spec)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestWhatIsGoneIsNoError(t *testing.T) {
	h := startHost(t)
	h.service(nil)
	ctx := t.Context()
	if st, err := h.Stack(ctx, "nope"); st != nil || err != nil {
		t.Errorf("got %v, %v", st, err)
	}
	if r, err := h.Get(ctx, testStack, api.KindFunction, "nope"); r != nil || err != nil {
		t.Errorf("got %v, %v", r, err)
	}
	for _, kind := range api.Kinds {
		if err := h.Delete(ctx, testStack, kind, "nope"); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if err := h.DeleteStack(ctx, "nope"); err != nil {
		t.Error(err)
	}
}

func TestOnlyTheOwnerReachesTheHost(t *testing.T) {
	h := startHost(t)
	l := layoutOf(h.home)
	for path, want := range map[string]os.FileMode{l.root: 0o700, l.socket: 0o600, l.database: 0o600, l.logs: 0o700, l.artifacts: 0o700, l.output: 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: %v, want %v", path, info.Mode().Perm(), want)
		}
	}
}

// Anybody can make files in the temporary folder, under any name.
func TestAForeignSocketIsNotTrusted(t *testing.T) {
	home := filepath.Join(t.TempDir(), strings.Repeat("long/", 20))
	socket := Socket(home)
	short := filepath.Dir(socket)
	theirs := filepath.Join(t.TempDir(), "x")
	if err := os.Mkdir(theirs, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(short), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(theirs, short); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(short)
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the host of somebody else was asked for %s", r.URL.Path)
	}))
	defer l.Close()
	c := NewClient(home)
	defer c.Close()
	if _, err := c.Status(t.Context()); err == nil || !strings.HasSuffix(err.Error(), short+" is not a folder") {
		t.Errorf("got %v", err)
	}
}

func TestALongHomeGetsAShortSocket(t *testing.T) {
	home := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	path := Socket(home)
	if len(path) > maxSocket || path != Socket(home+"/") || path == Socket(home+"2") {
		t.Errorf("socket %s", path)
	}
	c, err := Ensure(t.Context(), testStart(home))
	if err != nil {
		t.Fatal(err)
	}
	h := &testHost{Client: c, t: t, home: home}
	defer os.RemoveAll(filepath.Dir(path))
	h.api(nil)
	if got, want := h.get("/hello"), "200 hello from api"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := c.DeleteStack(t.Context(), testStack); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			return "the socket is still there"
		}
		return ""
	})
}

func TestArtifactsThatNobodyNeedsAreRemoved(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	second := h.artifact("2")
	h.function("api", func(f *api.FunctionSpec) { f.Artifact = second })
	third := h.artifact("3") // uploaded for a deploy that never comes
	if err := h.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := Ensure(t.Context(), testStart(h.home))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	for hash, want := range map[string]bool{second: true, third: false} {
		if has, err := h.HasArtifact(t.Context(), hash); err != nil || has != want {
			t.Errorf("artifact %s: %v, %v, want %v", hash[:6], has, err, want)
		}
	}
	if got, want := h.get("/hello"), "200 hello from api"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	wrong := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(wrong, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = h.PutArtifact(context.Background(), third, wrong)
	if err == nil || !strings.Contains(err.Error(), "the content does not have this sha256 but 2d711642") {
		t.Errorf("got %v", err)
	}
}

func TestTheHostWaitsForAPortThatAnotherProgramHasTaken(t *testing.T) {
	h := startHost(t)
	queue := h.deployed()
	before := h.state()
	if err := h.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	port := strings.TrimPrefix(before.URL, "http://")
	l, err := net.Listen("tcp", port)
	if err != nil {
		t.Fatal(err)
	}
	// Everything else comes back, and the front once its port is free.
	if err := h.Delete(t.Context(), testStack, api.KindRoute, "nope"); err != nil {
		t.Fatal(err)
	}
	if got := answerOf(http.Get(queue + "?peek=true")); !strings.Contains(got, `"m"`) {
		t.Errorf("the queue: %s", got)
	}
	l.Close()
	h.same(before, queue)
}

func TestAHostWhoseHomeIsDeletedEnds(t *testing.T) {
	home, err := os.MkdirTemp("", "home")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Ensure(t.Context(), testStart(home))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h := &testHost{Client: c, t: t, home: home}
	h.api(nil)
	h.get("/hello")
	st, worker := h.status(), h.functionStatus("api").PIDs[0]
	if err := os.RemoveAll(home); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		for name, pid := range map[string]int{"host": st.PID, "supervisor": st.Supervisor, "worker": worker} {
			if alive(pid) {
				return "the " + name + " is still there"
			}
		}
		return ""
	})
	if _, err := os.Stat(home); !errors.Is(err, os.ErrNotExist) {
		filepath.Walk(home, func(p string, _ os.FileInfo, _ error) error { t.Error("the host has put there again:", p); return nil })
		os.RemoveAll(home)
	}
}

func killProcess(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}

// TestAHostThatEndsLeavesNothingInItsProcess runs the host in this process.
func TestAHostThatEndsLeavesNothingInItsProcess(t *testing.T) {
	before := goleak.IgnoreCurrent()
	home, err := os.MkdirTemp("", "home")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	ready := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- Run(t.Context(), Options{Home: home, Version: "test", Log: io.Discard, ready: func() { close(ready) }})
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	c := NewClient(home)
	h := &testHost{Client: c, t: t, home: home}
	if err := Run(t.Context(), Options{Home: home, Log: io.Discard, lockTimeout: 50 * time.Millisecond}); !errors.Is(err, ErrRunning) {
		t.Errorf("a second host: got %v, want %v", err, ErrRunning)
	}
	h.deployed()
	h.put(api.KindQueueConsumer, "api.jobs", api.QueueConsumerSpec{Function: "api", Queue: "jobs", Batch: 1})
	for _, path := range []string{"/hello", "/crash", "/cut", "/print/x"} {
		h.get(path)
	}
	if _, err := h.Invoke(t.Context(), testStack, "api", api.InvokeRequest{}); err != nil {
		t.Error(err)
	}
	h.logHas("api", "request 200 queue.message.v1 from /queues/jobs")
	if err := h.DeleteStack(t.Context(), testStack); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the host ended with %v", err)
	}
	c.Close()
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, before)
}
