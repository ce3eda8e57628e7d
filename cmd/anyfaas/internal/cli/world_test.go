package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/providers/local"
	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"anyfaas": func() { os.Exit(runInTestWorld()) }})
}

// Each script promises one behaviour of the command line, exit status and both
// streams included. The world is a fake one: programs of the real provider run
// against an engine that remembers in a file, and a host that answers calls.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("ANYFAAS_HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("ANYFAAS_LOCAL_FIRST_PORT", strconv.Itoa(10000+30*rand.IntN(600))) // away from those of other tests
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status},
	})
}

// status CODE COMMAND… runs a command and wants exactly this exit status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE COMMAND ARGUMENT…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit status %d, want %s", code, args[0])
	}
}

// clock is the time in every script.
var clock = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func runInTestWorld() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	tty := os.Getenv("TEST_TTY") != ""
	env := Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal: Terminal{In: tty, Secret: func() (string, error) { return "typed", nil }},
		Dir:      dir, Lookup: os.LookupEnv, UserHome: "/nowhere", Command: []string{"anyfaas"},
		Now:       func() time.Time { return clock },
		After:     func(time.Duration) <-chan time.Time { return nil },
		Release:   Release{Version: "1.2.3", Commit: "abc", Go: "go1", Platform: "linux/amd64", Pulumi: "v3", Build: os.Getenv("TEST_BUILD")},
		Providers: providers.NewRegistry(testProvider{}),
		Engine: func(o EngineOptions) (Engine, error) {
			if o.Backend == "broken://" {
				return nil, errors.New("no such backend")
			}
			return &fakeEngine{file: filepath.Join(o.Dir, "state.json")}, nil
		},
		Build: fakeBuild,
		Host:  fakeHost{},
		Tools: Tools{
			Version: func(_ context.Context, program string, _ ...string) (string, error) {
				if v := os.Getenv("TEST_" + strings.ToUpper(program)); v != "" {
					return v, nil
				}
				return "", errors.New("not found")
			},
			Free:   func(string) (uint64, error) { return 5_000_000_000, nil },
			Listen: func(int) error { return nil },
		},
	}
	if tty {
		// Questions are asked, but nothing moves.
		env.Terminal.Err = true
		env.Lookup = func(name string) (string, bool) {
			if name == "TERM" {
				return "dumb", true
			}
			return os.LookupEnv(name)
		}
	}
	if os.Getenv("TEST_PANIC") != "" {
		env.Engine = func(EngineOptions) (Engine, error) { panic("engine: a mistake") }
	}
	return Run(ctx, env, os.Args[1:])
}

// testProvider is the real program, called and read through a fake host.
type testProvider struct{ local.Provider }

func (testProvider) Resources(providers.HostOptions) providers.ResourceServer { return nil }

func (testProvider) Revive(context.Context, providers.HostOptions, []string) ([]string, error) {
	return nil, nil
}

func (testProvider) Invoke(_ context.Context, t providers.Target, function string, p providers.Payload) (providers.Reply, error) {
	r := providers.Reply{
		RequestID: "r1", Duration: 1234 * time.Microsecond, Cold: true, Status: 200,
		Body: fmt.Appendf(nil, `{"stack":"%s-%s","function":%q,"trigger":%q,"data":%s}`, t.Service, t.Stage, function, p.Trigger, cmp.Or(string(p.Data), "null")),
		Logs: []providers.LogLine{{Time: clock, Function: function, Kind: "out", Text: "hello"}},
	}
	if strings.Contains(string(p.Data), "fail") {
		r.Status, r.Body = 500, []byte(`{"message":"no"}`)
	}
	return r, nil
}

func (testProvider) Logs(ctx context.Context, _ providers.Target, function string, o providers.LogOptions) iter.Seq2[providers.LogLine, error] {
	return func(yield func(providers.LogLine, error) bool) {
		for _, l := range []providers.LogLine{
			{Time: clock.Add(-time.Hour), Function: function, Kind: "out", Level: "info", Text: "old"},
			{Time: clock, Function: function, Kind: "err", Level: "error", Text: "new"},
			{Time: clock, Function: function, Kind: "request", RequestID: "r1", Duration: 12 * time.Millisecond, Cold: true, Status: 200},
		} {
			if !l.Time.Before(o.Since) && !yield(l, nil) {
				return
			}
		}
	}
}

