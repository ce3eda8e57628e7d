package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The whole life of one service in three languages: deployed, called in every
// way it can be called, changed, and removed.
func TestThreeLanguagesFromDeployToRemove(t *testing.T) {
	t.Parallel()
	need(t, "node", "python")
	w := newWorld(t, "examples/three-languages")
	w.env = append(w.env, "TALLY_EVERY=1s")
	w.ownPort()
	w.must(0, "deploy", "--yes")
	url := w.url()

	t.Run("every URL answers", func(t *testing.T) {
		w := w.in(t)
		w.want(202, `{"name":"poem","characters":35}`, "PUT", url+"/texts/poem", "the rose is a rose, and the rose is")
		w.want(200, `{"words":3,"common":["one","two"]}`, "POST", url+"/words", "One, two, one.")
		w.want(404, "there is no count of that text", "GET", url+"/counts/nothing", "")
		if a := w.call("GET", url+"/tally", ""); a.Status != 200 {
			t.Errorf("GET /tally: %+v", a)
		}
	})

	t.Run("a text goes from language to language", func(t *testing.T) {
		// TypeScript stores it, the bucket triggers Python, the queue triggers
		// Go, Go hands it back.
		w := w.in(t)
		w.answers(`{"name":"poem","words":9,"common":["rose","is","the"]}`, url+"/counts/poem")
	})

	t.Run("a PUT to the bucket triggers the function", func(t *testing.T) {
		w := w.in(t)
		if a := w.call("PUT", w.object("texts", "in/note.txt"), "milk and eggs and milk"); a.Status/100 != 2 {
			t.Fatalf("PUT to the bucket: %+v", a)
		}
		w.answers(`{"name":"note","words":5,"common":["and","milk","eggs"]}`, url+"/counts/note")
	})

	t.Run("a POST to the queue reaches the worker", func(t *testing.T) {
		w := w.in(t)
		if a := w.call("POST", w.resource("queues", "counts"), `{"name":"direct","words":1,"common":["hello"]}`); a.Status/100 != 2 {
			t.Fatalf("POST to the queue: %+v", a)
		}
		w.answers(`{"name":"direct","words":1,"common":["hello"]}`, url+"/counts/direct")
	})

	t.Run("a failing message is retried and ends in the dead-letter queue", func(t *testing.T) {
		w := w.in(t)
		w.call("POST", w.resource("queues", "counts"), `{"words": 1}`)
		w.eventually("the dead letter", func() string {
			if n := w.waiting("uncounted"); n != 1 {
				return fmt.Sprintf("%d messages in uncounted", n)
			}
			return ""
		})
		if n := w.waiting("counts"); n != 0 {
			t.Errorf("want no message left in counts, got %d", n)
		}
		failed := 0
		for line := range strings.Lines(w.must(0, "logs", "keep").stdout) {
			if strings.Contains(line, "names no text") {
				failed++
			}
		}
		if failed != 3 {
			t.Errorf("want 3 attempts (maxReceives) in the log, got %d", failed)
		}
	})

	t.Run("the schedule fires", func(t *testing.T) {
		w := w.in(t)
		w.eventually("a tally of all three texts", func() string {
			a := w.call("GET", url+"/tally", "")
			if !strings.HasPrefix(a.Body, `{"texts":3,"words":15,"at":"20`) {
				return a.Body
			}
			return ""
		})
	})

	t.Run("a second preview finds nothing", func(t *testing.T) {
		w.in(t).must(0, "preview", "--exit-code")
	})

	t.Run("more memory is the one change that a preview names", func(t *testing.T) {
		w := w.in(t)
		w.edit("serverless.yaml", "runtime: go\n    memory: 256MB", "runtime: go\n    memory: 512MB")
		r := w.must(3, "preview", "--exit-code", "--output", "json")
		var plan struct {
			Summary map[string]int
			Changes []struct {
				Op, Function string
				Diff         []struct {
					Path     string
					Old, New json.RawMessage
					Replaces bool
				}
			}
		}
		if err := json.Unmarshal([]byte(r.stdout), &plan); err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprintf("%+v", plan.Changes), "[{Op:update Function:keep Diff:[{Path:memory"; len(plan.Changes) != 1 || len(plan.Changes[0].Diff) != 1 || !strings.HasPrefix(got, want) {
			t.Errorf("want one change of keep's memory, got %s", got)
		}
		if n := plan.Summary["update"]; n != 1 || plan.Summary["create"]+plan.Summary["replace"]+plan.Summary["delete"] != 0 {
			t.Errorf("want a summary of one update, got %v", plan.Summary)
		}
		text := w.must(3, "preview", "--exit-code").stdout
		for _, word := range []string{"keep", "memory", "256", "512"} {
			if !strings.Contains(text, word) {
				t.Errorf("the preview does not say %q:\n%s", word, text)
			}
		}
	})

	t.Run("applied, it is done", func(t *testing.T) {
		w := w.in(t)
		w.must(0, "deploy", "--yes")
		w.must(0, "preview", "--exit-code")
		w.answers(`{"name":"poem","words":9,"common":["rose","is","the"]}`, url+"/counts/poem")
	})

	t.Run("remove leaves nothing", func(t *testing.T) {
		w := w.in(t)
		w.must(0, "remove", "--yes")
		w.nothingRuns()
		if _, err := tryCall("GET", url+"/tally", ""); err == nil {
			t.Error("the URL still answers")
		}
		var list struct{ Stacks []struct{ Resources int } }
		w.read(&list, "stack", "list")
		if got := fmt.Sprintf("%+v", list.Stacks); got != "[{Resources:0}]" && got != "[]" {
			t.Errorf("want an empty stack, got %s", got)
		}
	})
}

// in returns the world for a subtest.
func (w *world) in(t *testing.T) *world {
	sub := *w
	sub.T = t
	return &sub
}

// answers waits until a GET of url answers 200 with body.
func (w *world) answers(body, url string) {
	w.Helper()
	w.eventually("GET "+url, func() string {
		a := w.call("GET", url, "")
		if a.Status == 200 && a.Body == body {
			return ""
		}
		return fmt.Sprintf("%d %s", a.Status, a.Body)
	})
}
