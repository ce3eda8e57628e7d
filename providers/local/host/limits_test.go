package host

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// start requests a path in the background.
func (h *testHost) start(path string) <-chan string {
	done := make(chan string, 1)
	go func() {
		resp, err := http.Get(h.url + path)
		done <- answerOf(resp, err)
	}()
	return done
}

// busy waits until a function has so many executions.
func (h *testHost) busy(name string, n int) {
	h.t.Helper()
	eventually(h.t, func() string {
		if got := h.functionStatus(name).Busy; got != n {
			return fmt.Sprintf("%d executions, want %d", got, n)
		}
		return ""
	})
}

// logHas waits for a line in a function's log.
func (h *testHost) logHas(function, pattern string) {
	h.t.Helper()
	re := regexp.MustCompile(`(?m)^` + pattern + `$`)
	eventually(h.t, func() string {
		if text := h.log(function); !re.MatchString(text) {
			return fmt.Sprintf("no line %q in\n%s", pattern, text)
		}
		return ""
	})
}

func TestCallsBeyondTheLimitAreRefused(t *testing.T) {
	h := startHost(t)
	h.api(func(f *api.FunctionSpec) { f.MaxConcurrency = 2 })
	a, b := h.start("/sleep/700ms"), h.start("/sleep/700ms")
	h.busy("api", 2)
	resp, err := http.Get(h.url + "/hello")
	if err != nil {
		t.Fatal(err)
	}
	retry := resp.Header.Get("Retry-After")
	if got, want := answerOf(resp, nil), `429 {"message":"Too Many Requests"}`; got != want || retry != "1" {
		t.Errorf("got %s, Retry-After %q, want %s", got, retry, want)
	}
	for _, c := range []<-chan string{a, b} {
		if got := <-c; !strings.HasPrefix(got, "200 ") {
			t.Errorf("got %s", got)
		}
	}
	if got, want := h.get("/hello"), "200 hello from api"; got != want {
		t.Errorf("afterwards: got %s, want %s", got, want)
	}
	h.logHas("api", "request 429 GET /hello: Too Many Requests")
}

func TestOnlyCallsThatWaitedForAStartAreCold(t *testing.T) {
	h := startHost(t)
	h.api(func(f *api.FunctionSpec) { f.Tracing = true })
	h.put(api.KindFunction, "one", h.spec("one", func(f *api.FunctionSpec) { f.MaxConcurrency = 1 }))
	var events sync.WaitGroup
	for range 3 { // wait in turn for the one worker
		events.Go(func() {
			h.Invoke(t.Context(), testStack, "one", api.InvokeRequest{Trigger: "schedule"})
		})
	}
	events.Wait()
	cold := 0
	for _, l := range h.lines("one", 3) {
		if l.Cold {
			cold++
		}
	}
	if cold != 1 {
		t.Errorf("%d of 3 calls of one worker are cold", cold)
	}
	if got := h.get("/raw"); !regexp.MustCompile(`\nTraceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01\n`).MatchString(got) {
		t.Errorf("the call carries no trace:\n%s", got)
	}
}

func TestExecutionsShareAWorkerUpToPerInstance(t *testing.T) {
	h := startHost(t)
	h.api(func(f *api.FunctionSpec) { f.PerInstance = 3 })
	var calls []<-chan string
	for range 6 {
		calls = append(calls, h.start("/sleep/700ms"))
	}
	h.busy("api", 6)
	pids := map[string]int{}
	for _, c := range calls {
		pids[<-c]++
	}
	if len(pids) != 2 {
		t.Errorf("six calls, three to a worker, used workers %v", pids)
	}
	if st := h.functionStatus("api"); st.Workers != 2 || len(st.PIDs) != 2 || st.Calls != 6 || st.Errors != 0 {
		t.Errorf("status %+v", st)
	}
}

