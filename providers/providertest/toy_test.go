package providertest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest"
	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
)

// The suite has to be able to fail. toy is a provider that passes it, by
// putting the whole graph into the inputs of its resources; each test gives it
// one of the mistakes that the suite is there to find.
type toy struct {
	features func(providers.Features)                                    // changes the table
	blind    func(*graph.Graph)                                          // takes away what the program does not look at
	extra    func(ctx *pulumi.Context, g *graph.Graph, app *thing) error // declares more
	owner    func(typ, name string) string
}

type thing struct {
	pulumi.CustomResourceState
	URL pulumi.StringOutput `pulumi:"url"`
}

func (toy) Name() string { return "local" } // a name the manifest knows

func (p toy) Features() providers.Features {
	own := providers.Features{}
	for _, path := range manifest.Paths() {
		if _, handled := providers.Handled[path]; !handled && concerns(path, "local") {
			own[path] = providers.Support{Level: providers.Exact}
		}
	}
	f := providers.NewFeatures(own)
	if p.features != nil {
		p.features(f)
	}
	return f
}

func (toy) Check(*graph.Graph) diag.List { return nil }

func (p toy) OwnerOf(typ, name string) string {
	if p.owner != nil {
		return p.owner(typ, name)
	}
	if typ == "toy:index:Function" {
		return name
	}
	return ""
}

func (toy) Stateful(string) bool { return false }

func (p toy) Program(g *graph.Graph, in providers.Inputs) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		seen := clone(g)
		if p.blind != nil {
			p.blind(seen)
		}
		shared := *seen
		shared.Functions, shared.Position, shared.Dir = nil, nil, ""
		app := &thing{}
		if err := ctx.RegisterResource("toy:index:App", g.Service, pulumi.Map{"graph": text(shared)}, app); err != nil {
			return err
		}
		for _, f := range seen.Functions {
			secrets := pulumi.Map{}
			for _, name := range f.Secrets {
				secrets[name] = pulumi.ToSecret(pulumi.String(in.Secrets[name].Reveal()))
			}
			props := pulumi.Map{"function": text(f), "code": pulumi.String(in.Artifacts[f.Name].SHA256), "app": app.URL, "secrets": secrets}
			if err := ctx.RegisterResource("toy:index:Function", f.Name, props, &thing{}); err != nil {
				return err
			}
			ctx.Export(f.Name+".url", app.URL)
		}
		if p.extra != nil {
			return p.extra(ctx, g, app)
		}
		return nil
	}
}

func text(v any) pulumi.String {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return pulumi.String(b)
}

func clone(g *graph.Graph) *graph.Graph {
	b, err := json.Marshal(g)
	if err != nil {
		panic(err)
	}
	var c graph.Graph
	if err := json.Unmarshal(b, &c); err != nil {
		panic(err)
	}
	return &c
}

func suiteOf(p toy) Suite {
	return Suite{
		Provider: p,
		Outputs: func(string, string, resource.PropertyMap) (resource.PropertyMap, error) {
			return resource.PropertyMap{"url": resource.MakeComputed(resource.NewProperty(""))}, nil
		},
		patience: 2 * time.Second,
	}
}

func TestAFaithfulProviderPasses(t *testing.T) {
	s := suiteOf(toy{})
	problems := append(s.tableProblems(), s.fieldProblems()...)
	_, more := s.judge(FullGraph("local"))
	if problems = append(problems, more...); len(problems) > 0 {
		t.Errorf("problems:\n%s", strings.Join(problems, "\n"))
	}
}

