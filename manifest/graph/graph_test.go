package graph

import (
	"testing"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

func TestPositionsFallBackToParents(t *testing.T) {
	pos := func(line int) diag.Pos { return diag.Pos{File: "f.yaml", Line: line, Column: 1} }
	p := Positions{"": pos(1), "concurrency": pos(2), "concurrency.max": pos(3), "triggers[1]": pos(4), "triggers[1].queue": pos(5)}
	for path, want := range map[string]int{
		"":                        1,
		"memory":                  1,
		"concurrency":             2,
		"concurrency.max":         3,
		"concurrency.warm":        2,
		"triggers[0].http":        1,
		"triggers[1].queue.batch": 5,
		"triggers[1].http":        4,
	} {
		if got := p.At(path); got != pos(want) {
			t.Errorf("%q stands at %v, want line %d", path, got, want)
		}
	}
	if got := Positions(nil).At("memory"); got.IsValid() {
		t.Errorf("no positions give %v", got)
	}
}

func TestText(t *testing.T) {
	text := Text{{Literal: "a "}, {Ref: &Ref{Group: "queues", Name: "jobs", Attr: "url"}}, {Literal: " b"}}
	if got, want := text.String(), "a ${queues.jobs.url} b"; got != want {
		t.Errorf("text shows as %q, want %q", got, want)
	}
	if s, ok := text.Literal(); ok {
		t.Errorf("a text with a reference is the literal %q", s)
	}
	if s, ok := (Text{{Literal: "a"}, {Literal: "b"}}).Literal(); !ok || s != "ab" {
		t.Errorf("the literal is %q, %v", s, ok)
	}
	if s, ok := Text(nil).Literal(); !ok || s != "" {
		t.Errorf("no text is %q, %v", s, ok)
	}
}

func TestFunction(t *testing.T) {
	g := &Graph{Functions: []Function{{Name: "a"}, {Name: "b"}, {Name: "d"}}}
	for _, name := range []string{"a", "b", "d"} {
		if f := g.Function(name); f == nil || f.Name != name {
			t.Errorf("function %q is %v", name, f)
		}
	}
	if f := g.Function("c"); f != nil {
		t.Errorf("function c is %v", f)
	}
}

func TestKinds(t *testing.T) {
	for want, tr := range map[string]Trigger{
		"http":     {HTTP: &HTTPTrigger{}},
		"schedule": {Schedule: &ScheduleTrigger{}},
		"queue":    {Queue: &QueueTrigger{}},
		"topic":    {Topic: &TopicTrigger{}},
		"storage":  {Storage: &StorageTrigger{}},
		"stream":   {Stream: &StreamTrigger{}},
		"table":    {Table: &TableTrigger{}},
		"event":    {Event: &EventTrigger{}},
	} {
		if got := tr.Kind(); got != want {
			t.Errorf("a %s trigger is a %s trigger", want, got)
		}
	}
	if got := (Runtime{Language: "python", Version: "3.12"}).String(); got != "python3.12" {
		t.Errorf("runtime shows as %q", got)
	}
}
