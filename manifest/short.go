package manifest

import "strings"

// expandTo makes the mapping {key: text} of a short form.
func expandTo(name string) func(*node) *node {
	return func(n *node) *node {
		value := *n
		return &node{kind: mapKind, pos: n.pos, width: n.width, origin: n.origin,
			fields: []field{{key: name, pos: n.pos, value: &value}}}
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
