package stacks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// A fake is provider, engine, builder and secret store at once. It writes down
// what it was asked and answers what the test put in.
type fake struct {
	providers.Provider
	Engine

	calls    []string
	check    diag.List
	build    diag.List
	buildErr error
	inputs   providers.Inputs
	values   map[string]providers.Secret
	result   Result
	err      error
	state    *State
	options  Options
	program  Program
	during   func(ctx context.Context, sink event.Sink)
	host     providers.HostOptions
	target   providers.Target
}

func (f *fake) Name() string                 { return "toy" }
func (f *fake) Features() providers.Features { return nil }
func (f *fake) Check(*graph.Graph) diag.List { return f.check }
func (f *fake) Program(_ *graph.Graph, in providers.Inputs) pulumi.RunFunc {
	f.inputs = in
	return func(*pulumi.Context) error { return nil }
}

func (f *fake) OwnerOf(typ, name string) string {
	if typ == "toy:index:Function" {
		return name
	}
	return ""
}
func (f *fake) Stateful(typ string) bool { return typ == "toy:index:Queue" }
func (f *fake) Resources(o providers.HostOptions) providers.ResourceServer {
	f.host = o
	return nil
}

func (f *fake) Invoke(_ context.Context, t providers.Target, function string, p providers.Payload) (providers.Reply, error) {
	f.target = t
	return providers.Reply{Body: []byte(function)}, nil
}

func (f *fake) operate(name string) func(context.Context, ID, Program, Options, event.Sink) (Result, error) {
	return func(ctx context.Context, _ ID, p Program, o Options, sink event.Sink) (Result, error) {
		f.calls = append(f.calls, name)
		f.options, f.program = o, p
		if f.during != nil {
			f.during(ctx, sink)
		}
		return f.result, f.err
	}
}

func (f *fake) Preview(ctx context.Context, id ID, p Program, o Options, s event.Sink) (Result, error) {
	return f.operate("preview")(ctx, id, p, o, s)
}

func (f *fake) Up(ctx context.Context, id ID, p Program, o Options, s event.Sink) (Result, error) {
	return f.operate("up")(ctx, id, p, o, s)
}

func (f *fake) Destroy(ctx context.Context, id ID, p Program, o Options, s event.Sink) (Result, error) {
	return f.operate("destroy")(ctx, id, p, o, s)
}
func (f *fake) State(context.Context, ID) (*State, error) { return f.state, nil }
func (f *fake) History(context.Context, ID) ([]Update, error) {
	return []Update{{Version: 1}, {Version: 2}}, nil
}

func (f *fake) Secrets(context.Context, ID) (map[string]providers.Secret, error) {
	f.calls = append(f.calls, "secrets")
	return f.values, nil
}
func (f *fake) SetSecret(context.Context, ID, string, providers.Secret) error { return f.err }
func (f *fake) RemoveSecret(context.Context, ID, string) error                { return f.err }

var shop = ID{Service: "shop", Stage: "dev", Provider: "toy"}

// open returns a stack of two functions around f.
func (f *fake) open() *Stack {
	g := &graph.Graph{Service: "shop", Stage: "dev", Provider: "toy", Functions: []graph.Function{{Name: "api"}, {Name: "worker"}}}
	return f.openGraph(g)
}

func (f *fake) openGraph(g *graph.Graph) *Stack {
	return New(Config{
		ID: shop, Graph: g, Provider: f, Engine: f, Secrets: f, Home: "/home", Command: []string{"me"}, Version: "1",
		Build: func(_ context.Context, _ *graph.Graph, functions []string, progress func(event.Building)) (providers.Artifacts, diag.List, error) {
			f.calls = append(f.calls, "build")
			progress(event.Building{Function: "api", Done: true})
			return providers.Artifacts{"api": {Function: "api"}}, f.build, f.buildErr
		},
	})
}

