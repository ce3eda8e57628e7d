package bundle_test

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/stacks/bundle"
)

func TestNodeRequestsAndResponsesKeepToTheStandard(t *testing.T) {
	dir, err := filepath.Abs("testdata/web")
	if err != nil {
		t.Fatal(err)
	}
	g := service(dir, graph.Function{Name: "web", Runtime: runtimeOf(t, "node"), HTTPHandler: "src/web.check"})
	w := start(t, mustBuild(t, g, t.TempDir())["web"].Artifact)
	var names []string
	if err := json.Unmarshal([]byte(w.call("GET", "/", "").body), &names); err != nil || len(names) < 30 {
		t.Fatalf("%d checks, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			got := w.call("POST", "/a%20b?check="+url.QueryEscape(name), `{"a":1}`, "Content-Type: application/json")
			var result struct{ Got, Want any }
			if err := json.Unmarshal([]byte(got.body), &result); err != nil {
				t.Fatalf("%v in %d %s\n%s", err, got.status, got.body, w.out)
			}
			if diff := cmp.Diff(result.Want, result.Got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A nodeCase is a project and what GET / of its handler answers.
func TestNodeProjects(t *testing.T) {
	for _, c := range []struct {
		name, handler, files string
		external             []string
		want                 string
		program              string
		holds                []string // in the package
	}{
		{name: "an object with fetch, as Hono apps are, exported as default", handler: "src/app", want: "fetched /", program: "main.cjs", files: `
-- src/app.ts --
class App { prefix = 'fetched '; fetch(request: Request) { return new Response(this.prefix + new URL(request.url).pathname) } }
export default new App()
`},
		{name: "a default export by its name", handler: "app.default", want: "default", program: "main.cjs", files: `
-- app.mjs --
export default () => new Response('default')
`},
		{name: "a file with a dot in its name", handler: "src/api.v1.get", want: "v1", program: "main.cjs", files: `
-- src/api.v1.ts --
export const get = () => new Response('v1')
`},
		{name: "CommonJS", handler: "app.handler", want: "common", program: "main.cjs", files: `
-- app.js --
const path = require('node:path')
exports.handler = async () => new Response(path.basename('/x/common'))
`},
		{name: "JSX and a JSON import", handler: "app.handler", want: "p hello", program: "main.cjs", files: `
-- app.tsx --
import words from './words.json'
const h = (tag: string, _props: null, text: string) => tag + ' ' + text
/** @jsx h */
export const handler = () => new Response(<p>{words.greeting}</p> as any)
-- words.json --
{"greeting": "hello"}
`},
		{name: "top-level await", handler: "app.handler", want: "awaited true", program: "main.mjs", files: `
-- app.ts --
import { legacy } from './legacy.cjs'
const __dirname = 'declared by the user too'
const word = await Promise.resolve('awaited')
export const handler = () => new Response(word + ' ' + legacy)
-- legacy.cjs --
const fs = require('fs')
exports.legacy = typeof fs.readFileSync === 'function' && typeof __filename === 'string'
`},
		{name: "import.meta", handler: "app.handler", want: "file:", program: "main.mjs", files: `
-- app.ts --
export const handler = () => new Response(import.meta.url.slice(0, 5))
`},
		{name: "paths of tsconfig.json", handler: "src/app.handler", want: "mapped", program: "main.cjs", files: `
-- tsconfig.json --
{"compilerOptions": {"paths": {"@lib/*": ["./src/lib/*"]}}}
-- src/app.ts --
import { word } from '@lib/word'
export const handler = () => new Response(word)
-- src/lib/word.ts --
export const word = 'mapped'
`},
		{
			name: "an external module and what it depends on", handler: "app.handler", external: []string{"outer"}, want: "outer inner nested", program: "main.cjs",
			holds: []string{"node_modules/inner/index.js", "node_modules/outer/data.txt", "node_modules/outer/index.js", "node_modules/outer/node_modules/nested/index.js"}, files: `
-- app.ts --
import { words } from 'outer'
export const handler = () => new Response(words)
-- node_modules/outer/package.json --
{"name": "outer", "main": "index.js", "dependencies": {"inner": "1", "nested": "1"}}
-- node_modules/outer/index.js --
exports.words = ['outer', require('inner'), require('nested')].join(' ')
-- node_modules/outer/data.txt --
data
-- node_modules/inner/package.json --
{"name": "inner"}
-- node_modules/inner/index.js --
module.exports = 'inner'
-- node_modules/outer/node_modules/nested/package.json --
{"name": "nested"}
-- node_modules/outer/node_modules/nested/index.js --
module.exports = 'nested'
-- node_modules/unused/package.json --
{"name": "unused"}
`,
		},
		{name: "text files are strings", handler: "app.handler", want: "select 1;\ntype Query\n", program: "main.cjs", files: `
-- app.ts --
import sql from './one.sql'
import schema from './one.graphql'
export const handler = () => new Response(sql + schema)
-- one.sql --
select 1;
-- one.graphql --
type Query
`},
		{
			name: "a module known by the platforms it is compiled for stays outside", handler: "app.handler", want: "red", program: "main.cjs",
			holds: []string{"node_modules/@img/pixel-linux-x64/pixel.node", "node_modules/pixel/index.js"}, files: `
-- app.ts --
import pixel from 'pixel'
export const handler = () => new Response(pixel())
-- node_modules/pixel/package.json --
{"name": "pixel", "optionalDependencies": {"@img/pixel-linux-x64": "1.0.0", "@img/pixel-darwin-arm64": "1.0.0"}}
-- node_modules/pixel/index.js --
const fs = require('fs')
module.exports = () => fs.readFileSync(require.resolve('@img/pixel-linux-x64/pixel.node'), 'utf8').trim()
-- node_modules/@img/pixel-linux-x64/package.json --
{"name": "@img/pixel-linux-x64"}
-- node_modules/@img/pixel-linux-x64/pixel.node --
red
`,
		},
		{
			name: "a module known only by the addon it loads stays outside", handler: "app.handler", want: "ERR_DLOPEN_FAILED", program: "main.cjs",
			holds: []string{"node_modules/secret/lib/index.js", "node_modules/secret/lib/secret.node", "node_modules/secret/package.json"}, files: `
-- app.ts --
import secret from 'secret'
export const handler = () => new Response(secret())
-- node_modules/secret/package.json --
{"name": "secret", "main": "lib/index.js"}
-- node_modules/secret/lib/index.js --
module.exports = () => {
  try { return require('./secret.node') } catch (error) { return error.code }
}
-- node_modules/secret/lib/secret.node --
not a library
`,
		},
		{
			name: "a module with native code stays outside by itself", handler: "app.handler", want: "addon", program: "main.cjs",
			holds: []string{"node_modules/addon/binding.gyp", "node_modules/addon/build/Release/addon.node", "node_modules/addon/index.js"}, files: `
-- app.ts --
import addon from 'addon'
export const handler = () => new Response(addon())
-- node_modules/addon/package.json --
{"name": "addon", "main": "index.js"}
-- node_modules/addon/binding.gyp --
{}
-- node_modules/addon/index.js --
const fs = require('fs')
module.exports = () => fs.readFileSync(__dirname + '/build/Release/addon.node', 'utf8').trim()
-- node_modules/addon/build/Release/addon.node --
addon
`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := graph.Function{Name: "api", Runtime: runtimeOf(t, "node"), HTTPHandler: c.handler, Package: graph.Package{External: c.external}}
			r := mustBuild(t, service(project(t, c.files), f), t.TempDir())["api"]
			if got := r.Artifact.Command[2]; got != c.program {
				t.Errorf("the program is %s, want %s", got, c.program)
			}
			names := contents(t, r.Artifact.Path)
			for _, name := range c.holds {
				if !slices.Contains(names, name) {
					t.Errorf("the package has no %s: %q", name, names)
				}
			}
			if slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "unused") }) {
				t.Errorf("the package holds what nothing needs: %q", names)
			}
			if got := start(t, r.Artifact).call("GET", "/", ""); got.body != c.want {
				t.Errorf("answer is %d %q, want %q", got.status, got.body, c.want)
			}
		})
	}
}

