package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/anyfaas/anyfaas/stacks/event"
)

// settings tells the changes of properties, one phrase each:
// "memory 256 → 512 MB", "env LOG_LEVEL info → debug", "code changed".
func settings(diff []event.Property) []string {
	var out []string
	for _, p := range diff {
		for _, q := range leaves(p) {
			words := phrase(q)
			if used, ok := use(q); ok {
				words = used
			}
			if !slices.Contains(out, words) {
				out = append(out, words)
			}
		}
	}
	return out
}

// connection is a variable that `uses` gives a function: BUCKET_UPLOADS_URL.
var connection = regexp.MustCompile(`^env\.(QUEUE|TOPIC|BUCKET|TABLE|STREAM)_(.+)_(URL|NAME|ENDPOINT)$`)

// use tells the coming and going of connection variables as the manifest does:
// "uses bucket uploads (new)" stands for all that come with it.
func use(p event.Property) (words string, ok bool) {
	m := connection.FindStringSubmatch(p.Path)
	if m == nil || null(p.Old) == null(p.New) {
		return "", false
	}
	words = "uses " + strings.ToLower(m[1]) + " " + strings.ReplaceAll(strings.ToLower(m[2]), "_", "-")
	if null(p.Old) {
		return words + " (new)", true
	}
	return words + " removed", true
}

// leaves splits a property whose values are objects into what differs inside.
func leaves(p event.Property) []event.Property {
	was, wasMap := object(p.Old)
	is, isMap := object(p.New)
	if !wasMap && !isMap || !wasMap && !null(p.Old) || !isMap && !null(p.New) {
		return []event.Property{p}
	}
	keys := map[string]bool{}
	for k := range was {
		keys[k] = true
	}
	for k := range is {
		keys[k] = true
	}
	var out []event.Property
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if bytes.Equal(compact(was[k]), compact(is[k])) {
			continue
		}
		out = append(out, leaves(event.Property{Path: p.Path + "." + k, Old: was[k], New: is[k], Replaces: p.Replaces})...)
	}
	return out
}

func object(raw json.RawMessage) (map[string]json.RawMessage, bool) {
	var m map[string]json.RawMessage
	if len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &m) != nil {
		return nil, false
	}
	return m, true
}

func null(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func compact(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// phrase tells the change of one property.
func phrase(p event.Property) string {
	if p.Replaces {
		p.Replaces = false
		return phrase(p) + " (replaces it)"
	}
	words := setting(p.Path)
	first, _, _ := strings.Cut(p.Path, ".")
	switch {
	case first == "code":
		return "code changed" // a hash tells nobody anything
	case first == "secrets" || text(p.Old) == secret || text(p.New) == secret:
		return words + verb(p)
	case null(p.Old):
		return words + " " + text(p.New) + " (new)"
	case null(p.New):
		return words + " removed"
	}
	was, is := text(p.Old), text(p.New)
	if n, unit := split(was); unit != "" {
		if m, same := split(is); same == unit {
			return fmt.Sprintf("%s %s → %s %s", words, n, m, unit)
		}
	}
	return words + " " + was + " → " + is
}

func verb(p event.Property) string {
	switch {
	case null(p.Old):
		return " added"
	case null(p.New):
		return " removed"
	}
	return " changed"
}

// setting turns a path into words: a variable is "env NAME", everything else
// keeps the manifest's dots.
func setting(path string) string {
	for _, group := range []string{"env", "secrets", "tags"} {
		if name, ok := strings.CutPrefix(path, group+"."); ok {
			return strings.TrimSuffix(group, "s") + " " + name
		}
	}
	return path
}

// The marks that stand for values which cannot be shown.
const (
	unknown = "[unknown]"
	secret  = "[secret]"
)

// text shows a JSON value: strings bare, unknown ones in words, long ones cut.
func text(raw json.RawMessage) string {
	if null(raw) {
		return "(not set)"
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		switch {
		case s == unknown:
			return "(known after the deploy)"
		case s == "" || strings.ContainsAny(s, " \t\r\n\"→") || s != strings.ToValidUTF8(s, ""):
			return limit(strconv.Quote(s))
		}
		return limit(s)
	}
	return limit(string(compact(raw)))
}

// limit cuts what would fill more than a line.
func limit(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// split parts a size like "256MB" into number and unit; other texts have no
// unit.
func split(s string) (number, unit string) {
	i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if i <= 0 || !slices.Contains([]string{"MB", "MiB", "GB", "GiB"}, s[i:]) {
		return s, ""
	}
	return s[:i], s[i:]
}
