package host

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// raw sends text to the front as it is and returns the answer, without the
// fields that differ from run to run.
func (h *testHost) raw(text string) string {
	h.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		h.t.Fatal(err)
	}
	method, _, _ := strings.Cut(text, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if resp.Header.Get("Anyfaas-Request-Id") == "" {
		h.t.Error("the answer has no Anyfaas-Request-Id")
	}
	resp.Header.Del("Anyfaas-Request-Id")
	resp.Header.Del("Date")
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", resp.Status)
	resp.Header.Write(&b)
	for k, v := range resp.Trailer {
		fmt.Fprintf(&b, "trailer %s: %s\n", k, v[0])
	}
	fmt.Fprintf(&b, "\n%s", body)
	return strings.ReplaceAll(b.String(), "\r\n", "\n")
}

func TestWhatPassesBetweenClientAndWorker(t *testing.T) {
	h := startHost(t)
	h.service(nil)
	h.function("api", nil)
	h.route("*", "/{path+}", "api", nil)
	h.route("GET", "/raw/{id}/{rest+}", "api", nil)
	host := strings.TrimPrefix(h.url, "http://")
	tests := []struct{ name, send, want string }{
		{
			"path, query, repeated fields and parameters arrive as sent",
			"GET /raw/a%2Fb/%C3%A9/c//d?x=1&x=%20&y HTTP/1.1\nHost: THEHOST\nX-A: 1\nX-A: 2\nCookie: a=1\nCookie: b=2\n\n",
			"200 OK\nContent-Length: LEN\nContent-Type: text/plain; charset=utf-8\n\nGET /raw/a%2Fb/%C3%A9/c//d?x=1&x=%20&y THEHOST\n" +
				"Anyfaas-Client-Ip: 127.0.0.1\nAnyfaas-Params: {\"id\":\"a/b\",\"rest\":\"\\u00e9/c//d\"}\nCookie: a=1\nCookie: b=2\n" +
				"X-A: 1\nX-A: 2\nX-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: THEHOST\nX-Forwarded-Proto: http\n",
		},
		{
			"what only the host may say is taken off, and so are fields of the connection",
			"POST /raw/x HTTP/1.1\nHost: localhost\nContent-Length: 0\nAnyfaas-Kind: event\nanyfaas-params: {}\nAnyfaas_Request_Id: x\nX-Forwarded-For: 6.6.6.6\n" +
				"X-Forwarded-Proto: https\nForwarded: for=6.6.6.6\nX-Real-IP: 6.6.6.6\nConnection: keep-alive, X-Hop\nX-Hop: 1\nTE: trailers\nProxy-Authorization: x\nX-Kept: 1\n\n",
			"200 OK\nContent-Length: LEN\nContent-Type: text/plain; charset=utf-8\n\nPOST /raw/x localhost\n" +
				"Anyfaas-Client-Ip: 127.0.0.1\nAnyfaas-Params: {\"path\":\"raw/x\"}\nContent-Length: 0\nX-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: localhost\nX-Forwarded-Proto: http\nX-Kept: 1\n",
		},
		{
			"an absolute URL is a path for the worker",
			"GET http://localhost/raw HTTP/1.1\nHost: other.example\n\n",
			"200 OK\nContent-Length: LEN\nContent-Type: text/plain; charset=utf-8\n\nGET /raw localhost\n" +
				"Anyfaas-Client-Ip: 127.0.0.1\nAnyfaas-Params: {\"path\":\"raw\"}\nX-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: localhost\nX-Forwarded-Proto: http\n",
		},
		{
			"several cookies and any status come back, the worker's protocol and connection fields do not",
			"GET /cookies HTTP/1.1\nHost: localhost\n\n",
			"418 I'm a teapot\nContent-Length: 0\nSet-Cookie: a=1\nSet-Cookie: b=2\n\n",
		},
		{
			"trailers come back",
			"GET /trailer HTTP/1.1\nHost: localhost\n\n",
			"200 OK\nContent-Type: text/plain; charset=utf-8\ntrailer X-Sum: 4\n\nbody",
		},
		{
			"an answer without content has none",
			"GET /empty HTTP/1.1\nHost: localhost\n\n",
			"204 No Content\n\n",
		},
		{
			"HEAD reaches the handler and has no body",
			"HEAD /hello HTTP/1.1\nHost: localhost\n\n",
			"200 OK\nContent-Length: 14\nContent-Type: text/plain\n\n",
		},
		{
			"OPTIONS reaches the handler",
			"OPTIONS /raw HTTP/1.1\nHost: localhost\nOrigin: https://a.example\nAccess-Control-Request-Method: GET\n\n",
			"200 OK\nContent-Length: LEN\nContent-Type: text/plain; charset=utf-8\n\nOPTIONS /raw localhost\nAccess-Control-Request-Method: GET\n" +
				"Anyfaas-Client-Ip: 127.0.0.1\nAnyfaas-Params: {\"path\":\"raw\"}\nOrigin: https://a.example\nX-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: localhost\nX-Forwarded-Proto: http\n",
		},
		{
			"a chunked body is echoed",
			"POST /echo HTTP/1.1\nHost: localhost\nContent-Type: a/b\nTransfer-Encoding: chunked\n\n3\nabc\n2\nde\n0\n\n",
			"200 OK\nContent-Type: a/b\n\nabcde",
		},
		{
			"a foreign name is refused",
			"GET /hello HTTP/1.1\nHost: evil.example\n\n",
			"421 Misdirected Request\nContent-Length: 115\nContent-Type: application/json\n\n" +
				`{"message":"this server answers for localhost only, not for \"evil.example\"; set http.domain to use another name"}`,
		},
		{
			"a name below localhost is ours",
			"GET /hello HTTP/1.1\nHost: shop.LOCALHOST:8080\n\n",
			"200 OK\nContent-Length: 14\nContent-Type: text/plain\n\nhello from api",
		},
		{
			"an old client without a host name is served",
			"GET /raw HTTP/1.0\n\n",
			"200 OK\nContent-Length: LEN\nContent-Type: text/plain; charset=utf-8\n\nGET /raw localhost\n" +
				"Anyfaas-Client-Ip: 127.0.0.1\nAnyfaas-Params: {\"path\":\"raw\"}\nX-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: localhost\nX-Forwarded-Proto: http\n",
		},
		{
			"what a client forgot to escape is escaped",
			"GET /raw/é?q=ü%20 HTTP/1.1\nHost: localhost\n\n",
			"200 OK\nContent-Length: LEN\nContent-Type: text/plain; charset=utf-8\n\nGET /raw/%C3%A9?q=%C3%BC%20 localhost\n" +
				"Anyfaas-Client-Ip: 127.0.0.1\nAnyfaas-Params: {\"path\":\"raw/\\u00e9\"}\nX-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: localhost\nX-Forwarded-Proto: http\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := h.raw(strings.ReplaceAll(tt.send, "THEHOST", host))
			if strings.Contains(tt.send, "chunked") { // the echo may know its length or not
				got = strings.Replace(got, "Content-Length: 5\n", "", 1)
			}
			want := strings.ReplaceAll(tt.want, "THEHOST", host)
			_, body, _ := strings.Cut(want, "\n\n")
			want = strings.ReplaceAll(want, "LEN", fmt.Sprint(len(body)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

func TestMethodsAndPathsWithoutARoute(t *testing.T) {
	h := startHost(t)
	h.service(nil)
	h.function("api", nil)
	h.route("GET", "/hello", "api", nil)
	h.route("POST", "/hello", "api", nil)
	tests := []struct{ name, send, want string }{
		{"no such path", "GET /nope HTTP/1.1\nHost: localhost\n\n", "404 Not Found\nContent-Length: 23\nContent-Type: application/json\n\n{\"message\":\"Not Found\"}"},
		{"a method the path does not have", "PUT /hello HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n", "405 Method Not Allowed\nAllow: GET, HEAD, POST\nContent-Length: 32\nContent-Type: application/json\n\n{\"message\":\"Method Not Allowed\"}"},
		{"OPTIONS without a route", "OPTIONS /hello HTTP/1.1\nHost: localhost\n\n", "405 Method Not Allowed\nAllow: GET, HEAD, POST\nContent-Length: 32\nContent-Type: application/json\n\n{\"message\":\"Method Not Allowed\"}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, h.raw(tt.send)); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

func TestLargeBodiesArriveByteForByteInBothDirections(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	for _, size := range []int{1, wholeBody, wholeBody + 1, 9 << 20} {
		sent := make([]byte, size)
		rand.Read(sent)
		for _, known := range []string{"length", "chunks"} {
			var body io.Reader = bytes.NewReader(sent)
			if known == "chunks" {
				body = io.MultiReader(body)
			}
			req, err := http.NewRequestWithContext(t.Context(), "POST", h.url+"/echo", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Expect", "100-continue")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes by %s: got %d bytes back, error %v", size, known, len(got), err)
			}
		}
	}
}

func TestAnswersStreamAsTheyAreMade(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	gate := filepath.Join(t.TempDir(), "gate")
	resp, err := http.Get(h.url + "/stream/3?until=" + gate)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); err != nil || line != "part 0\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	// The worker waits for the gate, so that line has come while it ran.
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(lines)
	if err != nil || string(rest) != "part 1\npart 2\n" {
		t.Errorf("got %q, %v", rest, err)
	}
}

func TestRequestsStreamAsTheyAreSent(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", h.url+"/echo", r)
	if err != nil {
		t.Fatal(err)
	}
	go io.WriteString(w, "one")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, word := range []string{"one", "two", "three"} {
		if word != "one" {
			go io.WriteString(w, word)
		}
		buf := make([]byte, len(word))
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != word {
			t.Fatalf("got %q, %v; want %q", buf, err, word)
		}
	}
	w.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("got %q, %v after the end", rest, err)
	}
}

func TestAnAnswerBeforeTheWholeRequestArrives(t *testing.T) {
	h := startHost(t)
	h.api(func(f *api.FunctionSpec) { f.Timeout = api.Duration(time.Second) })
	for path, want := range map[string]string{
		"/refuse":   "413 Request Entity Too Large\nContent-Length: 9\nContent-Type: text/plain; charset=utf-8\n\ntoo large",
		"/sleep/1m": "504 Gateway Timeout\nContent-Length: 40\nContent-Type: application/json\n\n" + `{"message":"Endpoint request timed out"}`,
	} {
		got := h.raw("POST " + path + " HTTP/1.1\nHost: localhost\nContent-Length: 1000000\n\nstart")
		if got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if got, want := h.get("/hello"), "200 hello from api"; got != want {
		t.Errorf("afterwards: got %q, want %q", got, want)
	}
}

func TestAMalformedBodyIsTheFaultOfTheClient(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	got := h.raw("POST /sleep/1m HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n5\nstart\nno size\n")
	want := "400 Bad Request\nContent-Length: 40\nContent-Type: application/json\n\n" + `{"message":"the request body broke off"}`
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if st := h.functionStatus("api"); st.Errors != 0 {
		t.Errorf("the function is said to have failed: %+v", st)
	}
	if got, want := h.get("/hello"), "200 hello from api"; got != want {
		t.Errorf("afterwards: got %q, want %q", got, want)
	}
}

func TestAnAnswerThatBreaksOffIsNotAWholeOne(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	if got, want := h.get("/cut"), "200 half (unexpected EOF)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	h.logHas("api", "request 502 error GET /cut: broken off: the worker runs but closed the connection before its answer was complete")
}

func TestAClientThatGoesAwayCancelsTheCall(t *testing.T) {
	h := startHost(t)
	h.api(nil)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", h.url+"/sleep/1m", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for h.functionStatus("api").Busy == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	if resp, err := http.DefaultClient.Do(req); err == nil {
		t.Fatalf("got %d", resp.StatusCode)
	}
	eventually(t, func() string {
		text := h.log("api")
		if !strings.Contains(text, "cancelled") || !strings.Contains(text, "499 GET /sleep/1m: the client went away") {
			return "the log does not show it:\n" + text
		}
		return ""
	})
	if busy := h.functionStatus("api").Busy; busy != 0 {
		t.Errorf("%d executions are still taken", busy)
	}
}

// log returns the log of a function as "out text" and "request status text".
func (h *testHost) log(function string) string {
	h.t.Helper()
	var b strings.Builder
	for l, err := range h.Logs(h.t.Context(), testStack, function, LogOptions{}) {
		if err != nil {
			h.t.Fatal(err)
		}
		b.WriteString(l.Kind)
		if l.Kind == "request" {
			fmt.Fprintf(&b, " %d", l.Status)
		}
		if l.Level != "" {
			b.WriteString(" " + l.Level)
		}
		b.WriteString(" " + l.Text + "\n")
	}
	return b.String()
}

func TestCrossOriginRequests(t *testing.T) {
	h := startHost(t)
	h.service(func(s *api.ServiceSpec) {
		s.CORS = &api.CORS{
			Origins: []string{"https://shop.example", "https://*.shop.example", "http://localhost:*"},
			Methods: []string{"GET", "POST"}, Headers: []string{"authorization", "content-type"},
			Expose: []string{"X-Total"}, Credentials: true, MaxAge: api.Duration(time.Hour),
		}
	})
	h.function("api", nil)
	cors := func(r *api.RouteSpec) { r.CORS = true }
	h.route("GET", "/hello", "api", cors)
	h.route("POST", "/hello", "api", func(r *api.RouteSpec) { r.CORS = true; r.Auth = "jwt" })
	h.route("GET", "/closed", "api", nil)
	h.route("OPTIONS", "/raw", "api", nil)
	h.route("GET", "/raw", "api", cors)
	golden(t, "cors.golden", []string{
		"# a preflight from an allowed origin\nOPTIONS /hello HTTP/1.1\nHost: localhost\nOrigin: https://shop.example\nAccess-Control-Request-Method: POST\nAccess-Control-Request-Headers: content-type\n\n",
		"# a preflight from an origin that a pattern allows\nOPTIONS /hello HTTP/1.1\nHost: localhost\nOrigin: https://a.b.shop.example\nAccess-Control-Request-Method: GET\n\n",
		"# a preflight from any port of localhost\nOPTIONS /hello HTTP/1.1\nHost: localhost\nOrigin: http://localhost:5173\nAccess-Control-Request-Method: GET\n\n",
		"# a preflight from a foreign origin\nOPTIONS /hello HTTP/1.1\nHost: localhost\nOrigin: https://evil.example\nAccess-Control-Request-Method: GET\n\n",
		"# an origin that only ends like an allowed one\nOPTIONS /hello HTTP/1.1\nHost: localhost\nOrigin: https://evilshop.example\nAccess-Control-Request-Method: GET\n\n",
		"# a preflight for a method that the path does not have\nOPTIONS /hello HTTP/1.1\nHost: localhost\nOrigin: https://shop.example\nAccess-Control-Request-Method: DELETE\n\n",
		"# a preflight for a route without rules\nOPTIONS /closed HTTP/1.1\nHost: localhost\nOrigin: https://shop.example\nAccess-Control-Request-Method: GET\n\n",
		"# an OPTIONS request that is no preflight\nOPTIONS /hello HTTP/1.1\nHost: localhost\nOrigin: https://shop.example\n\n",
		"# a request from an allowed origin\nGET /hello HTTP/1.1\nHost: localhost\nOrigin: https://shop.example\n\n",
		"# a request from a foreign origin\nGET /hello HTTP/1.1\nHost: localhost\nOrigin: https://evil.example\n\n",
		"# a request without origin\nGET /hello HTTP/1.1\nHost: localhost\n\n",
		"# a refused request can be read by the page\nPOST /hello HTTP/1.1\nHost: localhost\nOrigin: https://shop.example\nContent-Length: 0\n\n",
		"# a wrong method can be read by the page\nPUT /hello HTTP/1.1\nHost: localhost\nOrigin: https://shop.example\nContent-Length: 0\n\n",
		"# a route without rules\nGET /closed HTTP/1.1\nHost: localhost\nOrigin: https://shop.example\n\n",
	}, func(text string) string { return h.raw(text) })
	if got := h.raw("OPTIONS /raw HTTP/1.1\nHost: localhost\nOrigin: https://shop.example\nAccess-Control-Request-Method: GET\n\n"); !strings.HasPrefix(got, "200 OK\n") {
		t.Errorf("an OPTIONS route of its own without rules must get its preflights, got\n%s", got)
	}
	h.service(func(s *api.ServiceSpec) {
		s.CORS = &api.CORS{Origins: []string{"*"}, Methods: []string{"*"}, Headers: []string{"*"}}
	})
	golden(t, "cors-any.golden", []string{
		"# a preflight\nOPTIONS /hello HTTP/1.1\nHost: localhost\nOrigin: https://any.example\nAccess-Control-Request-Method: POST\nAccess-Control-Request-Headers: x-a, x-b\n\n",
		"# a request\nGET /hello HTTP/1.1\nHost: localhost\nOrigin: null\n\n",
	}, func(text string) string { return h.raw(text) })
	_, err := h.Put(t.Context(), testStack, api.KindService, "shop", api.ServiceSpec{
		Service: "shop", Stage: "dev", Owner: "/project", CORS: &api.CORS{Origins: []string{"*"}, Credentials: true},
	})
	if err == nil || err.Error() != "cors: credentials need named origins, not *" {
		t.Errorf("got %v", err)
	}
}

// golden compares cases, each with a comment on its first line, and what run
// makes of them with a file.
func golden(t *testing.T, name string, cases []string, run func(string) string) {
	t.Helper()
	var b strings.Builder
	for _, c := range cases {
		comment, text, _ := strings.Cut(c, "\n")
		fmt.Fprintf(&b, "%s\n%s\n%s\n\n", comment, strings.TrimSpace(text), strings.TrimSpace("→ "+run(text)))
	}
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s: want -, got +:\n%s", name, diff)
	}
}

func TestRequestIDsAreUniqueAndSorted(t *testing.T) {
	var ids requestIDs
	last := ""
	for range 10_000 {
		id := ids.next()
		if len(id) != 13 || id <= last {
			t.Fatalf("%q after %q", id, last)
		}
		last = id
	}
}

func TestParametersFitIntoAHeaderField(t *testing.T) {
	in := map[string]string{"a": "é€😀\n\"<", "b": "\xff"}
	var b bytes.Buffer
	writeASCII(&b, in)
	for _, c := range b.Bytes() {
		if c < 0x20 || c > 0x7e {
			t.Fatalf("byte %#x in %q", c, b.String())
		}
	}
	var out map[string]string
	if err := json.Unmarshal(b.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"a": "é€😀\n\"<", "b": "\uFFFD"}; !cmp.Equal(want, out) {
		t.Errorf("got %q", out)
	}
}
