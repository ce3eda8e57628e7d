package host

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

func routerOf(t interface{ Fatal(...any) }, routes ...string) *router {
	r := &router{}
	for _, text := range routes {
		method, path, _ := strings.Cut(text, " ")
		if err := r.add(&route{RouteSpec: api.RouteSpec{Method: method, Path: path}, name: text}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// found is the outcome of a search, written down.
type found struct {
	Route  string
	Params map[string]string
	Allow  []string
}

func searched(r *router, method, path string) found {
	m := r.find(method, path)
	f := found{Allow: m.allow}
	if m.route != nil {
		f.Route, f.Params = m.route.name, m.params()
	}
	return f
}

func TestRoutes(t *testing.T) {
	tests := []struct {
		name   string
		routes []string
		ask    string
		want   found
	}{
		{"the root is the path without segments", []string{"GET /"}, "GET /", found{Route: "GET /"}},
		{"a literal comes before a parameter", []string{"GET /orders/{id}", "GET /orders/new"}, "GET /orders/new", found{Route: "GET /orders/new"}},
		{"a parameter comes before a greedy one", []string{"GET /{path+}", "GET /{id}"}, "GET /a", found{Route: "GET /{id}", Params: map[string]string{"id": "a"}}},
		{"the first segment that differs decides", []string{"GET /{a}/list", "GET /orders/{b}"}, "GET /orders/list", found{Route: "GET /orders/{b}", Params: map[string]string{"b": "list"}}},
		{"a dead end goes back to the less specific way", []string{"GET /orders/new/form", "GET /{a}/{b}"}, "GET /orders/new", found{Route: "GET /{a}/{b}", Params: map[string]string{"a": "orders", "b": "new"}}},
		{"a greedy parameter takes the rest", []string{"GET /files/{path+}"}, "GET /files/a/b/c", found{Route: "GET /files/{path+}", Params: map[string]string{"path": "a/b/c"}}},
		{"a greedy parameter is not empty", []string{"GET /files/{path+}"}, "GET /files/", found{}},
		{"a parameter is not empty", []string{"GET /orders/{id}"}, "GET /orders/", found{}},
		{"a slash at the end makes another path", []string{"GET /orders"}, "GET /orders/", found{}},
		{"parameters are decoded", []string{"GET /{a}/{b}"}, "GET /x%2Fy/%C3%A9%20z", found{Route: "GET /{a}/{b}", Params: map[string]string{"a": "x/y", "b": "é z"}}},
		{"an encoded slash does not split", []string{"GET /a/b", "GET /{x}"}, "GET /a%2Fb", found{Route: "GET /{x}", Params: map[string]string{"x": "a/b"}}},
		{"a literal matches in encoded form", []string{"GET /caf\u00e9"}, "GET /caf%C3%A9", found{Route: "GET /café"}},
		{"a named method comes before any", []string{"* /a", "GET /a"}, "GET /a", found{Route: "GET /a"}},
		{"any method is any", []string{"* /a"}, "PURGE /a", found{Route: "* /a"}},
		{"a wrong method names the right ones", []string{"GET /a", "POST /a", "DELETE /{b}"}, "PUT /a", found{Allow: []string{"DELETE", "GET", "HEAD", "POST"}}},
		{"another route with the method is taken when the better path lacks it", []string{"GET /a", "POST /{x+}"}, "POST /a", found{Route: "POST /{x+}", Params: map[string]string{"x": "a"}}},
		{"HEAD goes where GET goes", []string{"GET /a"}, "HEAD /a", found{Route: "GET /a"}},
		{"HEAD goes to its own route first", []string{"GET /a", "HEAD /a"}, "HEAD /a", found{Route: "HEAD /a"}},
		{"OPTIONS needs a route", []string{"GET /a"}, "OPTIONS /a", found{Allow: []string{"GET", "HEAD"}}},
		{"of two equal routes the later counts", []string{"GET /{a}", "GET /{b}"}, "GET /x", found{Route: "GET /{b}", Params: map[string]string{"b": "x"}}},
		{"empty segments are segments", []string{"GET /a//b", "GET /a/b"}, "GET /a//b", found{Route: "GET /a//b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			method, path, _ := strings.Cut(tt.ask, " ")
			if diff := cmp.Diff(tt.want, searched(routerOf(t, tt.routes...), method, path)); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

func TestRoutePatternsThatAreRefused(t *testing.T) {
	tests := []struct{ pattern, want string }{
		{"orders", `path "orders" must start with /`},
		{"/a{b}", `path "/a{b}": a parameter must be a whole segment, not "a{b}"`},
		{"/{a+}/b", `path "/{a+}/b": {a+} must be the last segment`},
		{"/{}", `path "/{}": "{}" is not a parameter or is there twice`},
		{"/{a}/{a}", `path "/{a}/{a}": "{a}" is not a parameter or is there twice`},
	}
	for _, tt := range tests {
		_, err := parsePattern(tt.pattern)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.pattern, err, tt.want)
		}
	}
}

// naive finds the best of all routes by comparing them one with another.
func naive(routes []string, method, path string) (string, []string) {
	type candidate struct {
		name string
		rank []int
	}
	var best *candidate
	allow := map[string]bool{}
	for _, text := range routes {
		m, pattern, _ := strings.Cut(text, " ")
		rank, ok := matches(pattern, path)
		if !ok {
			continue
		}
		switch {
		case m == method:
			rank = append(rank, 0)
		case m == "*":
			rank = append(rank, 1)
		case m == "GET" && method == "HEAD":
			rank = append(rank, 2)
		default:
			allow[m] = true
			if m == "GET" {
				allow["HEAD"] = true
			}
			continue
		}
		if best == nil || slices.Compare(rank, best.rank) <= 0 {
			best = &candidate{text, rank}
		}
	}
	if best != nil {
		return best.name, nil
	}
	return "", slices.Sorted(maps.Keys(allow))
}

// matches ranks each segment: 0 literal, 1 parameter, 2 greedy.
func matches(pattern, path string) ([]int, bool) {
	if pattern == "/" || path == "/" {
		return nil, pattern == path
	}
	want, have := strings.Split(pattern[1:], "/"), strings.Split(path[1:], "/")
	var rank []int
	for i, w := range want {
		if strings.HasSuffix(w, "+}") {
			return append(rank, 2), i < len(have) && strings.Join(have[i:], "/") != ""
		}
		if i >= len(have) {
			return nil, false
		}
		text, _ := url.PathUnescape(have[i])
		switch {
		case strings.HasPrefix(w, "{") && text != "":
			rank = append(rank, 1)
		case w == text:
			rank = append(rank, 0)
		default:
			return nil, false
		}
	}
	return rank, len(want) == len(have)
}

func TestRouterAgreesWithComparingAllRoutes(t *testing.T) {
	part := rapid.SampledFrom([]string{"a", "b", "c", "{x}", "{y}"})
	routeText := rapid.Custom(func(t *rapid.T) string {
		method := rapid.SampledFrom([]string{"GET", "POST", "HEAD", "OPTIONS", "*"}).Draw(t, "method")
		parts := rapid.SliceOfN(part, 0, 3).Draw(t, "parts")
		used := 0
		for i, p := range parts {
			if strings.HasPrefix(p, "{") {
				parts[i] = "{p" + string(rune('0'+used)) + "}"
				used++
			}
		}
		if rapid.Bool().Draw(t, "greedy") {
			parts = append(parts, "{rest+}")
		}
		return method + " /" + strings.Join(parts, "/")
	})
	request := rapid.SampledFrom([]string{"a", "b", "c", "%61", "d", "a%2Fb", ""})
	rapid.Check(t, func(t *rapid.T) {
		routes := rapid.SliceOfN(routeText, 0, 8).Draw(t, "routes")
		r := routerOf(t, routes...)
		method := rapid.SampledFrom([]string{"GET", "POST", "HEAD", "OPTIONS", "PUT"}).Draw(t, "method")
		path := "/" + strings.Join(rapid.SliceOfN(request, 0, 4).Draw(t, "path"), "/")
		wantRoute, wantAllow := naive(routes, method, path)
		got := searched(r, method, path)
		if got.Route != wantRoute || !slices.Equal(got.Allow, wantAllow) {
			t.Fatalf("%s %s: got %q %v, want %q %v", method, path, got.Route, got.Allow, wantRoute, wantAllow)
		}
	})
}

func FuzzRouterTakesAnyPath(f *testing.F) {
	f.Add("/a/b", "/a/%zz")
	f.Add("/{a}/{b+}", "//")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		r := &router{}
		if r.add(&route{RouteSpec: api.RouteSpec{Method: "GET", Path: pattern}}) != nil {
			return
		}
		m := r.find("GET", path)
		if m.route != nil && len(m.values) != len(m.route.params) {
			t.Errorf("%d values for %d parameters", len(m.values), len(m.route.params))
		}
	})
}
