package bundle_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/stacks/bundle"
)

func TestGoProjects(t *testing.T) {
	for _, c := range []struct {
		name, handler, files string
		env                  []string
		want                 string
	}{
		{name: "an http.Handler in a variable, in the module's own folder", handler: ".Handler", want: "mux 7", files: `
-- go.mod --
module example.com/shop

go 1.22
-- shop.go --
package shop

import (
	"fmt"
	"net/http"
)

var Handler http.Handler = routes()

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "mux ", r.PathValue("id")) })
	return setID(mux)
}

func setID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		next.ServeHTTP(w, r)
		_ = id
	})
}
`},
		{name: "package main without main, with names like the adapter's", handler: "api.handle", want: "main", files: `
-- go.mod --
module example.com/shop

go 1.22
-- api/api.go --
package main

import (
	"io"
	"net/http"
)

var worker, fn, http_ = "main", 1, 2

func handle(w http.ResponseWriter, r *http.Request) { io.WriteString(w, worker) }
`},
		{name: "an internal package of an old module", handler: "./internal/api.Handler", want: "internal", files: `
-- go.mod --
module example.com/shop

go 1.16
-- internal/api/api.go --
package api

import (
	"io"
	"net/http"
)

func Handler(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "internal") }
`},
		{name: "a module nested in another", handler: "functions/api.Handler", want: "nested", files: `
-- go.mod --
module example.com/outer

go 1.22
-- functions/api/go.mod --
module example.com/api

go 1.22
-- functions/api/api.go --
package api

import (
	"io"
	"net/http"
)

func Handler(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "nested") }
`},
		{name: "a workspace", handler: "api.Handler", want: "workspace", files: `
-- go.work --
go 1.22

use (
	./api
	./lib
)
-- api/go.mod --
module example.com/api

go 1.22

require example.com/lib v0.0.0
-- api/api.go --
package api

import (
	"io"
	"net/http"

	"example.com/lib"
)

func Handler(w http.ResponseWriter, r *http.Request) { io.WriteString(w, lib.Word) }
-- lib/go.mod --
module example.com/lib

go 1.22
-- lib/lib.go --
package lib

const Word = "workspace"
`},
		{name: "vendored modules and flags of the user's", handler: "api.Handler", want: "vendored tagged", env: []string{"GOFLAGS=-mod=vendor -tags=special"}, files: `
-- go.mod --
module example.com/shop

go 1.22

require example.com/lib v1.0.0
-- vendor/modules.txt --
# example.com/lib v1.0.0
## explicit; go 1.22
example.com/lib
-- vendor/example.com/lib/lib.go --
package lib

const Word = "vendored"
-- api/api.go --
package api

import (
	"io"
	"net/http"

	"example.com/lib"
)

var more string

func Handler(w http.ResponseWriter, r *http.Request) { io.WriteString(w, lib.Word+more) }
-- api/special.go --
//go:build special

package api

func init() { more = " tagged" }
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := project(t, c.files)
			before := contentsOf(t, dir)
			g := service(dir, graph.Function{Name: "api", Runtime: runtimeOf(t, "go"), HTTPHandler: c.handler})
			_, reports, diags, err := bundle.Build(context.Background(), g, nil, bundle.Options{Cache: t.TempDir(), Env: append(os.Environ(), c.env...)})
			if err != nil || len(diags) > 0 {
				t.Fatalf("%v\n%s", err, lines(diags))
			}
			if got := start(t, reports[0].Artifact).call("GET", "/", "", `Anyfaas-Params: {"id":"7"}`); got.body != c.want {
				t.Errorf("answer is %d %q, want %q", got.status, got.body, c.want)
			}
			if after := contentsOf(t, dir); after != before {
				t.Errorf("the project holds\n%s\nand before\n%s", after, before)
			}
		})
	}
}

// contentsOf lists the files below a folder with their contents.
func contentsOf(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		b.WriteString(path + "\n" + string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGoEventHandlers(t *testing.T) {
	const head = `
-- go.mod --
module example.com/shop

go 1.22
-- jobs/jobs.go --
package jobs

import (
	"context"
	"encoding/json"
	"errors"
)

var _, _ = json.Marshal(0)
var _ = errors.New
`
	for _, c := range []struct {
		name, source, events string
		status               int
		want                 string
	}{
		{"a struct of the user's own, without tags", `
type Event struct {
	ID   string
	Data struct{ Body string }
}

func Handle(ctx context.Context, e Event) error {
	if e.Data.Body != e.ID {
		return errors.New(e.Data.Body)
	}
	return nil
}
`, messages("m1", "other"), 500, `{"failures":["m2"]}`},
		{"the event as it came", `
func Handle(ctx context.Context, e json.RawMessage) error {
	if !json.Valid(e) || e[0] != '{' {
		return errors.New(string(e))
	}
	return nil
}
`, messages("a"), 200, `{"failures":[]}`},
		{"a batch that names its failures", `
type Result struct {
	Failures []string ` + "`json:\"failures\"`" + `
}

func Handle(ctx context.Context, events []map[string]any) (Result, error) {
	return Result{[]string{events[len(events)-1]["id"].(string)}}, nil
}
`, messages("a", "b", "c"), 500, `{"failures":["m3"]}`},
		{"a batch that fails as a whole", `
func Handle(ctx context.Context, events []map[string]any) error { return errors.New("no") }
`, messages("a", "b"), 500, `{"failures":["m1","m2"]}`},
		{"a panic fails its event only", `
func Handle(ctx context.Context, e map[string]any) error {
	if e["id"] == "m1" {
		panic("first")
	}
	return nil
}
`, messages("a", "b"), 500, `{"failures":["m1"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := service(project(t, head+c.source), graph.Function{Name: "jobs", Runtime: runtimeOf(t, "go"), EventHandler: "jobs.Handle"})
			w := start(t, mustBuild(t, g, t.TempDir())["jobs"].Artifact)
			if got := w.event(c.events); got.status != c.status || got.body != c.want {
				t.Errorf("answer is %d %s, want %d %s", got.status, got.body, c.status, c.want)
			}
			if got := w.call("GET", "/", ""); got.status != 404 || got.body != `{"message":"this function has no http handler"}` {
				t.Errorf("a request is answered with %d %s", got.status, got.body)
			}
		})
	}
}

func TestGoHandlersOfTheWrongTypeEndTheWorker(t *testing.T) {
	files := `
-- go.mod --
module example.com/shop

go 1.22
-- api/api.go --
package api

var Handler = 7
`
	g := service(project(t, files), graph.Function{Name: "api", Runtime: runtimeOf(t, "go"), HTTPHandler: "api.Handler"})
	w := launch(t, mustBuild(t, g, t.TempDir())["api"].Artifact)
	if code := w.waitExit(); code != 1 {
		t.Errorf("the worker ended with %d", code)
	}
	w.logs("handler api.Handler must be a func(http.ResponseWriter, *http.Request) or an http.Handler, not int")
}

func TestGoHandlerThatIsNilEndsTheWorker(t *testing.T) {
	files := `
-- go.mod --
module example.com/shop
go 1.22
-- api/api.go --
package api

import "net/http"

var Handler http.Handler
`
	g := service(project(t, files), graph.Function{Name: "api", Runtime: runtimeOf(t, "go"), HTTPHandler: "api.Handler"})
	w := launch(t, mustBuild(t, g, t.TempDir())["api"].Artifact)
	if code := w.waitExit(); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	w.logs("handler api.Handler is nil: assign it where it is declared or in an init function")
}
