package host

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// A route is a way from a method and a path to a function.
type route struct {
	api.RouteSpec
	name     string // of the resource
	function *function
	params   []string // names, in the order of the path
}

// A router finds the route of a request. Of two routes the one is taken that is
// more specific at the first segment where they differ: a literal before a
// parameter before a greedy parameter; then the one that names the method. The
// zero router has no routes. It is not changed once requests use it.
type router struct{ root node }

// A node is a place in the tree of path segments.
type node struct {
	literal map[string]*node
	param   *node
	routes  map[string]*route // by method, of paths that end here
	greedy  map[string]*route // by method, of paths that end in a greedy parameter here
}

// add enters a route; of two with the same method and path the later counts.
func (r *router) add(rt *route) error {
	segments, err := parsePattern(rt.Path)
	if err != nil {
		return err
	}
	n := &r.root
	for _, s := range segments {
		switch s.kind {
		case literal:
			if n.literal == nil {
				n.literal = map[string]*node{}
			}
			if n.literal[s.text] == nil {
				n.literal[s.text] = &node{}
			}
			n = n.literal[s.text]
		case parameter:
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
			rt.params = append(rt.params, s.text)
		case greedy:
			if n.greedy == nil {
				n.greedy = map[string]*route{}
			}
			n.greedy[rt.Method] = rt
			rt.params = append(rt.params, s.text)
			return nil
		}
	}
	if n.routes == nil {
		n.routes = map[string]*route{}
	}
	n.routes[rt.Method] = rt
	return nil
}

type segmentKind int

const (
	_ segmentKind = iota
	literal
	parameter
	greedy
)

type segment struct {
	kind segmentKind
	text string // literal text, or the parameter's name
}

// parsePattern reads "/orders/{id}/files/{path+}".
func parsePattern(pattern string) ([]segment, error) {
	rest, ok := strings.CutPrefix(pattern, "/")
	if !ok {
		return nil, fmt.Errorf("path %q must start with /", pattern)
	}
	if rest == "" {
		return nil, nil
	}
	parts := strings.Split(rest, "/")
	segments := make([]segment, len(parts))
	seen := map[string]bool{}
	for i, part := range parts {
		name, open := strings.CutPrefix(part, "{")
		name, closed := strings.CutSuffix(name, "}")
		switch {
		case !open && !closed && !strings.ContainsAny(part, "{}"):
			segments[i] = segment{literal, part}
			continue
		case !open || !closed:
			return nil, fmt.Errorf("path %q: a parameter must be a whole segment, not %q", pattern, part)
		}
		kind := parameter
		if name, open = strings.CutSuffix(name, "+"); open {
			kind = greedy
			if i != len(parts)-1 {
				return nil, fmt.Errorf("path %q: {%s+} must be the last segment", pattern, name)
			}
		}
		if name == "" || strings.ContainsAny(name, "{}+") || seen[name] {
			return nil, fmt.Errorf("path %q: %q is not a parameter or is there twice", pattern, part)
		}
		seen[name] = true
		segments[i] = segment{kind, name}
	}
	return segments, nil
}

// A match is the outcome of a search: a route with the values of its
// parameters, or the methods that the path would have, sorted.
type match struct {
	route  *route
	values []string
	allow  []string
}

// params returns the parameters by name, nil when there are none.
func (m match) params() map[string]string {
	if len(m.values) == 0 {
		return nil
	}
	p := make(map[string]string, len(m.values))
	for i, v := range m.values {
		p[m.route.params[i]] = v
	}
	return p
}

// find searches the route for a method and a path as it was sent, that is with
// its percent-encoding. A HEAD request that no route names goes where GET goes.
func (r *router) find(method, rawPath string) match {
	var m match
	s := search{method: method, match: &m}
	if s.walk(&r.root, strings.TrimPrefix(rawPath, "/"), rawPath == "/" || rawPath == "") {
		m.allow = nil
		return m
	}
	slices.Sort(m.allow)
	m.allow = slices.Compact(m.allow)
	return m
}

type search struct {
	method string
	*match
}

// walk tries n with the rest of a path; end says that the path has ended.
func (s *search) walk(n *node, rest string, end bool) bool {
	if end {
		return s.take(n.routes)
	}
	part, after, more := strings.Cut(rest, "/")
	text := decode(part)
	if child := n.literal[text]; child != nil && s.walk(child, after, !more) {
		return true
	}
	if n.param != nil && text != "" {
		s.values = append(s.values, text)
		if s.walk(n.param, after, !more) {
			return true
		}
		s.values = s.values[:len(s.values)-1]
	}
	if n.greedy != nil && rest != "" {
		s.values = append(s.values, decode(rest))
		if s.take(n.greedy) {
			return true
		}
		s.values = s.values[:len(s.values)-1]
	}
	return false
}

func (s *search) take(routes map[string]*route) bool {
	rt := routes[s.method]
	if rt == nil {
		rt = routes["*"]
	}
	if rt == nil && s.method == "HEAD" {
		rt = routes["GET"]
	}
	if rt != nil {
		s.route = rt
		return true
	}
	for method := range routes {
		s.allow = append(s.allow, method)
		if method == "GET" {
			s.allow = append(s.allow, "HEAD")
		}
	}
	return false
}

func decode(part string) string {
	if strings.IndexByte(part, '%') < 0 {
		return part
	}
	if text, err := url.PathUnescape(part); err == nil {
		return text
	}
	return part
}