func (f *fake) want(t *testing.T, calls ...string) {
	t.Helper()
	if d := cmp.Diff(calls, f.calls); d != "" {
		t.Errorf("calls: %s", d)
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if got := fmt.Sprint(err); got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

func TestDeployGivesWhatWasPreviewed(t *testing.T) {
	f := &fake{}
	s := f.open()
	if _, err := s.Preview(t.Context(), PreviewOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Deploy(t.Context(), DeployOptions{AllowDataLoss: true, Parallel: 3, Message: "m"}, nil); err != nil {
		t.Fatal(err)
	}
	f.want(t, "build", "preview", "up")
	if d := cmp.Diff(Options{AllowDataLoss: true, Parallel: 3, Message: "m"}, f.options); d != "" {
		t.Error(d)
	}
	if f.inputs.Artifacts["api"].Function != "api" || f.host.Artifacts["api"].Function != "api" {
		t.Errorf("artifacts %v, of the host %v", f.inputs.Artifacts, f.host.Artifacts)
	}
	if f.host.Home != "/home" || f.host.Version != "1" || f.host.Command[0] != "me" {
		t.Errorf("host options %+v", f.host)
	}
	if !f.program.Stateful("toy:index:Queue") || f.program.Stateful("toy:index:Function") {
		t.Error("stateful types are not the provider's")
	}
	if got := f.program.Owners("urn:pulumi:dev-toy::shop::toy:index:Function::api"); got != "api" {
		t.Errorf("owner %q", got)
	}
	if got := f.program.Owners("no urn"); got != "" {
		t.Errorf("owner of what is no URN: %q", got)
	}
}

func TestNothingIsBuiltForAManifestThatTheProviderRefuses(t *testing.T) {
	f := &fake{}
	f.check.Errorf(diag.Pos{File: "serverless.yaml", Line: 3, Column: 1}, "toy-memory", "too much")
	_, err := f.open().Deploy(t.Context(), DeployOptions{}, nil)
	e, ok := errors.AsType[*InvalidError](err)
	if !ok || len(e.Diagnostics) != 1 || e.Diagnostics[0].Code != "toy-memory" {
		t.Fatalf("error %v", err)
	}
	wantError(t, err, "the manifest has 1 error")
	f.want(t)
}

func TestNothingIsDeployedWhenAFunctionDoesNotBuild(t *testing.T) {
	f := &fake{}
	f.build.Errorf(diag.Pos{}, "handler-not-found", "no file")
	f.build.Errorf(diag.Pos{}, "handler-not-found", "no other file")
	_, err := f.open().Deploy(t.Context(), DeployOptions{}, nil)
	wantError(t, err, "packaging failed with 2 errors; nothing was deployed")
	f.want(t, "build")
	_, err = f.open().Preview(t.Context(), PreviewOptions{}, nil)
	wantError(t, err, "packaging failed with 2 errors")
}

func TestErrorsNameTheOperationAndTheStack(t *testing.T) {
	holder := Holder{User: "ada", Host: "box", PID: 7, Command: "deploy", Since: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)}
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"what went wrong is wrapped", errors.New("no room"), "deploy shop/dev (toy): no room"},
		{"an interruption too", ErrInterrupted, "deploy shop/dev (toy): interrupted"},
		{
			"a lock names the stack itself", &LockedError{ID: shop, Holder: holder},
			"stack shop/dev (toy) is locked by deploy of ada@box (process 7) since 2026-05-04T03:02:01Z",
		},
		{"a loss of data is counted", &DataLossError{Resources: []string{"a", "b"}}, "deploy shop/dev (toy): the data of 2 resources would be lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{err: c.err}
			_, err := f.open().Deploy(t.Context(), DeployOptions{}, nil)
			wantError(t, err, c.want)
		})
	}
	f := &fake{buildErr: errors.New("no disk")}
	_, err := f.open().Deploy(t.Context(), DeployOptions{}, nil)
	wantError(t, err, "deploy shop/dev (toy): no disk")
}

