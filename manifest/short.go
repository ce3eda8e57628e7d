package manifest

import (
	"strings"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// expandTo makes the mapping {key: text} of a short form.
func expandTo(name string) func(*node) *node {
	return func(n *node) *node {
		value := *n
		return &node{
			kind: mapKind, pos: n.pos, width: n.width, origin: n.origin,
			fields: []field{{key: name, pos: n.pos, value: &value}},
		}
	}
}

// expandRoute makes {method: GET, path: /orders} of "GET /orders".
func expandRoute(n *node) *node {
	method, path, _ := strings.Cut(n.text, " ")
	m, p := *n, *n
	m.text, p.text = method, path
	if n.width > 0 {
		quote := (n.width - len([]rune(n.text))) / 2
		m.pos.Column += quote
		m.width = len(method)
		p.pos.Column += quote + len(method) + 1
		p.width = len([]rune(path))
	}
	return &node{kind: mapKind, pos: n.pos, width: n.width, origin: n.origin, fields: []field{
		{key: "method", pos: m.pos, value: &m},
		{key: "path", pos: p.pos, value: &p},
	}}
}

// guessRoute makes a route of ANY /x, get /x and /x.
func guessRoute(s string) string {
	method, path, ok := strings.Cut(s, " ")
	if !ok {
		method, path = "GET", s
	}
	method = strings.ToUpper(method)
	if method == "ANY" || method == "ALL" {
		method = "*"
	}
	if path = strings.TrimSpace(path); !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if route := method + " " + path; routePattern.matches(route) {
		return route
	}
	return ""
}

// languageRuntimes are suggested for a language without a version.
var languageRuntimes = map[string]string{
	"node": "node22", "nodejs": "node22", "javascript": "node22", "typescript": "node22",
	"python": "python3.12", "python3": "python3.12", "py": "python3.12",
	"java": "java21", "dotnet": "dotnet8", "ruby": "ruby3.4", "golang": "go",
}

// guessRuntime makes node22 of nodejs22.x and of node.
func guessRuntime(s string) string {
	s = strings.ToLower(strings.TrimSuffix(s, ".x"))
	if r := languageRuntimes[s]; r != "" {
		return r
	}
	for _, r := range [][2]string{{"nodejs", "node"}, {"golang", "go"}, {"provided.al2023", "custom"}, {"go1", "go"}, {"py3", "python3"}} {
		if rest, ok := strings.CutPrefix(s, r[0]); ok {
			s = r[1] + rest
		}
	}
	return diag.Nearest(s, Runtimes)
}

// guessArchitecture knows the other names of the two.
func guessArchitecture(s string) string {
	switch strings.ToLower(s) {
	case "amd64", "x64", "x86-64", "x86", "intel", "amd":
		return "x86_64"
	case "aarch64", "arm", "armv8", "graviton":
		return "arm64"
	}
	return ""
}
