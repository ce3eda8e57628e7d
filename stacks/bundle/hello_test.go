package bundle_test

import (
	"testing"

	"github.com/anyfaas/anyfaas/manifest/graph"
)

// The least that a person would write in each language.
var hello = map[string]struct{ handler, files string }{
	"node": {"src/api.handler", `
-- src/api.ts --
export function handler(request: Request): Response {
  return new Response("hello " + new URL(request.url).searchParams.get("name"))
}
`},
	"python": {"api.handler", `
-- api.py --
def handler(request, ctx):
    return "hello " + request.query["name"][0]
`},
	"go": {"functions/api.Handler", `
-- go.mod --
module example.com/shop

go 1.22
-- functions/api/api.go --
package api

import (
	"io"
	"net/http"
)

func Handler(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "hello "+r.URL.Query().Get("name"))
}
`},
}

func TestHelloIsPackagedAndAnswers(t *testing.T) {
	for language, h := range hello {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			g := service(project(t, h.files), graph.Function{Name: "api", Runtime: runtimeOf(t, language), HTTPHandler: h.handler})
			report := mustBuild(t, g, t.TempDir())["api"]
			w := start(t, report.Artifact)
			if got := w.call("GET", "/?name=world", ""); got.status != 200 || got.body != "hello world" {
				t.Errorf("answer is %d %q", got.status, got.body)
			}
			w.stdin.Close()
			if code := w.waitExit(); code != 0 {
				t.Errorf("the worker ended with %d once its input ended", code)
			}
		})
	}
}
