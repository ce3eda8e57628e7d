package view

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/stacks/event"
)

// Live are the options of NewLive.
type Live struct {
	Style Style
	Now   func() time.Time
	Width func() int // columns
}

// liveLines is the height of the moving part at most.
const liveLines = 24

// NewLive returns a view for a terminal: what is done scrolls away, what runs
// stays below it with its seconds, a line for each function. Every frame is one
// write that ends below what moves, and the cursor is never hidden: whenever the
// program is killed, the terminal is in order.
func NewLive(w io.Writer, o Live) Progress {
	return &live{w: w, tracker: newTracker(o.Style, o.Now), width: o.Width}
}

type live struct {
	tracker
	w     io.Writer
	width func() int
	drawn int    // lines of the moving part on the screen
	last  string // the moving part as drawn
}

func (l *live) Event(e event.Event) { l.draw(l.apply(e)) }

func (l *live) Tick() { l.draw("") }

// Close takes the moving part away.
func (l *live) Close() {
	if l.drawn > 0 {
		io.WriteString(l.w, l.erase())
		l.drawn, l.last = 0, ""
	}
}

// draw says text, which scrolls away, above the moving part.
func (l *live) draw(text string) {
	frame := l.frame()
	moving := strings.Join(frame, "")
	if text == "" && moving == l.last {
		return
	}
	var b strings.Builder
	b.WriteString(l.erase())
	if text != "" {
		b.WriteString(text + "\n")
	}
	b.WriteString(moving)
	l.drawn, l.last = len(frame), moving
	io.WriteString(l.w, b.String())
}

// erase moves up over the moving part and clears from there.
func (l *live) erase() string {
	if l.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", l.drawn)
}

// frame returns the lines of the moving part: the longest running first, one for
// each function.
func (l *live) frame() []string {
	type row struct {
		text  string
		since time.Time
		n     int
	}
	var rows []row
	index := map[string]int{}
	for _, r := range l.oldest() {
		if i, ok := index[r.group]; ok {
			rows[i].n++
			continue
		}
		index[r.group] = len(rows)
		rows = append(rows, row{r.text, r.since, 1})
	}
	most := max(l.width(), 20)
	var out []string
	for i, r := range rows {
		if i == liveLines-1 && len(rows) > liveLines {
			out = append(out, fmt.Sprintf("  … and %d more\n", len(rows)-i))
			break
		}
		text := clean(r.text)
		if r.n > 1 {
			text += fmt.Sprintf(" and %d more", r.n-1)
		}
		elapsed := fmt.Sprintf(" %s", l.now().Sub(r.since).Truncate(time.Second))
		out = append(out, "  "+cut(text, most-3-len(elapsed))+l.style.paint(dim, elapsed)+"\n")
	}
	return out
}

// cut shortens text to that many characters.
func cut(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:max(most-1, 0)]) + "…"
	}
	return text
}