func fakeBuild(ctx context.Context, g *graph.Graph, functions []string, o BuildOptions) (providers.Artifacts, diag.List, error) {
	arts := providers.Artifacts{}
	var list diag.List
	for _, f := range g.Functions {
		if functions != nil && !slices.Contains(functions, f.Name) {
			continue
		}
		handler, _, _ := strings.Cut(cmp.Or(f.HTTPHandler, f.EventHandler), ".")
		source := filepath.Join(g.Dir, handler+".js")
		code, err := os.ReadFile(source)
		if err != nil {
			list.Errorf(f.Position.At("handler"), "handler-not-found", "there is no file %q", handler+".js")
			continue
		}
		done := event.Building{Function: f.Name, Done: true, Reason: "first build", Size: int64(len(code)), Took: 300 * time.Millisecond}
		built := filepath.Join(g.Dir, "built-"+f.Name)
		if _, err := os.Stat(built); err == nil {
			done.Reason, done.Took = "cached", 0
		}
		if err := os.WriteFile(built, nil, 0o600); err != nil {
			return nil, nil, err
		}
		o.Progress(event.Building{Function: f.Name})
		o.Progress(done)
		arts[f.Name] = providers.Artifact{Function: f.Name, Path: source, SHA256: fmt.Sprintf("%064x", len(code)), Size: int64(len(code)), Command: []string{"node", "main.js"}}
	}
	return arts, list, nil
}

type fakeHost struct{}

func (fakeHost) Serve(context.Context, string) error { return nil }
func (fakeHost) Status(context.Context, string) (*api.Status, error) {
	if os.Getenv("TEST_HOST") == "" {
		return nil, nil
	}
	return &api.Status{
		Version: "1.2.3", PID: 42, Started: clock, Data: "http://127.0.0.1:4100", S3: "http://127.0.0.1:4101",
		Stacks: []api.StackStatus{{
			Stack: "shop-dev", URL: "http://127.0.0.1:8080",
			Functions: []api.FunctionStatus{{Name: "api", Workers: 1, Busy: 0, MemoryMB: 40, Calls: 7, Errors: 1}},
			Queues:    []api.QueueStatus{{Name: "jobs", Ready: 3, InFlight: 1}},
		}},
	}, nil
}

func (h fakeHost) Start(ctx context.Context, home string) (*api.Status, error) {
	return &api.Status{PID: 42}, nil
}

func (fakeHost) Stop(context.Context, string) (bool, error) { return os.Getenv("TEST_HOST") != "", nil }

// A fakeEngine runs programs against mocks and remembers what they declared.
type fakeEngine struct{ file string }

type fakeStack struct {
	Resources []stacks.Resource
	Outputs   map[string]any
	Secrets   map[string]string
	History   []stacks.Update
	Locked    *stacks.Holder
}

func (e *fakeEngine) read() map[string]*fakeStack {
	all := map[string]*fakeStack{}
	if b, err := os.ReadFile(e.file); err == nil {
		if err := json.Unmarshal(b, &all); err != nil {
			panic(err)
		}
	}
	return all
}

// change reads a stack, changes it and writes it back.
func (e *fakeEngine) change(id stacks.ID, f func(*fakeStack)) {
	all := e.read()
	if all[id.String()] == nil {
		all[id.String()] = &fakeStack{}
	}
	f(all[id.String()])
	b, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = os.WriteFile(e.file, b, 0o600)
	}
	if err != nil {
		panic(err)
	}
}

func (e *fakeEngine) Preview(ctx context.Context, id stacks.ID, p stacks.Program, o stacks.Options, sink event.Sink) (stacks.Result, error) {
	_, r, err := e.compare(id, p)
	return r, err
}

