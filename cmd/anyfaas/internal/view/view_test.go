package view

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// start is the time at which every recording begins.
var start = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// A moment of a recording: an event, or nothing but time that has passed.
type moment struct {
	at    time.Duration
	event event.Event
}

// recording reads testdata/<name>/events.jsonl: one object per line with the
// seconds since the start, and the kind and the event as NewJSON writes them. A
// line without a kind is a tick.
func recording(t *testing.T, name string) []moment {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []moment
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var l struct {
			At    float64
			Kind  string
			Event json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		all = append(all, moment{time.Duration(l.At * float64(time.Second)), decode(t, l.Kind, l.Event)})
	}
	return all
}

func decode(t *testing.T, kind string, raw json.RawMessage) event.Event {
	t.Helper()
	switch kind {
	case "":
		return nil
	case "started":
		return as[event.Started](t, raw)
	case "building":
		return as[event.Building](t, raw)
	case "step-started":
		return as[event.StepStarted](t, raw)
	case "step-done":
		return as[event.StepDone](t, raw)
	case "message":
		return as[event.Message](t, raw)
	case "stopping":
		return as[event.Stopping](t, raw)
	case "finished":
		return as[event.Finished](t, raw)
	}
	t.Fatalf("no event is called %q", kind)
	return nil
}

func as[T event.Event](t *testing.T, raw json.RawMessage) T {
	t.Helper()
	var e T
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return e
}

// replay hands a recording to a view whose clock it moves.
func replay(all []moment, view func(now func() time.Time) Progress) {
	now := start
	v := view(func() time.Time { return now })
	for _, m := range all {
		now = start.Add(m.at)
		if m.event == nil {
			v.Tick()
			continue
		}
		v.Event(m.event)
	}
	v.Close()
}

// golden compares got with a file, or rewrites it with UPDATE=1.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s", diff.Diff(file, want, "got", []byte(got)))
	}
}

func recordings(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*/events.jsonl")
	if err != nil || len(files) < 4 {
		t.Fatalf("recordings = %v, %v", files, err)
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	return names
}

func TestProgress(t *testing.T) {
	for _, name := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			all := recording(t, name)
			var plain, verbose, live, stream bytes.Buffer
			replay(all, func(now func() time.Time) Progress { return NewLines(&plain, Lines{Now: now}) })
			golden(t, "testdata/"+name+"/lines.txt", plain.String())

			replay(all, func(now func() time.Time) Progress {
				return NewLines(&verbose, Lines{Style: Style{Color: true, Verbose: true}, Now: now})
			})
			golden(t, "testdata/"+name+"/lines-verbose.txt", visible(verbose.String()))

			replay(all, func(now func() time.Time) Progress {
				return NewLive(&live, Live{Now: now, Width: func() int { return 60 }})
			})
			golden(t, "testdata/"+name+"/live.txt", visible(live.String()))

			replay(all, func(func() time.Time) Progress { return NewJSON(&stream) })
			golden(t, "testdata/"+name+"/json.txt", stream.String())
		})
	}
}

// visible shows escape sequences.
func visible(s string) string { return strings.ReplaceAll(s, "\x1b", "␛") }

// What moved is gone at the end: the screen then holds what plain lines say,
// without their heartbeats.
func TestLiveLeavesOnlyWhatWasDone(t *testing.T) {
	for _, name := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			all := recording(t, name)
			s := &screen{}
			replay(all, func(now func() time.Time) Progress {
				return NewLive(s, Live{Now: now, Width: func() int { return 60 }})
			})
			var plain bytes.Buffer
			replay(all, func(now func() time.Time) Progress { return NewLines(&plain, Lines{Now: now}) })
			var want []string
			for _, l := range strings.Split(strings.TrimSuffix(plain.String(), "\n"), "\n") {
				if !strings.HasPrefix(l, "…") {
					want = append(want, l)
				}
			}
			if got := strings.Join(s.lines, "\n"); got != strings.Join(want, "\n") {
				t.Errorf("the screen at the end:\n%s", diff.Diff("want", []byte(strings.Join(want, "\n")), "got", []byte(got)))
			}
		})
	}
}

func TestLiveIsNeverHigherThan24LinesNorWiderThanTheScreen(t *testing.T) {
	now := start
	s := &screen{}
	v := NewLive(s, Live{Now: func() time.Time { return now }, Width: func() int { return 40 }})
	for i := range 100 {
		r := event.Resource{URN: fmt.Sprint("urn", i), Type: "x:index:Queue", Name: fmt.Sprintf("queue-with-quite-a-long-name-%03d", i)}
		v.Event(event.StepStarted{Change: event.Change{Op: event.Create, Resource: r}, Time: now})
		now = now.Add(time.Second)
		if len(s.lines) > 24 {
			t.Fatalf("%d lines after %d steps", len(s.lines), i+1)
		}
		for _, l := range s.lines {
			if n := len([]rune(l)); n >= 40 {
				t.Fatalf("%d characters: %q", n, l)
			}
		}
	}
	if got, want := s.lines[len(s.lines)-1], "  … and 77 more"; got != want {
		t.Errorf("last line %q, want %q", got, want)
	}
	v.Close()
	if len(s.lines) != 0 {
		t.Errorf("%d lines are left", len(s.lines))
	}
}

