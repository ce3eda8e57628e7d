package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/engine"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// cloud is a ResourceServer whose resources are files in a folder, so that they
// outlive a killed process. Its types are fake:index:Thing, fake:index:Table,
// which holds data, and fake:index:Unique, of which only one may exist per name.
// A changed "name" or "generation" replaces a resource.
type cloud struct {
	dir string
	// before is called ahead of every real change and may fail or block it.
	before func(ctx context.Context, op string, r providers.Resource) error
	// after is called when the change is made but not yet answered.
	after func(op string, r providers.Resource)

	mu    sync.Mutex
	calls []string
}

func (*cloud) Package() string { return "fake" }
func (*cloud) Version() string { return "1.2.3" }

func (c *cloud) Check(_ context.Context, r providers.Resource, _, in resource.PropertyMap) (resource.PropertyMap, []providers.CheckFailure, error) {
	if v := in["size"]; v.IsNumber() && v.NumberValue() < 0 {
		return in, []providers.CheckFailure{{Property: "size", Reason: "size must not be negative"}}, nil
	}
	return in, nil, nil
}

func (c *cloud) Diff(_ context.Context, r providers.Resource, oldIn, _, in resource.PropertyMap) (providers.Diff, error) {
	var d providers.Diff
	for _, m := range []resource.PropertyMap{oldIn, in} {
		for k := range m {
			if !oldIn[k].DeepEquals(in[k]) && !slices.Contains(d.Changed, string(k)) {
				d.Changed = append(d.Changed, string(k))
			}
		}
	}
	slices.Sort(d.Changed)
	if slices.Contains(d.Changed, "name") {
		d.Replace = []string{"name"}
	}
	if slices.Contains(d.Changed, "generation") {
		d.Replace = append(d.Replace, "generation")
	}
	slices.Sort(d.Replace)
	d.DeleteBeforeReplace = r.Type == "fake:index:Unique"
	return d, nil
}

func (c *cloud) Identity(r providers.Resource, in resource.PropertyMap) string {
	return r.Type + "/" + in["name"].StringValue()
}

func (c *cloud) outputs(in resource.PropertyMap, preview bool) resource.PropertyMap {
	out := in.Copy()
	if preview {
		out["url"] = resource.MakeComputed(resource.NewProperty(""))
	} else {
		out["url"] = resource.NewProperty("fake://" + in["name"].StringValue())
	}
	return out
}

func (c *cloud) Create(ctx context.Context, r providers.Resource, in resource.PropertyMap, preview bool) (string, resource.PropertyMap, error) {
	if preview {
		return "", c.outputs(in, true), nil
	}
	id := c.Identity(r, in)
	return id, c.outputs(in, false), c.do(ctx, "create", r, func() error { return c.put(id, in) })
}

func (c *cloud) Update(ctx context.Context, r providers.Resource, _, _, in resource.PropertyMap, preview bool) (resource.PropertyMap, error) {
	if preview {
		return c.outputs(in, false), nil
	}
	return c.outputs(in, false), c.do(ctx, "update", r, func() error { return c.put(r.ID, in) })
}

