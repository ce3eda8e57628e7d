package local

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/anyfaas/anyfaas/providers/local/host"
)

// A world is a real host in this process, for one test.
type world struct {
	home   string
	client *host.Client
	ended  chan error
}

func startHost(t *testing.T) *world {
	t.Helper()
	// Sockets have short paths.
	home, err := os.MkdirTemp("", "anyfaas")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	w := &world{home: home, ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { w.ended <- host.Run(ctx, host.Options{Home: home, Version: "test", Log: io.Discard}) }()
	w.client = host.NewClient(home)
	t.Cleanup(w.client.Close)
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-w.ended:
			w.ended <- err
		case <-time.After(30 * time.Second):
			t.Error("the host does not end")
		}
	})
	deadline := time.Now().Add(30 * time.Second)
	for {
		if _, err := w.client.Status(t.Context()); err == nil {
			return w
		}
		select {
		case err := <-w.ended:
			t.Fatalf("the host ended: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("the host does not answer")
		}
	}
}

// A deployment is the state of a stack, as an engine would keep it.
type deployment struct {
	pulumi.MockResourceMonitor
	t      *testing.T
	server *server

	mu        sync.Mutex
	resources []deployedResource // in the order of their making
	changed   []string           // by the last deploy
}

type deployedResource struct {
	providers.Resource
	in, out resource.PropertyMap
}

// deploy runs the program and applies what it declares, as an engine would but
// for deletions.
func (d *deployment) deploy(g *graph.Graph) error {
	d.t.Helper()
	d.changed = nil
	in := providers.Inputs{Artifacts: d.server.artifacts, Secrets: map[string]providers.Secret{"STRIPE_KEY": providers.NewSecret("sk_live")}}
	err := pulumi.RunErr(Provider{}.Program(g, in), pulumi.WithMocks(g.Service, g.Stage+"-local", d))
	slices.Sort(d.changed)
	return err
}

func (d *deployment) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	ctx := d.t.Context()
	in, err := plugin.UnmarshalProperties(args.RegisterRPC.GetObject(), plugin.MarshalOptions{KeepSecrets: true, KeepUnknowns: true})
	if err != nil {
		return "", nil, err
	}
	r := providers.Resource{Type: args.TypeToken, Name: args.Name}
	in, failures, err := d.server.Check(ctx, r, nil, in)
	if err != nil || len(failures) > 0 {
		return "", nil, fmt.Errorf("check %s %s: %v %w", r.Type, r.Name, failures, err)
	}
	d.mu.Lock()
	i := slices.IndexFunc(d.resources, func(o deployedResource) bool { return o.Type == r.Type && o.Name == r.Name })
	d.mu.Unlock()
	if i < 0 {
		id, out, err := d.server.Create(ctx, r, in, false)
		if err != nil {
			return "", nil, fmt.Errorf("create %s %s: %w", r.Type, r.Name, err)
		}
		if want := d.server.Identity(r, in); id != want {
			d.t.Errorf("create of %s %s gives id %q, Identity %q", r.Type, r.Name, id, want)
		}
		r.ID = id
		d.mu.Lock()
		defer d.mu.Unlock()
		d.resources = append(d.resources, deployedResource{r, in, out})
		d.changed = append(d.changed, "create "+id)
		return id, out, nil
	}
	old := d.resources[i]
	diff, err := d.server.Diff(ctx, r, old.in, old.out, in)
	if err != nil {
		return "", nil, err
	}
	if len(diff.Changed) > 0 {
		if old.out, err = d.server.Update(ctx, r, old.in, old.out, in, false); err != nil {
			return "", nil, fmt.Errorf("update %s %s: %w", r.Type, r.Name, err)
		}
		old.in = in
		d.mu.Lock()
		defer d.mu.Unlock()
		d.resources[i] = old
		d.changed = append(d.changed, "update "+old.ID+" "+strings.Join(diff.Changed, " "))
	}
	return old.ID, old.out, nil
}

// everything returns the graph of testdata/manifests/everything.yaml on a free
// port, and packages for its functions.
func everything(t *testing.T) (*graph.Graph, providers.Artifacts) {
	t.Helper()
	g, _, list := manifest.Load(manifest.Options{Dir: "testdata/manifests", File: "everything.yaml", ReadFile: os.ReadFile})
	if list.HasErrors() {
		t.Fatal(list)
	}
	g.Settings["port"] = "0"
	arts := providers.Artifacts{}
	for i := range g.Functions {
		f := &g.Functions[i]
		f.Warm = 0 // nothing here runs functions
		path := filepath.Join(t.TempDir(), f.Name+".zip")
		arts[f.Name] = providers.Artifact{Function: f.Name, Path: path, SHA256: writeZip(t, path, f.Name), Command: []string{"./main"}}
	}
	return g, arts
}

