package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A transcript is what a document shows of a terminal: commands, each with what
// it prints. It is a fenced block of the language "console":
//
//	$ anyfaas preview
//	No changes.
//
// A line "…" in the output stands for any lines, and "…" within a line for any
// text. A command goes on over lines that end in a backslash.
type transcript struct {
	line     int // of the first command, in the document
	commands []shown
}

// shown is one command and its output, without the newline at the end.
type shown struct {
	command string
	output  string
}

// transcripts returns the console blocks of a document, in order.
func transcripts(document string) []transcript {
	var all []transcript
	var open *transcript
	for i, line := range strings.Split(document, "\n") {
		switch {
		case open == nil && line == "```console":
			open = &transcript{line: i + 2}
		case open == nil:
		case line == "```":
			all = append(all, *open)
			open = nil
		case strings.HasPrefix(line, "$ "):
			open.commands = append(open.commands, shown{command: line[2:]})
		default:
			last := &open.commands[len(open.commands)-1]
			switch {
			case last.output == "" && strings.HasSuffix(last.command, `\`):
				last.command += "\n" + line
			case last.output == "":
				last.output = line
			default:
				last.output += "\n" + line
			}
		}
	}
	return all
}

// A block is a fenced block of a document.
type block struct {
	language string
	title    string // of "```yaml title=serverless.yaml": a file that the reader is to have
	text     string // with a newline at the end
	line     int    // of the first line of text
}

// blocks returns the fenced blocks of a document, in order.
func blocks(document string) []block {
	var all []block
	inside := false
	for i, line := range strings.Split(document, "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && !inside:
			language, title, _ := strings.Cut(fence, " title=")
			all = append(all, block{language: language, title: title, line: i + 2})
			inside = true
		case isFence:
			inside = false
		case inside:
			all[len(all)-1].text += line + "\n"
		}
	}
	return all
}

// rewrite returns the document with the blocks replaced by ts.
func rewrite(document string, ts []transcript) string {
	var out []string
	inside := false
	for _, line := range strings.Split(document, "\n") {
		switch {
		case !inside && line == "```console":
			inside = true
			out = append(out, line)
			for _, c := range ts[0].commands {
				out = append(out, "$ "+c.command)
				if c.output != "" {
					out = append(out, c.output)
				}
			}
			ts = ts[1:]
		case inside && line != "```":
		default:
			inside = false
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// What differs from run to run or from machine to machine, and what a document
// may show in its place.
var volatile = []struct {
	pattern *regexp.Regexp
	mark    string
}{
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "<id>"},
	{regexp.MustCompile(`\b(?:[0-9a-f]{16,}|[0-9A-Z]{20,})\b`), "<id>"},
	{regexp.MustCompile(`\b[0-9][0-9a-z]{12}\b`), "<request>"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[0-9.]*(?:Z| UTC|[+-]\d\d:\d\d)?`), "<time>"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d\b`), "<day>"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d(?:\.\d+)?\b`), "<time>"},
	{regexp.MustCompile(`\b(?:\d+m)?\d+(?:\.\d+)?(?:ms|µs|s)\b`), "<duration>"},
	{regexp.MustCompile(`\b\d+(?:\.\d+)? (?:B|kB|KB|MB|KiB|MiB)\b`), "<size>"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:<port>"},
	{regexp.MustCompile(`\bprocess \d+`), "process <number>"},
	{regexp.MustCompile(`(?m)[ \t]+$`), ""},
	{regexp.MustCompile(`  +`), "  "}, // columns are as wide as what they hold
}

// steps are lines about the steps of an operation. They run side by side, so
// their order is not promised.
var steps = regexp.MustCompile(`(?m)(?:^(?:[-+~] (?:created|deleted|updated|replaced)|packaged) .*\n)+`)

// otherTools is the warning that a language's version here is another than the
// manifest's, which is the machine's business and not the document's.
var otherTools = regexp.MustCompile(`(?m)^\S+: warning: runtime .* \[toolchain-version\]\n(?: .*\n)?(?: +\^~*\n)?(?:  hint: .*\n)?`)

// sortSteps brings the steps into alphabetical order.
func sortSteps(text string) string {
	return steps.ReplaceAllStringFunc(text, func(block string) string {
		lines := strings.SplitAfter(block, "\n")
		slices.Sort(lines)
		return strings.Join(lines, "")
	})
}

// same reports whether what was printed is what the document shows.
func same(shown, printed string) bool {
	shown, printed = sortSteps(shown), sortSteps(printed)
	for _, v := range volatile {
		shown, printed = v.pattern.ReplaceAllString(shown, v.mark), v.pattern.ReplaceAllString(printed, v.mark)
	}
	var pattern strings.Builder
	pattern.WriteString(`^`)
	for _, line := range strings.Split(shown, "\n") {
		switch {
		case strings.TrimSpace(line) == "…":
			fmt.Fprintf(&pattern, `(?:[^\n]*\n)*`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", `[^\n]*`) + `\n`)
	}
	pattern.WriteString(`$`)
	return regexp.MustCompile(pattern.String()).MatchString(strings.TrimRight(printed, "\n") + "\n")
}
