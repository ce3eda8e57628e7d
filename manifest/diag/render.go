package diag

import (
	"encoding/json"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// RenderOptions say how diagnostics look. The zero value is plain text.
type RenderOptions struct {
	Color bool // ANSI colours
}

// tabWidth is how far a tab goes in a snippet; maxWidth is what a snippet shows
// of a long line.
const (
	tabWidth = 4
	maxWidth = 100
)

// Render writes diagnostics for people: the line "file:line:col: message
// [code]", the line of the file with a caret below the place, where the value
// came from, and the hint. Sources are the files by Pos.File; a file that is not
// among them has no snippet. The order is the list's.
func Render(w io.Writer, list List, sources map[string][]byte, o RenderOptions) error {
	r := renderer{paint: plain}
	if o.Color {
		r.paint = ansi
	}
	files := map[string][]string{}
	for _, d := range list {
		lines, ok := files[d.Pos.File]
		if !ok {
			lines = splitLines(sources[d.Pos.File])
			files[d.Pos.File] = lines
		}
		r.diagnostic(d, lines)
	}
	_, err := io.WriteString(w, r.b.String())
	return err
}

type style int

const (
	_ style = iota
	bold
	red
	yellow
	blue
	dim
)

func plain(_ style, s string) string { return s }

func ansi(st style, s string) string {
	code := map[style]string{bold: "1", red: "1;31", yellow: "1;33", blue: "1;34", dim: "2"}[st]
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

type renderer struct {
	b     strings.Builder
	paint func(style, string) string
}

func (r *renderer) diagnostic(d Diagnostic, lines []string) {
	st := map[Severity]style{Error: red, Warning: yellow, Info: blue}[d.Severity]
	if p := d.Pos.String(); p != "" {
		r.b.WriteString(r.paint(bold, printable(p)+":") + " ")
	}
	if d.Severity != Error {
		r.b.WriteString(r.paint(st, d.Severity.String()+":") + " ")
		r.b.WriteString(printable(d.Message))
	} else {
		r.b.WriteString(r.paint(st, printable(d.Message)))
	}
	r.b.WriteString(" " + r.paint(dim, "["+d.Code+"]") + "\n")
	if d.Pos.Line >= 1 && d.Pos.Line <= len(lines) {
		r.snippet(d, lines[d.Pos.Line-1], st)
	}
	for _, p := range d.Origin {
		r.b.WriteString("  from " + printable(p.String()) + "\n")
	}
	if d.Hint != "" {
		for i, line := range strings.Split(d.Hint, "\n") {
			if i == 0 {
				r.b.WriteString(r.paint(bold, "  hint:") + " " + printable(line) + "\n")
				continue
			}
			r.b.WriteString("      " + printable(line) + "\n")
		}
	}
}

// snippet writes the line and a caret below it. Tabs become spaces, characters
// that take no room or would move the cursor become �, and a long line is cut
// around the place.
func (r *renderer) snippet(d Diagnostic, line string, st style) {
	var cells []rune  // what is shown, one per column of text
	starts := []int{} // index in cells of each character
	for _, c := range line {
		starts = append(starts, len(cells))
		if c == '\t' {
			for n := tabWidth - len(cells)%tabWidth; n > 0; n-- {
				cells = append(cells, ' ')
			}
			continue
		}
		cells = append(cells, visible(c))
	}
	starts = append(starts, len(cells))
	from := starts[min(max(d.Pos.Column-1, 0), len(starts)-1)]
	to := starts[min(max(d.Pos.Column-1, 0)+max(d.Width, 1), len(starts)-1)]
	to = max(to, from+1)

	left, right := 0, len(cells)
	if right > maxWidth {
		left = max(0, min(from-maxWidth/3, right-maxWidth))
		right = min(right, left+maxWidth)
	}
	shown := string(cells[left:right])
	if right < len(cells) {
		shown += "…"
	}
	indent := 2
	if left > 0 {
		shown = "…" + shown
		indent++
	}
	to = min(to, max(right, from+1))
	r.b.WriteString("  " + strings.TrimRight(shown, " ") + "\n")
	// Wide characters take two columns on a terminal.
	pad := indent
	for i := left; i < from && i < len(cells); i++ {
		pad += width(cells[i])
	}
	marks := 0
	for i := from; i < to; i++ {
		if i < len(cells) {
			marks += width(cells[i])
		} else {
			marks++
		}
	}
	r.b.WriteString(strings.Repeat(" ", pad) + r.paint(st, "^"+strings.Repeat("~", marks-1)) + "\n")
}

// printable replaces what could move a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '\t' {
			return ' '
		}
		return visible(c)
	}, s)
}

func visible(c rune) rune {
	if unicode.IsControl(c) || unicode.In(c, unicode.Mn, unicode.Me, unicode.Cf, unicode.Zl, unicode.Zp) {
		return utf8.RuneError
	}
	return c
}

// wide are the blocks whose characters take two columns (East Asian Wide and
// emoji), roughly.
var wide = [][2]rune{
	{0x1100, 0x115f},
	{0x2e80, 0x303e},
	{0x3041, 0x33ff},
	{0x3400, 0x4dbf},
	{0x4e00, 0x9fff},
	{0xa000, 0xa4cf},
	{0xac00, 0xd7a3},
	{0xf900, 0xfaff},
	{0xfe30, 0xfe6f},
	{0xff00, 0xff60},
	{0xffe0, 0xffe6},
	{0x1f300, 0x1f64f},
	{0x1f680, 0x1f6ff},
	{0x1f900, 0x1f9ff},
	{0x20000, 0x3fffd},
}

func width(c rune) int {
	for _, b := range wide {
		if c >= b[0] && c <= b[1] {
			return 2
		}
	}
	return 1
}

func splitLines(data []byte) []string {
	if data == nil {
		return nil
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	starts := LineStarts([]byte(text))
	lines := make([]string, len(starts))
	for i, s := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		lines[i] = strings.TrimRight(text[s:end], "\r\n")
	}
	return lines
}

// JSON is a diagnostic as programs read it.
type JSON struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Message  string `json:"message"`
	Hint     string `json:"hint"`
}

// MarshalJSON writes the form of JSON.
func (d Diagnostic) MarshalJSON() ([]byte, error) {
	return json.Marshal(JSON{
		File: d.Pos.File, Line: d.Pos.Line, Column: d.Pos.Column,
		Severity: d.Severity.String(), Code: d.Code, Message: d.Message, Hint: d.Hint,
	})
}
