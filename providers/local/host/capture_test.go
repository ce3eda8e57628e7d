package host

import (
	"strings"
	"testing"
	"time"
)

func TestToWhichCallALineBelongs(t *testing.T) {
	start := time.Unix(1_000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	tests := []struct {
		name  string
		calls func(*running)
		read  time.Time
		id    string
		time  time.Time
	}{
		{"no call ever", func(r *running) {}, at(0), "", at(0)},
		{"one call runs", func(r *running) { r.begin("a") }, at(0), "a", at(0)},
		{"two calls run", func(r *running) { r.begin("a"); r.begin("b") }, at(0), "", at(0)},
		{"the call has just ended", func(r *running) { r.begin("a"); r.end("a", at(0)) }, at(5), "a", at(0).Add(-1)},
		{"the call ended a while ago", func(r *running) { r.begin("a"); r.end("a", at(0)) }, at(50), "", at(50)},
		{"another call has begun", func(r *running) { r.begin("a"); r.end("a", at(0)); r.begin("b") }, at(5), "b", at(5)},
		{"a call beside this one has just ended", func(r *running) { r.begin("a"); r.begin("b"); r.end("b", at(0)) }, at(5), "", at(5)},
		{"both of two have just ended", func(r *running) { r.begin("a"); r.begin("b"); r.end("b", at(0)); r.end("a", at(1)) }, at(5), "", at(5)},
		{"a call beside this one ended a while ago", func(r *running) { r.begin("a"); r.begin("b"); r.end("b", at(0)) }, at(200), "a", at(200)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r running
			tt.calls(&r)
			id, when := r.attribute(tt.read)
			if id != tt.id || !when.Equal(tt.time) {
				t.Errorf("got %q %v, want %q %v", id, when, tt.id, tt.time)
			}
		})
	}
}

func TestTheCauseOfAnEndIsOneLine(t *testing.T) {
	tests := map[string]struct{ printed, want string }{
		"nothing": {"", ""},
		"Python": {
			"Traceback (most recent call last):\n  File \"worker.py\", line 3, in <module>\n    import api\nModuleNotFoundError: No module named 'nothere'\n",
			"ModuleNotFoundError: No module named 'nothere'",
		},
		"Node.js": {
			"/app/src/api.ts:1\nthrow new Error('boom')\n^\n\nError: boom\n    at Object.<anonymous> (/app/src/api.ts:1:7)\n    at node:internal/main:28:49\n\nNode.js v20.20.2\n",
			"Error: boom",
		},
		"Node.js with properties": {
			"Error: no file\n    at load (a.js:1:1) {\n  code: 'ENOENT'\n}\n\nNode.js v20.20.2\n",
			"Error: no file",
		},
		"Go":             {"starting\npanic: boom\n\ngoroutine 1 [running]:\nmain.init.0()\n\tmain.go:3 +0x25\n", "panic: boom"},
		"plain":          {"cannot start: no key\n", "cannot start: no key"},
		"indented alone": {"  no key\n", "  no key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var last tail
			for line := range strings.Lines(tt.printed) {
				last.add(strings.TrimSuffix(line, "\n"))
			}
			if got := last.cause(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