func TestTheTableOfFeatures(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(providers.Features)
		want   []string
	}{
		{
			name:   "a setting without an entry",
			change: func(f providers.Features) { delete(f, "functions.*.memory") },
			want:   []string{"the table of features says nothing about functions.*.memory; add an entry with the level that provider local reaches"},
		},
		{
			name:   "an entry for nothing",
			change: func(f providers.Features) { f["functions.*.colour"] = providers.Support{Level: providers.Exact} },
			want:   []string{"the table of features has an entry functions.*.colour, which is no setting of the manifest; see manifest.Paths"},
		},
		{
			name:   "no level",
			change: func(f providers.Features) { f["service"] = providers.Support{} },
			want:   []string{"the table of features, at service: the level is missing"},
		},
		{
			name: "a code of somebody else, and no note",
			change: func(f providers.Features) {
				f["service"] = providers.Support{Level: providers.Unsupported, Code: "aws-service"}
			},
			want: []string{`the table of features, at service: the code "aws-service" must be words joined by hyphens, the first "local"`},
		},
		{
			name: "nothing said about the difference",
			change: func(f providers.Features) {
				f["service"] = providers.Support{Level: providers.Approximated, Code: "local-service"}
			},
			want: []string{"the table of features, at service: a note must say what happens instead"},
		},
		{
			name: "a sentence with a full stop",
			change: func(f providers.Features) {
				f["service"] = providers.Support{Level: providers.Emulated, Note: "Done otherwise."}
			},
			want: []string{`the table of features, at service: a note starts in lower case and has no full stop, like other diagnostics: "Done otherwise."`},
		},
		{
			name:   "exact with reservations",
			change: func(f providers.Features) { f["service"] = providers.Support{Level: providers.Exact, Note: "nearly"} },
			want:   []string{"the table of features, at service: what is exact needs neither a code nor a note"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if d := cmp.Diff(test.want, suiteOf(toy{features: test.change}).tableProblems()); d != "" {
				t.Errorf("problems (-want +got):\n%s", d)
			}
		})
	}
}

func TestADroppedSettingIsCaught(t *testing.T) {
	dropped := `setting functions.*.memory (field Functions[].MemoryMB of the graph) has no effect: changing it changes neither the program of provider local nor its diagnostics; use it, or say in the table of features why not`
	forget := func(g *graph.Graph) {
		for i := range g.Functions {
			g.Functions[i].MemoryMB = 0
		}
	}
	for _, test := range []struct {
		name string
		toy  toy
		want []string
	}{
		{name: "silently", toy: toy{blind: forget}, want: []string{dropped}},
		{
			name: "a note about it is enough",
			toy: toy{blind: forget, features: func(f providers.Features) {
				f["functions.*.memory"] = providers.Support{Level: providers.Approximated, Code: "local-memory", Note: "memory is what it is"}
			}},
		},
		{
			name: "deep inside a trigger",
			toy: toy{blind: func(g *graph.Graph) {
				for _, t := range g.Functions[0].Triggers {
					if t.Queue != nil {
						t.Queue.Window = 0
					}
				}
			}},
			want: []string{`setting functions.*.triggers[].queue.window (field Functions[].Triggers[].Queue.Window of the graph) has no effect: changing it changes neither the program of provider local nor its diagnostics; use it, or say in the table of features why not`},
		},
		{
			name: "a setting of the provider itself",
			toy:  toy{blind: func(g *graph.Graph) { g.Settings = nil }},
			want: []string{`setting providers.local.port (field Settings.port of the graph) has no effect: changing it changes neither the program of provider local nor its diagnostics; use it, or say in the table of features why not`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if d := cmp.Diff(test.want, suiteOf(test.toy).fieldProblems()); d != "" {
				t.Errorf("problems (-want +got):\n%s", d)
			}
		})
	}
}

