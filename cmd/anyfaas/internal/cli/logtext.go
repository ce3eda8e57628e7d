package cli

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
)

// blockIndent is put before every further line of an entry.
const blockIndent = "    "

// A logField is a value that stands behind the message of a log line.
type logField struct {
	name  string
	value json.RawMessage
}

// logText shows what a line of a log says: the message, the short fields behind
// it, then a block for each field of several lines.
func logText(text, home string) string {
	message, fields := splitFields(text)
	var head, blocks strings.Builder
	head.WriteString(message)
	for _, f := range fields {
		var value string
		if json.Unmarshal(f.value, &value) == nil && strings.Contains(value, "\n") {
			blocks.WriteString("\n" + f.name + ": " + strings.TrimRight(value, "\n"))
			continue
		}
		head.WriteString(" " + f.name + "=" + string(f.value))
	}
	shown := strings.TrimRight(head.String(), "\n") + blocks.String()
	return strings.ReplaceAll(relativePaths(shown, home), "\n", "\n"+blockIndent)
}

// fieldStart finds what may be the first of the fields behind a message.
var fieldStart = regexp.MustCompile(` ([^\s="\\]+)=`)

// splitFields finds the fields, name=value in JSON, that end a text. A text
// without a line break inside a value stays whole: nothing in it needs another
// form.
func splitFields(text string) (string, []logField) {
	if !strings.Contains(text, `\n`) {
		return text, nil
	}
	for from := 0; ; {
		at := fieldStart.FindStringIndex(text[from:])
		if at == nil {
			return text, nil
		}
		start := from + at[0]
		fields, end := readFields(text, start)
		if end == len(text) {
			return text[:start], fields
		}
		// Starting at a later one of these fields would end at the same place.
		from = max(end, start+1)
	}
}

// readFields reads fields from text[at:] and returns where they end.
func readFields(text string, at int) ([]logField, int) {
	var fields []logField
	for at < len(text) {
		m := fieldStart.FindStringSubmatchIndex(text[at:])
		if m == nil || m[0] != 0 {
			break
		}
		d := json.NewDecoder(strings.NewReader(text[at+m[1]:]))
		var value json.RawMessage
		if d.Decode(&value) != nil {
			break
		}
		fields = append(fields, logField{text[at+m[2] : at+m[3]], value})
		at += m[1] + int(d.InputOffset())
	}
	return fields, at
}

// unpackedFolder is the folder that a function runs in on this machine, below
// the home folder.
var unpackedFolder = regexp.MustCompile(`local[/\\]artifacts[/\\][0-9a-f]{64}\.dir[/\\]`)

// relativePaths makes src/api.ts:1:38 of the path in the folder that the
// function runs in on this machine.
func relativePaths(text, home string) string {
	if home == "" || !unpackedFolder.MatchString(text) {
		return text
	}
	homes := []string{home}
	if real, err := filepath.EvalSymlinks(home); err == nil && real != home {
		homes = append(homes, real)
	}
	for _, h := range homes {
		h = regexp.QuoteMeta(strings.TrimRight(filepath.Clean(h), `/\`))
		text = regexp.MustCompile(`(file://)?`+h+`[/\\]`+unpackedFolder.String()).ReplaceAllString(text, "")
	}
	return text
}