func (e *fakeEngine) Up(ctx context.Context, id stacks.ID, p stacks.Program, o stacks.Options, sink event.Sink) (stacks.Result, error) {
	if err := e.lock(id); err != nil {
		return stacks.Result{}, err
	}
	wanted, r, err := e.compare(id, p)
	if err != nil {
		return r, err
	}
	sink.Event(event.Started{Operation: "deploy", Service: id.Service, Stage: id.Stage, Provider: id.Provider, Time: clock})
	var lost []string
	for _, c := range r.Changes {
		if c.DataLoss {
			lost = append(lost, c.Name+" ("+c.Type+")")
		}
	}
	if len(lost) > 0 && !o.AllowDataLoss {
		return r, &stacks.DataLossError{Resources: lost}
	}
	if os.Getenv("TEST_SLOW") != "" {
		sink.Event(event.StepStarted{Change: r.Changes[0], Time: clock})
		process, _ := os.FindProcess(os.Getpid())
		_ = process.Signal(os.Interrupt)
		<-ctx.Done()
		time.Sleep(200 * time.Millisecond) // the watcher of the operation tells meanwhile
		return r, stacks.ErrInterrupted
	}
	for _, c := range r.Changes {
		if len(o.Targets) > 0 && !slices.Contains(o.Targets, c.URN) {
			continue
		}
		sink.Event(event.StepStarted{Change: c, Time: clock})
		if os.Getenv("TEST_FAIL") != "" && c.Type == os.Getenv("TEST_FAIL") {
			sink.Event(event.StepDone{Change: c, Took: 100 * time.Millisecond, Err: "no room"})
			return r, fmt.Errorf("%s %q: no room", c.Op, c.Name)
		}
		sink.Event(event.StepDone{Change: c, Took: 100 * time.Millisecond})
	}
	sink.Event(event.Finished{Operation: "deploy", Counts: r.Counts, Took: 2 * time.Second})
	e.change(id, func(s *fakeStack) {
		s.Resources, s.Outputs = wanted, r.Outputs
		s.History = append(s.History, stacks.Update{
			Version: len(s.History) + 1, Operation: "deploy", Result: "succeeded", Started: clock, Ended: clock.Add(2 * time.Second), Message: o.Message, Counts: r.Counts,
		})
	})
	return r, nil
}

func (e *fakeEngine) Destroy(ctx context.Context, id stacks.ID, p stacks.Program, o stacks.Options, sink event.Sink) (stacks.Result, error) {
	if err := e.lock(id); err != nil {
		return stacks.Result{}, err
	}
	r := stacks.Result{Counts: map[event.Op]int{}}
	for _, res := range e.read()[id.String()].Resources {
		c := event.Change{Op: event.Delete, Resource: e.resource(res, p)}
		r.Changes = append(r.Changes, c)
		r.Counts[event.Delete]++
		sink.Event(event.StepDone{Change: c, Took: 100 * time.Millisecond})
	}
	all := e.read()
	delete(all, id.String())
	b, _ := json.Marshal(all)
	return r, os.WriteFile(e.file, b, 0o600)
}

func (e *fakeEngine) Refresh(_ context.Context, id stacks.ID, p stacks.Program, _ stacks.Options, _ event.Sink) (stacks.Result, error) {
	return stacks.Result{Counts: map[event.Op]int{event.Same: len(e.read()[id.String()].Resources)}}, e.lock(id)
}

func (e *fakeEngine) State(_ context.Context, id stacks.ID) (*stacks.State, error) {
	s := e.read()[id.String()]
	if s == nil || len(s.Resources) == 0 {
		return nil, nil
	}
	return &stacks.State{Outputs: s.Outputs, Resources: s.Resources, Updated: clock}, nil
}

func (e *fakeEngine) History(_ context.Context, id stacks.ID) ([]stacks.Update, error) {
	if s := e.read()[id.String()]; s != nil {
		return s.History, nil
	}
	return nil, nil
}

func (e *fakeEngine) List(_ context.Context, service string) ([]stacks.Summary, error) {
	var l []stacks.Summary
	for name, s := range e.read() {
		var id stacks.ID
		if _, err := fmt.Sscanf(strings.NewReplacer("/", " ", "(", "", ")", "").Replace(name), "%s %s %s", &id.Service, &id.Stage, &id.Provider); err != nil {
			return nil, err
		}
		if id.Service == service {
			l = append(l, stacks.Summary{ID: id, Resources: len(s.Resources), Updated: clock, Locked: s.Locked})
		}
	}
	slices.SortFunc(l, func(a, b stacks.Summary) int { return cmp.Compare(a.ID.Stage, b.ID.Stage) })
	return l, nil
}

func (e *fakeEngine) Export(_ context.Context, id stacks.ID) (json.RawMessage, error) {
	b, err := json.Marshal(map[string]any{"version": 3, "deployment": map[string]any{"resources": len(e.read()[id.String()].Resources)}})
	return b, err
}

func (e *fakeEngine) Import(_ context.Context, id stacks.ID, d json.RawMessage) error {
	e.change(id, func(*fakeStack) {})
	return nil
}

func (e *fakeEngine) lock(id stacks.ID) error {
	if os.Getenv("TEST_LOCKED") != "" {
		return &stacks.LockedError{ID: id, Holder: holder}
	}
	return nil
}

var holder = stacks.Holder{User: "ada", Host: "box", PID: 7, Command: "deploy", Since: clock}

