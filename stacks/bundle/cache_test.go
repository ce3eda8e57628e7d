package bundle_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/stacks/bundle"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// A step changes a project and says why, if at all, the function is built again.
type step struct {
	name   string
	change string // txtar of files to write; "-" as content removes one
	want   string // Why
}

func TestOnlyWhatChangedIsBuiltAgain(t *testing.T) {
	for _, c := range []struct {
		name, language, handler, files string
		steps                          []step
	}{
		{"node", "node", "src/api.handler", `
-- src/api.ts --
import { greeting } from './lib/greeting.js'
import { mark } from 'marks'
export const handler = () => new Response(greeting + mark)
-- src/lib/greeting.ts --
export const greeting = 'hello'
-- node_modules/marks/package.json --
{"name": "marks", "main": "index.js"}
-- node_modules/marks/index.js --
exports.mark = '!'
-- README.md --
`, []step{
			{"nothing", ``, "cached"},
			{"a file that is no source", "-- README.md --\nmore\n-- src/notes.txt --\n", "cached"},
			{"the same content", "-- src/api.ts --\nimport { greeting } from './lib/greeting.js'\nimport { mark } from 'marks'\nexport const handler = () => new Response(greeting + mark)\n", "cached"},
			{"an imported file", "-- src/lib/greeting.ts --\nexport const greeting = 'hi'\n", "src/lib/greeting.ts changed"},
			{"a file that imports may find first", "-- src/lib/greeting.tsx --\nexport const greeting = 'hey'\n", "src/lib/greeting.tsx was added"},
			{"its removal", "-- src/lib/greeting.tsx --\n-\n", "src/lib/greeting.tsx is gone"},
			{"a module", "-- node_modules/marks/index.js --\nexports.mark = '?'\n", "node_modules/marks/index.js changed"},
			{"the compiler's settings", "-- tsconfig.json --\n{\"extends\": \"./base\"} // for all\n-- base.json --\n{}\n", "base.json was added"},
			{"settings that it extends", "-- base.json --\n{\"compilerOptions\": {}}\n", "base.json changed"},
			{"nothing again", ``, "cached"},
		}},
		{"python", "python", "bot/main.handler", `
-- bot/main.py --
from shared.words import greeting
def handler(request, ctx):
    return greeting
-- bot/page.html --
<p>
-- shared/words.py --
greeting = "hello"
-- README.md --
`, []step{
			{"nothing", ``, "cached"},
			{"a file outside the handler's folder that is no module", "-- README.md --\nmore\n", "cached"},
			{"a module", "-- shared/words.py --\ngreeting = 'hi'\n", "shared/words.py changed"},
			{"a new module", "-- shared/more.py --\n", "shared/more.py was added"},
			{"data beside the handler", "-- bot/page.html --\n<p>hi\n", "bot/page.html changed"},
			{"what Python leaves behind", "-- shared/__pycache__/words.cpython-311.pyc --\n", "cached"},
		}},
		{"go", "go", "functions/api.Handler", `
-- go.mod --
module example.com/shop

go 1.22
-- functions/api/api.go --
package api

import (
	"io"
	"net/http"

	"example.com/shop/words"
)

func Handler(w http.ResponseWriter, r *http.Request) { io.WriteString(w, words.Greeting()) }
-- words/words.go --
package words

import _ "embed"

//go:embed greeting.txt
var greeting string

func Greeting() string { return greeting }
-- words/greeting.txt --
hello
-- other/other.go --
package other
`, []step{
			{"nothing", ``, "cached"},
			{"a package that is not imported", "-- other/other.go --\npackage other\n\nvar X int\n", "cached"},
			{"a test", "-- words/words_test.go --\npackage words\n", "cached"},
			{"an imported package", "-- words/words.go --\npackage words\n\nimport _ \"embed\"\n\n//go:embed greeting.txt\nvar greeting string\n\nfunc Greeting() string { return greeting + \"!\" }\n", "words/words.go changed"},
			{"a new file of a package", "-- words/more.go --\npackage words\n\nvar More int\n", "words/more.go was added"},
			{"an embedded file", "-- words/greeting.txt --\nhi\n", "words/greeting.txt changed"},
			{"go.mod", "-- go.mod --\nmodule example.com/shop\n\ngo 1.23\n", "go.mod changed"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, cache := project(t, c.files), t.TempDir()
			g := service(dir, graph.Function{Name: "api", Runtime: runtimeOf(t, c.language), HTTPHandler: c.handler})
			if r := mustBuild(t, g, cache)["api"]; r.Why != "first build" || r.Cached {
				t.Fatalf("first build reports %+v", r)
			}
			for _, s := range c.steps {
				before := mustBuild(t, g, cache)["api"]
				apply(t, dir, s.change)
				r := mustBuild(t, g, cache)["api"]
				if r.Why != s.want || r.Cached != (s.want == "cached") {
					t.Errorf("after a change of %s: %q, want %q", s.name, r.Why, s.want)
				}
				if r.Cached && r.Artifact.SHA256 != before.Artifact.SHA256 {
					t.Errorf("after a change of %s: another package, called cached", s.name)
				}
			}
		})
	}
}

func apply(t *testing.T, dir, archive string) {
	t.Helper()
	write(t, dir, archive)
	filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if data, _ := os.ReadFile(path); string(data) == "-\n" {
			os.Remove(path)
		}
		return nil
	})
}