func writeZip(t *testing.T, path, content string) (sha string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	z := zip.NewWriter(io.MultiWriter(f, sum))
	w, err := z.Create("main")
	if err == nil {
		_, err = io.WriteString(w, content)
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// The whole life of a stack on the real host: what the program declares is what
// the host takes, reads give back what was asked, nothing changes without a
// change, and nothing is left in the end.
func TestLifeOnTheRealHost(t *testing.T) {
	w := startHost(t)
	g, arts := everything(t)
	d := &deployment{t: t, server: &server{artifacts: arts, open: opener(providers.HostOptions{Home: w.home})}}
	if err := d.deploy(g); err != nil {
		t.Fatal(err)
	}
	state, err := w.client.Stack(t.Context(), "shop-dev")
	if err != nil || state == nil {
		t.Fatalf("stack %v, %v", state, err)
	}
	if len(state.Resources) != len(d.resources) {
		t.Errorf("the host holds %d resources, the state %d", len(state.Resources), len(d.resources))
	}
	for _, r := range d.resources {
		for _, name := range kindNamed(t, r.Type).outputs {
			if r.out[resource.PropertyKey(name)].IsNull() {
				t.Errorf("%s has no output %q: %v", r.ID, name, r.out)
			}
		}
		id, in, out, err := d.server.Read(t.Context(), r.Resource, r.in, r.out)
		if err != nil || id != r.ID {
			t.Errorf("read %s: id %q, %v", r.ID, id, err)
		}
		if diff := kindNamed(t, r.Type).diff(r.in, in); len(diff.Changed) > 0 {
			t.Errorf("read %s: inputs %v differ", r.ID, diff.Changed)
		}
		if !out.DeepEquals(r.out) {
			t.Errorf("read %s: outputs %v, were %v", r.ID, out, r.out)
		}
	}

	if err := d.deploy(g); err != nil {
		t.Fatal(err)
	}
	if len(d.changed) > 0 {
		t.Errorf("the same manifest again changes %v", d.changed)
	}

	g.Function("worker").MemoryMB = 512
	if err := d.deploy(g); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"update shop-dev/functions/worker memory"}, d.changed); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}

	recorded := []providers.Recorded{{ID: "shop-dev/queues/other"}}
	for _, r := range d.resources {
		recorded = append(recorded, providers.Recorded{ID: r.ID, Outputs: r.out.Mappable()})
	}
	got, err := Provider{}.Revive(t.Context(), providers.HostOptions{Home: w.home}, recorded)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(providers.Revived{Gone: []string{"shop-dev/queues/other"}}, got); diff != "" {
		t.Errorf("revived (-want +got):\n%s", diff)
	}

	for _, r := range slices.Backward(d.resources) {
		if retained := r.in["retain"]; retained.IsBool() && retained.BoolValue() {
			continue // the engine leaves them alone
		}
		if err := d.server.Delete(t.Context(), r.Resource, r.in, r.out); err != nil {
			t.Fatalf("delete %s: %v", r.ID, err)
		}
	}
	select {
	case err := <-w.ended:
		w.ended <- err
		if err != nil {
			t.Errorf("the host ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the host goes on without a stack")
	}
	if kept, err := host.Kept(t.Context(), w.home); kept || err != nil {
		t.Errorf("kept %v, %v", kept, err)
	}
	// Removing what is gone succeeds, and starts nothing.
	again := &server{open: opener(providers.HostOptions{Home: w.home, Command: []string{"/nonexistent"}})}
	for _, r := range d.resources {
		if err := again.Delete(t.Context(), r.Resource, r.in, r.out); err != nil {
			t.Errorf("delete %s again: %v", r.ID, err)
		}
	}
}

func TestAMovedProjectKeepsItsStack(t *testing.T) {
	w := startHost(t)
	g, arts := everything(t)
	d := &deployment{t: t, server: &server{artifacts: arts, open: opener(providers.HostOptions{Home: w.home})}}
	if err := d.deploy(g); err != nil {
		t.Fatal(err)
	}
	front := d.resources[0].out["url"]

	g.Dir = "/elsewhere"
	if err := d.deploy(g); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"update shop-dev/services/shop jwt.jwks owner"}, d.changed); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if got := d.resources[0].out["url"]; !got.DeepEquals(front) {
		t.Errorf("the front moved from %v to %v", front, got)
	}
	state, err := w.client.Stack(t.Context(), "shop-dev")
	if err != nil || state.Owner != "/elsewhere" {
		t.Errorf("owner %v, %v", state, err)
	}
}

func TestAnotherProjectIsRefused(t *testing.T) {
	w := startHost(t)
	g, arts := everything(t)
	options := providers.HostOptions{Home: w.home}
	if err := (&deployment{t: t, server: &server{artifacts: arts, open: opener(options)}}).deploy(g); err != nil {
		t.Fatal(err)
	}
	owner := g.Dir
	g.Dir = "/another"
	err := (&deployment{t: t, server: &server{artifacts: arts, open: opener(options)}}).deploy(g)
	want := `stack "shop-dev" on this machine belongs to service "shop", stage "dev", of ` + owner + "; deploy this one under another stage"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("want %q in\n%v", want, err)
	}
}

func TestALostStateLeavesNoFunctionsBehind(t *testing.T) {
	w := startHost(t)
	g, arts := everything(t)
	options := providers.HostOptions{Home: w.home}
	if err := (&deployment{t: t, server: &server{artifacts: arts, open: opener(options)}}).deploy(g); err != nil {
		t.Fatal(err)
	}
	// The state is gone, and so is function report from the manifest.
	g.Functions = slices.DeleteFunc(g.Functions, func(f graph.Function) bool { return f.Name == "report" })
	if err := (&deployment{t: t, server: &server{artifacts: arts, open: opener(options)}}).deploy(g); err != nil {
		t.Fatal(err)
	}
	state, err := w.client.Stack(t.Context(), "shop-dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range state.Resources {
		if r.Name == "report" || strings.HasPrefix(r.Name, "report.") {
			t.Errorf("%s %s is still there", r.Kind, r.Name)
		}
	}
	if i := slices.IndexFunc(state.Resources, func(r api.ResourceState) bool { return r.Kind == api.KindQueue && r.Name == "jobs" }); i < 0 {
		t.Error("queue jobs is gone")
	}
}
