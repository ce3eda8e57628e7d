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
		url := w.url()
		w.want(200, `{"greeting":"Bonjour, Ada!"}`, "GET", url+"/greetings/Ada?language=fr", "")
		w.want(200, `{"greeting":"Hello, Ada!"}`, "POST", url+"/greetings", `{"name": "Ada"}`)
		w.want(400, `{"error":"\"name\" must be a text"}`, "POST", url+"/greetings", `{}`)
		w.want(400, `{"error":"\"language\" must be one of de, en, es, fr"}`, "GET", url+"/greetings/Ada?language=tlh", "")
	},
	"worker": func(w *world) {
		w.Helper()
		url := w.url()
		w.want(400, `{"error":"\"url\" must be a web address"}`, "POST", url+"/jobs", `{"url": "nowhere"}`)
		w.want(202, `{"queued":"https://example.com/"}`, "POST", url+"/jobs", `{"url": "https://example.com/"}`)
		w.want(202, `{"queued":"http://example.com/"}`, "POST", url+"/jobs", `{"url": "http://example.com/"}`)
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
