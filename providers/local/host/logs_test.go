package host

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// lines returns the log of a function once it has n lines.
func (h *testHost) lines(function string, n int) []api.LogLine {
	h.t.Helper()
	var list []api.LogLine
	eventually(h.t, func() string {
		list = nil
		for l, err := range h.Logs(h.t.Context(), testStack, function, LogOptions{}) {
			if err != nil {
				h.t.Fatal(err)
			}
			list = append(list, l)
		}
		if len(list) < n {
			return fmt.Sprintf("%d of %d lines: %+v", len(list), n, list)
		}
		return ""
	})
	return list
}

func TestTheLogOfACall(t *testing.T) {
	h := startHost(t)
	h.api(func(f *api.FunctionSpec) { f.LogLevel = "info" })
	before := time.Now()
	h.get("/print/shoes")
	got := h.lines("api", 4)
	after := time.Now()
	id := got[0].RequestID
	if len(id) != 13 {
		t.Errorf("request id %q", id)
	}
	last := time.Time{}
	took := got[len(got)-1].Duration
	for i := range got {
		if got[i].Time.Before(last) || got[i].Time.Before(before) || got[i].Time.After(after) {
			t.Errorf("times are not in order: %v", got)
		}
		last = got[i].Time
		got[i].Time, got[i].Duration = time.Time{}, 0
	}
	if took <= 0 || time.Duration(took) > after.Sub(before) {
		t.Errorf("duration %v", took)
	}
	// Two pipes have no common order.
	slices.SortStableFunc(got[:3], func(a, b api.LogLine) int { return strings.Compare(a.Text, b.Text) })
	want := []api.LogLine{
		{Function: "api", Kind: "err", RequestID: id, Text: "err: shoes"},
		{Function: "api", Kind: "out", RequestID: id, Level: "warn", Text: "low stock left=3"},
		{Function: "api", Kind: "out", RequestID: id, Text: "out: shoes"},
		{Function: "api", Kind: "request", RequestID: id, Text: "GET /print/shoes", Cold: true, Status: 200},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	h.get("/print/shoes")
	if warm := h.lines("api", 8); warm[7].Cold || warm[7].Kind != "request" {
		t.Errorf("the second call is not cold: %+v", warm[7])
	}
}

func TestLinesOfCallsThatShareAWorker(t *testing.T) {
	h := startHost(t)
	h.api(func(f *api.FunctionSpec) { f.PerInstance = 5 })
	h.get("/pid")
	long := h.start("/sleep/500ms")
	h.busy("api", 1)
	h.get("/print/mixed")
	<-long
	for _, l := range h.lines("api", 6) {
		switch {
		case l.Text == "out: mixed" && l.RequestID != "":
			t.Errorf("nobody can tell which of two calls printed this: %+v", l)
		case l.Text == "low stock left=3" && len(l.RequestID) != 13:
			t.Errorf("the logger says which call it was: %+v", l)
		}
	}
}

func TestStrangeOutput(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	h.get("/print/long")
	h.get("/print/binary")
	h.get("/print/partial")
	h.get("/crash")
	var texts []string
	for _, l := range h.lines("api", 10) {
		if l.Kind == "out" {
			text := l.Text
			if len(text) > 100 {
				text = fmt.Sprintf("%d × %s", len(text), strings.Trim(text, "x")+"x")
			}
			texts = append(texts, text)
		}
	}
	want := []string{"65536 × x", "65536 × x", "18928 × x", "\x00\x01\uFFFDa", "no line feed"}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestLogsSinceATimeAndAsTheyCome(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	h.get("/print/one")
	old := h.lines("api", 4)
	since := old[len(old)-1].Time.Add(1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan string, 100)
	go func() {
		defer close(got)
		for l, err := range h.Logs(ctx, testStack, "api", LogOptions{Since: since, Follow: true}) {
			if err != nil {
				got <- err.Error()
				return
			}
			if l.Kind == "request" {
				got <- l.Text
			}
		}
	}()
	for _, word := range []string{"two", "three"} {
		h.get("/print/" + word)
		select {
		case text := <-got:
			if text != "GET /print/"+word {
				t.Errorf("got %q after /print/%s", text, word)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the line does not come")
		}
	}
	cancel()
	for range got { // ends
	}
}

func TestLogsOfARemovedFunctionEnd(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	h.get("/hello")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range h.Logs(t.Context(), testStack, "api", LogOptions{Follow: true}) {
		}
	}()
	if err := h.Delete(t.Context(), testStack, api.KindFunction, "api"); err != nil {
		t.Fatal(err)
	}
	<-ended
	for _, err := range h.Logs(t.Context(), testStack, "api", LogOptions{}) {
		if err == nil || err.Error() != `there is no function "api" in stack "shop-dev"` {
			t.Errorf("got %v", err)
		}
	}
}

func newTestJournal(t *testing.T) *journal {
	b := openLogbook(t.TempDir(), slog.New(slog.DiscardHandler))
	t.Cleanup(b.close)
	return b.journal("s", "f")
}

func (j *journal) texts(t *testing.T) []string {
	t.Helper()
	var texts []string
	err := j.read(t.Context(), logQuery{}, func(line []byte) error {
		var l api.LogLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		texts = append(texts, l.Text)
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestALogIsBoundedAndKeepsTheNewest(t *testing.T) {
	j := newTestJournal(t)
	big := strings.Repeat("x", 1<<20)
	total := logFileSize / len(big) * (logFiles + 3)
	for i := range total {
		j.add(&api.LogLine{Time: time.Unix(int64(i), 0), Text: fmt.Sprintf("%d %s", i, big)})
		if err := j.flush(forever); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(j.dir, "*"))
	if err != nil || len(files) != logFiles {
		t.Errorf("%d files, want %d; %v", len(files), logFiles, err)
	}
	texts := j.texts(t)
	last, _, _ := strings.Cut(texts[len(texts)-1], " ")
	if len(texts) < logFileSize/len(big)*(logFiles-2) || last != fmt.Sprint(total-1) {
		t.Errorf("%d lines, the last is %s", len(texts), last)
	}
}

func TestALogThatIsWrittenFasterThanTheDiskDropsLinesAndSaysSo(t *testing.T) {
	j := newTestJournal(t)
	j.io.Lock() // the disk
	line := strings.Repeat("x", 1<<20)
	for range 10 {
		j.add(&api.LogLine{Text: line})
	}
	j.io.Unlock()
	texts := j.texts(t)
	if got, want := texts[len(texts)-1], "log lines were dropped: the disk was too slow for them"; !strings.HasSuffix(got, want) || len(texts) > 8 {
		t.Errorf("%d lines, the last is %.100s", len(texts), got)
	}
}

func TestOldLogsExpire(t *testing.T) {
	j := newTestJournal(t)
	j.retention.Store(int64(time.Hour))
	add := func(text string) {
		t.Helper()
		j.add(&api.LogLine{Time: time.Now(), Text: text})
		if err := j.flush(forever); err != nil {
			t.Fatal(err)
		}
	}
	add("old")
	if err := j.expire(time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := j.texts(t); !slices.Equal(got, []string{"old"}) {
		t.Errorf("expired too early: %q", got)
	}
	if err := j.expire(time.Now().Add(2 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	add("new")
	if got := j.texts(t); !slices.Equal(got, []string{"new"}) {
		t.Errorf("got %q", got)
	}
}

func TestALineThatACrashCutIsLeftOut(t *testing.T) {
	j := newTestJournal(t)
	j.add(&api.LogLine{Text: "one"})
	if err := j.flush(forever); err != nil {
		t.Fatal(err)
	}
	if _, err := j.file.WriteString(`{"time":"2026-01-01T00:00:00Z","fun`); err != nil {
		t.Fatal(err)
	}
	j.file.Close()
	j.file = nil
	j.add(&api.LogLine{Time: time.Now(), Text: "two"})
	if got := j.texts(t); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("got %q", got)
	}
}

func TestLinesAreWrittenAsEncodingJSONWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := api.LogLine{
			Time:      time.Unix(0, rapid.Int64Range(0, 4e18).Draw(t, "time")).UTC(),
			Function:  rapid.String().Draw(t, "function"),
			Kind:      rapid.SampledFrom([]string{"out", "err", "request"}).Draw(t, "kind"),
			RequestID: rapid.String().Draw(t, "id"),
			Level:     rapid.String().Draw(t, "level"),
			Text:      rapid.String().Draw(t, "text"),
			Duration:  api.Duration(rapid.Int64Range(0, 1e12).Draw(t, "duration")),
			Cold:      rapid.Bool().Draw(t, "cold"),
			Status:    rapid.IntRange(0, 599).Draw(t, "status"),
		}
		text := appendLine(nil, &l)
		var got api.LogLine
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(l, got); diff != "" {
			t.Fatalf("want -, got +:\n%s", diff)
		}
		if at, ok := timeOfLine(text); !ok || !at.Equal(l.Time) {
			t.Fatalf("time of %s: %v, %v", text, at, ok)
		}
	})
}

func TestWhatLinesSay(t *testing.T) {
	tests := []struct {
		name, line string
		want       entry
	}{
		{"a plain line", "hello", entry{text: "hello"}},
		{"the adapters' logger", `{"time":"2026-01-01T00:00:00Z","level":"INFO","msg":"stored","requestId":"r1","fn":"api","b":2,"a":{"x":"y"}}`, entry{"r1", "info", `stored a={"x":"y"} b=2`}},
		{"JSON of somebody else", `{"level":30,"msg":"pino"}`, entry{text: `{"level":30,"msg":"pino"}`}},
		{"a JSON value without a message", `{"a":1}`, entry{text: `{"a":1}`}},
		{"broken JSON", `{"level":"info","msg":}`, entry{text: `{"level":"info","msg":}`}},
	}
	for _, tt := range tests {
		if got := parseLine(tt.line); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestInvocations(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	h.route("GET", "/raw/{id}", "api", nil)
	h.put(api.KindQueue, "jobs", api.QueueSpec{Visibility: api.Duration(time.Minute), Retention: api.Duration(time.Hour), MaxReceives: 5})
	h.put(api.KindQueueConsumer, "api.jobs", api.QueueConsumerSpec{Function: "api", Queue: "jobs", Batch: 1})
	tests := []struct {
		name   string
		req    api.InvokeRequest
		status int
		body   string
		logs   []string
	}{
		{
			"the plain value",
			api.InvokeRequest{Data: json.RawMessage(`{"a":1}`)},
			200, `{"got":{"a":1}}`,
			[]string{"out invoked size=7", "out a plain line", "request invoke"},
		},
		{"no value", api.InvokeRequest{}, 200, `{"got":null}`, []string{"out invoked size=4", "out a plain line", "request invoke"}},
		{"a function that fails", api.InvokeRequest{Data: json.RawMessage(`"fail"`)}, 500, `{"message":"asked to fail"}`, []string{"request invoke"}},
		{"an HTTP request", api.InvokeRequest{Trigger: "http", Data: json.RawMessage(`{"method":"POST","path":"/echo?x=1","body":{"a":[1]}}`)}, 200, `{"a":[1]}`, []string{"request POST /echo"}},
		{"an HTTP request with text", api.InvokeRequest{Trigger: "http", Data: json.RawMessage(`{"method":"POST","path":"/echo","body":"text"}`)}, 200, `text`, []string{"request POST /echo"}},
		{
			"an HTTP request with parameters",
			api.InvokeRequest{Trigger: "http", Data: json.RawMessage(`{"path":"/raw/a%20b","headers":{"x-a":"1","host":"shop.example"}}`)},
			200,
			"GET /raw/a%20b shop.example\nAnyfaas-Client-Ip: 127.0.0.1\nAnyfaas-Params: {\"id\":\"a b\"}\nX-A: 1\nX-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: shop.example\nX-Forwarded-Proto: http\n",
			[]string{"request GET /raw/a b"},
		},
		{"an HTTP request that is not found", api.InvokeRequest{Trigger: "http", Data: json.RawMessage(`{"path":"/nope"}`)}, 404, "404 page not found\n", []string{"request GET /nope"}},
		{"a message of a queue", api.InvokeRequest{Trigger: "queue", Data: json.RawMessage(`{"n":1}`)}, 200, "{\"failures\":[]}\n", []string{"request queue.message.v1 from /queues/jobs"}},
		{
			"a crash",
			api.InvokeRequest{Trigger: "http", Data: json.RawMessage(`{"path":"/crash"}`)},
			500, `{"message":"the worker exited (exit status 3)"}`,
			[]string{"err about to crash", "request GET /crash: the worker exited (exit status 3)"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply, err := h.Invoke(t.Context(), testStack, "api", tt.req)
			if err != nil {
				t.Fatal(err)
			}
			var logs []string
			for _, l := range reply.Logs {
				logs = append(logs, l.Kind+" "+l.Text)
				if l.RequestID != reply.RequestID {
					t.Errorf("line of another call: %+v", l)
				}
			}
			if reply.Status != tt.status || string(reply.Body) != tt.body || reply.Duration <= 0 {
				t.Errorf("got  %d %q\nwant %d %q", reply.Status, reply.Body, tt.status, tt.body)
			}
			if diff := cmp.Diff(tt.logs, logs); diff != "" {
				t.Errorf("logs: want -, got +:\n%s", diff)
			}
		})
	}
	for data, want := range map[string]string{
		`"x"`:            `data of an http call is {method, path, headers, body}: `,
		`{"path":"x"}`:   `path "x" must be a URL path that starts with /`,
		`{"method":" "}`: `net/http: invalid method " "`,
		`{"headers":{"a":"b\r\nAnyfaas-Kind: event"}}`: `header "a" holds a line break`,
	} {
		_, err := h.Invoke(t.Context(), testStack, "api", api.InvokeRequest{Trigger: "http", Data: json.RawMessage(data)})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", data, err, want)
		}
	}
	if _, err := h.Invoke(t.Context(), testStack, "api", api.InvokeRequest{Trigger: "gadget"}); err == nil || !strings.HasPrefix(err.Error(), `no trigger kind "gadget"`) {
		t.Errorf("got %v", err)
	}
}

func TestABadlyStartedLogIsStillRead(t *testing.T) {
	j := newTestJournal(t)
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"00000003.jsonl": "garbage\n" + `{"time":"2026-01-01T00:00:00Z","text":"kept"}` + "\n", "notes.txt": "mine\n"} {
		if err := os.WriteFile(filepath.Join(j.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j.add(&api.LogLine{Text: "new"})
	if got := j.texts(t); !slices.Equal(got, []string{"kept", "new"}) {
		t.Errorf("got %q", got)
	}
}