func TestABadProgramIsCaught(t *testing.T) {
	declare := func(ctx *pulumi.Context, name string, in pulumi.Map) error {
		return ctx.RegisterResource("toy:index:Thing", name, in, &thing{})
	}
	for _, test := range []struct {
		name string
		toy  toy
		want string // in the only problem
	}{
		{
			name: "it waits for an output, which a preview never knows",
			toy: toy{extra: func(ctx *pulumi.Context, _ *graph.Graph, app *thing) error {
				got := make(chan string, 1)
				app.URL.ApplyT(func(url string) string { got <- url; return url })
				return declare(ctx, <-got, nil)
			}},
			want: "preview: the program does not end",
		},
		{
			name: "it declares resources inside of Apply",
			toy: toy{extra: func(ctx *pulumi.Context, _ *graph.Graph, app *thing) error {
				done := app.URL.ApplyT(func(string) (string, error) { return "", declare(ctx, "late", nil) })
				return declare(ctx, "waits", pulumi.Map{"for": done})
			}},
			want: "toy:index:Thing late is declared by a deploy but not by a preview; declare resources outside of Apply",
		},
		{
			name: "two subscribers have the same name",
			toy: toy{extra: func(ctx *pulumi.Context, _ *graph.Graph, _ *thing) error {
				if err := declare(ctx, "events", nil); err != nil {
					return err
				}
				return declare(ctx, "events", nil)
			}},
			want: "toy:index:Thing events is declared twice; put what tells the two apart into the name",
		},
		{
			name: "a secret is plain",
			toy: toy{extra: func(ctx *pulumi.Context, g *graph.Graph, _ *thing) error {
				return declare(ctx, "open", pulumi.Map{"url": pulumi.StringMap{"token": pulumi.String("https://x?token=" + Inputs(g).Secrets["STRIPE_KEY"].Reveal())}})
			}},
			want: "input url.token of toy:index:Thing open shows the value of a secret; pass it on with pulumi.ToSecret",
		},
		{
			name: "a secret is an output of the stack",
			toy: toy{extra: func(ctx *pulumi.Context, g *graph.Graph, _ *thing) error {
				ctx.Export("key", pulumi.String(Inputs(g).Secrets["STRIPE_KEY"].Reveal()))
				return nil
			}},
			want: "output key shows the value of a secret; pass it on with pulumi.ToSecret",
		},
		{
			name: "names are left to chance",
			toy: toy{extra: func(ctx *pulumi.Context, _ *graph.Graph, _ *thing) error {
				return declare(ctx, "thing", pulumi.Map{"suffix": pulumi.String(fmt.Sprint(rand.Uint64()))})
			}},
			want: "two runs declare different resources; sort what comes out of maps, and use no clock and no chance:",
		},
		{
			name: "it asks a cloud",
			toy: toy{extra: func(ctx *pulumi.Context, _ *graph.Graph, _ *thing) error {
				return ctx.Invoke("toy:index:getAccount", nil, &struct{}{})
			}},
			want: "the program calls toy:index:getAccount; a program must not look anything up",
		},
		{
			name: "a name that is no name",
			toy: toy{extra: func(ctx *pulumi.Context, _ *graph.Graph, _ *thing) error {
				return declare(ctx, "a\nb", nil)
			}},
			want: "toy:index:Thing a\nb: the name cannot be part of a URN",
		},
		{
			name: "a resource belongs to nobody's function",
			toy: toy{owner: func(typ, name string) string {
				if typ == "toy:index:App" {
					return name
				}
				return "api"
			}},
			want: `toy:index:App orders belongs to function "orders", which does not exist; see providers.Describer`,
		},
		{
			name: "a function has no resources",
			toy:  toy{owner: func(string, string) string { return "" }},
			want: `no resource belongs to function "api"; see providers.Describer`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, problems := suiteOf(test.toy).judge(FullGraph("local"))
			if len(problems) != 1 || !strings.Contains(problems[0], test.want) {
				t.Errorf("want one problem %q, got %q", test.want, problems)
			}
		})
	}
}

func TestTheProvidersOwnRules(t *testing.T) {
	s := suiteOf(toy{})
	s.Resource = func(r Resource) error {
		if len(r.Name) > 5 {
			return fmt.Errorf("the name has %d characters, at most 5 are allowed", len(r.Name))
		}
		return nil
	}
	_, problems := s.judge(FullGraph("local"))
	want := []string{"toy:index:App orders: the name has 6 characters, at most 5 are allowed"}
	if d := cmp.Diff(want, problems); d != "" {
		t.Errorf("problems (-want +got):\n%s", d)
	}
}
