package bundle_test

import (
	"archive/zip"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/stacks/bundle"
)

func TestPythonAnswers(t *testing.T) {
	files := `
-- app.py --
import asyncio
import json
import sys

from anyfaas import Response


async def numbers():
    for n in range(3):
        await asyncio.sleep(0)
        yield str(n)


class Thing:
    def __await__(self):
        yield from ()
        return "awaited"


ANSWERS = {
    "/response": lambda: Response({"a": 1}, 201, {"x-a": ["1", "2"]}),
    "/response-empty": lambda: Response(),
    "/dict-with-status": lambda: {"status": 202, "body": "text"},
    "/dict-without-status": lambda: {"a": 1, "body": 2},
    "/dict-with-more": lambda: {"status": "shipped", "order": 7},
    "/pair": lambda: ("text", 203),
    "/triple": lambda: ([1], 200, {"Content-Type": "application/x-list"}),
    "/text": lambda: "text",
    "/bytes": lambda: b"\x00\x01",
    "/none": lambda: None,
    "/list": lambda: [1, "é"],
    "/generator": lambda: (part for part in ("a", b"b")),
    "/async-generator": lambda: Response(numbers(), headers={"content-type": "text/plain"}),
    "/awaitable": lambda: Thing(),
    "/status-that-is-none": lambda: ("text", "200"),
    "/header-with-line-break": lambda: Response("", headers={"a": "1\r\nb: 2"}),
    "/request": None,
}


def handler(request, ctx):
    if request.path == "/request":
        return [request.method, request.url, request.query, request.text, request.cookies, request.headers.get_all("x-a"), request.headers["X-A"], "x-b" in request.headers]
    return ANSWERS[request.path]()


def broken(parts):
    yield "half"
    raise ValueError("no other half")
`
	g := service(project(t, files), graph.Function{Name: "api", Runtime: runtimeOf(t, "python"), HTTPHandler: "app.handler"})
	w := start(t, mustBuild(t, g, t.TempDir())["api"].Artifact)
	for _, c := range []struct {
		path, want, kind string
		status           int
	}{
		{"/response", `{"a":1}`, "application/json", 201},
		{"/response-empty", "", "", 200},
		{"/dict-with-status", "text", "text/plain; charset=utf-8", 202},
		{"/dict-without-status", `{"a":1,"body":2}`, "application/json", 200},
		{"/dict-with-more", `{"status":"shipped","order":7}`, "application/json", 200},
		{"/pair", "text", "text/plain; charset=utf-8", 203},
		{"/triple", "[1]", "application/x-list", 200},
		{"/text", "text", "text/plain; charset=utf-8", 200},
		{"/bytes", "\x00\x01", "application/octet-stream", 200},
		{"/none", "", "", 204},
		{"/list", `[1,"é"]`, "application/json", 200},
		{"/generator", "ab", "application/octet-stream", 200},
		{"/async-generator", "012", "text/plain", 200},
		{"/awaitable", "awaited", "text/plain; charset=utf-8", 200},
		{"/status-that-is-none", `{"message":"Internal Server Error"}`, "application/json", 500},
		{"/header-with-line-break", `{"message":"Internal Server Error"}`, "application/json", 500},
	} {
		t.Run(strings.TrimPrefix(c.path, "/"), func(t *testing.T) {
			got := w.call("GET", c.path, "")
			if got.status != c.status || got.body != c.want || got.header.Get("Content-Type") != c.kind {
				t.Errorf("answer is %d %q of type %q, want %d %q of type %q", got.status, got.body, got.header.Get("Content-Type"), c.status, c.want, c.kind)
			}
		})
	}
	got := w.call("PUT", "/request?a=1&a=2&b", "böd", "Cookie: s=1; t=\"2\"", "X-A: 1", "X-A: 2")
	if want := `["PUT","http://shop.test/request?a=1&a=2&b",{"a":["1","2"],"b":[""]},"böd",{"s":"1","t":"2"},["1","2"],"1, 2",false]`; got.body != want {
		t.Errorf("the request is %s, want %s", got.body, want)
	}
}

func TestPythonHalfAnAnswerIsNotTakenForAWhole(t *testing.T) {
	files := `
-- app.py --
def parts():
    yield "half"
    raise ValueError("no other half")

def handler(request, ctx):
    return {"status": 200, "body": parts()}
`
	g := service(project(t, files), graph.Function{Name: "api", Runtime: runtimeOf(t, "python"), HTTPHandler: "app.handler"})
	w := start(t, mustBuild(t, g, t.TempDir())["api"].Artifact)
	if got, err := w.try("GET", "/", ""); err == nil {
		t.Errorf("the answer ended well: %d %q", got.status, got.body)
	}
	w.logs("no other half")
	w.logs(`app.py\", line 3, in parts`)
}

