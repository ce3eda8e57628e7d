package bundle_test

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/manifest/graph"
)

func TestPythonApplicationsAreMounted(t *testing.T) {
	files := `
-- web.py --
import functools


class Wrapped:
    """As frameworks are: an object that is called."""

    def __call__(self, environ, start_response):
        return pages(environ, start_response)


def pages(environ, start_response):
    path = environ["PATH_INFO"].encode("latin-1").decode()
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (part for part in (b"a", b"b", b"c"))
    if path == "/late":
        return late(start_response)
    if path == "/write":
        start_response("200 OK", [("Content-Type", "text/plain")])(b"written ")
        return [b"and returned"]
    if path == "/throw":
        raise ValueError("no page")
    if path == "/silent":
        return []
    body = "|".join((environ["REQUEST_METHOD"], path, environ["QUERY_STRING"], environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"], environ["HTTP_X_A"], environ["wsgi.input"].read().decode(), environ["anyfaas.context"].request_id)).encode()
    start_response("201 Created", [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [body]


def late(start_response):
    start_response("202 Accepted", [("Content-Type", "text/plain")])
    yield b"late"


@functools.wraps(pages)
def decorated(*args):
    return pages(*args)


app = Wrapped()
-- live.py --
import asyncio
import sys

state = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        state.append("started")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("stopped", file=sys.stderr, flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    start = {"type": "http.response.start", "status": 201, "headers": [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]}
    if scope["path"] == "/stream":
        await send(start)
        for part in (b"a", b"b", b"c"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})
        return
    if scope["path"] == "/endless":
        await send(start)
        gone = asyncio.ensure_future(receive_until_gone(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        print("left", file=sys.stderr, flush=True)
        return
    if scope["path"] == "/throw":
        raise ValueError("no page")
    if scope["path"] == "/silent":
        return
    message = await receive()
    headers = dict(scope["headers"])
    await send(start)
    await send({"type": "http.response.body", "body": "|".join((scope["method"], scope["path"], scope["raw_path"].decode(), scope["query_string"].decode(), headers[b"x-a"].decode(), message["body"].decode(), *state)).encode()})


async def receive_until_gone(receive):
    while (await receive())["type"] != "http.disconnect":
        pass
`
	type answer struct {
		path, want string
		status     int
	}
	broken := `{"message":"Internal Server Error"}`
	wsgi := []answer{
		{"/caf%C3%A9/a%2Fb?x=1&x=2", "POST|/café/a/b|x=1&x=2|text/x|4|1|body|r-1", 201},
		{"/stream", "abc", 200},
		{"/late", "late", 202},
		{"/write", "written and returned", 200},
		{"/throw", broken, 500},
		{"/silent", broken, 500},
	}
	for handler, answers := range map[string][]answer{
		"web.app":       wsgi,
		"web.pages":     wsgi,
		"web.decorated": wsgi,
		"live.app": {
			{"/caf%C3%A9/a%2Fb?x=1", "POST|/café/a/b|/caf%C3%A9/a%2Fb|x=1|1|body|started", 201},
			{"/stream", "abc", 201},
			{"/throw", broken, 500},
			{"/silent", broken, 500},
		},
	} {
		t.Run(handler, func(t *testing.T) {
			g := service(project(t, files), graph.Function{Name: "api", Runtime: runtimeOf(t, "python"), HTTPHandler: handler})
			w := start(t, mustBuild(t, g, t.TempDir())["api"].Artifact)
			for _, a := range answers {
				req, err := http.NewRequest("POST", "http://h"+a.path, strings.NewReader("body"))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("X-A", "1")
				req.Header.Set("Content-Type", "text/x")
				req.Header.Set("Anyfaas-Request-Id", "r-1")
				resp, err := w.client.Do(req)
				if err != nil {
					t.Fatalf("%s: %v", a.path, err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(body) != a.want || resp.StatusCode != a.status {
					t.Errorf("%s: %d %q, %v; want %d %q", a.path, resp.StatusCode, body, err, a.status, a.want)
				}
				if cookies := strings.Join(resp.Header.Values("Set-Cookie"), ","); a.status == 201 && cookies != "a=1,b=2" {
					t.Errorf("%s: cookies %s", a.path, cookies)
				}
			}
			if handler != "live.app" {
				return
			}
			resp, err := w.client.Get("http://h/endless")
			if err != nil {
				t.Fatal(err)
			}
			io.CopyN(io.Discard, resp.Body, 1<<20)
			resp.Body.Close()
			eventually(t, "the application hears that the client left", func() bool { return strings.Contains(w.out.String(), "left\n") })
			w.signal(syscall.SIGTERM)
			if code := w.waitExit(); code != 0 || !strings.Contains(w.out.String(), "stopped\n") {
				t.Errorf("exit %d; want 0 after the application's own shutdown", code)
			}
		})
	}
}

func TestPythonExitFailsTheCallOnly(t *testing.T) {
	files := `
-- app.py --
import asyncio
import sys


def leave(request, ctx):
    if request.path == "/exit":
        sys.exit(3)
    return "here"


async def leave_later(request, ctx):
    if request.path == "/exit":
        sys.exit(3)
    if request.path == "/task":
        asyncio.ensure_future(task())
        await asyncio.sleep(0)
    if request.path == "/cancel":
        raise asyncio.CancelledError
    return "here"


async def task():
    sys.exit(4)
`
	for _, handler := range []string{"app.leave", "app.leave_later"} {
		t.Run(handler, func(t *testing.T) {
			g := service(project(t, files), graph.Function{Name: "api", Runtime: runtimeOf(t, "python"), HTTPHandler: handler})
			w := start(t, mustBuild(t, g, t.TempDir())["api"].Artifact)
			paths := []string{"/exit", "/", "/exit", "/"}
			if handler == "app.leave_later" {
				paths = append(paths, "/task", "/", "/cancel", "/")
			}
			for _, path := range paths {
				want := "here"
				if path == "/exit" || path == "/cancel" {
					want = `{"message":"Internal Server Error"}`
				}
				resp, err := w.client.Get("http://h" + path)
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(body) != want {
					t.Errorf("%s: %s; want %s", path, body, want)
				}
			}
			w.logs("SystemExit: 3")
		})
	}
}

func TestPythonExitWhileLoadingSaysSo(t *testing.T) {
	files := "-- src/app.py --\nimport sys\n\nsys.exit(3)\n\n\ndef handler(request, ctx):\n    return 1\n"
	g := service(project(t, files), graph.Function{Name: "api", Runtime: runtimeOf(t, "python"), HTTPHandler: "src/app.handler"})
	w := launch(t, mustBuild(t, g, t.TempDir())["api"].Artifact)
	if code := w.waitExit(); code != 3 {
		t.Errorf("the worker ended with %d", code)
	}
	w.logs("handler src/app.handler: loading module src.app called sys.exit(3)")
}

func TestPythonModulesWithStandardNames(t *testing.T) {
	files := `
-- json.py --
raise ImportError("the adapter took the project's json")
-- queue.py --
import asyncio
import dataclasses


async def handler(request, ctx):
    return {"file": __file__.rsplit("/", 1)[1], "both": await asyncio.get_running_loop().run_in_executor(None, lambda: 7)}
`
	g := service(project(t, files), graph.Function{Name: "api", Runtime: runtimeOf(t, "python"), HTTPHandler: "queue.handler"})
	w := start(t, mustBuild(t, g, t.TempDir())["api"].Artifact)
	resp, err := w.client.Get("http://h/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != `{"file":"queue.py","both":7}` {
		t.Errorf("got %s", body)
	}
}

func TestPythonSourceLayout(t *testing.T) {
	files := `
-- src/shop/__init__.py --
-- src/shop/prices.py --
PRICE = 7
-- src/shop/api/__init__.py --
-- src/shop/api/web.py --
from shop.prices import PRICE
from ..prices import PRICE as SAME


def handler(request, ctx):
    return [PRICE, SAME]
`
	g := service(project(t, files), graph.Function{Name: "api", Runtime: runtimeOf(t, "python"), HTTPHandler: "src/shop/api/web.handler"})
	w := start(t, mustBuild(t, g, t.TempDir())["api"].Artifact)
	resp, err := w.client.Get("http://h/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != `[7,7]` {
		t.Errorf("got %s", body)
	}
}

// eventually polls until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10s: %s", what)
		}
	}
}

