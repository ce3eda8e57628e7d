package e2e

import (
	"strings"
	"testing"
)

func TestOfTwoDeploysAtOnceOneWinsAndTheOtherNamesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "examples/meetings")
	w.must(0, "package") // so that both come to the lock at the same time

	// Whether two runs overlap is for the scheduler to say: try until they do.
	for try := 1; ; try++ {
		results := make(chan result, 2)
		for range 2 {
			cmd := w.command("deploy", "--yes")
			go func() { results <- w.finish(cmd) }()
		}
		a, b := <-results, <-results
		if a.code > b.code {
			a, b = b, a
		}
		if a.code == 0 && b.code == 0 && try < 10 {
			w.must(0, "remove", "--yes")
			continue
		}
		if a.code != 0 || b.code != 5 {
			t.Fatalf("want exit codes 0 and 5, got %d and %d\n%s\n%s", a.code, b.code, a.stderr, b.stderr)
		}
		for _, want := range []string{"stack meetings/dev (local) is locked by deploy of ", "(process ", "anyfaas stack unlock --stage dev --provider local"} {
			if !strings.Contains(b.stderr, want) {
				t.Errorf("the loser does not say %q:\n%s", want, b.stderr)
			}
		}
		break
	}
	w.must(0, "preview", "--exit-code")
	w.must(0, "remove", "--yes")
}

func TestADeployWaitingToAskHoldsNoLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "examples/meetings")
	r := w.must(2, "deploy")
	if want := "anyfaas: deploy has nobody to ask: this is no terminal\n"; !strings.HasPrefix(r.stderr, want) {
		t.Errorf("want %q, got %q", want, r.stderr)
	}
	w.must(0, "deploy", "--yes")
	w.must(0, "remove", "--yes")
}
