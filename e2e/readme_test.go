package e2e

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"
)

// Every document that shows commands is followed to the letter, in a copy of
// its project and with the files it shows, and must be right about what the
// commands print. UPDATE=1 rewrites it.
func TestDocumentsShowWhatHappens(t *testing.T) {
	for _, tt := range []struct {
		document string
		project  string // what the reader has in the folder
		tools    []string
	}{
		{"README.md", "", []string{"node"}},
		{"examples/meetings/README.md", "examples/meetings", nil},
		{"examples/orders/README.md", "examples/orders", []string{"node"}},
		{"examples/chatbot/README.md", "examples/chatbot", []string{"python"}},
		{"examples/photos/README.md", "examples/photos", nil},
		{"examples/three-languages/README.md", "examples/three-languages", []string{"node", "python"}},
	} {
		t.Run(path.Base(path.Dir(tt.document)), func(t *testing.T) {
			t.Parallel()
			need(t, append(tt.tools, "curl")...)
			w := newWorld(t, tt.project)
			file := filepath.Join("..", filepath.FromSlash(tt.document))
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			document := string(data)
			ts := transcripts(document)
			if len(ts) == 0 {
				t.Fatalf("%s shows no commands", tt.document)
			}
			for _, b := range blocks(document) {
				if b.title != "" {
					w.save(b.title, b.text)
				}
			}
			for i := range ts {
				w.follow(&ts[i])
			}
			w.run("remove", "--yes")
			got := rewrite(document, ts)
			if got == document {
				return
			}
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s shows something else than what happens:\n%s", tt.document, diff.Diff("shown", data, "happens", []byte(got)))
		})
	}
}

// follow types the commands of a transcript and puts what they printed where
// something else is shown. A command that only looks (curl without data) is
// typed again until it shows what it should, as a person would who waits for
// background work.
func (w *world) follow(tr *transcript) {
	w.Helper()
	for i := range tr.commands {
		c := &tr.commands[i]
		var printed string
		patient := 20 * time.Second
		if c.output == "" && os.Getenv("UPDATE") != "" {
			patient = 3 * time.Second // a new command, of which nobody knows what it will print
		}
		for deadline := time.Now().Add(patient); ; time.Sleep(200 * time.Millisecond) {
			printed = w.shell(c.command)
			if same(c.output, printed) {
				break
			}
			if !onlyLooks.MatchString(c.command) || time.Now().After(deadline) {
				c.output = strings.TrimRight(printed, "\n")
				break
			}
		}
	}
}

var onlyLooks = regexp.MustCompile(`^(curl( -[siSfow] ?[^ ]*)* '?http[^ ]*$|anyfaas (logs|local status))`)

// save writes a file of the project.
func (w *world) save(name, text string) {
	w.Helper()
	file := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
}

// addresses are what documents show, and where it is in a world: other hosts on
// this machine may have been first to take a port.
func (w *world) addresses() [][2]string {
	w.Helper()
	s := w.status()
	if len(s.Stacks) != 1 {
		return nil
	}
	all := [][2]string{
		{"http://127.0.0.1:8080", s.Stacks[0].URL},
		{"http://127.0.0.1:9400", s.Data},
		{"http://127.0.0.1:9600", s.S3},
	}
	return slices.DeleteFunc(all, func(a [2]string) bool { return a[1] == "" }) // not running
}

// shell types a command into a shell in which `anyfaas` is the program under
// test, and returns everything it printed.
func (w *world) shell(command string) string {
	w.Helper()
	if setting, ok := strings.CutPrefix(command, "export "); ok {
		w.env = append(w.env, setting)
		return ""
	}
	if strings.Contains(command, "127.0.0.1") {
		for _, a := range w.addresses() {
			command = strings.ReplaceAll(command, a[0], a[1])
		}
	}
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = w.dir
	cmd.Env = append(w.environ(), "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		w.Fatalf("%s: %v", command, err)
	}
	printed := otherTools.ReplaceAllString(string(out), "")
	if strings.Contains(printed, "127.0.0.1") {
		for _, a := range w.addresses() {
			printed = strings.ReplaceAll(printed, a[1], a[0])
		}
	}
	return printed
}

func TestTranscripts(t *testing.T) {
	const document = "# Title\n\n```console\n$ one \\\n    two\nout\nmore\n$ silent\n$ three\n…\nlast 12ms\n```\n\nText.\n"
	ts := transcripts(document)
	if got := rewrite(document, ts); got != document {
		t.Errorf("written back it differs:\n%s", got)
	}
	if len(ts) != 1 || len(ts[0].commands) != 3 || ts[0].commands[0].command != "one \\\n    two" || ts[0].line != 4 {
		t.Fatalf("got %+v", ts)
	}
	for _, tt := range []struct {
		name, shown, printed string
		want                 bool
	}{
		{"the same", "a\nb", "a\nb\n", true},
		{"another line", "a\nb", "a\nc\n", false},
		{"a line more", "a", "a\nb\n", false},
		{"nothing", "", "", true},
		{"something instead of nothing", "", "a\n", false},
		{"durations differ", "took 1.2s", "took 340ms\n", true},
		{"ports differ", "http://127.0.0.1:8080/x", "http://127.0.0.1:41234/x\n", true},
		{"any lines", "a\n…\nz", "a\nb\nc\nz\n", true},
		{"any lines, none", "a\n…\nz", "a\nz\n", true},
		{"any text", "a … z", "a b c z\n", true},
		{"any text stays on its line", "a … z", "a\nz\n", false},
	} {
		if got := same(tt.shown, tt.printed); got != tt.want {
			t.Errorf("%s: same(%q, %q) = %v", tt.name, tt.shown, tt.printed, got)
		}
	}
}