func TestALossOfDataIsToldInTheManifestsWords(t *testing.T) {
	f := &fake{err: &DataLossError{Resources: []string{"jobs (toy:index:Queue)", "as it is"}}}
	_, err := f.open().Deploy(t.Context(), DeployOptions{}, nil)
	e, _ := errors.AsType[*DataLossError](err)
	if d := cmp.Diff(&DataLossError{Resources: []string{"queue jobs", "as it is"}}, e); d != "" {
		t.Error(d)
	}
}

func TestSecretsReachTheProgramAndWhatIsNotSetIsTold(t *testing.T) {
	f := &fake{values: map[string]providers.Secret{"KEY": providers.NewSecret("k"), "UNUSED": providers.NewSecret("u")}}
	g := &graph.Graph{Functions: []graph.Function{{Name: "api", Secrets: []string{"KEY", "GONE"}}, {Name: "worker", Secrets: []string{"GONE"}}}}
	r, err := f.openGraph(g).Deploy(t.Context(), DeployOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.inputs.Secrets) != 1 || f.inputs.Secrets["KEY"].Reveal() != "k" {
		t.Errorf("secrets %v", f.inputs.Secrets)
	}
	want := []string{"secret GONE of api, worker is not set; set it with `anyfaas secrets set GONE`"}
	if d := cmp.Diff(want, r.Warnings); d != "" {
		t.Error(d)
	}

	f = &fake{}
	if _, err := f.open().Deploy(t.Context(), DeployOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	f.want(t, "build", "up") // nobody needs a passphrase when nothing is secret
}

func change(op event.Op, name, function string) event.Change {
	return event.Change{Op: op, Resource: event.Resource{URN: "urn:" + name, Type: "toy:index:Queue", Name: name, Function: function}}
}

func TestOneFunctionIsDeployedWithWhatItNeedsNew(t *testing.T) {
	f := &fake{result: Result{Changes: []event.Change{
		change(event.Create, "jobs", ""), change(event.Update, "old", ""),
		change(event.Update, "api", "api"), change(event.Update, "worker", "worker"),
	}}}
	if _, err := f.open().Deploy(t.Context(), DeployOptions{Function: "api"}, nil); err != nil {
		t.Fatal(err)
	}
	f.want(t, "build", "preview", "up")
	if d := cmp.Diff([]string{"urn:jobs", "urn:api"}, f.options.Targets); d != "" {
		t.Error(d)
	}

	f = &fake{result: Result{Changes: []event.Change{change(event.Create, "jobs", "")}}}
	if r, err := f.open().Deploy(t.Context(), DeployOptions{Function: "api"}, nil); err != nil || r.Changed() {
		t.Errorf("a function without changes: %v, %v", r, err)
	}
	f.want(t, "build", "preview")

	_, err := f.open().Deploy(t.Context(), DeployOptions{Function: "nope"}, nil)
	wantError(t, err, `deploy shop/dev (toy): there is no function "nope"`)
}

func TestRemoveNeedsTheRecordedStateAlone(t *testing.T) {
	f := &fake{state: &State{Pending: []string{"urn"}}}
	s := f.openGraph(nil)
	if _, err := s.Remove(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	f.want(t, "destroy")
	if f.program.Run != nil || !f.options.AllowDataLoss {
		t.Errorf("program %v, options %+v", f.program.Run, f.options)
	}
	_, err := s.Deploy(t.Context(), DeployOptions{}, nil)
	wantError(t, err, "deploy shop/dev (toy): there is no valid manifest")

	for _, gone := range []*State{nil, {}} { // never deployed, removed
		f.state = gone
		_, err = s.Remove(t.Context(), nil)
		wantError(t, err, "remove shop/dev (toy): the stack is not deployed")
	}
}

func TestStoppingIsToldAtOnceAndOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stopping := make(chan event.Stopping, 5)
	f := &fake{err: ErrInterrupted}
	f.during = func(_ context.Context, sink event.Sink) {
		sink.Event(event.StepStarted{Change: change(event.Create, "a", "")})
		sink.Event(event.StepStarted{Change: change(event.Create, "b", "")})
		sink.Event(event.StepDone{Change: change(event.Create, "a", "")})
		cancel()
		select { // the engine is busy: the stack tells
		case e := <-stopping:
			if e.Running != 1 {
				t.Errorf("%d steps are running, want 1", e.Running)
			}
		case <-time.After(10 * time.Second):
			t.Error("nothing was told")
		}
		sink.Event(event.Stopping{Running: 9}) // the engine tells too
	}
	_, err := f.open().Deploy(ctx, DeployOptions{}, event.Func(func(e event.Event) {
		if s, ok := e.(event.Stopping); ok {
			stopping <- s
		}
	}))
	if !errors.Is(err, ErrInterrupted) {
		t.Errorf("error %v", err)
	}
	if n := len(stopping); n != 0 {
		t.Errorf("told %d times more", n)
	}
}

func TestEventsComeOneAtATime(t *testing.T) {
	f := &fake{during: func(_ context.Context, sink event.Sink) {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { sink.Event(event.Message{Text: "x"}) })
		}
		all.Wait()
	}}
	n := 0 // the race detector watches it
	if _, err := f.open().Deploy(t.Context(), DeployOptions{}, event.Func(func(event.Event) { n++ })); err != nil {
		t.Fatal(err)
	}
	if n != 21 {
		t.Errorf("%d events, want 21", n)
	}
}

