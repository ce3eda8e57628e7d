package engine_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

func (w *world) lockFile(name string) string {
	return filepath.Join(w.dir, ".anyfaas/state/.pulumi/locks/organization/orders/dev-local", name)
}

func writeFile(t testing.TB, name string, content any) {
	t.Helper()
	data, ok := content.([]byte)
	if !ok {
		var err error
		if data, err = json.Marshal(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// waitFor reads lines until one is the wanted one.
func waitFor(t testing.TB, out io.Reader, want string) {
	t.Helper()
	for s := bufio.NewScanner(out); s.Scan(); {
		if s.Text() == want {
			return
		}
	}
	t.Fatalf("the child ended without saying %q", want)
}

// upErr deploys and returns the error.
func (w *world) upErr(t testing.TB, things ...thing) error {
	t.Helper()
	_, err := w.Up(t.Context(), testID, w.program(things...), stacks.Options{}, event.Discard)
	return err
}

// hold makes the first change of a run tell that it began and wait.
func hold(entered, leave chan struct{}) func(context.Context, string, providers.Resource) error {
	return func(context.Context, string, providers.Resource) error {
		close(entered)
		<-leave
		return nil
	}
}

func TestOneOfManyDeploysAtOnceWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	w.cloud.before = hold(entered, leave)
	const runs = 8
	errs := make([]error, runs)
	var wg sync.WaitGroup
	losers := make(chan struct{}, runs)
	for i := range runs {
		wg.Go(func() {
			if errs[i] = w.upErr(t, thing{Name: "api"}); errs[i] != nil {
				losers <- struct{}{}
			}
		})
	}
	<-entered
	for range runs - 1 {
		<-losers
	}
	close(leave)
	wg.Wait()
	won := 0
	for _, err := range errs {
		var locked *stacks.LockedError
		switch {
		case err == nil:
			won++
		case !errors.As(err, &locked):
			t.Errorf("a loser got %v", err)
		case locked.Holder.PID != os.Getpid() || locked.Holder.Command != "deploy" || locked.Holder.Stale:
			t.Errorf("a loser was told %+v", locked.Holder)
		}
	}
	same(t, "winners", 1, won)
	holder, err := w.Lock(t.Context(), testID)
	if holder != nil || err != nil {
		t.Errorf("afterwards the lock is held by %+v, %v", holder, err)
	}
}

func TestOneOfManyProcessesWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.up(t)
	// A thing takes so long that the others come while the first is at it.
	j := job{Dir: w.dir, Things: []thingSpec{{Name: "api"}}, Pause: 400 * time.Millisecond}
	type child struct {
		wait func() error
		out  io.Reader
	}
	var children []child
	for range 4 {
		cmd, out := spawn(t, j)
		children = append(children, child{cmd.Wait, out})
	}
	won, locked := 0, 0
	for _, c := range children {
		said, err := io.ReadAll(c.out)
		if err != nil {
			t.Fatal(err)
		}
		switch err := c.wait(); {
		case err == nil:
			won++
		case err.Error() == "exit status 5" && strings.HasPrefix(string(said), "locked by process"):
			locked++
		default:
			t.Errorf("a child ended with %v: %s", err, said)
		}
	}
	same(t, "winners", 1, won)
	same(t, "locked out", 3, locked)
}

func TestLockOfALivingProcessIsRespectedAndOfADeadOneTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.up(t)
	cmd, out := spawn(t, job{Dir: w.dir, Things: []thingSpec{{Name: "api"}}, Hold: true})
	waitFor(t, out, "holding")

	var locked *stacks.LockedError
	if err := w.upErr(t, thing{Name: "api"}); !errors.As(err, &locked) {
		t.Fatalf("while the child holds the lock: %v", err)
	}
	same(t, "holder", cmd.Process.Pid, locked.Holder.PID)
	if r := w.preview(t, thing{Name: "api"}); len(r.Changes) != 1 {
		t.Errorf("a preview works beside a deploy, but shows %v", summary(r))
	}

	cmd.Process.Kill()
	cmd.Wait()
	holder, err := w.Lock(t.Context(), testID)
	if err != nil || holder == nil || !holder.Stale {
		t.Errorf("the lock of the dead child is %+v, %v; want a stale one", holder, err)
	}
	var texts []string
	_, err = w.Up(t.Context(), testID, w.program(thing{Name: "api"}), stacks.Options{}, event.Func(func(e event.Event) {
		if m, ok := e.(event.Message); ok {
			texts = append(texts, m.Text)
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if len(texts) != 2 || !strings.HasPrefix(texts[0], "took over the lock of a deploy by ") || !strings.HasPrefix(texts[1], "the last deploy was interrupted") {
		t.Errorf("taking over was told as %q", texts)
	}
}

func TestLocksOfOthers(t *testing.T) {
	long := time.Now().Add(-time.Hour)
	tests := []struct {
		name  string
		file  string
		lock  map[string]any
		stale bool
	}{
		{
			name: "a pulumi command at work", file: "8c2c5a0e.json",
			lock: map[string]any{"pid": 1, "username": "ann", "hostname": "ci", "timestamp": time.Now()},
		},
		{
			name: "another machine that is alive", file: "anyfaas.json",
			lock: map[string]any{
				"pid": 1, "username": "ann", "hostname": "ci", "timestamp": long,
				"anyfaas": map[string]any{"run": "x", "operation": "deploy", "heartbeat": time.Now(), "process": map[string]any{"pid": 1, "machine": "other", "started": "y"}},
			},
		},
		{
			name: "another machine that is silent is stale, but keeps its lock", file: "anyfaas.json", stale: true,
			lock: map[string]any{
				"pid": 1, "username": "ann", "hostname": "ci", "timestamp": long,
				"anyfaas": map[string]any{"run": "x", "operation": "deploy", "heartbeat": long, "process": map[string]any{"pid": 1, "machine": "other", "started": "y"}},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			writeFile(t, w.lockFile(tt.file), tt.lock)
			var locked *stacks.LockedError
			if err := w.upErr(t, thing{Name: "api"}); !errors.As(err, &locked) {
				t.Fatalf("deploy: %v", err)
			}
			same(t, "user", "ann", locked.Holder.User)
			same(t, "host", "ci", locked.Holder.Host)
			same(t, "stale", tt.stale, locked.Holder.Stale)
			same(t, "nothing was done", []string{}, w.cloud.exist(t))
			if err := w.Unlock(t.Context(), testID); err != nil {
				t.Fatal(err)
			}
			w.up(t, thing{Name: "api"})
		})
	}
}

func TestLockThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	writeFile(t, w.lockFile("anyfaas.json"), []byte{})
	var locked *stacks.LockedError
	if err := w.upErr(t, thing{Name: "api"}); !errors.As(err, &locked) || !locked.Holder.Stale {
		t.Fatalf("deploy: %v", err)
	}
	if err := w.Unlock(t.Context(), testID); err != nil {
		t.Fatal(err)
	}
	w.up(t, thing{Name: "api"})
}

func TestNumberOfADeadProcessUsedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cmd, out := spawn(t, job{Dir: w.dir, Things: []thingSpec{{Name: "api"}}, Hold: true})
	waitFor(t, out, "holding")
	data, err := os.ReadFile(w.lockFile("anyfaas.json"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	// Another process, this one, now has the number of the dead holder.
	var lock map[string]any
	if err := json.Unmarshal(data, &lock); err != nil {
		t.Fatal(err)
	}
	lock["anyfaas"].(map[string]any)["process"].(map[string]any)["pid"] = os.Getpid()
	writeFile(t, w.lockFile("anyfaas.json"), lock)
	w.up(t, thing{Name: "api"})
}
