package host

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// appendLine appends l as one line of JSON. It gives the same as encoding/json
// for the cost of a copy, since there is one for every call.
func appendLine(dst []byte, l *api.LogLine) []byte {
	dst = append(dst, `{"time":"`...)
	dst = l.Time.UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","function":`...)
	dst = appendString(dst, l.Function)
	dst = append(dst, `,"kind":`...)
	dst = appendString(dst, l.Kind)
	if l.RequestID != "" {
		dst = append(dst, `,"requestId":`...)
		dst = appendString(dst, l.RequestID)
	}
	if l.Level != "" {
		dst = append(dst, `,"level":`...)
		dst = appendString(dst, l.Level)
	}
	dst = append(dst, `,"text":`...)
	dst = appendString(dst, l.Text)
	if l.Duration != 0 {
		dst = append(dst, `,"duration":"`...)
		dst = append(dst, time.Duration(l.Duration).String()...)
		dst = append(dst, '"')
	}
	if l.Cold {
		dst = append(dst, `,"cold":true`...)
	}
	if l.Status != 0 {
		dst = append(dst, `,"status":`...)
		dst = strconv.AppendInt(dst, int64(l.Status), 10)
	}
	return append(dst, '}', '\n')
}

func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			// Marshal of a string cannot fail; invalid UTF-8 becomes U+FFFD.
			quoted, _ := json.Marshal(s)
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// An entry is what a line that a function printed says.
type entry struct {
	requestID string
	level     string
	text      string
}

// parseLine understands the JSON lines that the adapters' loggers print, objects
// with "level" and "msg"; any other line is its own text.
func parseLine(line string) entry {
	plain := entry{text: strings.ToValidUTF8(line, "\uFFFD")}
	if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}") {
		return plain
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(line), &fields) != nil {
		return plain
	}
	var e entry
	if !take(fields, "msg", &e.text) || !take(fields, "level", &e.level) {
		return plain
	}
	e.level = strings.ToLower(e.level)
	take(fields, "requestId", &e.requestID)
	delete(fields, "time")
	delete(fields, "fn")
	if len(fields) > 0 {
		var b strings.Builder
		b.WriteString(e.text)
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			b.WriteString(" " + name + "=")
			b.Write(fields[name])
		}
		e.text = b.String()
	}
	return e
}

// take moves a string out of fields.
func take(fields map[string]json.RawMessage, name string, to *string) bool {
	raw, ok := fields[name]
	if !ok || json.Unmarshal(raw, to) != nil {
		return false
	}
	delete(fields, name)
	return true
}

// levels in rising order.
var levels = []string{"debug", "info", "warn", "error"}

// below reports whether a line of the given level is too unimportant for a
// function that logs from threshold on. Unknown levels are never below.
func below(level, threshold string) bool {
	l, t := slices.Index(levels, level), slices.Index(levels, threshold)
	return l >= 0 && l < t
}
