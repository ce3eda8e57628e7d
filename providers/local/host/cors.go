package host

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// cors are the cross-origin rules of a front, for the routes that ask for them.
type cors struct {
	any         bool // every origin
	origins     []*regexp.Regexp
	methods     []string // empty: those that the path has; "*": what is asked for
	headers     []string // "*": what is asked for
	exposed     string
	credentials bool
	maxAge      string
}

// newCORS reads the rules; nil gives nil.
func newCORS(spec *api.CORS) (*cors, error) {
	if spec == nil {
		return nil, nil
	}
	c := &cors{
		methods:     spec.Methods,
		headers:     spec.Headers,
		exposed:     strings.Join(spec.Expose, ", "),
		credentials: spec.Credentials,
	}
	if spec.MaxAge > 0 {
		c.maxAge = strconv.Itoa(int(time.Duration(spec.MaxAge) / time.Second))
	}
	for _, origin := range spec.Origins {
		if origin == "*" {
			c.any = true
			continue
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSuffix(origin, "/")), `\*`, `[A-Za-z0-9._-]+`)
		c.origins = append(c.origins, regexp.MustCompile(`(?i)^`+pattern+`$`))
	}
	if c.any && c.credentials {
		return nil, invalid("cors: credentials need named origins, not *")
	}
	return c, nil
}

func (c *cors) allows(origin string) bool {
	return c.any || slices.ContainsFunc(c.origins, func(p *regexp.Regexp) bool { return p.MatchString(origin) })
}

// preflight answers the question of a browser whether it may send a request. It
// reports false when the request is no such question or the route asked about
// has no rules.
func (c *cors) preflight(rw http.ResponseWriter, r *http.Request, router *router, path string, m match) bool {
	asked := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || asked == "" || r.Header["Origin"] == nil {
		return false
	}
	if m.route != nil && m.route.Method == http.MethodOptions && !m.route.CORS {
		return false // the function answers such questions itself
	}
	target := router.find(asked, path)
	if target.route == nil || !target.route.CORS {
		// Any other method of the path tells whether the path has rules: the
		// browser then learns what it may ask for instead.
		if target.route != nil || !c.anyRoute(router, path, target.allow) {
			return false
		}
	}
	h := rw.Header()
	h["Vary"] = []string{"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
	if origin := r.Header.Get("Origin"); c.allows(origin) {
		c.grant(h, origin)
		if allowed := c.allowedMethods(router, path, asked); allowed != "" {
			h["Access-Control-Allow-Methods"] = []string{allowed}
		}
		if allowed := c.allowedHeaders(r.Header.Get("Access-Control-Request-Headers")); allowed != "" {
			h["Access-Control-Allow-Headers"] = []string{allowed}
		}
		if c.maxAge != "" {
			h["Access-Control-Max-Age"] = []string{c.maxAge}
		}
	}
	rw.WriteHeader(http.StatusNoContent)
	return true
}

// anyRoute reports whether one of the methods leads to a route with rules.
func (c *cors) anyRoute(router *router, path string, methods []string) bool {
	return slices.ContainsFunc(methods, func(method string) bool {
		m := router.find(method, path)
		return m.route != nil && m.route.CORS
	})
}

// methodsOf returns the methods that a path has.
func methodsOf(router *router, path string) []string {
	var list []string
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		if m := router.find(method, path); m.route != nil && m.route.CORS {
			list = append(list, method)
		}
	}
	return list
}

func (c *cors) allowedMethods(router *router, path, asked string) string {
	switch {
	case slices.Contains(c.methods, "*"):
		return asked
	case len(c.methods) > 0:
		return strings.Join(c.methods, ", ")
	}
	return strings.Join(methodsOf(router, path), ", ")
}

func (c *cors) allowedHeaders(asked string) string {
	if slices.Contains(c.headers, "*") {
		return asked
	}
	return strings.Join(c.headers, ", ")
}

// expose adds the fields that let a page read the answer.
func (c *cors) expose(rw http.ResponseWriter, r *http.Request, router *router, path string, m match) {
	if m.route != nil && !m.route.CORS || m.route == nil && !c.anyRoute(router, path, m.allow) {
		return
	}
	h := rw.Header()
	if !c.any {
		h["Vary"] = []string{"Origin"}
	}
	origin := r.Header.Get("Origin")
	if origin == "" || !c.allows(origin) {
		return
	}
	c.grant(h, origin)
	if c.exposed != "" {
		h["Access-Control-Expose-Headers"] = []string{c.exposed}
	}
}

func (c *cors) grant(h http.Header, origin string) {
	if c.any {
		origin = "*"
	}
	h["Access-Control-Allow-Origin"] = []string{origin}
	if c.credentials {
		h["Access-Control-Allow-Credentials"] = []string{"true"}
	}
}
