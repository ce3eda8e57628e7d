package manifest

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
)

// maxVariables bounds the variables of one text.
const maxVariables = 1000

// A piece of a text is a literal or a variable.
type piece struct {
	literal  string
	variable *variable
}

// A variable is what stands between ${ and }. Offsets count bytes of the text.
type variable struct {
	source   string   // env, param, file, git, stage, service, provider, region, or a group of references
	file     string   // file: the path, itself a text with variables
	fileAt   int      // offset of file
	path     []string // what follows the source, split at dots
	fallback *string  // text after :-, itself with variables; nil when there is none
	backAt   int      // offset of fallback
	start    int      // offset of ${
	end      int      // offset after }
}

// A templateError is a mistake inside a text.
type templateError struct {
	start, end    int // offsets in the text
	code          string
	message, hint string
}

// sources are the variables by their first word, with how each is written.
var sources = map[string]string{
	"stage": "${stage}", "service": "${service}", "provider": "${provider}", "region": "${region}",
	"env": "${env.NAME}", "param": "${param.NAME}", "file": "${file(path.yaml).a.b}", "git": "${git.sha}",
}

// sourceNames lists the first words in the order of documents.
var sourceNames = []string{"stage", "service", "provider", "region", "env", "param", "file", "git", "functions", "queues", "topics", "buckets", "tables", "streams"}

// parseTemplate splits text[from:to] into pieces. $${ is a literal ${.
func parseTemplate(text string, from, to int) ([]piece, *templateError) {
	if to-from > maxText {
		return nil, &templateError{from, min(from+1, to), "too-large", fmt.Sprintf("a text with variables has at most %d bytes", maxText), "move it into a file that the function reads"}
	}
	var pieces []piece
	var literal strings.Builder
	count := 0
	for i := from; i < to; {
		switch {
		case strings.HasPrefix(text[i:to], "$${"):
			literal.WriteString("${")
			i += 3
		case strings.HasPrefix(text[i:to], "${"):
			end := closing(text, i, to)
			if end < 0 {
				return nil, &templateError{i, min(i+2, to), "variable-syntax", "the variable is not closed with }", "write $${ for the characters ${ themselves"}
			}
			if count++; count > maxVariables {
				return nil, &templateError{i, min(i+2, to), "too-large", fmt.Sprintf("a text has at most %d variables", maxVariables), ""}
			}
			v, err := parseVariable(text, i, end)
			if err != nil {
				return nil, err
			}
			if literal.Len() > 0 {
				pieces = append(pieces, piece{literal: literal.String()})
				literal.Reset()
			}
			pieces = append(pieces, piece{variable: v})
			i = end
		default:
			literal.WriteByte(text[i])
			i++
		}
	}
	if literal.Len() > 0 || len(pieces) == 0 {
		pieces = append(pieces, piece{literal: literal.String()})
	}
	return pieces, nil
}

// closing returns the offset after the } that closes the ${ at i, or -1.
func closing(text string, i, to int) int {
	depth := 0
	for j := i; j < to; j++ {
		switch {
		case text[j] == '$' && j+1 < to && text[j+1] == '{':
			if depth++; depth > maxDepth {
				return -1
			}
			j++
		case text[j] == '}':
			if depth--; depth == 0 {
				return j + 1
			}
		}
	}
	return -1
}

