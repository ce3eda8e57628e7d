package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// recorder collects events as lines "kind {json}", without what differs from run
// to run.
type recorder struct{ lines []string }

var (
	clock = regexp.MustCompile(`"time":"[^"]*"`)
	spent = regexp.MustCompile(`"took":\d+`)
)

func (r *recorder) Event(e event.Event) {
	data, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	text := spent.ReplaceAllString(clock.ReplaceAllString(string(data), `"time":"…"`), `"took":0`)
	r.lines = append(r.lines, event.Kind(e)+" "+text)
}

// golden compares text with a file of testdata; UPDATE=1 rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		writeFile(t, file, []byte(got))
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	same(t, name, string(want), got)
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	secret := func(s string) pulumi.Input { return pulumi.ToSecret(pulumi.String(s)) }
	env := func(level, password string) pulumi.Map {
		return pulumi.Map{"env": pulumi.Map{"LEVEL": pulumi.String(level), "PASSWORD": secret(password), "SAME": pulumi.String("x")}}
	}
	var rec recorder
	step := func(title string, do func(context.Context, stacks.ID, stacks.Program, stacks.Options, event.Sink) (stacks.Result, error), o stacks.Options, things ...thing) {
		rec.lines = append(rec.lines, "# "+title)
		r, err := do(t.Context(), testID, w.program(things...), o, &rec)
		outputs, jerr := json.Marshal(r.Outputs)
		if jerr != nil {
			t.Fatal(jerr)
		}
		rec.lines = append(rec.lines, fmt.Sprintf("outputs %s", outputs), fmt.Sprintf("error %v", err))
	}
	first := thing{Name: "api", Props: env("info", "one")}
	step("first preview: what is not known yet is told so", w.Preview, stacks.Options{}, first, thing{Name: "worker", Needs: []string{"api"}})
	step("first deploy", w.Up, stacks.Options{Parallel: 1}, first)
	second := thing{Name: "api", Props: env("debug", "two")}
	step("an update names the members that change, and hides secrets", w.Up, stacks.Options{}, second)
	step("a replacement is one change", w.Up, stacks.Options{}, thing{Name: "api", Real: "api2", Props: env("debug", "two")})
	step("what a package refuses is told without values", w.Up, stacks.Options{}, thing{Name: "api", Props: pulumi.Map{"size": pulumi.Int(-1)}})
	w.cloud.before = func(context.Context, string, providers.Resource) error { return errors.New("quota used up") }
	step("a failed step ends with its error", w.Up, stacks.Options{}, thing{Name: "api", Real: "api2", Props: env("debug", "two")}, thing{Name: "worker", Needs: []string{"api"}})
	w.cloud.before = nil
	step("removal", w.Destroy, stacks.Options{})
	golden(t, "events.txt", strings.Join(rec.lines, "\n")+"\n")
}

func TestFailedStepThenConverge(t *testing.T) {
	w := newWorld(t)
	broken := true
	w.cloud.before = func(_ context.Context, op string, r providers.Resource) error {
		if broken && r.Name == "worker" {
			return errors.New("quota used up")
		}
		return nil
	}
	things := []thing{{Name: "api"}, {Name: "worker", Needs: []string{"api"}}, {Name: "after", Needs: []string{"worker"}}}
	r, err := w.Up(t.Context(), testID, w.program(things...), stacks.Options{}, event.Discard)
	same(t, "error", "create worker: quota used up", fmt.Sprint(err))
	same(t, "what was done", []string{"create api"}, summary(r))
	same(t, "cloud", []string{"fake:index:Thing/api"}, w.cloud.exist(t))
	broken = false
	same(t, "the rest", []string{"create after", "create worker"}, summary(w.up(t, things...)))
	same(t, "nothing left", []string{}, summary(w.preview(t, things...)))
}

func TestInterruptedRunFinishesWhatRuns(t *testing.T) {
	w := newWorld(t)
	things := []thing{{Name: "api"}, {Name: "worker", Needs: []string{"api"}}}
	ctx, interrupt := context.WithCancel(t.Context())
	stopping := make(chan struct{})
	w.cloud.before = func(ctx context.Context, _ string, r providers.Resource) error {
		<-stopping // the run has taken notice while this step is under way
		return ctx.Err()
	}
	var running []int
	r, err := w.Up(ctx, testID, w.program(things...), stacks.Options{}, event.Func(func(e event.Event) {
		switch e := e.(type) {
		case event.StepStarted:
			interrupt()
		case event.Stopping:
			running = append(running, e.Running)
			close(stopping)
		}
	}))
	if !errors.Is(err, stacks.ErrInterrupted) {
		t.Fatalf("error %v", err)
	}
	same(t, "steps that were running", []int{1}, running)
	same(t, "the running step was finished", []string{"create api"}, summary(r))
	same(t, "and nothing was begun", []string{"fake:index:Thing/api"}, w.cloud.exist(t))
	state, err := w.State(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "nothing is open", 0, len(state.Pending))
	updates, err := w.History(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "history", "interrupted", updates[0].Result)

	w.cloud.before = nil
	same(t, "the rest", []string{"create worker"}, summary(w.up(t, things...)))
}

