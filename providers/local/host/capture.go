package host

import (
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// maxLine is the longest text kept in one log line; a longer one is cut into
// several.
const maxLine = 64 << 10

// attributionGrace is how long after the end of a call a plain line is still
// counted to it: what a worker printed before it answered may be read after.
const attributionGrace = 20 * time.Millisecond

// mixedGrace is how long after the end of a call that ran beside others a plain
// line is counted to nobody.
const mixedGrace = 100 * time.Millisecond

// running knows the calls that a worker has at the moment, to tell to which of
// them a plain line belongs.
type running struct {
	mu    sync.Mutex
	ids   []string
	last  string // the call that ended last, when no other began since
	ended time.Time
	mixed time.Time // until then a line may be of a call that ran beside others
}

func (r *running) begin(id string) {
	r.mu.Lock()
	r.ids = append(r.ids, id)
	r.last = ""
	r.mu.Unlock()
}

func (r *running) end(id string, at time.Time) {
	r.mu.Lock()
	for i, other := range r.ids {
		if other == id {
			r.ids[i] = r.ids[len(r.ids)-1]
			r.ids = r.ids[:len(r.ids)-1]
			break
		}
	}
	if len(r.ids) == 0 {
		r.last, r.ended = id, at
	} else {
		r.mixed = at.Add(mixedGrace)
	}
	r.mu.Unlock()
}

// attribute returns the call that printed a line at now, when that is certain,
// and the time to log: never after the end of the call.
func (r *running) attribute(now time.Time) (string, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case now.Before(r.mixed):
	case len(r.ids) == 1:
		return r.ids[0], now
	case len(r.ids) == 0 && r.last != "" && now.Sub(r.ended) < attributionGrace:
		return r.last, r.ended.Add(-1)
	}
	return "", now
}

// A capture turns one output of a worker into log lines.
type capture struct {
	kind    string // "out" or "err"
	journal *journal
	running *running
	level   string // lines below are dropped
	tail    *tail  // keeps the last lines for messages; may be nil
}

// copy reads until the end of r.
func (c *capture) copy(r io.Reader) {
	buf := make([]byte, 32<<10)
	var rest []byte
	for {
		n, err := r.Read(buf)
		rest = append(rest, buf[:n]...)
		for {
			i := indexLine(rest)
			if i < 0 {
				break
			}
			c.line(rest[:i])
			if i < len(rest) && rest[i] == '\n' {
				i++
			}
			rest = rest[i:]
		}
		if len(rest) == 0 {
			rest = nil
		}
		if err != nil {
			if len(rest) > 0 {
				c.line(rest)
			}
			return
		}
	}
}

// indexLine returns where the first line of b ends, or -1 when it is not
// complete.
func indexLine(b []byte) int {
	limit := min(len(b), maxLine)
	for i, c := range b[:limit] {
		if c == '\n' {
			return i
		}
	}
	if len(b) > maxLine {
		return maxLine
	}
	return -1
}

func (c *capture) line(b []byte) {
	text := strings.TrimSuffix(string(b), "\r")
	if c.tail != nil {
		c.tail.add(text)
	}
	e := parseLine(text)
	if below(e.level, c.level) {
		return
	}
	now := time.Now()
	id, at := c.running.attribute(now)
	if e.requestID == "" {
		e.requestID = id
	}
	if e.requestID != id {
		at = now
	}
	c.journal.add(&api.LogLine{Time: at, Kind: c.kind, RequestID: e.requestID, Level: e.level, Text: e.text})
}

// A tail keeps the last lines of an output.
type tail struct {
	mu    sync.Mutex
	lines []string
}

// tailLines and tailWidth bound what is kept to find the cause in.
const (
	tailLines = 64
	tailWidth = 300
)

func (t *tail) add(line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	if len(line) > tailWidth {
		line = line[:tailWidth] + "…"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, strings.ToValidUTF8(line, "\uFFFD"))
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

// cause returns the line that says why a program ended, "" when nothing was
// printed. All lines are in the log. Languages put it in different places: Go
// before the stack, Node.js between the source and the stack, Python at the end.
func (t *tail) cause() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.IndexFunc(t.lines, func(l string) bool {
		return strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ")
	}); i >= 0 {
		return t.lines[i]
	}
	for _, l := range slices.Backward(t.lines) {
		if l[0] != ' ' && l[0] != '\t' && l != "}" && !strings.HasPrefix(l, "Node.js v") {
			return l
		}
	}
	if n := len(t.lines); n > 0 {
		return t.lines[n-1]
	}
	return ""
}