func (e *fakeEngine) Lock(_ context.Context, id stacks.ID) (*stacks.Holder, error) {
	if os.Getenv("TEST_LOCKED") != "" {
		return &holder, nil
	}
	return nil, nil
}

func (e *fakeEngine) Unlock(context.Context, stacks.ID) error { return nil }

func (e *fakeEngine) Secrets(_ context.Context, id stacks.ID) (map[string]providers.Secret, error) {
	out := map[string]providers.Secret{}
	if s := e.read()[id.String()]; s != nil {
		for k, v := range s.Secrets {
			out[k] = providers.NewSecret(v)
		}
	}
	return out, nil
}

func (e *fakeEngine) SetSecret(_ context.Context, id stacks.ID, name string, v providers.Secret) error {
	e.change(id, func(s *fakeStack) {
		if s.Secrets == nil {
			s.Secrets = map[string]string{}
		}
		s.Secrets[name] = v.Reveal()
	})
	return nil
}

func (e *fakeEngine) RemoveSecret(_ context.Context, id stacks.ID, name string) error {
	e.change(id, func(s *fakeStack) { delete(s.Secrets, name) })
	return nil
}

// compare runs the program and says how what it declares differs from what is
// remembered.
func (e *fakeEngine) compare(id stacks.ID, p stacks.Program) ([]stacks.Resource, stacks.Result, error) {
	m := &declared{project: id.Service, stack: id.StackName(), outputs: map[string]any{}}
	if err := pulumi.RunErr(p.Run, pulumi.WithMocks(id.Service, id.StackName(), m)); err != nil {
		return nil, stacks.Result{}, err
	}
	slices.SortFunc(m.resources, func(a, b stacks.Resource) int { return cmp.Compare(a.URN, b.URN) })
	was := map[string]stacks.Resource{}
	if s := e.read()[id.String()]; s != nil {
		for _, r := range s.Resources {
			was[r.URN] = r
		}
	}
	r := stacks.Result{Counts: map[event.Op]int{}, Outputs: map[string]any{"url": "http://127.0.0.1:8080"}}
	add := func(c event.Change) {
		r.Changes = append(r.Changes, c)
		r.Counts[c.Op]++
	}
	for _, res := range m.resources {
		old, ok := was[res.URN]
		delete(was, res.URN)
		switch {
		case !ok:
			add(event.Change{Op: event.Create, Resource: e.resource(res, p)})
		case !reflect.DeepEqual(old.Inputs, res.Inputs):
			c := event.Change{Op: event.Update, Resource: e.resource(res, p)}
			for k := range res.Inputs {
				a, _ := json.Marshal(old.Inputs[k])
				b, _ := json.Marshal(res.Inputs[k])
				if string(a) != string(b) {
					c.Diff = append(c.Diff, event.Property{Path: k, Old: a, New: b})
				}
			}
			slices.SortFunc(c.Diff, func(a, b event.Property) int { return cmp.Compare(a.Path, b.Path) })
			add(c)
		default:
			r.Counts[event.Same]++
		}
	}
	for _, res := range was {
		add(event.Change{Op: event.Delete, Resource: e.resource(res, p), DataLoss: p.Stateful(res.Type)})
	}
	slices.SortStableFunc(r.Changes, func(a, b event.Change) int { return cmp.Compare(a.URN, b.URN) })
	return m.resources, r, nil
}

func (e *fakeEngine) resource(r stacks.Resource, p stacks.Program) event.Resource {
	return event.Resource{URN: r.URN, Type: r.Type, Name: r.Name, Function: p.Owners(r.URN)}
}

// declared collects what a program declares.
type declared struct {
	project, stack string
	outputs        map[string]any
	mu             sync.Mutex
	resources      []stacks.Resource
}

func (d *declared) NewResource(a pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a.TypeToken == "pulumi:pulumi:Stack" {
		return "", nil, nil
	}
	var inputs map[string]any
	b, err := json.Marshal(a.Inputs.Mappable())
	if err == nil {
		err = json.Unmarshal(b, &inputs)
	}
	urn := fmt.Sprintf("urn:pulumi:%s::%s::%s::%s", d.stack, d.project, a.TypeToken, a.Name)
	d.resources = append(d.resources, stacks.Resource{URN: urn, Type: a.TypeToken, Name: a.Name, ID: a.Name, Inputs: inputs})
	outputs := a.Inputs.Copy()
	outputs["url"] = resource.NewProperty("http://127.0.0.1:8080/" + a.Name)
	return a.Name, outputs, err
}

func (*declared) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return nil, nil }
