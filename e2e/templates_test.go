package e2e

import (
	"strings"
	"testing"

	"github.com/anyfaas/anyfaas/templates"
)

func TestEveryTemplateBecomesAServiceThatWorks(t *testing.T) {
	for _, tmpl := range templates.List() {
		for _, runtime := range tmpl.Runtimes {
			t.Run(tmpl.Name+" "+runtime, func(t *testing.T) {
				t.Parallel()
				if runtime != "go" {
					need(t, runtime)
				}
				w := newWorld(t, "")
				w.must(0, "init", "--template", tmpl.Name, "--runtime", runtime, "--service", "fresh")
				if r := w.must(0, "validate"); strings.Contains(r.stderr, "warning") {
					t.Errorf("validate warns:\n%s", r.stderr)
				}
				w.must(0, "package")
				w.must(0, "deploy", "--yes")
				try, ok := trials[tmpl.Name]
				if !ok {
					t.Fatalf("no trial for template %q", tmpl.Name)
				}
				try(w)
				w.must(0, "remove", "--yes")
			})
		}
	}
}

// trials use what a template made, the same way in every language.
var trials = map[string]func(*world){
	"http-api": func(w *world) {
		w.Helper()
		w.greets(`{"greeting":"Bonjour, Ada!"}`, 200, "GET", "/greetings/Ada?language=fr", "")
		w.greets(`{"greeting":"Hello, Ada!"}`, 200, "POST", "/greetings", `{"name": "Ada"}`)
		w.greets(`{"error":"\"name\" must be a text"}`, 400, "POST", "/greetings", `{}`)
		w.greets(`{"error":"\"language\" must be one of de, en, es, fr"}`, 400, "GET", "/greetings/Ada?language=tlh", "")
	},
	"worker": func(w *world) {
		w.Helper()
		w.greets(`{"error":"\"url\" must be a web address"}`, 400, "POST", "/jobs", `{"url": "nowhere"}`)
		w.greets(`{"queued":"https://example.com/"}`, 202, "POST", "/jobs", `{"url": "https://example.com/"}`)
		w.greets(`{"queued":"http://example.com/"}`, 202, "POST", "/jobs", `{"url": "http://example.com/"}`)
		w.must(0, "invoke", "sweep", "--trigger", "schedule", "--data", `{"url": "https://example.org/"}`)
		w.eventually("the jobs in the log", func() string {
			log := w.must(0, "logs", "work").stdout
			for _, want := range []string{"example.com", "example.org", "http://example.com/ is not safe to visit"} {
				if !strings.Contains(log, want) {
					return "no " + want + " in\n" + log
				}
			}
			return ""
		})
	},
}

// greets compares JSON without minding white space, which languages set differently.
func (w *world) greets(want string, status int, method, path, send string) {
	w.Helper()
	a := w.call(method, w.url()+path, send)
	if got := strings.NewReplacer(`": "`, `":"`).Replace(a.Body); a.Status != status || got != want {
		w.Errorf("%s %s:\nwant %d %s\ngot  %d %s", method, path, status, want, a.Status, got)
	}
}
