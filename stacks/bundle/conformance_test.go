package bundle_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/anyfaas/anyfaas/manifest/graph"
)

// The sample apps in testdata/conformance do the same in each language.
var conformanceApps = map[string]struct{ http, event string }{
	"node":   {"src/app.http", "src/app.event"},
	"python": {"app/main.http", "app/main.event"},
	"go":     {"app.HTTP", "app.OnEvent"},
}

// An echo is what the apps answer to most requests.
type echo struct {
	Method   string   `json:"method"`
	Path     string   `json:"path"`
	X        []string `json:"x"`
	Body     string   `json:"body"`
	Header   *string  `json:"header"`
	Cookie   *string  `json:"cookie"`
	Encoding *string  `json:"encoding"`
	Host     string   `json:"host"`
	Internal []string `json:"internal"`
}

func text(s string) *string { return &s }

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.String()
}

// A conformanceCase is one promise of the contract. Body is compared as it is,
// echo as JSON; header lists "name: value" lines that the answer must have.
type conformanceCase struct {
	name      string
	method    string
	target    string
	body      string
	headers   []string
	languages string // "" means all

	status int
	echo   *echo
	want   string // body
	header []string
	logs   string // what the output holds afterwards
}

var conformanceCases = []conformanceCase{
	{
		name: "a request arrives with method, path, query, header and body", method: "POST", target: "/echo?x=1&x=2", body: "hello", headers: []string{"X-Test: a"},
		status: 200, echo: &echo{Method: "POST", Path: "/echo", X: []string{"1", "2"}, Body: "hello", Header: text("a"), Host: "shop.test"},
	},
	{
		name: "percent-encoding in the path is kept", method: "GET", target: "/a%2Fb%20c/%C3%A9",
		status: 200, echo: &echo{Method: "GET", Path: "/a%2Fb%20c/%C3%A9", Host: "shop.test"},
	},
	{
		name: "an empty query value and a plus arrive decoded as forms are", method: "GET", target: "/echo?x=&x=a+b&x=%2B",
		status: 200, echo: &echo{Method: "GET", Path: "/echo", X: []string{"", "a b", "+"}, Host: "shop.test"},
	},
	{
		name: "the client's host is the request's", method: "GET", target: "/echo", headers: []string{"Host: api.shop.example:8080"},
		status: 200, echo: &echo{Method: "GET", Path: "/echo", Host: "api.shop.example:8080"},
	},
	{
		name: "repeated headers are joined with commas", method: "GET", target: "/echo", headers: []string{"X-Test: a", "X-Test: b"},
		status: 200, echo: &echo{Method: "GET", Path: "/echo", Header: text("a, b"), Host: "shop.test"},
	},
	{
		name: "repeated cookie headers are joined with semicolons", method: "GET", target: "/echo", headers: []string{"Cookie: a=1", "Cookie: b=2"},
		status: 200, echo: &echo{Method: "GET", Path: "/echo", Cookie: text("a=1; b=2"), Host: "shop.test"},
	},
	{
		name: "the host's own headers do not reach the handler", method: "GET", target: "/echo", headers: []string{"Anyfaas-Request-Id: r1", "Anyfaas-Client-Ip: 10.0.0.1", "Anyfaas-Params: {}"},
		status: 200, echo: &echo{Method: "GET", Path: "/echo", Host: "shop.test"},
	},
	{
		name: "a gzip body arrives decoded and without its content-encoding", method: "POST", target: "/echo", body: zipped("plain text"), headers: []string{"Content-Encoding: gzip"},
		status: 200, echo: &echo{Method: "POST", Path: "/echo", Body: "plain text", Host: "shop.test"},
	},
	{
		name: "a body that only claims to be gzip is the client's mistake", method: "POST", target: "/echo", body: "plain text", headers: []string{"Content-Encoding: gzip"},
		status: 400, want: `{"message":"Bad Request"}`,
	},
	{
		name: "PUT, PATCH and DELETE reach the handler with their bodies", method: "PATCH", target: "/echo", body: "p",
		status: 200, echo: &echo{Method: "PATCH", Path: "/echo", Body: "p", Host: "shop.test"},
	},
	{
		name: "OPTIONS reaches the handler", method: "OPTIONS", target: "/echo",
		status: 200, echo: &echo{Method: "OPTIONS", Path: "/echo", Host: "shop.test"},
	},
	{
		name: "HEAD reaches the handler and is answered without a body", method: "HEAD", target: "/text",
		status: 200, want: "", header: []string{"content-length: 6"},
	},
	{name: "text is UTF-8", method: "GET", target: "/text", status: 200, want: "héllo", header: []string{"content-length: 6"}},
	{name: "JSON is answered with its status", method: "GET", target: "/json", status: 201, want: `{"ok":true}`, header: []string{"content-type: application/json"}},
	{name: "binary answers are exact", method: "GET", target: "/bin", status: 200, want: "\x00\xff\x01\xfe", header: []string{"content-type: image/png"}},
	{name: "204 has no body", method: "GET", target: "/empty", status: 204, want: ""},
	{name: "304 has no body and keeps its headers", method: "GET", target: "/not-modified", status: 304, want: "", header: []string{`etag: "1"`}},
	{name: "several Set-Cookie headers survive", method: "GET", target: "/cookies", status: 200, want: "ok", header: []string{"set-cookie: a=1; Path=/; HttpOnly", "set-cookie: b=2"}},
	{name: "a redirect keeps its location", method: "HEAD", target: "/redirect", status: 302, header: []string{"location: /echo"}},
	{name: "an unhandled error is 500 without its cause", method: "GET", target: "/boom", status: 500, want: `{"message":"Internal Server Error"}`, header: []string{"content-type: application/json"}, logs: "the secret cause"},
	{name: "what is no response is 500 and says so in the log", method: "GET", target: "/invalid", languages: "node python", status: 500, want: `{"message":"Internal Server Error"}`, logs: "an http handler must return a"},
	{name: "a body of 3 MB arrives whole", method: "POST", target: "/size", body: strings.Repeat("x", 3<<20), status: 200, want: fmt.Sprintf(`{"size":%d}`, 3<<20)},
	{
		name: "the context tells the request id, parameters, client and deadline", method: "GET", target: "/context", headers: []string{"Anyfaas-Request-Id: r-7", `Anyfaas-Params: {"id":"é 7"}`, "Anyfaas-Client-Ip: 10.0.0.9", "Anyfaas-Deadline-Ms: 4102444800000"},
		status: 200, want: `{"requestId":"r-7","params":{"id":"é 7"},"clientIp":"10.0.0.9","function":"app","deadline":true,"remaining":true}`,
	},
}

