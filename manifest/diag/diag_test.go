package diag

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRender(t *testing.T) {
	at := func(line, column, width int) Diagnostic {
		return Diagnostic{Pos: Pos{File: "f.yaml", Line: line, Column: column}, Width: width, Severity: Error, Code: "a-code", Message: "it is wrong"}
	}
	hinted := func(d Diagnostic, hint string) Diagnostic { d.Hint = hint; return d }
	tests := []struct {
		name   string
		source string
		in     Diagnostic
		color  bool
		want   string
	}{
		{
			name:   "a caret under one character",
			source: "a: b\n",
			in:     at(1, 4, 0),
			want:   "f.yaml:1:4: it is wrong [a-code]\n  a: b\n     ^\n",
		},
		{
			name:   "a wide mark and a hint",
			source: "a: b\nkey: value\n",
			in:     hinted(at(2, 6, 5), "write another"),
			want:   "f.yaml:2:6: it is wrong [a-code]\n  key: value\n       ^~~~~\n  hint: write another\n",
		},
		{
			name:   "further lines of a hint are commands",
			source: "a\n",
			in:     hinted(at(1, 1, 1), "unlock it with\nanyfaas stack unlock"),
			want:   "f.yaml:1:1: it is wrong [a-code]\n  a\n  ^\n  hint: unlock it with\n      anyfaas stack unlock\n",
		},
		{
			name:   "tabs before and under the mark",
			source: "\ta:\tb\tc\n",
			in:     at(1, 5, 3),
			want:   "f.yaml:1:5: it is wrong [a-code]\n      a:  b   c\n          ^~~~~\n",
		},
		{
			name:   "characters that take two columns",
			source: "店名: 上海\n",
			in:     at(1, 5, 2),
			want:   "f.yaml:1:5: it is wrong [a-code]\n  店名: 上海\n        ^~~~\n",
		},
		{
			name:   "a mark past the end of the line",
			source: "ab\n",
			in:     at(1, 3, 9),
			want:   "f.yaml:1:3: it is wrong [a-code]\n  ab\n    ^\n",
		},
		{
			name:   "a line that does not exist has no snippet",
			source: "ab\n",
			in:     at(9, 1, 1),
			want:   "f.yaml:9:1: it is wrong [a-code]\n",
		},
		{
			name:   "control characters cannot move the cursor",
			source: "a\x1b[2Jb\u202ec\x00\n",
			in:     hinted(at(1, 1, 1), "\x1b[31mred"),
			want:   "f.yaml:1:1: it is wrong [a-code]\n  a�[2Jb�c�\n  ^\n  hint: �[31mred\n",
		},
		{
			name:   "a long line is cut around the mark",
			source: strings.Repeat("x", 200) + "HERE" + strings.Repeat("y", 200) + "\n",
			in:     at(1, 201, 4),
			want:   "f.yaml:1:201: it is wrong [a-code]\n  …" + strings.Repeat("x", 33) + "HERE" + strings.Repeat("y", 63) + "…\n" + strings.Repeat(" ", 36) + "^~~~\n",
		},
		{
			name:   "lines end as in YAML",
			source: "\ufeffone\rtwo\r\nthree",
			in:     at(3, 1, 5),
			want:   "f.yaml:3:1: it is wrong [a-code]\n  three\n  ^~~~~\n",
		},
		{
			name: "a warning without a line, and where it came from",
			in:   Diagnostic{Pos: Pos{File: "f.yaml"}, Severity: Warning, Code: "b-code", Message: "odd", Origin: []Pos{{"g.yaml", 3, 4}, {"h.yaml", 5, 6}}},
			want: "f.yaml: warning: odd [b-code]\n  from g.yaml:3:4\n  from h.yaml:5:6\n",
		},
		{
			name:   "colours",
			source: "a\n",
			in:     hinted(at(1, 1, 1), "h"),
			color:  true,
			want:   "\x1b[1mf.yaml:1:1:\x1b[0m \x1b[1;31mit is wrong\x1b[0m \x1b[2m[a-code]\x1b[0m\n  a\n  \x1b[1;31m^\x1b[0m\n\x1b[1m  hint:\x1b[0m h\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Render(&b, List{tt.in}, map[string][]byte{"f.yaml": []byte(tt.source)}, RenderOptions{Color: tt.color}); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, b.String()); d != "" {
				t.Errorf("want (-), got (+):\n%s", d)
			}
		})
	}
}

func TestSorted(t *testing.T) {
	var l List
	l.Errorf(Pos{"b.yaml", 1, 1}, "x-x", "last")
	l.Infof(Pos{"a.yaml", 2, 1}, "x-x", "third")
	l.Errorf(Pos{"a.yaml", 2, 1}, "x-x", "second")
	l.Warnf(Pos{"a.yaml", 1, 9}, "x-x", "first")
	l.Errorf(Pos{"b.yaml", 1, 1}, "x-x", "last")
	var got []string
	for _, d := range l.Sorted() {
		got = append(got, d.String())
	}
	want := []string{
		"a.yaml:1:9: warning: first [x-x]",
		"a.yaml:2:1: second [x-x]",
		"a.yaml:2:1: info: third [x-x]",
		"b.yaml:1:1: last [x-x]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want (-), got (+):\n%s", d)
	}
	if !l.HasErrors() || (List{{Severity: Warning}}).HasErrors() {
		t.Error("only errors are errors")
	}
}

func TestJSON(t *testing.T) {
	l := List{{Pos: Pos{"f.yaml", 2, 3}, Severity: Error, Code: "a-code", Message: "m", Hint: "h"}}
	got, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"file":"f.yaml","line":2,"column":3,"severity":"error","code":"a-code","message":"m","hint":"h"}]`
	if string(got) != want {
		t.Errorf("want %s\ngot  %s", want, got)
	}
}

func TestPos(t *testing.T) {
	for want, p := range map[string]Pos{
		"":           {},
		"f.yaml":     {File: "f.yaml"},
		"f.yaml:1:2": {"f.yaml", 1, 2},
		"1:2":        {Line: 1, Column: 2},
	} {
		if got := p.String(); got != want {
			t.Errorf("%#v shows as %q, want %q", p, got, want)
		}
	}
}
