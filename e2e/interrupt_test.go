package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// A screen collects what a process prints while it goes on.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func TestCtrlC(t *testing.T) {
	for _, tt := range []struct {
		name    string
		presses int
	}{
		{"once: what runs is finished and recorded, and the exit code is 130", 1},
		{"twice: what runs is abandoned, and the next deploy still finishes the work", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "examples/photos")
			cmd := w.command("deploy", "--yes")
			var out screen
			cmd.Stdout, cmd.Stderr = &out, &out
			w.pressWhen(cmd, &out, "create", tt.presses)
			if code := cmd.ProcessState.ExitCode(); code != 130 && code != 0 {
				t.Fatalf("want exit code 130, or 0 when it was done already, got %d\n%s", code, &out)
			} else {
				t.Logf("exit code %d", code)
			}
			w.must(0, "deploy", "--yes")
			w.must(0, "preview", "--exit-code")
			w.must(0, "remove", "--yes")
			w.nothingRuns()
		})
	}
}

// pressWhen starts a command, interrupts it when it has printed word, and waits
// for its end.
func (w *world) pressWhen(cmd *exec.Cmd, out *screen, word string, presses int) {
	w.Helper()
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for !strings.Contains(out.String(), word) {
		select {
		case <-ended:
			w.Fatalf("ended without a %q:\n%s", word, out)
		case <-time.After(time.Millisecond):
		}
	}
	for range presses {
		_ = cmd.Process.Signal(os.Interrupt)
		time.Sleep(10 * time.Millisecond) // two signals at once would be one
	}
	select {
	case <-ended:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		w.Fatalf("did not end after an interrupt:\n%s", out)
	}
}