func TestAChangedManifestIsTheReason(t *testing.T) {
	dir, cache := project(t, `
-- server --
#!/bin/sh
-- a.txt --
-- b.txt --
`), t.TempDir()
	f := graph.Function{Name: "api", Runtime: graph.Runtime{Language: "custom"}, Command: []string{"./server"}, Package: graph.Package{Include: []string{"server"}}}
	mustBuild(t, service(dir, f), cache)
	f.Package.Include = []string{"server", "*.txt"}
	if r := mustBuild(t, service(dir, f), cache)["api"]; r.Why != "package settings changed" {
		t.Errorf("why is %q", r.Why)
	}
	f.Command = []string{"./server", "-v"}
	if r := mustBuild(t, service(dir, f), cache)["api"]; r.Why != "command changed" || !cmp.Equal(r.Artifact.Command, f.Command) {
		t.Errorf("why is %q, command is %q", r.Why, r.Artifact.Command)
	}
}

func TestALostOrDamagedCacheIsFilledAgain(t *testing.T) {
	dir, cache := project(t, "-- server --\n#!/bin/sh\n"), t.TempDir()
	f := graph.Function{Name: "api", Runtime: graph.Runtime{Language: "custom"}, Command: []string{"./server"}, Package: graph.Package{Include: []string{"server"}}}
	g := service(dir, f)
	first := mustBuild(t, g, cache)["api"].Artifact
	for _, c := range []struct {
		name   string
		damage func() error
		why    string
	}{
		{"the package is gone", func() error { return os.Remove(first.Path) }, "the package was not in the cache"},
		{"the package was cut short", func() error { return os.Truncate(first.Path, 10) }, "the package was not in the cache"},
		{"the records are not JSON", func() error {
			records, err := filepath.Glob(filepath.Join(cache, "records", "*"))
			for _, r := range records {
				err = os.WriteFile(r, []byte("{"), 0o644)
			}
			return err
		}, "no record of the last build"},
		{"everything is gone", func() error { return os.RemoveAll(cache) }, "first build"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.damage(); err != nil {
				t.Fatal(err)
			}
			r := mustBuild(t, g, cache)["api"]
			if r.Why != c.why {
				t.Errorf("why is %q, want %q", r.Why, c.why)
			}
			if info, err := os.Stat(r.Artifact.Path); err != nil || info.Size() != r.Artifact.Size || r.Artifact.SHA256 != first.SHA256 {
				t.Errorf("the package is %+v, %v; want %+v", info, err, first)
			}
		})
	}
}