func TestNodeStackTracesNameTheSource(t *testing.T) {
	files := `
-- src/api.ts --
interface Unused {
  a: string
}

export function handler(request: Request): Response {
  throw new Error('here')
}
`
	g := service(project(t, files), graph.Function{Name: "api", Runtime: runtimeOf(t, "node"), HTTPHandler: "src/api.handler"})
	w := start(t, mustBuild(t, g, t.TempDir())["api"].Artifact)
	w.call("GET", "/", "")
	w.logs("src/api.ts:6:9")
}

func TestNodeHandlersThatCannotServeEndTheWorker(t *testing.T) {
	for _, c := range []struct{ name, files, http, event, want string }{
		{"a handler that is a number", "-- a.ts --\nexport const handler = 7\n", "a.handler", "", "the http handler a.handler must be a function or an object with fetch, not number"},
		{"a CommonJS module without the export", "-- a.js --\nexports.other = () => {}\n", "a.handler", "", "the http handler a.handler must be a function or an object with fetch, not undefined"},
		{"an Express application", "-- a.js --\nconst app = (req, res, next) => {}\napp.handle = app.listen = () => {}\nmodule.exports = app\n", "a.default", "", "the http handler a.default takes Node's (req, res), as Express does"},
		{"one function for both kinds", "-- a.ts --\nexport const handler = () => {}\n", "a.handler", "a.handler", "a.handler has http and event triggers: export an object with fetch and event"},
		{"a module that throws", "-- a.ts --\nif (process.env.ANYFAAS_FUNCTION) throw new Error('no database')\nexport const handler = () => {}\n", "a.handler", "", "Error: no database"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := service(project(t, c.files), graph.Function{Name: "api", Runtime: runtimeOf(t, "node"), HTTPHandler: c.http, EventHandler: c.event})
			w := launch(t, mustBuild(t, g, t.TempDir())["api"].Artifact)
			if code := w.waitExit(); code == 0 {
				t.Errorf("the worker ended with 0")
			}
			w.logs(c.want)
		})
	}
}

func TestTypesAreDeclarations(t *testing.T) {
	types := string(bundle.TypeScriptTypes())
	for _, name := range []string{"Context", "HttpHandler", "EventHandler", "BatchHandler", "CloudEvent"} {
		if !strings.Contains(types, " "+name) {
			t.Errorf("no %s", name)
		}
	}
}