var segment = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// parseVariable reads text[start:end], from ${ to }.
func parseVariable(text string, start, end int) (*variable, *templateError) {
	v := &variable{start: start, end: end}
	fail := func(code, hint, format string, args ...any) (*variable, *templateError) {
		return nil, &templateError{start, end, code, fmt.Sprintf(format, args...), hint}
	}
	from, to := start+2, end-1
	body := text[from:to]
	rest := from
	if strings.HasPrefix(body, "file(") {
		n := closingParen(body, len("file("))
		if n < 0 {
			return fail("variable-syntax", "write "+sources["file"], "the file name is not closed with )")
		}
		v.source, v.fileAt = "file", from+len("file(")
		v.file = body[len("file("):n]
		if strings.TrimSpace(v.file) == "" {
			return fail("variable-syntax", "write "+sources["file"], "the file name is missing")
		}
		if _, err := parseTemplate(text, v.fileAt, v.fileAt+len(v.file)); err != nil {
			return nil, err
		}
		rest = from + n + 1
	}
	words := text[rest:to]
	if i := strings.Index(words, ":-"); i >= 0 {
		fallback := words[i+2:]
		v.fallback, v.backAt = &fallback, rest+i+2
		if _, err := parseTemplate(text, v.backAt, to); err != nil {
			return nil, err
		}
		words = words[:i]
	}
	if v.source == "file" {
		if words != "" {
			if words[0] != '.' {
				return fail("variable-syntax", "write "+sources["file"], "a dot must follow the file name")
			}
			v.path = strings.Split(words[1:], ".")
		}
	} else {
		all := strings.Split(words, ".")
		v.source, v.path = all[0], all[1:]
	}
	shown := text[start:end]
	if !slices.Contains(sourceNames, v.source) {
		hint := "write $" + clip(shown, 40) + " for the text itself; variables start with " + strings.Join(sourceNames, ", ")
		if near := diag.Nearest(v.source, sourceNames); near != "" {
			hint = fmt.Sprintf("did you mean %q? ", near) + hint
		}
		if ours := ourVariable(text[from:to]); ours != "" {
			hint = "write " + ours + ", or $" + clip(shown, 40) + " for the text itself"
		}
		return fail("unknown-variable", hint, "there is no variable %s", clip(shown, 60))
	}
	for _, s := range v.path {
		if !segment.MatchString(s) {
			return fail("variable-syntax", "names hold letters, digits, _ and -", "%q cannot be a name in %s", clip(s, 40), clip(shown, 60))
		}
	}
	if attrs, ok := graph.Attributes[v.source]; ok {
		example := "${" + v.source + ".NAME." + attrs[0] + "}"
		switch {
		case len(v.path) != 2 || v.fallback != nil:
			return fail("variable-syntax", "write "+example, "%s is not a name and an attribute", clip(shown, 60))
		case !slices.Contains(attrs, v.path[1]):
			return fail("unknown-attribute", orList(v.path[1], attrs), "%s have no attribute %q", v.source, clip(v.path[1], 40))
		}
		return v, nil
	}
	switch want := map[string]int{"env": 1, "param": 1, "git": 1, "file": len(v.path)}[v.source]; {
	case len(v.path) != want:
		return fail("variable-syntax", "write "+sources[v.source], "%s is not complete, or has too much", clip(shown, 60))
	case v.source == "git" && v.path[0] != "sha" && v.path[0] != "branch":
		return fail("unknown-variable", orList(v.path[0], []string{"sha", "branch"}), "there is no variable %s", clip(shown, 60))
	}
	return v, nil
}

// otherVariable is a variable as the Serverless Framework writes it, with its
// default.
var otherVariable = regexp.MustCompile(`^(self|opt|env|sls|param):([^,]*)(?:,\s*(.*))?$`)

// ourVariable returns how a variable of another tool is written here, or "".
func ourVariable(body string) string {
	m := otherVariable.FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	path := strings.TrimSpace(m[2])
	name := path[strings.LastIndexByte(path, '.')+1:]
	switch {
	case m[1] == "env", m[1] == "param":
		name = path
	case path == "provider.name":
		return "${provider}"
	case name == "service", name == "stage", name == "region":
		return "${" + name + "}"
	}
	if !segment.MatchString(name) {
		name = "NAME"
	}
	source := "param"
	if m[1] == "env" {
		source = "env"
	}
	fallback := ""
	if m[3] != "" && !strings.Contains(m[3], "${") {
		fallback = ":-" + clip(strings.Trim(strings.TrimSpace(m[3]), `"'`), 40)
	}
	return "${" + source + "." + name + fallback + "}"
}

// closingParen returns the index of the ) that closes a file name starting at
// i, variables inside it skipped, or -1.
func closingParen(s string, i int) int {
	for ; i < len(s); i++ {
		switch {
		case s[i] == ')':
			return i
		case strings.HasPrefix(s[i:], "${"):
			end := closing(s, i, len(s))
			if end < 0 {
				return -1
			}
			i = end - 1
		}
	}
	return -1
}

// checkTemplates reports mistakes inside the texts of a tree.
func (l *loader) checkTemplates(n *node) {
	switch n.kind {
	case textKind:
		if !strings.Contains(n.text, "${") {
			return
		}
		if _, err := parseTemplate(n.text, 0, len(n.text)); err != nil {
			l.templateError(n, err)
		}
	case listKind:
		for _, item := range n.list {
			l.checkTemplates(item)
		}
	case mapKind:
		for _, f := range n.fields {
			l.checkTemplates(f.value)
		}
	}
}

func (l *loader) templateError(n *node, e *templateError) {
	d := l.diags.Errorf(n.at(e.start), e.code, "%s", e.message)
	d.Width = utf8.RuneCountInString(n.text[e.start:e.end])
	d.Hint, d.Origin = e.hint, n.origin
}

// at returns the place of the ${ at an offset of n's text. The text and its
// source differ by quotes, escapes and folding, so variables are counted.
func (n *node) at(offset int) diag.Pos {
	if n.source == nil || !strings.HasPrefix(n.text[offset:], "${") {
		return n.pos
	}
	data := n.source.data
	i := n.start
	if n.folded {
		if next := bytes.IndexAny(data[i:], "\r\n"); next >= 0 {
			i += next
		}
	}
	for count := strings.Count(n.text[:offset], "${"); ; count-- {
		next := bytes.Index(data[i:], []byte("${"))
		switch {
		case next < 0:
			return n.pos // an escape wrote the characters
		case count == 0:
			return n.source.at(i + next)
		}
		i += next + 2
	}
}

// quoteVariable shows the variable in messages.
func quoteVariable(text string, v *variable) string {
	return strconv.Quote(clip(text[v.start:v.end], 60))
}