func TestAWorkerPastItsDeadlineIsReplaced(t *testing.T) {
	h := startHost(t)
	h.api(func(f *api.FunctionSpec) { f.Timeout = api.Duration(500 * time.Millisecond); f.PerInstance = 2 })
	first := h.get("/pid")
	stuck := h.start("/stuck/1m")
	h.busy("api", 1)
	if got, want := <-stuck, `504 {"message":"Endpoint request timed out"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if second := h.get("/pid"); second == first || !strings.HasPrefix(second, "200 ") {
		t.Errorf("worker %s was not replaced: %s", first, second)
	}
	pid, _ := strconv.Atoi(strings.TrimPrefix(first, "200 "))
	eventually(t, func() string {
		if alive(pid) {
			return "the stuck worker is still there"
		}
		return ""
	})
	h.logHas("api", "request 504 error GET /stuck/1m: Endpoint request timed out")
	// One call that passes its deadline does not take another one with it.
	h.function("api", func(f *api.FunctionSpec) { f.Timeout = api.Duration(time.Second); f.PerInstance = 2 })
	h.get("/pid")
	late := h.start("/stuck/1m")
	time.Sleep(500 * time.Millisecond)
	other := h.start("/sleep/800ms")
	if got := <-late; !strings.HasPrefix(got, "504 ") {
		t.Errorf("got %s", got)
	}
	if got := <-other; !strings.HasPrefix(got, "200 ") {
		t.Errorf("the other call on the worker: got %s", got)
	}
}

func TestAWorkerOverItsMemoryIsEnded(t *testing.T) {
	h := startHost(t)
	h.api(func(f *api.FunctionSpec) { f.MemoryMB = 100 })
	got := h.get("/eat/300")
	if !regexp.MustCompile(`^502 {"message":"memory limit exceeded: used \d+ MB of 100 MB"}$`).MatchString(got) {
		t.Errorf("got %s", got)
	}
	h.logHas("api", `err error memory limit exceeded: used \d+ MB of 100 MB`)
	if got, want := h.get("/hello"), "200 hello from api"; got != want {
		t.Errorf("afterwards: got %s, want %s", got, want)
	}
}

func TestAWorkerThatCrashes(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	if got, want := h.get("/crash"), `502 {"message":"the worker exited (exit status 3)"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	h.logHas("api", "err about to crash")
	h.logHas("api", `err error the worker exited \(exit status 3\)`)
	h.logHas("api", `request 502 error GET /crash: the worker exited \(exit status 3\)`)
	if got, want := h.get("/hello"), "200 hello from api"; got != want {
		t.Errorf("afterwards: got %s, want %s", got, want)
	}
	if st := h.functionStatus("api"); st.Calls != 2 || st.Errors != 1 {
		t.Errorf("status %+v", st)
	}
}

func TestAWorkerThatTakesNoConnectionsIsReplaced(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	h.get("/deaf")
	if got, want := h.get("/hello"), `502 {"message":"the worker runs but takes no connections; it is replaced"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := h.get("/hello"), "200 hello from api"; got != want {
		t.Errorf("afterwards: got %s, want %s", got, want)
	}
}

func TestAWorkerThatDoesNotStart(t *testing.T) {
	h := startHost(t)
	tests := []struct {
		name   string
		change func(*api.FunctionSpec)
		want   string
	}{
		{
			"it exits", func(f *api.FunctionSpec) { f.Env["WORKER_FAIL"] = "no key" },
			`502 {"message":"the function did not start: the worker exited before it was ready (exit status 7): cannot start: no key"}`,
		},
		{
			"there is no such program", func(f *api.FunctionSpec) { f.Command = []string{"no-such-program"} },
			`502 {"message":"the function did not start: start no-such-program: \"no-such-program\" is neither in PATH nor in the artifact"}`,
		},
		{
			"the program is not in the artifact", func(f *api.FunctionSpec) { f.Command = []string{"./server"} },
			`502 {"message":"the function did not start: start ./server: fork/exec DIR/server: no such file or directory"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.api(tt.change)
			got := regexp.MustCompile(`/[^ ]*\.dir/`).ReplaceAllString(h.get("/hello"), "DIR/")
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestProcessesThatAWorkerLeavesBehindEndWithIt(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		end        func(h *testHost) error
	}{
		{"a child, when the worker crashes", "/child", func(h *testHost) error { h.get("/crash"); return nil }},
		{"a child, when the host is killed", "/child", func(h *testHost) error { return killProcess(h.status().PID) }},
		{"a daemon, when the worker crashes", "/child/daemon", func(h *testHost) error { h.get("/crash"); return nil }},
		{"a daemon, when the host is killed", "/child/daemon", func(h *testHost) error { return killProcess(h.status().PID) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if strings.Contains(tt.path, "daemon") && runtime.GOOS != "linux" {
				t.Skip("only Linux tells whose a process is that has left its group")
			}
			h := startHost(t)
			h.api(nil)
			child, err := strconv.Atoi(strings.TrimPrefix(h.get(tt.path), "200 "))
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.end(h); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() string {
				if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child)); err == nil && !strings.Contains(string(stat), ") Z ") {
					return "what the worker started is still there"
				}
				return ""
			})
		})
	}
}