func TestConformance(t *testing.T) {
	for language, handlers := range conformanceApps {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			dir, err := filepath.Abs(filepath.Join("testdata", "conformance", language))
			if err != nil {
				t.Fatal(err)
			}
			g := service(dir, graph.Function{Name: "app", Runtime: runtimeOf(t, language), HTTPHandler: handlers.http, EventHandler: handlers.event})
			w := start(t, mustBuild(t, g, t.TempDir())["app"].Artifact)
			for _, c := range conformanceCases {
				if c.languages == "" || strings.Contains(c.languages, language) {
					t.Run(c.name, func(t *testing.T) { c.run(t, w) })
				}
			}
			t.Run("chunked bodies arrive whole", func(t *testing.T) { chunkedBody(t, w) })
			t.Run("an answer is streamed while it is made", func(t *testing.T) { streamed(t, w) })
			t.Run("log lines are JSON with request id and function", func(t *testing.T) { logged(t, w) })
			t.Run("events", func(t *testing.T) { events(t, w) })
			t.Run("ten unordered events are handled at a time", func(t *testing.T) { concurrent(t, w) })
			t.Run("direct calls", func(t *testing.T) { invoked(t, w) })
			t.Run("a handler learns of its deadline", func(t *testing.T) { deadline(t, w) })
			t.Run("SIGTERM lets a running call finish", func(t *testing.T) { terminated(t, w) })
		})
	}
}

func (c conformanceCase) run(t *testing.T, w *worker) {
	got := w.call(c.method, c.target, c.body, c.headers...)
	if got.status != c.status {
		t.Fatalf("status is %d, want %d\nbody: %s", got.status, c.status, got.body)
	}
	if c.echo != nil {
		var have echo
		if err := json.Unmarshal([]byte(got.body), &have); err != nil {
			t.Fatalf("%v in %s", err, got.body)
		}
		want := *c.echo
		if want.X == nil {
			want.X = []string{}
		}
		want.Internal = []string{}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("the request as the handler saw it (-want +got):\n%s", diff)
		}
	} else if c.want == "" && got.body != "" || c.want != "" && !sameBody(c.want, got.body) {
		t.Errorf("body is %.200q, want %.200q", got.body, c.want)
	}
	for _, line := range c.header {
		name, value, _ := strings.Cut(line, ": ")
		found := false
		for _, v := range got.header.Values(name) {
			found = found || v == value
		}
		if !found {
			t.Errorf("no header %q in %v", line, got.header)
		}
	}
	if c.logs != "" {
		w.logs(c.logs)
	}
}

// sameBody compares JSON by meaning and everything else by bytes.
func sameBody(want, got string) bool {
	if want == got {
		return true
	}
	var a, b any
	return json.Unmarshal([]byte(want), &a) == nil && json.Unmarshal([]byte(got), &b) == nil && cmp.Equal(a, b)
}

func chunkedBody(t *testing.T, w *worker) {
	req, err := http.NewRequest("POST", "http://shop.test/size", io.MultiReader(strings.NewReader("abc"), strings.NewReader(strings.Repeat("x", 100_000))))
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.client.Do(req) // of unknown length, hence chunked
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); !sameBody(`{"size":100003}`, string(body)) {
		t.Errorf("answer is %s", body)
	}
}

