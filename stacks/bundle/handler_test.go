package bundle_test

import (
	"strings"
	"testing"

	"github.com/anyfaas/anyfaas/manifest/graph"
)

func TestLogLevelComesFromTheEnvironment(t *testing.T) {
	apps := map[string]struct{ handler, files string }{
		"node": {"app.handler", `
-- app.ts --
export const handler = (_: Request, ctx: any) => {
  for (const level of ['debug', 'info', 'warn', 'error']) ctx.log[level]('line ' + level)
  return new Response()
}
`},
		"python": {"app.handler", `
-- app.py --
def handler(request, ctx):
    for level in ("debug", "info", "warn", "error"):
        getattr(ctx.log, level)("line " + level)
`},
		"go": {"app.Handler", `
-- go.mod --
module example.com/app

go 1.22
-- app/app.go --
package app

import (
	"log/slog"
	"net/http"
)

func Handler(w http.ResponseWriter, r *http.Request) {
	slog.DebugContext(r.Context(), "line debug")
	slog.InfoContext(r.Context(), "line info")
	slog.WarnContext(r.Context(), "line warn")
	slog.ErrorContext(r.Context(), "line error")
}
`},
	}
	for language, app := range apps {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			g := service(project(t, app.files), graph.Function{Name: "app", Runtime: runtimeOf(t, language), HTTPHandler: app.handler})
			artifact := mustBuild(t, g, t.TempDir())["app"].Artifact
			for level, want := range map[string]int{"debug": 4, "": 3, "warn": 2, "error": 1} {
				w := start(t, artifact, "ANYFAAS_LOG_LEVEL="+level)
				w.call("GET", "/", "")
				w.logs("line error")
				if got := strings.Count(w.out.String(), `line `); got != want {
					t.Errorf("%d lines at level %q, want %d:\n%s", got, level, want, w.out)
				}
			}
		})
	}
}

func TestNodeBatchesAndWorkAfterTheAnswer(t *testing.T) {
	files := `
-- app.ts --
let done = 0
export default {
  async batch(events: any[]) {
    if (events.length === 1) throw new Error('all of them')
    return { failures: [events.at(-1).id] }
  },
  fetch(request: Request, ctx: any) {
    if (request.url.endsWith('/done')) return new Response(String(done))
    ctx.waitUntil(new Promise<void>((resolve) => setTimeout(() => { done++; resolve() }, 100)))
    ctx.waitUntil(Promise.reject(new Error('of no importance')))
    return new Response('answer')
  },
}
`
	g := service(project(t, files), graph.Function{Name: "app", Runtime: runtimeOf(t, "node"), HTTPHandler: "app.default", EventHandler: "app.default"})
	w := start(t, mustBuild(t, g, t.TempDir())["app"].Artifact)
	if got := w.event(messages("a", "b", "c")); got.status != 500 || got.body != `{"failures":["m3"]}` {
		t.Errorf("the batch is answered with %d %s", got.status, got.body)
	}
	if got := w.event(messages("a")); got.status != 500 || got.body != `{"failures":["m1"]}` {
		t.Errorf("the batch that throws is answered with %d %s", got.status, got.body)
	}
	if got := w.call("GET", "/", ""); got.status != 200 || got.body != "answer" {
		t.Errorf("answer is %d %q", got.status, got.body)
	}
	if got := w.call("GET", "/done", ""); got.body != "1" {
		t.Errorf("the answer came before the work was done: %q", got.body)
	}
	w.logs("of no importance")
}
