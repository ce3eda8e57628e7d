package providers_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
)

// named is a provider with nothing but a name and a table.
type named struct {
	name  string
	table providers.Features
}

func (n named) Name() string                                        { return n.name }
func (n named) Features() providers.Features                        { return n.table }
func (named) Check(*graph.Graph) diag.List                          { return nil }
func (named) Program(*graph.Graph, providers.Inputs) pulumi.RunFunc { return nil }

func TestCheckFeatures(t *testing.T) {
	table := providers.Features{
		"a": {Level: providers.Exact},
		"b": {Level: providers.Emulated, Note: "done otherwise"},
		"c": {Level: providers.Approximated, Code: "toy-c", Note: "c is rounded up"},
		"d": {Level: providers.Unsupported, Code: "toy-d", Note: "toy has no d"},
	}
	at := func(line int) diag.Pos { return diag.Pos{File: "serverless.yaml", Line: line, Column: 3} }
	for _, test := range []struct {
		name string
		used []graph.Setting
		want string
	}{
		{
			name: "exact and emulated settings are not reported",
			used: []graph.Setting{{Path: "a", Pos: at(1)}, {Path: "b", Pos: at(2)}},
		},
		{
			name: "approximations are warnings and gaps are errors with a way out",
			used: []graph.Setting{{Path: "c", Pos: at(3)}, {Path: "d", Pos: at(4)}},
			want: "serverless.yaml:3:3: warning: c is rounded up [toy-c]\n" +
				"serverless.yaml:4:3: toy has no d [toy-d]\n" +
				"  hint: remove the setting, or accept its absence with `accept: [toy-d]`\n",
		},
		{
			name: "what is accepted is silent when approximated and a warning when missing",
			used: []graph.Setting{{Path: "c", Pos: at(3), Accept: []string{"toy-c"}}, {Path: "d", Pos: at(4), Accept: []string{"toy-d"}}},
			want: "serverless.yaml:4:3: warning: toy has no d [toy-d]\n",
		},
		{
			name: "accepting one code does not accept another",
			used: []graph.Setting{{Path: "c", Pos: at(3), Accept: []string{"toy-d"}}},
			want: "serverless.yaml:3:3: warning: c is rounded up [toy-c]\n",
		},
		{
			name: "a setting that the table does not know is left to the conformance suite",
			used: []graph.Setting{{Path: "z", Pos: at(9)}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got strings.Builder
			for _, d := range providers.CheckFeatures(&graph.Graph{Used: test.used}, table) {
				fmt.Fprintln(&got, d)
				if d.Hint != "" {
					fmt.Fprintln(&got, "  hint: "+d.Hint)
				}
			}
			if d := cmp.Diff(test.want, got.String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestFeatureTable(t *testing.T) {
	r := providers.NewRegistry(
		named{"toy", providers.Features{
			"service":                          {Level: providers.Exact},
			"providers.toy.size":               {Level: providers.Exact},
			"functions.*.memory":               {Level: providers.Approximated, Code: "toy-memory", Note: "memory is rounded up"},
			"functions.*.timeout":              {Level: providers.Approximated, Code: "toy-memory", Note: "memory is rounded up"},
			"resources.queues.*":               {Level: providers.Unsupported, Code: "toy-queue", Note: "there are no queues"},
			"http.domain":                      {Level: providers.Emulated, Note: "the name has to be pointed here"},
			"functions.*.triggers[].http.path": {Level: providers.Exact},
		}},
		named{"bare", providers.Features{"service": {Level: providers.Exact}, "functions.*.memory": {Level: providers.Exact}}},
	)
	_, got, _ := strings.Cut(providers.FeatureTable(r), "one function.\n")
	want := `
## Service

| setting | bare | toy |
| --- | --- | --- |
| ` + "`service`" + ` | exact | exact |

## Provider settings

| setting | bare | toy |
| --- | --- | --- |
| ` + "`toy.size`" + ` | – | exact |

## Functions

| setting | bare | toy |
| --- | --- | --- |
| ` + "`memory`" + ` | exact | approximated <sup>1</sup> |
| ` + "`timeout`" + ` | – | approximated <sup>1</sup> |

## Triggers

| setting | bare | toy |
| --- | --- | --- |
| ` + "`http.path`" + ` | – | exact |

## HTTP front

| setting | bare | toy |
| --- | --- | --- |
| ` + "`domain`" + ` | – | emulated <sup>2</sup> |

## Resources

| setting | bare | toy |
| --- | --- | --- |
| ` + "`queues.*`" + ` | – | unsupported <sup>3</sup> |

## Notes

1. memory is rounded up (` + "`toy-memory`" + `).
2. the name has to be pointed here.
3. there are no queues (` + "`toy-queue`" + `).
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestNewFeaturesRefusesWhatAnyfaasHandlesItself(t *testing.T) {
	want := "providers: backend is handled by anyfaas itself and cannot be in a provider's table"
	defer func() {
		if got := recover(); got != want {
			t.Errorf("want a panic %q, got %v", want, got)
		}
	}()
	providers.NewFeatures(providers.Features{"backend": {Level: providers.Exact}})
}

func TestRegistry(t *testing.T) {
	r := providers.NewRegistry(named{name: "b"}, named{name: "a"})
	if d := cmp.Diff([]string{"a", "b"}, r.Names()); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
	if p, ok := r.Get("b"); !ok || p.Name() != "b" {
		t.Errorf("Get b: %v %v", p, ok)
	}
	if _, ok := r.Get("c"); ok {
		t.Error("Get finds what is not there")
	}
	want := "providers: two providers named a"
	defer func() {
		if got := recover(); got != want {
			t.Errorf("want a panic %q, got %v", want, got)
		}
	}()
	providers.NewRegistry(named{name: "a"}, named{name: "a"})
}

func TestAsSaysWhatAProviderCannotDo(t *testing.T) {
	_, err := providers.As[providers.LogReader](named{name: "toy"}, "read logs")
	if want := "provider toy cannot read logs"; err == nil || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
}

func TestASecretHidesItsValue(t *testing.T) {
	s := providers.NewSecret("hunter2")
	b, err := json.Marshal(map[string]any{"s": s, "list": []providers.Secret{s}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), fmt.Sprintf("%v", struct{ S providers.Secret }{s}), string(b)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s shows the secret", text)
		}
	}
	if s.Reveal() != "hunter2" {
		t.Error("Reveal does not give the value")
	}
}

func TestConnectionVariable(t *testing.T) {
	for _, test := range []struct {
		kind      graph.ResourceKind
		name, key string
		want      string
	}{
		{graph.QueueKind, "jobs", "url", "QUEUE_JOBS_URL"},
		{graph.BucketKind, "raw-images", "endpoint", "BUCKET_RAW_IMAGES_ENDPOINT"},
	} {
		if got := providers.ConnectionVariable(test.kind, test.name, test.key); got != test.want {
			t.Errorf("want %s, got %s", test.want, got)
		}
	}
}

func TestBasePath(t *testing.T) {
	for _, test := range []struct {
		name  string
		paths []string
		want  string
	}{
		{name: "no routes", want: ""},
		{name: "one route is its own base", paths: []string{"/hello"}, want: "/hello"},
		{name: "the root", paths: []string{"/"}, want: ""},
		{name: "a parameter ends it", paths: []string{"/orders/{id}/lines"}, want: "/orders"},
		{name: "what all routes share", paths: []string{"/v1/orders", "/v1/orders/{id}", "/v1/ordering"}, want: "/v1"},
		{name: "nothing in common", paths: []string{"/orders", "/health"}, want: ""},
		{name: "a greedy parameter", paths: []string{"/{path+}"}, want: ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var f graph.Function
			for _, p := range test.paths {
				f.Triggers = append(f.Triggers, graph.Trigger{HTTP: &graph.HTTPTrigger{Method: "GET", Path: p}})
			}
			f.Triggers = append(f.Triggers, graph.Trigger{Queue: &graph.QueueTrigger{Name: "jobs"}})
			if got := providers.BasePath(&f); got != test.want {
				t.Errorf("want %q, got %q", test.want, got)
			}
			if got := providers.HasRoutes(&f); got != (len(test.paths) > 0) {
				t.Errorf("HasRoutes %v", got)
			}
		})
	}
}