func streamed(t *testing.T, w *worker) {
	res, err := w.client.Get("http://shop.test/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	first := make([]byte, len("first "))
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "first " {
		t.Fatalf("first part is %q, %v", first, err)
	}
	w.call("POST", "/release", "")
	rest, err := io.ReadAll(res.Body)
	if err != nil || string(rest) != "second" {
		t.Errorf("second part is %q, %v", rest, err)
	}
	if ct := res.Header.Get("Content-Type"); ct != "text/plain" {
		t.Errorf("content type is %q", ct)
	}
}

func logged(t *testing.T, w *worker) {
	w.call("GET", "/log", "", "Anyfaas-Request-Id: r-42")
	w.logs("an info line")
	for line := range strings.Lines(w.out.String()) {
		if !strings.Contains(line, "an info line") {
			continue
		}
		var got struct {
			Time                      time.Time
			Level, Msg, RequestID, Fn string
			Order                     int
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if time.Since(got.Time).Abs() > time.Minute {
			t.Errorf("time is %v", got.Time)
		}
		if got.Level != "info" || got.RequestID != "r-42" || got.Fn != "app" || got.Order != 7 {
			t.Errorf("log line is %s", line)
		}
	}
	if strings.Contains(w.out.String(), "a debug line") {
		t.Errorf("a debug line was written at level info")
	}
}

func messages(bodies ...string) string {
	var list []string
	for i, body := range bodies {
		list = append(list, fmt.Sprintf(`{"specversion":"1.0","type":"dev.anyfaas.queue.message.v1","source":"/queues/jobs","id":"m%d","time":"2026-01-01T00:00:00Z","datacontenttype":"application/json","data":{"body":%q,"attributes":{}}}`, i+1, body))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func events(t *testing.T, w *worker) {
	for _, c := range []struct {
		name    string
		events  string
		headers []string
		status  int
		want    string
	}{
		{"all good", messages("a", "b"), nil, 200, `{"failures":[]}`},
		{"none", messages(), nil, 200, `{"failures":[]}`},
		{"failures are named, the others are done", messages("a", "boom", "c", "boom"), nil, 500, `{"failures":["m2","m4"]}`},
		{"ordered events stop at the first failure", messages("a", "boom", "c", "d"), []string{"Anyfaas-Ordered: true"}, 500, `{"failures":["m2","m3","m4"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.event(c.events, c.headers...)
			if got.status != c.status || !sameBody(c.want, got.body) {
				t.Errorf("answer is %d %s, want %d %s", got.status, got.body, c.status, c.want)
			}
		})
	}
	w.logs("bad message m2")
	if got := w.event("not JSON"); got.status != 400 {
		t.Errorf("a body that is no JSON is answered with %d %s", got.status, got.body)
	}
}

func concurrent(t *testing.T, w *worker) {
	bodies := make([]string, 20)
	for i := range bodies {
		bodies[i] = "meet" // each waits until ten are there
	}
	if got := w.event(messages(bodies...)); got.status != 200 {
		t.Fatalf("answer is %d %s", got.status, got.body)
	}
	if got := w.invoke(`{"most":true}`); got.body != "10" {
		t.Errorf("%s events were handled at a time, want 10", got.body)
	}
}

func invoked(t *testing.T, w *worker) {
	for _, c := range []struct {
		name, data, want string
		status           int
	}{
		{"the result goes back", `{"a":[1,"é"]}`, `{"got":{"a":[1,"é"]},"id":""}`, 200},
		{"no result is null", `null`, `null`, 200},
		{"an error goes back to the caller", `{"boom":true}`, `{"message":"no such order"}`, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.call("POST", "/", `{"specversion":"1.0","type":"dev.anyfaas.invoke.v1","source":"/invoke","id":"1","data":`+c.data+`}`, "Anyfaas-Kind: invoke", "Anyfaas-Request-Id: r-9")
			want := strings.Replace(c.want, `"id":""`, `"id":"r-9"`, 1)
			if got.status != c.status || !sameBody(want, got.body) {
				t.Errorf("answer is %d %s, want %d %s", got.status, got.body, c.status, want)
			}
		})
	}
}

func deadline(t *testing.T, w *worker) {
	ms := time.Now().Add(400 * time.Millisecond).UnixMilli()
	if got := w.call("GET", "/deadline", "", fmt.Sprintf("Anyfaas-Deadline-Ms: %d", ms), "Anyfaas-Request-Id: r-1"); got.body != "stopped in time" {
		t.Errorf("answer is %d %q", got.status, got.body)
	}
}

// terminated asks the worker to stop while a handler is at work.
func terminated(t *testing.T, w *worker) {
	type result struct {
		answer
		err error
	}
	answered := make(chan result, 1)
	go func() {
		ms := time.Now().Add(time.Second).UnixMilli()
		a, err := w.try("GET", "/deadline", "", fmt.Sprintf("Anyfaas-Deadline-Ms: %d", ms), "Anyfaas-Request-Id: the-last")
		answered <- result{a, err}
	}()
	w.logs("waiting the-last")
	w.signal(syscall.SIGTERM)
	if got := <-answered; got.err != nil || got.body != "stopped in time" {
		t.Errorf("the running call was answered with %q, %v", got.body, got.err)
	}
	if code := w.waitExit(); code != 0 {
		t.Errorf("the worker ended with %d", code)
	}
}
