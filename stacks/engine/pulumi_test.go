package engine_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// The pulumi command reads what we wrote, we read what it wrote, and the two
// exclude each other. PULUMI_COMMAND names the command, built from the version
// in go.mod:
//
//	go build -o /tmp/pulumi github.com/pulumi/pulumi/pkg/v3/cmd/pulumi
func TestPulumiCommandSharesTheState(t *testing.T) {
	command := os.Getenv("PULUMI_COMMAND")
	if command == "" {
		t.Skip("PULUMI_COMMAND is not set")
	}
	w := newWorld(t)
	things := []thing{{Name: "api", Props: pulumi.Map{"password": pulumi.ToSecret(pulumi.String("hunter2"))}}, {Name: "worker"}}
	w.up(t, things...)
	state := filepath.Join(w.dir, ".anyfaas", "state")
	writeFile(t, filepath.Join(w.dir, "Pulumi.yaml"), []byte("name: orders\nruntime: go\n"))
	run := func(args ...string) (string, error) {
		cmd := exec.Command(command, append(args, "--non-interactive")...)
		cmd.Dir = w.dir
		cmd.Env = append(os.Environ(),
			"PULUMI_HOME="+filepath.Join(w.dir, "home"), "PULUMI_BACKEND_URL=file://"+state,
			"PULUMI_CONFIG_PASSPHRASE_FILE="+filepath.Join(state, "key"), "PULUMI_SKIP_UPDATE_CHECK=true")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := run(args...)
		if err != nil {
			t.Fatalf("pulumi %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}

	var listed []struct {
		Name          string
		ResourceCount int
	}
	if err := json.Unmarshal([]byte(must("stack", "ls", "--all", "--json")), &listed); err != nil {
		t.Fatal(err)
	}
	same(t, "stack ls", "dev-local", listed[0].Name)
	same(t, "resources with the stack and its provider", 4, listed[0].ResourceCount)
	if out := must("stack", "export", "--stack", "dev-local", "--show-secrets"); !strings.Contains(out, `\"hunter2\"`) {
		t.Errorf("the secret is not in the export: %s", out)
	}
	same(t, "stack output", "fake://api\n", must("stack", "output", "api", "--stack", "dev-local"))
	same(t, "entries of stack history", 1, strings.Count(must("stack", "history", "--stack", "dev-local"), "Status: succeeded"))

	exported := filepath.Join(w.dir, "exported.json")
	must("stack", "export", "--stack", "dev-local", "--file", exported)
	must("stack", "import", "--stack", "dev-local", "--file", exported)
	same(t, "after pulumi wrote the state", []string{}, summary(w.preview(t, things...)))
	same(t, "and a deploy goes on from it", []string{"delete worker"}, summary(w.up(t, things[:1]...)))

	cmd, out := spawn(t, job{Dir: w.dir, Things: []thingSpec{{Name: "extra"}}, Hold: true})
	waitFor(t, out, "holding")
	said, err := run("stack", "rename", "other", "--stack", "dev-local")
	if err == nil || !strings.Contains(said, "the stack is currently locked by 1 lock(s)") {
		t.Errorf("while we hold the lock, pulumi ended with %v: %s", err, said)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if _, err := w.Destroy(t.Context(), testID, w.program(), stacks.Options{}, event.Discard); err != nil {
		t.Fatal(err)
	}
	must("stack", "rm", "--yes", "--stack", "dev-local")
	list, err := w.List(t.Context(), "")
	if len(list) != 0 || err != nil {
		t.Errorf("after pulumi removed the stack there is %+v, %v", list, err)
	}
}