// A screen understands as much of a terminal as NewLive needs. The cursor is
// always at the start of the line after the last.
type screen struct{ lines []string }

func (s *screen) Write(p []byte) (int, error) {
	rest := string(p)
	if after, ok := strings.CutPrefix(rest, "\x1b["); ok {
		var up int
		if _, err := fmt.Sscanf(after, "%dA\r\x1b[J", &up); err != nil || up > len(s.lines) {
			return 0, fmt.Errorf("no frame begins with %q on a screen of %d lines", rest, len(s.lines))
		}
		s.lines = s.lines[:len(s.lines)-up]
		_, rest, _ = strings.Cut(rest, "\x1b[J")
	}
	for rest != "" {
		line, after, ok := strings.Cut(rest, "\n")
		if !ok || strings.Contains(line, "\x1b") {
			return 0, fmt.Errorf("a frame holds %q", line)
		}
		s.lines = append(s.lines, line)
		rest = after
	}
	return len(p), nil
}

func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/plan-*/plan.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("plans = %v, %v", files, err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := Plan{Service: "shop", Stage: "dev", Provider: "local", Graph: service}
			if err := json.Unmarshal(data, &p); err != nil {
				t.Fatal(err)
			}
			for name, write := range map[string]func(*bytes.Buffer) error{
				"plan.txt":         func(b *bytes.Buffer) error { return PlanText(b, p, Style{}) },
				"plan-verbose.txt": func(b *bytes.Buffer) error { return PlanText(b, p, Style{Color: true, Verbose: true}) },
				"plan.md":          func(b *bytes.Buffer) error { return PlanMarkdown(b, p) },
				"answer.json":      func(b *bytes.Buffer) error { return PlanJSON(b, p) },
			} {
				var b bytes.Buffer
				if err := write(&b); err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join(dir, name), visible(b.String()))
			}
		})
	}
}

// service is what the recorded plans are about.
var service = &graph.Graph{Functions: []graph.Function{
	{Name: "api", Triggers: []graph.Trigger{{HTTP: &graph.HTTPTrigger{Method: "*", Path: "/{path+}", Auth: "jwt"}}}},
	{Name: "worker", Triggers: []graph.Trigger{{Queue: &graph.QueueTrigger{Name: "jobs", Batch: 10}}}},
}}

func TestMarkdownStaysBelowTheLimitOfAComment(t *testing.T) {
	p := Plan{Service: "shop", Stage: "dev", Provider: "local", Counts: map[event.Op]int{event.Update: 5000}}
	for i := range 5000 {
		p.Changes = append(p.Changes, event.Change{
			Op:       event.Update,
			Resource: event.Resource{URN: fmt.Sprint(i), Type: "anyfaas-local:index:Function", Name: fmt.Sprintf("f%04d", i), Function: fmt.Sprintf("f%04d", i)},
			Diff:     []event.Property{{Path: "memory", Old: json.RawMessage(`"256MB"`), New: json.RawMessage(`"512MB"`)}},
			DataLoss: true,
		})
		p.Warnings = append(p.Warnings, strings.Repeat("w", 500))
	}
	var b bytes.Buffer
	if err := PlanMarkdown(&b, p); err != nil {
		t.Fatal(err)
	}
	if b.Len() > markdownLimit {
		t.Errorf("%d bytes", b.Len())
	}
	for _, want := range []string{"\n| | | … and ", " more warnings\n", "\n# … and ", "```\n\n</details>\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestMarkdownIsNotSteeredByNames(t *testing.T) {
	p := Plan{Service: "shop", Stage: "dev", Provider: "local", Counts: map[event.Op]int{event.Update: 1}, Changes: []event.Change{{
		Op:       event.Update,
		Resource: event.Resource{URN: "u", Type: "x:index:Function", Name: "api", Function: "api"},
		Diff: []event.Property{{
			Path: "env.X", Old: json.RawMessage(`"a"`),
			New: json.RawMessage("\"```\\n</details>|<script>@everyone`\""),
		}},
	}}}
	var b bytes.Buffer
	if err := PlanMarkdown(&b, p); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "```"); n != 2 {
		t.Errorf("%d code fences in\n%s", n, b.String())
	}
	for _, bad := range []string{"<script>", "@everyone`"} {
		head, _, _ := strings.Cut(b.String(), "```diff")
		if strings.Contains(head, bad) {
			t.Errorf("%q is in the table:\n%s", bad, head)
		}
	}
}

func TestTextTakesControlCharactersOut(t *testing.T) {
	var b bytes.Buffer
	v := NewLines(&b, Lines{Now: func() time.Time { return start }})
	v.Event(event.Message{Severity: "info", Text: "a\x1b[2Jb\rc\x07\u009bd\n"})
	if got, want := b.String(), "a[2Jbcd\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
