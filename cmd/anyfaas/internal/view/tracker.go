package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// A tracker knows what is running, since when, and how to tell each event.
type tracker struct {
	style     Style
	now       func() time.Time
	operation string
	running   map[string]running // by URN, or "build <function>"
}

// running is something that was started and is not done.
type running struct {
	group string // the function or the shared thing it belongs to
	text  string // "create queue jobs"
	since time.Time
}

func newTracker(s Style, now func() time.Time) tracker {
	return tracker{style: s, now: now, running: map[string]running{}}
}

// apply takes an event in and returns what to say about it: lines, or "".
func (t *tracker) apply(e event.Event) string {
	switch e := e.(type) {
	case event.Started:
		t.operation = e.Operation
		if e.Operation == "preview" {
			return ""
		}
		return t.style.paint(bold, fmt.Sprintf("%s %s/%s on %s", e.Operation, e.Service, e.Stage, e.Provider))
	case event.Building:
		return t.building(e)
	case event.StepStarted:
		if e.Op == event.Same || e.Type == stackType {
			return "" // nothing is done
		}
		group := e.Function
		if group == "" {
			group = stacks.Label(e.Resource)
		}
		t.running[e.URN] = running{group, string(e.Op) + " " + stacks.Label(e.Resource), t.at(e.Time)}
		return ""
	case event.StepDone:
		delete(t.running, e.URN)
		return t.done(e)
	case event.Message:
		return t.message(e)
	case event.Stopping:
		if len(t.running) == 0 {
			return "stopping"
		}
		return "stopping after the running steps; press Ctrl-C again to abandon them"
	case event.Finished:
		return t.finished(e)
	default:
		panic(fmt.Sprintf("view: unknown event %T", e))
	}
}

// at is the time of an event, the present when it tells none.
func (t *tracker) at(when time.Time) time.Time {
	if when.IsZero() {
		return t.now()
	}
	return when
}

func (t *tracker) building(e event.Building) string {
	key := "build " + e.Function
	if !e.Done {
		t.running[key] = running{e.Function, "package " + e.Function, t.now()}
		return ""
	}
	delete(t.running, key)
	if e.Reason == "cached" && !t.style.Verbose {
		return ""
	}
	line := fmt.Sprintf("packaged %s (%s) in %s", e.Function, size(e.Size), seconds(e.Took))
	if e.Reason != "" {
		line += ": " + e.Reason
	}
	return clean(line)
}

// past is what an operation that is done is called.
var past = map[event.Op]string{
	event.Create: "created", event.Update: "updated", event.Replace: "replaced", event.Delete: "deleted",
	event.Read: "read", event.Refresh: "refreshed", event.Same: "unchanged",
}

func (t *tracker) done(e event.StepDone) string {
	name := clean(stacks.Label(e.Resource))
	if t.style.Verbose {
		name += " " + t.style.paint(dim, "("+clean(e.Type)+")")
	}
	switch {
	case e.Err != "":
		reason := strings.ReplaceAll(strings.TrimSpace(clean(e.Err)), "\n", "\n    ")
		return t.style.paint(red, "✗") + fmt.Sprintf(" %s %s: %s", e.Op, name, reason)
	case t.operation == "preview", e.Type == stackType:
		return ""
	case (e.Op == event.Same || e.Op == event.Read || e.Op == event.Refresh) && !t.style.Verbose:
		return ""
	}
	return fmt.Sprintf("%s %s %s in %s", t.style.mark(e.Op), past[e.Op], name, seconds(e.Took))
}

func (t *tracker) message(e event.Message) string {
	text := strings.TrimRight(clean(e.Text), "\n")
	if text == "" || e.Severity == "debug" && !t.style.Verbose {
		return ""
	}
	if e.About.Name != "" {
		text = stacks.Label(e.About) + ": " + text
	}
	switch e.Severity {
	case "error":
		return t.style.paint(red, "error:") + " " + text
	case "warning":
		return t.style.paint(yellow, "warning:") + " " + text
	}
	return text
}

func (t *tracker) finished(e event.Finished) string {
	if e.Operation == "preview" || e.Err != "" {
		return ""
	}
	var words []string
	for _, op := range []event.Op{event.Create, event.Update, event.Replace, event.Delete} {
		if n := e.Counts[op]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, past[op]))
		}
	}
	if len(words) == 0 {
		words = []string{"nothing to change"}
	}
	return fmt.Sprintf("%s done in %s: %s", e.Operation, seconds(e.Took), strings.Join(words, ", "))
}

// oldest returns what is running, the longest first.
func (t *tracker) oldest() []running {
	return slices.SortedFunc(maps.Values(t.running), func(a, b running) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.text, b.text))
	})
}

// size says how big: "812 B", "1.2 MB".
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// seconds says how long: "0.1s", "12s", "2m5s".
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
