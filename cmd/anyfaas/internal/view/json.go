package view

import (
	"encoding/json"
	"io"
	"slices"

	"github.com/anyfaas/anyfaas/stacks/event"
)

// PlanJSON writes a plan for programs.
func PlanJSON(w io.Writer, p Plan) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	changes, warnings := p.Changes, slices.Concat(p.Warnings, p.Notes)
	if changes == nil {
		changes = []event.Change{}
	}
	if warnings == nil {
		warnings = []string{}
	}
	return enc.Encode(struct {
		Version  int            `json:"version"`
		Service  string         `json:"service"`
		Stage    string         `json:"stage"`
		Provider string         `json:"provider"`
		Offline  bool           `json:"offline"`
		Summary  Summary        `json:"summary"`
		Changes  []event.Change `json:"changes"`
		Warnings []string       `json:"warnings"`
	}{1, p.Service, p.Stage, p.Provider, false, Summarize(p.Counts), changes, warnings})
}

// Progress shows events as they come. Its methods are called one at a time.
type Progress interface {
	event.Sink
	// Tick is called now and then, for what changes with time alone.
	Tick()
	// Close ends the view; what moves is gone afterwards.
	Close()
}

// NewJSON returns a view that writes one JSON object per line: version, kind
// and the event. Kinds never change their meaning.
func NewJSON(w io.Writer) Progress { return jsonLines{w} }

type jsonLines struct{ w io.Writer }

func (j jsonLines) Event(e event.Event) {
	b, err := json.Marshal(struct {
		Version int         `json:"version"`
		Kind    string      `json:"kind"`
		Event   event.Event `json:"event"`
	}{1, event.Kind(e), e})
	if err != nil {
		panic("view: " + err.Error()) // an event of ours that is no JSON
	}
	_, _ = j.w.Write(append(b, '\n')) // a reader that is gone ends nothing
}

func (jsonLines) Tick()  {}
func (jsonLines) Close() {}
