package local

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

// served returns a server for the fake host and the package of function api.
func served(t *testing.T, h *fakeHost) *server {
	t.Helper()
	zip := filepath.Join(t.TempDir(), "api.zip")
	if err := os.WriteFile(zip, []byte("zip"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &server{
		artifacts: providers.Artifacts{"api": {Function: "api", Path: zip, SHA256: "abc"}},
		open:      h.open,
	}
}

func resourceOf(token, name string) providers.Resource {
	return providers.Resource{
		URN:  resource.NewURN("dev-local", "orders", "", "x", name),
		Type: token,
		Name: name,
	}
}

func functionProps() resource.PropertyMap {
	return resource.NewPropertyMapFromMap(map[string]any{
		"stack":   "orders-dev",
		"code":    "abc",
		"runtime": "node22",
		"memory":  "256MB",
		"timeout": "10s",
		"env":     map[string]any{"LEVEL": "info"},
	})
}

func serviceProps() resource.PropertyMap {
	return resource.NewPropertyMapFromMap(map[string]any{"stack": "orders-dev", "service": "orders", "stage": "dev", "owner": "/project"})
}

func queueProps() resource.PropertyMap {
	return resource.NewPropertyMapFromMap(map[string]any{"stack": "orders-dev", "visibility": "30s", "retention": "4d"})
}

func TestCreateUploadsThePackageOnce(t *testing.T) {
	h := newFakeHost()
	s := served(t, h)
	for range 2 {
		id, out, err := s.Create(t.Context(), resourceOf(tokenFunction, "api"), functionProps(), false)
		if err != nil {
			t.Fatal(err)
		}
		if id != "orders-dev/functions/api" || out["id"].StringValue() != id {
			t.Errorf("id %q, outputs %v", id, out)
		}
	}
	want := []string{"upload abc", "put orders-dev/functions/api", "put orders-dev/functions/api"}
	if d := cmp.Diff(want, h.calls); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
}

func TestCreateSaysWhichPackageIsMissing(t *testing.T) {
	s := served(t, newFakeHost())
	s.artifacts = nil
	_, _, err := s.Create(t.Context(), resourceOf(tokenFunction, "api"), functionProps(), false)
	want := `the package abc of function "api" is neither on the host nor built by this command`
	if err == nil || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
}

func TestPreviewStartsNoHost(t *testing.T) {
	h := newFakeHost()
	s := served(t, h)
	ctx := t.Context()
	r := resourceOf(tokenService, "orders")
	if _, _, err := s.Check(ctx, r, nil, serviceProps()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Diff(ctx, r, serviceProps(), nil, serviceProps()); err != nil {
		t.Fatal(err)
	}
	id, out, err := s.Create(ctx, r, serviceProps(), true)
	if err != nil {
		t.Fatal(err)
	}
	if id != "orders-dev/services/orders" || !out["url"].IsComputed() || !out["events"].IsComputed() {
		t.Errorf("id %q, outputs %v", id, out)
	}
	if h.starts != 0 {
		t.Error("a preview started the host")
	}
}

func TestUpdatePreviewKeepsWhatIsKnown(t *testing.T) {
	s := served(t, newFakeHost())
	old := resource.NewPropertyMapFromMap(map[string]any{"url": "http://127.0.0.1:8080"})
	with := func(m resource.PropertyMap, key resource.PropertyKey, v any) resource.PropertyMap {
		m[key] = resource.NewProperty(v.(float64))
		return m
	}
	for _, test := range []struct {
		name    string
		inputs  resource.PropertyMap
		unknown bool
	}{
		{"nothing that moves the front", func() resource.PropertyMap {
			m := serviceProps()
			m["domain"] = resource.NewProperty("a.example")
			return m
		}(), false},
		{"another port", with(serviceProps(), "port", 9999.0), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := s.Update(t.Context(), resourceOf(tokenService, "orders"), serviceProps(), old, test.inputs, true)
			if err != nil {
				t.Fatal(err)
			}
			if got := out["url"].IsComputed(); got != test.unknown {
				t.Errorf("url %v", out["url"])
			}
		})
	}
}

func TestDeleteWithoutHost(t *testing.T) {
	t.Run("nothing is kept: it succeeds and starts nothing", func(t *testing.T) {
		h := newFakeHost()
		if err := served(t, h).Delete(t.Context(), resourceOf(tokenQueue, "jobs"), queueProps(), nil); err != nil {
			t.Fatal(err)
		}
		if h.starts != 0 || len(h.calls) != 0 {
			t.Errorf("%d starts, calls %v", h.starts, h.calls)
		}
	})
	t.Run("something is kept: the host is started to delete it", func(t *testing.T) {
		h := newFakeHost()
		h.kept = true
		h.resources["orders-dev/queues/jobs"] = api.ResourceState{Kind: api.KindQueue, Name: "jobs"}
		if err := served(t, h).Delete(t.Context(), resourceOf(tokenQueue, "jobs"), queueProps(), nil); err != nil {
			t.Fatal(err)
		}
		if h.starts != 1 || len(h.resources) != 0 {
			t.Errorf("%d starts, resources %v", h.starts, h.resources)
		}
	})
}

func TestDeletingTheServiceTakesAlongWhatWasRetained(t *testing.T) {
	h := newFakeHost()
	s := served(t, h)
	ctx := t.Context()
	for _, r := range []struct {
		res providers.Resource
		in  resource.PropertyMap
	}{
		{resourceOf(tokenService, "orders"), serviceProps()},
		{resourceOf(tokenQueue, "jobs"), queueProps()},
	} {
		if _, _, err := s.Create(ctx, r.res, r.in, false); err != nil {
			t.Fatal(err)
		}
	}
	h.calls = nil
	if err := s.Delete(ctx, resourceOf(tokenService, "orders"), serviceProps(), nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"delete orders-dev/queues/jobs", "delete orders-dev/services/orders"}
	if d := cmp.Diff(want, h.calls); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
	if h.running {
		t.Error("the host still runs")
	}
}

func TestReadFindsWhatIsThere(t *testing.T) {
	h := newFakeHost()
	s := served(t, h)
	ctx := t.Context()
	r := resourceOf(tokenFunction, "api")
	in := functionProps()
	in["secrets"] = resource.NewProperty(resource.PropertyMap{"KEY": resource.MakeSecret(resource.NewProperty("hidden"))})

	if id, _, _, err := s.Read(ctx, r, in, nil); err != nil || id != "" {
		t.Fatalf("before the create: id %q, %v", id, err)
	}
	if _, _, err := s.Create(ctx, r, in, false); err != nil {
		t.Fatal(err)
	}
	id, inputs, outputs, err := s.Read(ctx, r, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if id != "orders-dev/functions/api" || outputs["id"].StringValue() != id {
		t.Errorf("id %q, outputs %v", id, outputs)
	}
	if d := kindNamed(t, tokenFunction).diff(in, inputs); len(d.Changed) > 0 {
		t.Errorf("a read without a change changes %v", d.Changed)
	}

	// An interrupted update: the host has the new memory, the state does not.
	newer := functionProps()
	newer["memory"] = resource.NewProperty("512MB")
	newer["secrets"] = in["secrets"]
	if _, err := s.Update(ctx, r, in, outputs, newer, false); err != nil {
		t.Fatal(err)
	}
	_, inputs, _, err = s.Read(ctx, r, in, outputs)
	if err != nil {
		t.Fatal(err)
	}
	if d := kindNamed(t, tokenFunction).diff(in, inputs); !cmp.Equal(d.Changed, []string{"memory"}) {
		t.Errorf("want memory changed, got %v", d.Changed)
	}
	if !inputs["secrets"].ObjectValue()["KEY"].IsSecret() {
		t.Error("a read makes a secret plain")
	}
}

func TestAFailedPutIsAnError(t *testing.T) {
	h := newFakeHost()
	s := served(t, h)
	h.fail = errors.New("the host said no")
	r := resourceOf(tokenQueue, "jobs")
	if _, _, err := s.Create(t.Context(), r, queueProps(), false); err == nil || err.Error() != "the host said no" {
		t.Fatalf("got %v", err)
	}
	if _, _, err := s.Create(t.Context(), r, queueProps(), false); err != nil {
		t.Fatalf("the next create: %v", err)
	}
}

func TestCheckRefusesWhatTheHostCannotUnderstand(t *testing.T) {
	s := served(t, newFakeHost())
	in := resource.NewPropertyMapFromMap(map[string]any{
		"stack": "orders-dev", "code": "abc", "memory": "lots", "timeout": -1.0, "env": "x", "colour": "red",
	})
	_, got, err := s.Check(t.Context(), resourceOf(tokenFunction, "api"), nil, in)
	if err != nil {
		t.Fatal(err)
	}
	want := []providers.CheckFailure{
		{Property: "colour", Reason: "is not an input of this resource"},
		{Property: "env", Reason: "must be a map, not string"},
		{Property: "memory", Reason: `must be a positive size like "512MB", not "lots"`},
		{Property: "runtime", Reason: "is missing"},
		{Property: "timeout", Reason: "must be a string, not number"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("failures (-want +got):\n%s", d)
	}
}

func TestRevive(t *testing.T) {
	address := func(url string) map[string]any { return map[string]any{"url": url} }
	ids := []string{"orders-dev/services/orders", "orders-dev/queues/jobs", "orders-dev/routes/api.http.GET%2Forders", "orders-dev/queues/later"}
	recorded := []providers.Recorded{{ID: ids[0]}, {ID: ids[1]}, {ID: ids[2]}, {ID: ids[3]}}
	h := newFakeHost()
	check := func(name string, want providers.Revived) {
		t.Helper()
		got, err := revive(t.Context(), h.open, recorded)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: want -, got +:\n%s", name, d)
		}
	}
	check("without anything kept", providers.Revived{Gone: ids})
	if h.starts != 0 {
		t.Errorf("%d starts", h.starts)
	}
	s := served(t, h)
	made := func(token, name string, in resource.PropertyMap) {
		t.Helper()
		if _, _, err := s.Create(t.Context(), resourceOf(token, name), in, false); err != nil {
			t.Fatal(err)
		}
	}
	made(tokenService, "orders", serviceProps())
	made(tokenRoute, "api.http.GET/orders", resource.NewPropertyMapFromMap(map[string]any{"stack": "orders-dev", "function": "api", "method": "GET", "path": "/orders"}))
	made(tokenQueue, "later", resource.NewPropertyMapFromMap(map[string]any{"stack": "orders-dev", "visibility": "30s", "retention": "1h"}))
	for i, id := range ids {
		recorded[i].Outputs = h.resources[id].Outputs
	}
	h.running, h.kept = false, true
	check("after a restart", providers.Revived{Gone: ids[1:2]})
	if h.starts != 2 {
		t.Errorf("%d starts", h.starts)
	}

	later := h.resources[ids[3]]
	later.Outputs = address("http://elsewhere")
	h.resources[ids[3]] = later
	check("a queue is elsewhere", providers.Revived{Gone: ids[1:2], Moved: ids[3:]})

	down := h.resources[ids[0]]
	down.Down = true
	h.resources[ids[0]] = down
	h.fail = errors.New("port 80 is taken")
	check("the front cannot have its port", providers.Revived{Gone: ids[1:2], Moved: ids[3:], Down: []string{"service orders is down: port 80 is taken"}})
	h.calls = nil
	check("the front can have another port", providers.Revived{Gone: ids[1:2], Moved: ids[3:]})
	if d := cmp.Diff([]string{"put " + ids[0], "put " + ids[2]}, h.calls); d != "" {
		t.Errorf("calls: want -, got +:\n%s", d)
	}
}

func kindNamed(t *testing.T, token string) kind {
	t.Helper()
	k, ok := kindOf(token)
	if !ok {
		t.Fatalf("no kind %s", token)
	}
	return k
}
