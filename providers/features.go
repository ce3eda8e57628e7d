package providers

import (
	"fmt"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
)

// A Level says how well a provider does what a setting asks.
type Level int

// The levels, best first. The zero value is invalid on purpose.
const (
	_            Level = iota
	Exact              // as the manifest says
	Emulated           // done by anyfaas itself, same behaviour
	Approximated       // done, with the difference told in the note
	Unsupported        // not done; an error unless accepted
)

// String returns the level as documents show it.
func (l Level) String() string {
	switch l {
	case Exact:
		return "exact"
	case Emulated:
		return "emulated"
	case Approximated:
		return "approximated"
	case Unsupported:
		return "unsupported"
	}
	return fmt.Sprintf("level(%d)", int(l))
}

// Support says how a provider treats one setting.
type Support struct {
	Level  Level
	Code   string // of the diagnostic; "" for Exact and Emulated
	Note   string // the consequence in one sentence; "" for Exact
	Source string // where the fact comes from; "" for Exact and Emulated
}

// Features maps each schema path (see graph.Setting) to its Support. Every leaf
// of the manifest schema is in every provider's table; a test sees to that.
type Features map[string]Support

// CheckFeatures reports the settings of g that f says are approximated
// (warnings) or unsupported (errors, warnings once accepted). An accepted
// approximation is not reported.
func CheckFeatures(g *graph.Graph, f Features) diag.List {
	var l diag.List
	for _, s := range g.Used {
		sup, ok := f[s.Path]
		if !ok {
			continue
		}
		accepted := s.Accepts(sup.Code)
		switch {
		case sup.Level == Unsupported && accepted:
			l.Warnf(s.Pos, sup.Code, "%s", sup.Note)
		case sup.Level == Unsupported:
			l.Errorf(s.Pos, sup.Code, "%s", sup.Note).Hint = "remove the setting, or accept its absence with `accept: [" + sup.Code + "]`"
		case sup.Level == Approximated && !accepted:
			l.Warnf(s.Pos, sup.Code, "%s", sup.Note)
		}
	}
	return l
}
