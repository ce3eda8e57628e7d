package local

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
)

// Check reports what cannot run on this machine, beyond the table of features.
func (Provider) Check(g *graph.Graph) diag.List {
	var l diag.List
	checkPort(g, &l)
	checkTokens(g, &l)
	checkExternal(g, &l)
	return l
}

// port returns the port the manifest asks for; 0 when it leaves the choice to
// the host, or when what it says is no port (Check reports that).
func port(g *graph.Graph) int {
	n, err := strconv.Atoi(g.Settings["port"])
	if err != nil || n < 0 || n > 65535 {
		return 0
	}
	return n
}

func checkPort(g *graph.Graph, l *diag.List) {
	s, ok := g.Settings["port"]
	if n, err := strconv.Atoi(s); ok && (err != nil || n != 0 && n < 1024 || n > 65535) {
		l.Errorf(g.Position.At("providers.local.port"), "local-port", "port must be 0 or a number from 1024 to 65535, not %q", s)
	}
}

// checkTokens wants places of keys that a process on this machine can reach: a
// URL, over plain HTTP only on this machine, or a file.
func checkTokens(g *graph.Graph, l *diag.List) {
	if g.HTTP.JWT == nil {
		return
	}
	for _, s := range []struct{ key, text string }{{"issuer", g.HTTP.JWT.Issuer}, {"jwks", g.HTTP.JWT.JWKS}} {
		pos := g.HTTP.Position.At("auth.jwt." + s.key)
		switch {
		case strings.HasPrefix(s.text, "http://") && !loopback(s.text):
			l.Errorf(pos, "local-jwt", "%s %q is neither encrypted nor on this machine", s.key, s.text).Hint = "use https, or http://127.0.0.1 for a server of your own"
		case strings.Contains(s.text, "://") && !isURL(s.text):
			l.Errorf(pos, "local-jwt", "%s must be an https URL or a file with a key set, not %q", s.key, s.text)
		}
	}
}

// checkExternal wants a URL as the identity of what exists already, since that
// is what functions are told, and refuses triggers on it: the host can only
// follow what it keeps itself.
func checkExternal(g *graph.Graph, l *diag.List) {
	external := map[storeKey]bool{}
	note := func(k graph.ResourceKind, name, id string, p graph.Positions) {
		if id == "" {
			return
		}
		external[storeKey{k, name}] = true
		if !isURL(id) {
			l.Errorf(p.At(""), "local-external", "external %s %q must be given by its URL on provider local, not %q", k, name, id)
		}
	}
	for _, q := range g.Queues {
		note(graph.QueueKind, q.Name, q.External, q.Position)
	}
	for _, t := range g.Topics {
		note(graph.TopicKind, t.Name, t.External, t.Position)
	}
	for _, b := range g.Buckets {
		note(graph.BucketKind, b.Name, b.External, b.Position)
	}
	for _, t := range g.Tables {
		note(graph.TableKind, t.Name, t.External, t.Position)
	}
	for _, s := range g.Streams {
		note(graph.StreamKind, s.Name, s.External, s.Position)
	}
	for _, f := range g.Functions {
		for _, t := range f.Triggers {
			if k := followed(t); external[k] {
				l.Errorf(t.Pos, "local-external", "provider local cannot start function %q from %s %q, which is external", f.Name, k.kind, k.name)
			}
		}
	}
}

// followed returns the store whose events a trigger follows; the zero key for
// triggers without one.
func followed(t graph.Trigger) storeKey {
	switch t.Kind() {
	case "queue":
		return storeKey{graph.QueueKind, t.Queue.Name}
	case "topic":
		return storeKey{graph.TopicKind, t.Topic.Name}
	case "storage":
		return storeKey{graph.BucketKind, t.Storage.Bucket}
	case "stream":
		return storeKey{graph.StreamKind, t.Stream.Name}
	case "table":
		return storeKey{graph.TableKind, t.Table.Name}
	}
	return storeKey{}
}

// loopback reports whether a URL points to this machine.
func loopback(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
