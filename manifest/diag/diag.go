// Package diag says what is wrong with a file a person wrote: where, what, why
// and what to do next. It knows positions and text, and nothing about YAML,
// manifests or clouds. It imports the standard library only.
package diag

import (
	"cmp"
	"fmt"
	"slices"
)

// A Pos is a place in a file. Line and Column count from one; columns count
// characters (runes), as an editor shows them. The zero Pos means "not known".
type Pos struct {
	File   string
	Line   int
	Column int
}

// IsValid reports whether p names a place.
func (p Pos) IsValid() bool { return p.Line > 0 }

// String returns "file:line:col", or just the file when the line is not known.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.File == "":
		return fmt.Sprintf("%d:%d", p.Line, p.Column)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Compare orders positions by file, line and column.
func (p Pos) Compare(q Pos) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// Severity ranks a diagnostic. The zero value is invalid on purpose.
type Severity int

// The severities, worst first.
const (
	_       Severity = iota
	Error            // the manifest cannot be used
	Warning          // it can be used, but not exactly as written
	Info             // worth knowing
)

// String returns "error", "warning" or "info".
func (s Severity) String() string {
	switch s {
	case Error:
		return "error"
	case Warning:
		return "warning"
	case Info:
		return "info"
	}
	return fmt.Sprintf("severity(%d)", int(s))
}

// A Diagnostic is one finding. Message is lower case without a full stop and
// quotes the user's own words; Hint is an imperative next step, kept apart.
// Code is stable for ever and listed in manifest/ERRORS.md.
type Diagnostic struct {
	Pos      Pos
	Width    int // characters underlined from Pos.Column; 0 means one
	Severity Severity
	Code     string
	Message  string
	Hint     string
	Origin   []Pos // where the value came from (includes, variables), innermost first
}

// String returns the diagnostic on one line, "file:line:col: message [code]".
func (d Diagnostic) String() string {
	s := d.Message + " [" + d.Code + "]"
	if d.Severity != Error {
		s = d.Severity.String() + ": " + s
	}
	if p := d.Pos.String(); p != "" {
		return p + ": " + s
	}
	return s
}

// A List collects diagnostics. The zero List is ready to use and means
// "nothing is wrong".
type List []Diagnostic

// Errorf adds an error and returns a pointer to it, so that a caller can set a
// hint or a width. The pointer is valid until the next addition.
func (l *List) Errorf(pos Pos, code, format string, args ...any) *Diagnostic {
	return l.add(Error, pos, code, format, args)
}

// Warnf adds a warning; see Errorf.
func (l *List) Warnf(pos Pos, code, format string, args ...any) *Diagnostic {
	return l.add(Warning, pos, code, format, args)
}

// Infof adds a note; see Errorf.
func (l *List) Infof(pos Pos, code, format string, args ...any) *Diagnostic {
	return l.add(Info, pos, code, format, args)
}

func (l *List) add(s Severity, pos Pos, code, format string, args []any) *Diagnostic {
	*l = append(*l, Diagnostic{Pos: pos, Severity: s, Code: code, Message: fmt.Sprintf(format, args...)})
	return &(*l)[len(*l)-1]
}

// HasErrors reports whether any diagnostic is an error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d Diagnostic) bool { return d.Severity == Error })
}

// Sorted returns the diagnostics in display order: by position, then severity,
// code and message. Exact repetitions are dropped.
func (l List) Sorted() List {
	out := slices.Clone(l)
	slices.SortStableFunc(out, func(a, b Diagnostic) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(out, func(a, b Diagnostic) bool {
		return a.Pos == b.Pos && a.Severity == b.Severity && a.Code == b.Code && a.Message == b.Message
	})
}
