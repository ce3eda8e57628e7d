package e2e

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A deploy that is killed at any moment loses nothing: the next one finishes
// the work, and nothing is left on the host that is not in the state.
func TestADeployThatIsKilledIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	runs := 6
	if s := os.Getenv("CRASH_RUNS"); s != "" {
		var err error
		if runs, err = strconv.Atoi(s); err != nil {
			t.Fatalf("CRASH_RUNS: %v", err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("CRASH_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("CRASH_SEED: %v", err)
		}
	}
	t.Logf("CRASH_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	w := newWorld(t, "examples/photos")
	w.must(0, "package") // so that the deploy is not mostly building
	start := time.Now()
	w.must(0, "deploy", "--yes")
	took := time.Since(start)
	complete := w.held()
	w.must(0, "remove", "--yes")

	for i := range runs {
		after := time.Duration(random.Int64N(int64(took * 11 / 10)))
		cmd := w.command("deploy", "--yes")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after) // the moment is what is being tested
		killed := cmd.Process.Kill() == nil
		_ = cmd.Wait()
		t.Logf("run %d: killed after %v (%v)", i+1, after.Round(time.Millisecond), killed)

		w.must(0, "deploy", "--yes")
		w.must(0, "preview", "--exit-code")
		if got := w.held(); got != complete {
			t.Fatalf("run %d: the host holds something else than after an undisturbed deploy:\n%s\nwant\n%s", i+1, got, complete)
		}
		w.want(404, "there is no such photo", "GET", w.url()+"/photos/none", "")
		w.must(0, "remove", "--yes")
		w.nothingRuns()
	}
}

// held lists, sorted, what the host holds, asked over its own socket, and what
// the state records.
func (w *world) held() string {
	w.Helper()
	host := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(w.home, "local", "admin.sock"))
		},
	}}
	res, err := host.Get("http://host/v1/stacks/" + w.status().stack(w).Stack)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	var state struct{ Resources []struct{ Kind, Name string } }
	if err := json.NewDecoder(res.Body).Decode(&state); err != nil {
		w.Fatal(err)
	}
	var all []string
	for _, r := range state.Resources {
		all = append(all, "held "+r.Kind+" "+r.Name)
	}
	if len(all) == 0 {
		w.Error("the host holds nothing")
	}
	var info struct{ Resources []struct{ Type, Name string } }
	w.read(&info, "info")
	for _, r := range info.Resources {
		all = append(all, "recorded "+r.Type+" "+r.Name)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}