func TestRunThatIsInterruptedBeforeItBegins(t *testing.T) {
	w := newWorld(t)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	_, err := w.Up(ctx, testID, w.program(thing{Name: "api"}), stacks.Options{}, event.Discard)
	if !errors.Is(err, stacks.ErrInterrupted) {
		t.Errorf("error %v", err)
	}
}

func TestRemovedLockStopsTheRun(t *testing.T) {
	w := newWorld(t)
	w.cloud.before = func(ctx context.Context, _ string, _ providers.Resource) error {
		return w.Unlock(ctx, testID)
	}
	err := w.upErr(t, thing{Name: "api"})
	same(t, "error", "the lock of the stack was removed by somebody else while this run was going on", fmt.Sprint(err))
	w.cloud.before = nil
	// What the run did is in its journal.
	same(t, "the next run goes on", map[event.Op]int{event.Same: 1}, w.up(t, thing{Name: "api"}).Counts)
}

func TestDataIsNotLostByAccident(t *testing.T) {
	table := func(name string, retain bool) thing {
		return thing{Type: "Table", Name: name, Retain: retain}
	}
	tests := []struct {
		name          string
		before, after []thing
		lost          []string // refused with these
	}{
		{name: "a table that goes", before: []thing{table("users", false)}, lost: []string{"users (fake:index:Table)"}},
		{
			name: "a table that is replaced", before: []thing{table("users", false)},
			after: []thing{{Type: "Table", Name: "users", Real: "people"}}, lost: []string{"users (fake:index:Table)"},
		},
		{name: "a table that is kept", before: []thing{table("users", false)}, after: []thing{table("users", false), {Name: "api"}}},
		{name: "a table that outlives the stack", before: []thing{table("users", true)}},
		{name: "a thing without data", before: []thing{{Name: "api"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.up(t, tt.before...)
			was := w.cloud.exist(t)
			w.cloud.made()
			err := w.upErr(t, tt.after...)
			if tt.lost == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var loss *stacks.DataLossError
			if !errors.As(err, &loss) {
				t.Fatalf("error %v", err)
			}
			same(t, "lost", tt.lost, loss.Resources)
			same(t, "nothing was done", 0, len(w.cloud.made()))
			same(t, "cloud", was, w.cloud.exist(t))
			if _, err := w.Up(t.Context(), testID, w.program(tt.after...), stacks.Options{AllowDataLoss: true}, event.Discard); err != nil {
				t.Fatalf("allowed: %v", err)
			}
		})
	}
}

func TestRemovalKeepsWhatIsToBeRetained(t *testing.T) {
	w := newWorld(t)
	w.up(t, thing{Type: "Table", Name: "users", Retain: true}, thing{Type: "Table", Name: "cache"})
	r, err := w.Destroy(t.Context(), testID, w.program(), stacks.Options{}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	loss := map[string]bool{}
	for _, c := range r.Changes {
		loss[c.Name] = c.DataLoss
	}
	same(t, "data loss by resource", map[string]bool{"users": false, "cache": true}, loss)
	same(t, "cloud", []string{"fake:index:Table/users"}, w.cloud.exist(t))
	list, err := w.List(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the empty stack stays listed", []int{0}, []int{list[0].Resources})
}

func TestProgramsThatFail(t *testing.T) {
	tests := []struct {
		name string
		run  pulumi.RunFunc
		want string
	}{
		{name: "with an error", run: func(*pulumi.Context) error { return errors.New("no such table") }, want: `^program: no such table$`},
		{name: "with a panic", run: func(*pulumi.Context) error { panic("no such table") }, want: `^program: panic: no such table \(at .*run_test\.go:\d+\)$`},
		{
			name: "with a resource of an unknown kind of package", want: `^provider nosuchpackage: `,
			run: func(ctx *pulumi.Context) error {
				var s thingState
				return ctx.RegisterResource("nosuchpackage:index:Thing", "x", nil, &s)
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true") // no network in tests
			w := newWorld(t)
			p := w.program()
			p.Run = tt.run
			_, err := w.Up(t.Context(), testID, p, stacks.Options{}, event.Discard)
			if err == nil || !regexp.MustCompile(tt.want).MatchString(err.Error()) {
				t.Errorf("error %v; want %s", err, tt.want)
			}
			_, err = w.Preview(t.Context(), testID, p, stacks.Options{}, event.Discard)
			if err == nil || !regexp.MustCompile(tt.want).MatchString(err.Error()) {
				t.Errorf("preview: error %v; want %s", err, tt.want)
			}
		})
	}
}

func TestPanicOfAPackageFailsItsStep(t *testing.T) {
	w := newWorld(t)
	w.cloud.before = func(_ context.Context, _ string, r providers.Resource) error {
		if r.Name == "api" {
			panic("index out of range")
		}
		return nil
	}
	err := w.upErr(t, thing{Name: "api"}, thing{Name: "worker"})
	if err == nil || !regexp.MustCompile(`^create api: panic: index out of range \(at .*run_test\.go:\d+\)$`).MatchString(err.Error()) {
		t.Errorf("error %v", err)
	}
	same(t, "the other step", []string{"fake:index:Thing/worker"}, w.cloud.exist(t))
}

func TestRefreshFindsDrift(t *testing.T) {
	w := newWorld(t)
	things := []thing{
		{Name: "api", Props: pulumi.Map{"size": pulumi.Int(1), "password": pulumi.ToSecret(pulumi.String("hunter2"))}},
		{Name: "worker"},
		{Name: "same"},
	}
	w.up(t, things...)
	writeFile(t, w.cloud.file("fake:index:Thing/api"), []byte(`{"name":"api","size":7,"password":"hunter2"}`))
	if err := os.Remove(w.cloud.file("fake:index:Thing/worker")); err != nil {
		t.Fatal(err)
	}
	r, err := w.Refresh(t.Context(), testID, w.program(), stacks.Options{}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "drift", []string{"delete worker", "refresh api"}, summary(r))
	same(t, "counts", map[event.Op]int{event.Refresh: 1, event.Delete: 1, event.Same: 1}, r.Counts)
	same(t, "what differs", []event.Property{{Path: "size", Old: json.RawMessage("1"), New: json.RawMessage("7")}}, r.Changes[1].Diff)
	same(t, "repair", []string{"create worker", "update api"}, summary(w.up(t, things...)))
}

func TestTargets(t *testing.T) {
	w := newWorld(t)
	w.up(t, thing{Name: "api"}, thing{Name: "worker"})
	r, err := w.Up(t.Context(), testID, w.program(
		thing{Name: "api", Props: pulumi.Map{"size": pulumi.Int(2)}}, thing{Name: "worker", Props: pulumi.Map{"size": pulumi.Int(2)}},
	), stacks.Options{Targets: []string{"urn:pulumi:dev-local::orders::fake:index:Thing::api"}}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "changes", []string{"update api"}, summary(r))
}

// second is a package of its own with the resources of a cloud.
type second struct{ *cloud }

func (second) Package() string { return "second" }

func TestSeveralPackages(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	p := w.program(thing{Name: "api"})
	p.InProcess = append(p.InProcess, second{other.cloud})
	first := p.Run
	p.Run = func(ctx *pulumi.Context) error {
		var s thingState
		if err := ctx.RegisterResource("second:index:Thing", "db", pulumi.Map{"name": pulumi.String("db")}, &s); err != nil {
			return err
		}
		return first(ctx)
	}
	if _, err := w.Up(t.Context(), testID, p, stacks.Options{}, event.Discard); err != nil {
		t.Fatal(err)
	}
	same(t, "first", []string{"fake:index:Thing/api"}, w.cloud.exist(t))
	same(t, "second", []string{"second:index:Thing/db"}, other.cloud.exist(t))
}

func TestIDsThatCannotBeStacks(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		id   stacks.ID
		want string
	}{
		{stacks.ID{Service: "a b", Stage: "dev", Provider: "local"}, `service "a b": `},
		{stacks.ID{Service: "", Stage: "dev", Provider: "local"}, `service "": `},
		{stacks.ID{Service: "a", Stage: "../x", Provider: "local"}, `stack "../x-local": `},
	}
	for _, tt := range tests {
		_, err := w.State(t.Context(), tt.id)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%+v: error %v; want %s…", tt.id, err, tt.want)
		}
	}
}
