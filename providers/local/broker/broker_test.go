package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		runChild(dir)
	}
	goleak.VerifyTestMain(m)
}

// A fakeCaller runs Go functions in place of a user's.
type fakeCaller struct {
	mu        sync.Mutex
	functions map[string]func(context.Context, Call) ([]string, error)
	calls     []Call
}

func (f *fakeCaller) Call(ctx context.Context, c Call) ([]string, error) {
	f.mu.Lock()
	f.calls = append(f.calls, c)
	fn := f.functions[c.Function]
	f.mu.Unlock()
	if fn == nil {
		return nil, nil
	}
	return fn(ctx, c)
}

func (f *fakeCaller) handle(function string, fn func(context.Context, Call) ([]string, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.functions == nil {
		f.functions = map[string]func(context.Context, Call) ([]string, error){}
	}
	f.functions[function] = fn
}

// events returns all events a function was called with, in the order of calls.
func (f *fakeCaller) events(function string) []api.CloudEvent {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []api.CloudEvent
	for _, c := range f.calls {
		if c.Function == function {
			list = append(list, c.Events...)
		}
	}
	return list
}

// A fixture is a broker with a fake caller.
type fixture struct {
	t      *testing.T
	opts   Options
	caller *fakeCaller
	*Broker
}

func open(t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, caller: &fakeCaller{}}
	f.opts = Options{
		Dir: t.TempDir(), Caller: f.caller,
		FirstPort: firstPort(),
		Retry:     Backoff{First: 5 * time.Millisecond, Max: 50 * time.Millisecond},
		Log:       slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for _, c := range change {
		c(&f.opts)
	}
	f.reopen()
	t.Cleanup(f.close)
	return f
}

// firstPort keeps runs of these tests at the same time from taking the port of a
// broker that is just being restarted.
func firstPort() int { return 10_000 + rand.IntN(20_000) }

func (f *fixture) reopen() {
	f.t.Helper()
	b, err := Open(f.t.Context(), f.opts)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Broker = b
}

func (f *fixture) close() {
	if err := f.Broker.Close(context.Background()); err != nil {
		f.t.Error(err)
	}
}

// apply applies a resource of stack "shop-dev".
func (f *fixture) apply(kind api.Kind, name string, spec any) api.Outputs {
	f.t.Helper()
	raw, err := json.Marshal(spec)
	if err != nil {
		f.t.Fatal(err)
	}
	out, err := f.Apply(context.Background(), "shop-dev", kind, name, raw)
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

// A reply is the answer to an HTTP request.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

// do sends a request; header holds "Name: value" lines.
func do(t *testing.T, method, url, body string, header ...string) reply {
	t.Helper()
	rq, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			rq.Host = value
			continue
		}
		rq.Header.Set(name, value)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	rs, err := client.Do(rq)
	if err != nil {
		t.Fatal(err)
	}
	defer rs.Body.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, rs.Body); err != nil {
		t.Fatal(err)
	}
	return reply{rs.StatusCode, rs.Header, strings.TrimSpace(b.String())}
}

// received decodes the answer of a receive.
func received(t *testing.T, r reply) []map[string]any {
	t.Helper()
	var v struct{ Messages []map[string]any }
	if err := json.Unmarshal([]byte(r.Body), &v); err != nil || r.Status != 200 {
		t.Fatalf("receive: status %d, %s", r.Status, r.Body)
	}
	return v.Messages
}

// eventually waits until check returns "", the text being what is still wrong.
func eventually(t *testing.T, check func() string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		wrong := check()
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still wrong after 20 seconds: %s", wrong)
		}
		time.Sleep(pause)
	}
}

var errBroken = errors.New("the function is broken")

type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(string(bytes.TrimSpace(b)))
	}
	return len(b), nil
}

// wantCount says what is wrong when a count is not as wanted.
func wantCount(what string, got, want int) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("%s: %d, want %d", what, got, want)
}