func TestWorkersAreKeptWarmOrEndedWhenIdle(t *testing.T) {
	t.Setenv("ANYFAAS_LOCAL_IDLE", "300ms")
	h := startHost(t)
	h.service(nil)
	h.function("lazy", nil)
	h.function("eager", func(f *api.FunctionSpec) { f.Warm = 3; f.PerInstance = 2 })
	h.route("*", "/{path+}", "lazy", nil)
	h.route("GET", "/sleep/{d}", "eager", nil)
	workers := func(name string, n int) {
		t.Helper()
		eventually(t, func() string {
			if got := h.functionStatus(name).Workers; got != n {
				return fmt.Sprintf("%s has %d workers, want %d", name, got, n)
			}
			return ""
		})
	}
	workers("eager", 2)
	workers("lazy", 0)
	h.get("/hello")
	workers("lazy", 1)
	var calls []<-chan string
	for range 7 {
		calls = append(calls, h.start("/sleep/500ms"))
	}
	workers("eager", 4)
	for _, c := range calls {
		<-c
	}
	workers("lazy", 0)
	workers("eager", 2)
	// A warm worker that dies is replaced without a call.
	dead := h.functionStatus("eager").PIDs[0]
	kill(dead)
	eventually(t, func() string {
		if st := h.functionStatus("eager"); st.Workers != 2 || slices.Contains(st.PIDs, dead) {
			return fmt.Sprintf("workers %v, killed %d", st.PIDs, dead)
		}
		return ""
	})
}

func TestAnUpdateUnderLoadFailsNoRequest(t *testing.T) {
	h := startHost(t)
	h.api(func(f *api.FunctionSpec) { f.Env["NAME"] = "v0"; f.PerInstance = 8; f.Env["WORKER_BOOT"] = "20ms" })
	var stop atomic.Bool
	var mu sync.Mutex
	answers := map[string]int{}
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for !stop.Load() {
				got := answerOf(c.Get(h.url + "/hello"))
				mu.Lock()
				answers[got]++
				mu.Unlock()
			}
		})
	}
	const versions = 6
	for v := 1; v < versions; v++ {
		h.function("api", func(f *api.FunctionSpec) {
			f.Env["NAME"] = fmt.Sprintf("v%d", v)
			f.PerInstance = 8
			f.Env["WORKER_BOOT"] = "20ms"
		})
		// What is put counts from here on.
		if got, want := h.get("/hello"), fmt.Sprintf("200 hello from v%d", v); got != want {
			t.Errorf("after the update: got %s, want %s", got, want)
		}
	}
	stop.Store(true)
	clients.Wait()
	for got := range answers {
		if !strings.HasPrefix(got, "200 hello from v") {
			t.Errorf("%d × %s", answers[got], got)
		}
	}
	eventually(t, func() string {
		if st := h.functionStatus("api"); st.Workers > 1 {
			return fmt.Sprintf("old workers are still there: %v", st.PIDs)
		}
		return ""
	})
}

