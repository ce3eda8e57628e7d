package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Leaving is easy: the pulumi command of the same version reads what we keep.
// PULUMI_COMMAND names it; `make pulumi-check` builds it.
func TestThePulumiCommandReadsOurState(t *testing.T) {
	command := os.Getenv("PULUMI_COMMAND")
	if command == "" {
		t.Skip("PULUMI_COMMAND is not set; make pulumi-check builds the command, which takes minutes")
	}
	w := newWorld(t, "examples/photos")
	w.must(0, "deploy", "--yes")
	state := filepath.Join(w.dir, ".anyfaas", "state")

	pulumi := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(command, append(args, "--non-interactive")...)
		cmd.Dir = t.TempDir()
		cmd.Env = append(w.environ(),
			"PULUMI_HOME="+filepath.Join(filepath.Dir(w.home), "pulumi"), "PULUMI_BACKEND_URL=file://"+state,
			"PULUMI_CONFIG_PASSPHRASE_FILE="+filepath.Join(state, "key"), "PULUMI_SKIP_UPDATE_CHECK=true")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("pulumi %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}

	const stack = "organization/photos/dev-local"
	var info struct {
		Resources []struct{ Type, Name string }
	}
	w.read(&info, "info")
	var ours []string
	for _, r := range info.Resources {
		ours = append(ours, r.Type+" "+r.Name)
	}
	var exported struct {
		Deployment struct {
			Resources []struct{ URN string }
		}
	}
	if err := json.Unmarshal([]byte(pulumi("stack", "export", "--stack", stack)), &exported); err != nil {
		t.Fatal(err)
	}
	var theirs []string
	for _, r := range exported.Deployment.Resources {
		parts := strings.SplitN(r.URN, "::", 4)              // urn:pulumi:stack::project::type::name
		typ := parts[2][strings.LastIndex(parts[2], "$")+1:] // behind those of its parents
		if strings.HasPrefix(typ, "anyfaas-local:") {
			theirs = append(theirs, typ+" "+parts[3])
		}
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	if d := cmp.Diff(ours, theirs); d != "" {
		t.Errorf("resources (-ours +pulumi's):\n%s", d)
	}

	listing := pulumi("stack", "--stack", stack, "--show-urns")
	t.Logf("pulumi stack --show-urns:\n%s", listing)
	for _, r := range info.Resources {
		if !strings.Contains(listing, r.Type) || !strings.Contains(listing, r.Name) {
			t.Errorf("pulumi stack does not list %s %s", r.Type, r.Name)
		}
	}
	if got, want := strings.TrimSpace(pulumi("stack", "output", "url", "--stack", stack)), w.url(); got != want {
		t.Errorf("pulumi stack output url: want %s, got %s", want, got)
	}
	w.must(0, "remove", "--yes")
}
