package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/anyfaas/anyfaas/providers"
)

func TestWriteLog(t *testing.T) {
	home := "/home/ada lovelace/.anyfaas"
	folder := home + "/local/artifacts/" + strings.Repeat("0a", 32) + ".dir/"
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for _, test := range []struct {
		name string
		line providers.LogLine
		want string
	}{
		{
			"a stack trace in a field becomes a block",
			providers.LogLine{Kind: "out", Level: "error", Text: `unhandled error error="Error: boom\n    at handler (` + folder + `src/api.ts:1:38)\n    at serve (anyfaas:local.mjs:51:20)"`},
			"03:02:01.000 error: unhandled error\n" +
				"    error: Error: boom\n" +
				"        at handler (src/api.ts:1:38)\n" +
				"        at serve (anyfaas:local.mjs:51:20)\n",
		},
		{
			"short fields stay behind the message",
			providers.LogLine{Kind: "out", Level: "error", Text: `event failed a=1 in it error="x\ny" id="m 1" n=2`},
			"03:02:01.000 error: event failed a=1 in it id=\"m 1\" n=2\n    error: x\n    y\n",
		},
		{
			"a message of several lines is indented",
			providers.LogLine{Kind: "out", Text: "Error: boom\n    at file://" + folder + "src/api.mjs:1:38"},
			"03:02:01.000 Error: boom\n        at src/api.mjs:1:38\n",
		},
		{
			"text that only looks like fields stays as it is",
			providers.LogLine{Kind: "err", Text: `path C:\new a=b c="d\n" and more`},
			"03:02:01.000 path C:\\new a=b c=\"d\\n\" and more\n",
		},
		{
			"paths elsewhere stay",
			providers.LogLine{Kind: "err", Text: "/srv/local/artifacts/x.dir/a " + home},
			"03:02:01.000 /srv/local/artifacts/x.dir/a " + home + "\n",
		},
		{
			"a call that failed outside the function says why",
			providers.LogLine{Kind: "request", RequestID: "r1", Level: "error", Status: 504, Duration: time.Second, Text: "GET /slow: Endpoint request timed out"},
			"03:02:01.000 r1: 504, 1s: GET /slow: Endpoint request timed out\n",
		},
		{
			"a call without a text",
			providers.LogLine{Kind: "request", RequestID: "r1", Status: 200, Duration: time.Second, Cold: true},
			"03:02:01.000 r1: 200, 1s, cold\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.line.Time = at
			var b strings.Builder
			writeLog(&b, test.line, home)
			if d := cmp.Diff(test.want, b.String()); d != "" {
				t.Error(d)
			}
		})
	}
}
