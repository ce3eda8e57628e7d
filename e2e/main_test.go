package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "anyfaas-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "anyfaas")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.Command("go", "build", "-o", binary, "./cmd/anyfaas")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// need skips the test when a tool is absent: "node", "python" or "net" (making
// network namespaces). When MUST_RUN lists the tool, that is a failure instead.
func need(t *testing.T, tools ...string) {
	t.Helper()
	probes := map[string][]string{
		"node":   {"node", "--version"},
		"python": {"python3", "--version"},
		"net":    {"unshare", "--net", "true"},
		"npm":    {"npm", "--version"},
		"curl":   {"curl", "--version"},
	}
	for _, tool := range tools {
		probe, ok := probes[tool]
		if !ok {
			t.Fatalf("no probe for tool %q", tool)
		}
		err := exec.Command(probe[0], probe[1:]...).Run()
		switch {
		case err == nil:
		case slices.Contains(strings.Split(os.Getenv("MUST_RUN"), ","), tool):
			t.Fatalf("%s must run here (MUST_RUN) but is not usable: %v", tool, err)
		default:
			t.Skipf("needs %s, which is not usable here: %v", tool, err)
		}
	}
}
