package e2e

import (
	"math/rand/v2"
	"os"
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

// held lists, sorted, the functions and queues that the host holds and the
// resources that the state records.
func (w *world) held() string {
	w.Helper()
	s := w.status().stack(w)
	var all []string
	for _, f := range s.Functions {
		all = append(all, "function "+f.Name)
	}
	for _, q := range s.Queues {
		all = append(all, "queue "+q.Name)
	}
	var info struct{ Resources []struct{ Type, Name string } }
	w.read(&info, "info")
	for _, r := range info.Resources {
		all = append(all, "recorded "+r.Type+" "+r.Name)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}