var recordedState = &State{
	Outputs: map[string]any{"api.url": "http://x"},
	Resources: []Resource{
		{URN: "urn:pulumi:dev-toy::shop::pulumi:pulumi:Stack::shop", Type: "pulumi:pulumi:Stack", Name: "shop"},
		{
			URN: "urn:pulumi:dev-toy::shop::toy:index:Function::api", Type: "toy:index:Function", Name: "api",
			Inputs: map[string]any{"runtime": "go", "memory": "256MB", "timeout": "10s"},
		},
		{URN: "urn:pulumi:dev-toy::shop::toy:index:Queue::jobs", Type: "toy:index:Queue", Name: "jobs"},
	},
}

func TestInfoIsWhatWasRecorded(t *testing.T) {
	f := &fake{state: recordedState}
	got, err := f.openGraph(nil).Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Info{
		Outputs:   map[string]any{"api.url": "http://x"},
		Functions: []FunctionInfo{{Name: "api", Runtime: "go", Memory: "256MB", Timeout: "10s", URL: "http://x", Triggers: []string{}}},
		Resources: recordedState.Resources[1:],
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAFunctionIsCalledWhereItIsDeployed(t *testing.T) {
	f := &fake{state: recordedState}
	r, err := f.open().Invoke(t.Context(), "api", providers.Payload{})
	if err != nil || string(r.Body) != "api" {
		t.Fatalf("%q, %v", r.Body, err)
	}
	want := providers.Target{Service: "shop", Stage: "dev", Home: "/home", Command: []string{"me"}, Version: "1", Outputs: recordedState.Outputs}
	if d := cmp.Diff(want, f.target); d != "" {
		t.Error(d)
	}
	_, err = f.open().Invoke(t.Context(), "worker", providers.Payload{})
	wantError(t, err, `invoke worker in shop/dev (toy): there is no function "worker"`)
	if e, _ := errors.AsType[*UnknownFunctionError](err); e == nil || len(e.Known) != 1 || e.Known[0] != "api" {
		t.Errorf("error %#v", err)
	}

	f.state = nil
	_, err = f.open().Invoke(t.Context(), "api", providers.Payload{})
	wantError(t, err, "invoke api in shop/dev (toy): the stack is not deployed")
}

func TestAnAbilityThatAProviderLacksIsSaidSo(t *testing.T) {
	next, stop := iter.Pull2((&fake{state: recordedState}).open().Logs(t.Context(), "api", providers.LogOptions{}))
	defer stop()
	_, err, _ := next()
	wantError(t, err, "provider toy cannot read logs")
}

func TestHistoryBeginsWithTheLatest(t *testing.T) {
	h, err := (&fake{}).open().History(t.Context())
	if err != nil || len(h) != 2 || h[0].Version != 2 {
		t.Errorf("%v, %v", h, err)
	}
}

func TestDescribe(t *testing.T) {
	for want, tr := range map[string]graph.Trigger{
		"GET /orders/{id}":                {HTTP: &graph.HTTPTrigger{Method: "GET", Path: "/orders/{id}"}},
		"ANY /{path+} (auth jwt)":         {HTTP: &graph.HTTPTrigger{Method: "*", Path: "/{path+}", Auth: "jwt"}},
		"cron 0 3 * * MON (Europe/Paris)": {Schedule: &graph.ScheduleTrigger{Cron: "0 3 * * MON", Timezone: "Europe/Paris"}},
		"every 5m":                        {Schedule: &graph.ScheduleTrigger{Every: 5 * time.Minute}},
		"every 2h":                        {Schedule: &graph.ScheduleTrigger{Every: 2 * time.Hour}},
		"every 1m30s":                     {Schedule: &graph.ScheduleTrigger{Every: 90 * time.Second}},
		"queue jobs (batch 10)":           {Queue: &graph.QueueTrigger{Name: "jobs", Batch: 10}},
		"queue jobs":                      {Queue: &graph.QueueTrigger{Name: "jobs", Batch: 1}},
		"topic events (filtered)":         {Topic: &graph.TopicTrigger{Name: "events", Filter: map[string][]string{"a": {"b"}}}},
		"storage uploads (created, deleted; in/*.x)": {Storage: &graph.StorageTrigger{Bucket: "uploads", Events: []string{"created", "deleted"}, Prefix: "in/", Suffix: ".x"}},
		"stream clicks (from latest)":                {Stream: &graph.StreamTrigger{Name: "clicks", From: "latest"}},
		"table orders":                               {Table: &graph.TableTrigger{Name: "orders"}},
		"event order.paid (from com.example)":        {Event: &graph.EventTrigger{Source: "com.example", Type: "order.paid"}},
		"event":                                      {Event: &graph.EventTrigger{}},
	} {
		if got := Describe(tr); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLabel(t *testing.T) {
	for want, r := range map[string]event.Resource{
		"api":                {Type: "toy:index:Function", Name: "api", Function: "api"},
		"api GET /orders":    {Type: "toy:index:Route", Name: "api.http.GET/orders", Function: "api"},
		"api ANY /":          {Type: "toy:index:Route", Name: "api.http.*/", Function: "api"},
		"api queue jobs":     {Type: "toy:index:Consumer", Name: "api.queue.jobs", Function: "api"},
		"api schedule":       {Type: "toy:index:Schedule", Name: "api.schedule", Function: "api"},
		"api queue consumer": {Type: "toy:index:QueueConsumer", Name: "other", Function: "api"},
		"queue jobs":         {Type: "toy:index:Queue", Name: "jobs"},
		"stack":              {Type: "pulumi:pulumi:Stack", Name: "shop-dev"},
	} {
		if got := Label(r); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestExportIsHandedThrough(t *testing.T) {
	e := exporter{fake: &fake{}}
	s := New(Config{ID: shop, Engine: e, Provider: e})
	b, err := s.Export(t.Context())
	if err != nil || string(b) != `{"version":3}` {
		t.Errorf("%s, %v", b, err)
	}
	wantError(t, s.Import(t.Context(), nil), "import shop/dev (toy): no deployment")
}

type exporter struct{ *fake }

func (exporter) Export(context.Context, ID) (json.RawMessage, error) {
	return json.RawMessage(`{"version":3}`), nil
}

func (exporter) Import(context.Context, ID, json.RawMessage) error {
	return errors.New("no deployment")
}
