package providers

import (
	"strings"

	"github.com/anyfaas/anyfaas/manifest/graph"
)

// ConnectionVariable names the environment variable that tells a function about
// a resource it uses: ConnectionVariable(graph.QueueKind, "jobs", "url") is
// "QUEUE_JOBS_URL". Every provider sets the attributes "url" and "name", and for
// buckets "endpoint".
func ConnectionVariable(kind graph.ResourceKind, name, attribute string) string {
	v := string(kind) + "_" + name + "_" + attribute
	return strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(v))
}

// BasePath returns the path below the service's URL where a function answers:
// what all its routes begin with, whole segments without parameters. It is ""
// for the front itself and also for a function without routes.
//
// "GET /orders" and "GET /orders/{id}" give "/orders".
func BasePath(f *graph.Function) string {
	var base []string
	first := true
	for _, t := range f.Triggers {
		if t.HTTP == nil {
			continue
		}
		path := literal(t.HTTP.Path)
		if first {
			base, first = path, false
			continue
		}
		n := 0
		for n < min(len(base), len(path)) && base[n] == path[n] {
			n++
		}
		base = base[:n]
	}
	if len(base) == 0 {
		return ""
	}
	return "/" + strings.Join(base, "/")
}

// literal returns the segments of a route's path up to its first parameter.
func literal(path string) []string {
	var segments []string
	for s := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if s == "" || strings.Contains(s, "{") {
			break
		}
		segments = append(segments, s)
	}
	return segments
}

// HasRoutes reports whether a function answers HTTP requests.
func HasRoutes(f *graph.Function) bool {
	for _, t := range f.Triggers {
		if t.HTTP != nil {
			return true
		}
	}
	return false
}
