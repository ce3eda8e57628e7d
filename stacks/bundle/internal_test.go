package bundle

import (
	"slices"
	"testing"
)

func TestPipErrors(t *testing.T) {
	for _, c := range []struct{ name, stderr, message string }{
		{"nothing of that name", `ERROR: Could not find a version that satisfies the requirement nope==1 (from versions: none)
ERROR: No matching distribution found for nope==1
`, `pip finds no package for "nope==1"`},
		{"pip is not there", "/usr/bin/python3: No module named pip\n", "pip is not installed for this Python"},
		{"a line that is no requirement", "ERROR: Invalid requirement: '=1' (from line 1 of requirements.txt)\n", "pip: Invalid requirement: '=1' (from line 1 of requirements.txt)"},
		{"words that are not known", "Traceback: something\n", "pip: Traceback: something"},
		{"silence", "", "pip failed and said nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, _ := pipError(c.stderr); got != c.message {
				t.Errorf("message is %q, want %q", got, c.message)
			}
		})
	}
}

func TestGoErrorsAreSeenFromTheManifest(t *testing.T) {
	stderr := `# example.com/shop/functions/api
./api.go:7:2: undefined: x
../../words/words.go:3:1: missing return
/abs/shop/other.go:1: bad
api.go:5:2: no required module provides package example.com/lib; to add it:
	go get example.com/lib
go: updates to go.mod needed
`
	want := []string{
		"functions/api/api.go:7:2: undefined: x",
		"words/words.go:3:1: missing return",
		"other.go:1: bad",
		"functions/api/api.go:5:2: no required module provides package example.com/lib; to add it: go get example.com/lib",
		"go: updates to go.mod needed",
	}
	if got := goErrors(stderr, "/abs/shop/functions/api", "/abs/shop"); !slices.Equal(got, want) {
		t.Errorf("errors are %q, want %q", got, want)
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"3.9", "3.10", -1}, {"22.1.0", "22", 1}, {"1.22", "1.22", 0}, {"1.22", "1.22.0", 0}, {"20.20.2", "22", -1}} {
		if got := compareVersions(c.a, c.b); got < 0 != (c.want < 0) || got > 0 != (c.want > 0) {
			t.Errorf("compareVersions(%s, %s) = %d", c.a, c.b, got)
		}
	}
	if !sameVersion("3.12.1", "3.12") || sameVersion("3.1.2", "3.12") || sameVersion("3.12.1", "3.1") {
		t.Error("sameVersion takes one release for another")
	}
}

func TestRequirementsThatNameFiles(t *testing.T) {
	for line, want := range map[string]string{
		"requests==2.32": "",
		"requests[security] >= 2 ; python_version": "",
		"# ./no":                                  "",
		"-r more.txt":                             "",
		"--index-url https://example.com/simple":  "",
		"tool @ https://example.com/tool.whl":     "",
		"git+https://example.com/tool.git":        "",
		"./libs/tool":                             "./libs/tool",
		"libs/tool[extra]":                        "libs/tool",
		"tool-1.0-py3-none-any.whl":               "tool-1.0-py3-none-any.whl",
		"../tool-1.0.tar.gz --hash=sha256:0":      "../tool-1.0.tar.gz",
		"tool @ file:///libs/tool-1.0.zip # ours": "/libs/tool-1.0.zip",
		"-e ../lib":                               "../lib",
		"--editable=.":                            ".",
		".":                                       ".",
		"-f wheels":                               "wheels",
		"--find-links https://example.com/wheels": "",
	} {
		if got := localPath(line); got != want {
			t.Errorf("%q names the file %q, want %q", line, got, want)
		}
	}
}

func TestHandlersAreTakenApart(t *testing.T) {
	for _, c := range []struct{ text, file, name, folder, goName string }{
		{"src/api.handler", "src/api", "handler", "src/api", "handler"},
		{"./functions/api.Handler", "functions/api", "Handler", "functions/api", "Handler"},
		{".Handler", ".Handler", "", ".", "Handler"},
		{"a/b.c.d", "a/b.c", "d", "a/b.c", "d"},
		{"src/api", "src/api", "", "", ""},
	} {
		r := handlerRef{text: c.text}
		if file, name := r.split(); file != c.file || name != c.name {
			t.Errorf("%q is %q and %q", c.text, file, name)
		}
		if folder, name, _ := r.splitGo(); folder != c.folder || name != c.goName {
			t.Errorf("%q is in Go %q and %q", c.text, folder, name)
		}
	}
}

func TestAnIndexThatCannotBeReachedIsNotAMissingPackage(t *testing.T) {
	stderr := "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError(': Failed to establish a new connection: [Errno 111] Connection refused')': /simple/requests/\n" +
		"ERROR: Could not find a version that satisfies the requirement requests (from versions: none)\nERROR: No matching distribution found for requests\n"
	if message, hint := pipError(stderr); message != "pip cannot reach its package index" || hint == "" {
		t.Errorf("message %q, hint %q", message, hint)
	}
}