func TestPythonRequirementsOnDisk(t *testing.T) {
	runtime := runtimeOf(t, "python")
	if output(t, "python3", "-c", "import importlib.util as u; print(u.find_spec('pip') is not None)") != "True" {
		t.Skip("pip is not installed")
	}
	dir, cache := project(t, `
-- bots/requirements.txt --
../wheels/greetings-1.0-py3-none-any.whl
-- bots/app.py --
import greetings

def handler(request, ctx):
    return greetings.word
-- wheels/README --
`), t.TempDir()
	wheels := filepath.Join(dir, "wheels")
	g := service(dir, graph.Function{Name: "api", Runtime: runtime, HTTPHandler: "bots/app.handler"})
	wheel(t, wheels, "greetings", "word = 'first'\ndef main(): pass\n")
	if r := mustBuild(t, g, cache)["api"]; start(t, r.Artifact).call("GET", "/", "").body != "first" {
		t.Error("the wheel is not in the package")
	}
	if r := mustBuild(t, g, cache)["api"]; !r.Cached {
		t.Errorf("packaged again: %s", r.Why)
	}
	wheel(t, wheels, "greetings", "word = 'second'\ndef main(): pass\n")
	r := mustBuild(t, g, cache)["api"]
	if r.Why != "wheels/greetings-1.0-py3-none-any.whl changed" {
		t.Errorf("packaged because %s", r.Why)
	}
	if got := start(t, r.Artifact).call("GET", "/", ""); got.body != "second" {
		t.Errorf("answer is %d %q", got.status, got.body)
	}
}