func (c *cloud) Delete(ctx context.Context, r providers.Resource, _, _ resource.PropertyMap) error {
	return c.do(ctx, "delete", r, func() error {
		err := os.Remove(c.file(r.ID))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func (c *cloud) Read(_ context.Context, r providers.Resource, _, _ resource.PropertyMap) (string, resource.PropertyMap, resource.PropertyMap, error) {
	data, err := os.ReadFile(c.file(r.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil, nil
	}
	if err != nil {
		return "", nil, nil, err
	}
	var plain map[string]any
	if err := json.Unmarshal(data, &plain); err != nil {
		return "", nil, nil, err
	}
	in := resource.NewPropertyMapFromMap(plain)
	return r.ID, in, c.outputs(in, false), nil
}

func (c *cloud) do(ctx context.Context, op string, r providers.Resource, change func() error) error {
	c.mu.Lock()
	c.calls = append(c.calls, op+" "+r.Name)
	c.mu.Unlock()
	if c.before != nil {
		if err := c.before(ctx, op, r); err != nil {
			return err
		}
	}
	if err := change(); err != nil {
		return err
	}
	if c.after != nil {
		c.after(op, r)
	}
	return nil
}

func (c *cloud) file(id string) string { return filepath.Join(c.dir, url.PathEscape(id)) }

func (c *cloud) put(id string, in resource.PropertyMap) error {
	data, err := json.Marshal(reveal(resource.NewProperty(in)))
	if err != nil {
		return err
	}
	// A kill in the middle must not leave half a resource.
	tmp, err := os.CreateTemp(filepath.Dir(c.dir), "cloud-*")
	if err != nil {
		return err
	}
	defer tmp.Close()
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), c.file(id))
}

// reveal is the plain JSON of a value, secrets included: the cloud knows them.
func reveal(v resource.PropertyValue) any {
	switch {
	case v.IsSecret():
		return reveal(v.SecretValue().Element)
	case v.IsObject():
		out := map[string]any{}
		for k, e := range v.ObjectValue() {
			out[string(k)] = reveal(e)
		}
		return out
	}
	return v.V
}

// exist lists the ids of what exists in the cloud.
func (c *cloud) exist(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, e := range entries {
		id, err := url.PathUnescape(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// content is the stored form of a resource.
func (c *cloud) content(t testing.TB, id string) string {
	t.Helper()
	data, err := os.ReadFile(c.file(id))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// made forgets and returns the changes since the last call, sorted.
func (c *cloud) made() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	slices.Sort(calls)
	return calls
}

// thing is a resource of the program under test.
type thing struct {
	Type   string // "" means Thing
	Name   string // of the resource and, unless Real is set, in the cloud
	Real   string
	Props  pulumi.Map
	Needs  []string // names of things whose url it takes
	Retain bool
}

type thingState struct {
	pulumi.CustomResourceState
	URL pulumi.StringOutput `pulumi:"url"`
}

// declare returns a program with the things, exporting the url of each.
func declare(things ...thing) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		made := map[string]*thingState{}
		for _, th := range things {
			props := pulumi.Map{"name": pulumi.String(th.Name)}
			if th.Real != "" {
				props["name"] = pulumi.String(th.Real)
			}
			for k, v := range th.Props {
				props[k] = v
			}
			for _, need := range th.Needs {
				props["uses-"+need] = made[need].URL
			}
			typ := th.Type
			if typ == "" {
				typ = "Thing"
			}
			var s thingState
			if err := ctx.RegisterResource("fake:index:"+typ, th.Name, props, &s, pulumi.RetainOnDelete(th.Retain)); err != nil {
				return err
			}
			made[th.Name] = &s
			ctx.Export(th.Name, s.URL)
		}
		return nil
	}
}

var testID = stacks.ID{Service: "orders", Stage: "dev", Provider: "local"}

// world is a project folder, a cloud and an engine.
type world struct {
	*engine.Engine
	dir   string
	cloud *cloud
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	cloudDir := filepath.Join(dir, "cloud")
	if err := os.Mkdir(cloudDir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range keys(t) {
		writeFile(t, filepath.Join(dir, ".anyfaas", "state", name), data)
	}
	return &world{Engine: open(t, engine.Options{ProjectDir: dir}), dir: dir, cloud: &cloud{dir: cloudDir}}
}

// keys are the key files of a state. Working a key out takes a quarter of a
// second, so the tests share one.
var keys = func() func(testing.TB) map[string][]byte {
	var once sync.Once
	files := map[string][]byte{}
	return func(t testing.TB) map[string][]byte {
		t.Helper()
		once.Do(func() {
			dir := t.TempDir()
			e := open(t, engine.Options{ProjectDir: dir})
			if err := e.SetSecret(t.Context(), testID, "ANY", providers.NewSecret("x")); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"key", "key.derived"} {
				data, err := os.ReadFile(filepath.Join(dir, ".anyfaas", "state", name))
				if err != nil {
					t.Fatal(err)
				}
				files[name] = data
			}
		})
		return files
	}
}()

func open(t testing.TB, o engine.Options) *engine.Engine {
	t.Helper()
	if o.Env == nil {
		o.Env = func(string) string { return "" }
	}
	o.Program = "anyfaas test"
	e, err := engine.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (w *world) program(things ...thing) stacks.Program {
	return stacks.Program{
		Run: declare(things...), InProcess: []providers.ResourceServer{w.cloud},
		Owners: func(urn string) string {
			if name := resource.URN(urn).Name(); name == "api" || name == "worker" {
				return name
			}
			return ""
		},
		Stateful: func(typ string) bool { return typ == "fake:index:Table" },
	}
}

func (w *world) up(t testing.TB, things ...thing) stacks.Result {
	t.Helper()
	r, err := w.Up(t.Context(), testID, w.program(things...), stacks.Options{}, event.Discard)
	if err != nil {
		t.Fatalf("up: %v", err)
	}
	return r
}

func (w *world) preview(t testing.TB, things ...thing) stacks.Result {
	t.Helper()
	r, err := w.Preview(t.Context(), testID, w.program(things...), stacks.Options{}, event.Discard)
	if err != nil {
		t.Fatalf("preview: %v", err)
	}
	return r
}

// summary is the changes as "op name" lines.
func summary(r stacks.Result) []string {
	lines := []string{}
	for _, c := range r.Changes {
		lines = append(lines, string(c.Op)+" "+c.Name)
	}
	return lines
}