func TestFunctionsOfOneHandlerShareABuild(t *testing.T) {
	dir := project(t, "-- server --\n#!/bin/sh\n")
	f := graph.Function{Runtime: graph.Runtime{Language: "custom"}, Command: []string{"./server"}, Package: graph.Package{Include: []string{"server"}}}
	var functions []graph.Function
	for _, name := range []string{"a", "b", "c"} {
		f.Name = name
		functions = append(functions, f)
	}
	built := 0
	_, reports, _, err := bundle.Build(context.Background(), service(dir, functions...), nil, bundle.Options{Cache: t.TempDir(), Progress: func(e event.Building) {
		if !e.Done {
			built++
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if built != 1 || len(reports) != 3 || reports[0].Artifact.SHA256 != reports[2].Artifact.SHA256 {
		t.Errorf("%d builds for %+v", built, reports)
	}
}

// Several processes may package one project at a time; so may several calls.
func TestBuildsAtTheSameTimeAgree(t *testing.T) {
	dir, cache := project(t, hello["node"].files), t.TempDir()
	g := service(dir, graph.Function{Name: "api", Runtime: runtimeOf(t, "node"), HTTPHandler: hello["node"].handler})
	var wg sync.WaitGroup
	sums := make([]string, 8)
	for i := range sums {
		wg.Go(func() {
			_, reports, _, err := bundle.Build(context.Background(), g, nil, bundle.Options{Cache: cache})
			if err != nil {
				t.Error(err)
				return
			}
			sums[i] = reports[0].Artifact.SHA256
		})
	}
	wg.Wait()
	for _, sum := range sums {
		if sum == "" || sum != sums[0] {
			t.Errorf("packages differ: %q", sums)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(cache, "tmp")); len(left) > 0 {
		t.Errorf("%d temporary folders are left", len(left))
	}
}

func TestProgressTellsStartReasonAndSize(t *testing.T) {
	dir, cache := project(t, "-- server --\n#!/bin/sh\n"), t.TempDir()
	g := service(dir, graph.Function{Name: "api", Runtime: graph.Runtime{Language: "custom"}, Command: []string{"./server"}, Package: graph.Package{Include: []string{"server"}}})
	clock := time.Unix(0, 0)
	var got []event.Building
	o := bundle.Options{Cache: cache, Now: func() time.Time { clock = clock.Add(time.Second); return clock }, Progress: func(e event.Building) {
		if e.Took > 0 {
			e.Took = time.Second // how often the clock is asked does not matter here
		}
		got = append(got, e)
	}}
	for range 2 {
		if _, _, _, err := bundle.Build(context.Background(), g, nil, o); err != nil {
			t.Fatal(err)
		}
	}
	want := []event.Building{
		{Function: "api", Reason: "first build"},
		{Function: "api", Done: true, Reason: "first build", Size: got[1].Size, Took: time.Second},
		{Function: "api", Done: true, Reason: "cached", Size: got[1].Size},
	}
	if diff := cmp.Diff(want, got); diff != "" || got[1].Size == 0 {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}

func TestBuildStopsWhenAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := project(t, hello["go"].files)
	g := service(dir, graph.Function{Name: "api", Runtime: runtimeOf(t, "go"), HTTPHandler: hello["go"].handler})
	if _, _, _, err := bundle.Build(ctx, g, nil, bundle.Options{Cache: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("error is %v", err)
	}
}

func TestUnknownFunctionIsAnError(t *testing.T) {
	_, _, _, err := bundle.Build(context.Background(), service(t.TempDir()), []string{"nope"}, bundle.Options{Cache: t.TempDir()})
	if err == nil || err.Error() != `package function "nope": no such function` {
		t.Errorf("error is %v", err)
	}
}
