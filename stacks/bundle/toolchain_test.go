package bundle

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

func TestAnotherVersionIsToldOncePerRuntime(t *testing.T) {
	at := func(line int) diag.Pos { return diag.Pos{File: "serverless.yaml", Line: line, Column: 14} }
	var others []*otherVersion
	for i, name := range strings.Split("a b c d e f g", " ") {
		others = append(others, &otherVersion{pos: at(90 - i), function: name, message: "runtime node22 runs with another", hint: "install it"})
	}
	others = append(others,
		&otherVersion{pos: at(3), function: "x", message: "runtime python3.13 runs with another", hint: "install that"},
		&otherVersion{pos: at(9), function: "y", message: "runtime python3.14 runs with another", hint: "install that"},
		&otherVersion{pos: at(5), function: "z", message: "runtime python3.14 runs with another", hint: "install that"},
	)
	var l diag.List
	warnOfVersions(&l, others)
	var got []string
	for _, d := range l.Sorted() {
		got = append(got, d.String()+" / "+d.Hint)
	}
	want := []string{
		"serverless.yaml:3:14: warning: runtime python3.13 runs with another [toolchain-version] / install that",
		"serverless.yaml:5:14: warning: runtime python3.14 runs with another, for y and z [toolchain-version] / install that",
		"serverless.yaml:84:14: warning: runtime node22 runs with another, for a, b, c, d, e and 2 more [toolchain-version] / install it",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
