package view

import (
	"strings"

	"github.com/anyfaas/anyfaas/stacks/event"
)

// A Style is how text is written. The zero Style is plain and short.
type Style struct {
	Color   bool
	Verbose bool // each resource too
}

// The colours, as SGR parameters.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s Style) paint(color, text string) string {
	if !s.Color || color == "" || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// mark paints the symbol of an operation.
func (s Style) mark(op event.Op) string {
	switch op {
	case event.Create:
		return s.paint(green, symbol(op))
	case event.Delete, event.Replace:
		return s.paint(red, symbol(op))
	case event.Same:
		return symbol(op)
	}
	return s.paint(yellow, symbol(op))
}

// clean takes control characters out of text that came from elsewhere, so that
// it cannot move the cursor. Line breaks stay.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) {
			return r
		}
		return -1
	}, s)
}