func TestLimitsChangeWithoutNewWorkers(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	before := h.get("/pid")
	h.function("api", func(f *api.FunctionSpec) { f.MaxConcurrency = 1; f.Timeout = api.Duration(300 * time.Millisecond) })
	if after := h.get("/pid"); after != before {
		t.Errorf("worker %s was replaced by %s for a limit", before, after)
	}
	if got := h.get("/sleep/5s"); !strings.HasPrefix(got, "504 ") {
		t.Errorf("the new timeout does not count: %s", got)
	}
}

// TestEventsWaitInTurn calls a function directly in this process: which waiter
// is next cannot be told from outside.
func TestEventsWaitInTurn(t *testing.T) {
	m := newTestMachine(t)
	f := newFunction(m, testStack, "f")
	f.spec = api.FunctionSpec{MaxConcurrency: 1, PerInstance: 1}
	w := &worker{ready: true, program: &program{}, exited: make(chan struct{}), done: make(chan struct{})}
	f.program, f.workers = w.program, []*worker{w}
	if _, _, err := f.acquire(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []string
	var waiting sync.WaitGroup
	wait := func(source string, n int) {
		waiting.Go(func() {
			w, _, err := f.acquire(t.Context(), source)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, fmt.Sprintf("%s%d", source, n))
			mu.Unlock()
			f.release(w, releaseOptions{})
		})
		eventually(t, func() string {
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(f.held.waiting[source]) < n {
				return "not waiting yet"
			}
			return ""
		})
	}
	wait("queue", 1)
	wait("queue", 2)
	wait("queue", 3)
	wait("topic", 1)
	wait("clock", 1)
	if _, _, err := f.acquire(t.Context(), ""); err != errBusy {
		t.Errorf("an HTTP call: got %v, want %v", err, errBusy)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := f.acquire(gone, "queue"); err != context.Canceled {
		t.Errorf("a call that is given up: got %v", err)
	}
	f.release(w, releaseOptions{})
	waiting.Wait()
	want := []string{"queue1", "topic1", "clock1", "queue2", "queue3"}
	if !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
	if f.active != 0 || f.held.size != 0 || w.load != 0 {
		t.Errorf("left over: %d active, %d held, load %d", f.active, f.held.size, w.load)
	}
}

func TestEventsOverTheLimitWaitWhileHTTPIsRefused(t *testing.T) {
	h := startHost(t)
	h.api(func(f *api.FunctionSpec) { f.MaxConcurrency = 1 })
	h.put(api.KindQueue, "jobs", api.QueueSpec{Visibility: api.Duration(time.Minute), Retention: api.Duration(time.Hour), MaxReceives: 5})
	h.put(api.KindQueueConsumer, "api.jobs", api.QueueConsumerSpec{Function: "api", Queue: "jobs", Batch: 1, Concurrency: 4})
	st, err := h.Stack(t.Context(), testStack)
	if err != nil {
		t.Fatal(err)
	}
	url := ""
	for _, r := range st.Resources {
		if r.Kind == api.KindQueue {
			url = r.Outputs["url"].(string)
		}
	}
	seen := filepath.Join(t.TempDir(), "seen")
	long := h.start("/sleep/700ms")
	h.busy("api", 1)
	body, _ := json.Marshal(map[string]string{"touch": seen})
	for range 5 {
		// The message becomes the event's data.body, which the worker does not
		// look into: that it is delivered shows in the log.
		if got := answerOf(http.Post(url, "application/json", strings.NewReader(string(body)))); !strings.HasPrefix(got, "201 ") {
			t.Fatalf("send: %s", got)
		}
	}
	if got := h.get("/hello"); !strings.HasPrefix(got, "429 ") {
		t.Errorf("got %s", got)
	}
	if got := <-long; !strings.HasPrefix(got, "200 ") {
		t.Errorf("got %s", got)
	}
	eventually(t, func() string {
		text := h.log("api")
		if n := strings.Count(text, "request 200 queue.message.v1 from /queues/jobs\n"); n != 5 {
			return fmt.Sprintf("%d of 5 deliveries in\n%s", n, text)
		}
		return ""
	})
}