func TestPythonImportsFromProjectHandlerFolderAndStandardLibrary(t *testing.T) {
	files := `
-- bots/greeter/main.py --
import beside
import json
from shared.words import greeting
from bots.greeter import beside as same

def handler(request, ctx):
    with open(__file__.replace("main.py", "page.html")) as page:
        return " ".join([greeting, beside.name, same.name, page.read().strip(), json.dumps([])])
-- bots/greeter/beside.py --
name = "beside"
-- bots/greeter/page.html --
<p>
-- shared/words.py --
greeting = "hello"
-- .venv/pyvenv.cfg --
-- .venv/lib/big.py --
-- env/pyvenv.cfg --
-- env/lib/big.py --
-- node_modules/x/setup.py --
-- README.md --
`
	f := graph.Function{Name: "api", Runtime: runtimeOf(t, "python"), HTTPHandler: "bots/greeter/main.handler"}
	r := mustBuild(t, service(project(t, files), f), t.TempDir())["api"]
	names := slices.DeleteFunc(contents(t, r.Artifact.Path), func(n string) bool { return strings.HasPrefix(n, "_anyfaas") })
	if want := []string{"bots/greeter/beside.py", "bots/greeter/main.py", "bots/greeter/page.html", "shared/words.py"}; !slices.Equal(names, want) {
		t.Errorf("the package holds %q, want %q", names, want)
	}
	if got := start(t, r.Artifact).call("GET", "/", ""); got.body != "hello beside beside <p> []" {
		t.Errorf("answer is %d %q", got.status, got.body)
	}
}

// wheel writes an installable package of one module.
func wheel(t *testing.T, dir, name, source string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name+"-1.0-py3-none-any.whl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	info := name + "-1.0.dist-info/"
	for _, file := range [][2]string{
		{name + ".py", source},
		{info + "METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "entry_points.txt", "[console_scripts]\n" + name + " = " + name + ":main\n"},
		{info + "RECORD", ""},
	} {
		w, err := z.Create(file[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(file[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPythonRequirementsAreInstalled(t *testing.T) {
	runtime := runtimeOf(t, "python")
	if output(t, "python3", "-c", "import importlib.util as u; print(u.find_spec('pip') is not None)") != "True" {
		t.Skip("pip is not installed")
	}
	files := `
-- requirements.txt --
# what the bot needs
-r more.txt
-- more.txt --
greetings==1.0
-- app.py --
import greetings

def handler(request, ctx):
    return greetings.word
`
	wheels := t.TempDir()
	wheel(t, wheels, "greetings", "word = 'vendored'\ndef main(): pass\n")
	env := append(os.Environ(), "PIP_NO_INDEX=1", "PIP_FIND_LINKS="+wheels, "PIP_CONFIG_FILE="+os.DevNull)
	var sums []string
	for range 2 { // two folders, two caches, two installations
		dir, cache := project(t, files), t.TempDir()
		g := service(dir, graph.Function{Name: "api", Runtime: runtime, HTTPHandler: "app.handler"})
		pack := func() bundle.Report {
			_, reports, diags, err := bundle.Build(context.Background(), g, nil, bundle.Options{Cache: cache, Env: env})
			if err != nil || len(diags) > 0 {
				t.Fatalf("%v\n%s", err, lines(diags))
			}
			return reports[0]
		}
		r := pack()
		sums = append(sums, r.Artifact.SHA256)
		if again := pack(); again.Why != "cached" {
			t.Errorf("packaged again: %s", again.Why)
		}
		if len(sums) == 2 {
			if got := start(t, r.Artifact).call("GET", "/", ""); got.body != "vendored" {
				t.Errorf("answer is %d %q", got.status, got.body)
			}
			names := contents(t, r.Artifact.Path)
			if !slices.Contains(names, "_vendor/greetings.py") || !slices.Contains(names, "_vendor/greetings-1.0.dist-info/METADATA") || slices.Contains(names, "_vendor/bin/greetings") {
				t.Errorf("the package holds %q", names)
			}
			write(t, dir, "-- more.txt --\ngreetings\n")
			if again := pack(); again.Why != "more.txt changed" {
				t.Errorf("after a change of more.txt: %s", again.Why)
			}
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("packages differ: %q", sums)
	}
}
