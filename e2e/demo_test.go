package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The demo is the first thing that anybody runs. It ends well, and it leaves
// nothing behind, also when it is stopped half-way.
func TestTheDemoLeavesNothingBehind(t *testing.T) {
	for _, tt := range []struct {
		name string
		stop string // interrupt when this is printed; "" for not at all
		want string // of the output
		code int
	}{
		{"to the end", "", "6. Removed, with everything that ran", 0},
		{"stopped after its deploy", "3. Called over HTTP", "deploy done", 130},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			temp := filepath.Join(w.dir, "tmp")
			if err := os.Mkdir(temp, 0o755); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sh", filepath.Join("..", "examples", "demo.sh"))
			cmd.Env = append(w.environ(), "TMPDIR="+temp, "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
			var out screen
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { _ = cmd.Wait(); close(ended) }()
			for stopped := tt.stop == ""; ; {
				select {
				case <-ended:
				case <-time.After(10 * time.Millisecond):
					if !stopped && strings.Contains(out.String(), tt.stop) {
						stopped = true
						_ = cmd.Process.Signal(os.Interrupt)
					}
					continue
				}
				break
			}
			if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.Contains(out.String(), tt.want) {
				t.Errorf("want exit code %d and %q, got %d\n%s", tt.code, tt.want, code, &out)
			}
			w.nothingRuns()
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("left in the temporary folder: %v, %v", left, err)
			}
		})
	}
}
