package view

import (
	"fmt"
	"io"
	"time"

	"github.com/anyfaas/anyfaas/stacks/event"
)

// Lines are the options of NewLines.
type Lines struct {
	Style Style
	Now   func() time.Time
}

// heartbeat is how long plain lines stay silent while something runs.
const heartbeat = 10 * time.Second

// NewLines returns a view for what is no terminal: one line for each thing done,
// and one that names the slowest when nothing was said for ten seconds.
func NewLines(w io.Writer, o Lines) Progress {
	return &lines{w: w, tracker: newTracker(o.Style, o.Now), spoke: o.Now()}
}

type lines struct {
	tracker
	w     io.Writer
	spoke time.Time
}

func (l *lines) Event(e event.Event) {
	if text := l.apply(e); text != "" {
		l.say(text)
	}
}

func (l *lines) Tick() {
	all := l.oldest()
	if len(all) == 0 || l.now().Sub(l.spoke) < heartbeat {
		return
	}
	text := fmt.Sprintf("… %s for %s", clean(all[0].text), l.now().Sub(all[0].since).Round(time.Second))
	if n := len(all) - 1; n > 0 {
		text += fmt.Sprintf(", %d more running", n)
	}
	l.say(text)
}

func (l *lines) say(text string) {
	fmt.Fprintln(l.w, text)
	l.spoke = l.now()
}

func (l *lines) Close() {}
