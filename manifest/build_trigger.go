package manifest

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones are checked, and schedules run, on machines without their own list

	"github.com/anyfaas/anyfaas/manifest/graph"
)

func (b *builder) triggers(fn *graph.Function, n *node) {
	list := n.get("triggers")
	if list == nil {
		return
	}
	for i, item := range list.list {
		f := &item.fields[0]
		t := graph.Trigger{Index: i, Pos: f.pos}
		v := f.value
		switch f.key {
		case "http":
			t.HTTP = b.httpTrigger(v)
		case "schedule":
			t.Schedule = b.scheduleTrigger(v)
		case "queue":
			t.Queue = &graph.QueueTrigger{Name: str(v, "name"), Batch: number(v, 10, "batch"), Window: b.duration(v, 0, 5*time.Minute, 0, "window"), Concurrency: number(v, 0, "concurrency")}
			b.lookupField(graph.QueueKind, v.field("name"))
			if fn.DeadLetter != "" && fn.DeadLetter == t.Queue.Name {
				b.errorf(n.field("deadLetter"), "dead-letter-cycle", "function %q consumes its own dead letter queue %q", fn.Name, fn.DeadLetter).Hint = "name another queue"
			}
		case "topic":
			t.Topic = &graph.TopicTrigger{Name: str(v, "name"), Filter: filter(v.get("filter"))}
			b.lookupField(graph.TopicKind, v.field("name"))
		case "storage":
			events := merged(texts(v.get("events")), nil)
			if events == nil {
				events = []string{"created"}
			}
			t.Storage = &graph.StorageTrigger{Bucket: str(v, "bucket"), Events: events, Prefix: str(v, "prefix"), Suffix: str(v, "suffix")}
			b.lookupField(graph.BucketKind, v.field("bucket"))
		case "stream":
			t.Stream = &graph.StreamTrigger{Name: str(v, "name"), Batch: number(v, 100, "batch"), From: or(str(v, "from"), "latest")}
			b.lookupField(graph.StreamKind, v.field("name"))
		case "table":
			t.Table = &graph.TableTrigger{Name: str(v, "name"), Batch: number(v, 100, "batch")}
			b.lookupField(graph.TableKind, v.field("name"))
		case "event":
			t.Event = &graph.EventTrigger{Source: str(v, "source"), Type: str(v, "type")}
		default:
			panic("manifest: unknown trigger " + f.key)
		}
		fn.Triggers = append(fn.Triggers, t)
	}
}

func or(s, standard string) string {
	if s == "" {
		return standard
	}
	return s
}

func filter(n *node) map[string][]string {
	if n == nil || len(n.fields) == 0 {
		return nil
	}
	out := map[string][]string{}
	for _, f := range n.fields {
		out[f.key] = texts(f.value)
	}
	return out
}

func (b *builder) httpTrigger(n *node) *graph.HTTPTrigger {
	t := &graph.HTTPTrigger{Method: or(str(n, "method"), "*"), Path: str(n, "path"), CORS: truth(n, "cors"), Auth: str(n, "auth")}
	b.checkPath(n.field("path"))
	if t.Auth == "jwt" && b.g.HTTP.JWT == nil {
		b.errorf(n.field("auth"), "no-jwt", "auth: jwt needs http.auth.jwt, which is not set").Hint = "set http: { auth: { jwt: { issuer: https://… } } }"
	}
	if t.CORS && b.g.HTTP.CORS == nil {
		b.g.HTTP.CORS = &graph.CORS{Origins: []string{"*"}, Methods: []string{"*"}, Headers: []string{"*"}}
	}
	return t
}

var parameter = regexp.MustCompile(`^\{([A-Za-z_][A-Za-z0-9_]*)(\+?)\}$`)

// checkPath reports what is wrong with a path template.
func (b *builder) checkPath(f *field) {
	p := f.value.text
	fail := func(hint, format string, args ...any) {
		b.errorf(f, "invalid-path", "path cannot be %s: "+format, append([]any{f.value.describe()}, args...)...).Hint = hint
	}
	if i := strings.IndexAny(p, "?#"); i >= 0 {
		fail("routes go by the path alone", "it has a %q", string(p[i]))
		return
	}
	if p == "/" {
		return
	}
	seen := map[string]bool{}
	segments := strings.Split(p[1:], "/")
	for i, s := range segments {
		m := parameter.FindStringSubmatch(s)
		switch {
		case s == "" && i == len(segments)-1:
			fail("remove the / at the end", "it ends with /")
			return
		case s == "":
			fail("remove one /", "it has an empty segment")
			return
		case s == "." || s == "..":
			fail("browsers take it out before they ask", "it has the segment %q", s)
			return
		case m == nil && strings.HasPrefix(s, ":"):
			fail("write it {"+s[1:]+"}", "parameters stand in braces")
			return
		case m == nil && strings.ContainsAny(s, "{}"):
			fail("a parameter is a whole segment: {id}, or {path+} at the end", "%q is not a parameter", clip(s, 40))
			return
		case m == nil && strings.Contains(s, "*"):
			fail("take the rest of a path with {path+}", "it has a *")
			return
		case m == nil:
			if bad := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune(pathCharacters, r) }); bad >= 0 {
				fail("write other characters percent-encoded", "it has a character that cannot stand in a path")
				return
			}
			continue
		case m[2] == "+" && i < len(segments)-1:
			fail("only the last segment can take the rest", "%q is not at the end", s)
			return
		case seen[m[1]]:
			fail("give each its own name", "it has {%s} twice", m[1])
			return
		}
		seen[m[1]] = true
	}
}

// pathCharacters may stand in a path segment (RFC 3986), percent signs included.
const pathCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()+,;=:@%"

func (b *builder) scheduleTrigger(n *node) *graph.ScheduleTrigger {
	t := &graph.ScheduleTrigger{Cron: str(n, "cron"), Timezone: str(n, "timezone"), Every: b.duration(n, time.Second, year, 0, "every")}
	if f := n.field("cron"); f != nil {
		b.checkCron(f)
	}
	if f := n.field("timezone"); f != nil {
		b.checkTimezone(f)
		if t.Cron == "" {
			b.warnf(f, "unused-timezone", "timezone has no effect on every").Hint = "remove it, or use cron"
		}
	}
	if v := n.get("input"); v != nil {
		t.Input = plain(v)
	}
	return t
}

func (b *builder) checkTimezone(f *field) {
	name := f.value.text
	known, asked := b.zones[name]
	if !asked {
		_, err := time.LoadLocation(name)
		known = err == nil && name != "" && name != "Local"
		b.zones[name] = known
	}
	if known {
		return
	}
	d := b.errorf(f, "invalid-timezone", "there is no time zone %s", f.value.describe())
	d.Hint = "use an IANA name such as Europe/Paris or UTC"
	parts := strings.Split(name, "/")
	for i, p := range parts {
		words := strings.Split(strings.ReplaceAll(p, " ", "_"), "_")
		for j, w := range words {
			if w != "" {
				words[j] = strings.ToUpper(w[:1]) + strings.ToLower(w[1:])
			}
		}
		parts[i] = strings.Join(words, "_")
	}
	if guess := strings.Join(parts, "/"); guess != name && guess != "Local" && guess != "" {
		if _, err := time.LoadLocation(guess); err == nil {
			d.Hint = "did you mean \"" + guess + "\"?"
		}
	}
}

func (b *builder) http() {
	f := b.root.field("http")
	if f == nil {
		b.g.HTTP.Position = graph.Positions{"": b.root.pos}
		return
	}
	n := f.value
	b.g.HTTP.Position = positions(f)
	b.g.HTTP.Domain = str(n, "domain")
	if d := n.field("domain"); d != nil && !domainText.MatchString(d.value.text) {
		b.errorf(d, "invalid-domain", "domain cannot be %s", d.value.describe()).Hint = "write a host name such as api.shop.example, without https:// and path"
	}
	if c := n.get("cors"); c != nil {
		b.g.HTTP.CORS = b.cors(c)
	}
	if j := n.get("auth", "jwt"); j != nil {
		b.g.HTTP.JWT = b.jwt(n.get("auth").field("jwt"))
	}
}

var domainText = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$`)

func (b *builder) cors(n *node) *graph.CORS {
	c := &graph.CORS{
		Origins:     texts(n.get("origins")),
		Methods:     texts(n.get("methods")),
		Headers:     texts(n.get("headers")),
		Expose:      texts(n.get("expose")),
		Credentials: truth(n, "credentials"),
		MaxAge:      b.duration(n, 0, 24*time.Hour, 0, "maxAge"),
	}
	for _, list := range []*[]string{&c.Origins, &c.Methods, &c.Headers} {
		if len(*list) == 0 {
			*list = []string{"*"}
		}
	}
	if c.Credentials && slices.Contains(c.Origins, "*") {
		b.errorf(n.field("credentials"), "cors-credentials", "credentials cannot go to every origin").Hint = "list the origins by name"
	}
	if o := n.get("origins"); o != nil {
		for _, item := range o.list {
			u, err := url.Parse(item.text)
			if item.text == "*" || err == nil && u.Scheme != "" && u.Host != "" && u.Path == "" && u.RawQuery == "" && u.Fragment == "" && u.User == nil {
				continue
			}
			d := b.l.Errorf(item.pos, "invalid-url", "an origin cannot be %s", item.describe())
			d.Width, d.Origin, d.Hint = item.width, item.origin, "write scheme and host, without a / at the end: https://shop.example"
		}
	}
	return c
}

func (b *builder) jwt(f *field) *graph.JWT {
	n := f.value
	j := &graph.JWT{Issuer: str(n, "issuer"), JWKS: str(n, "jwks"), Audience: texts(n.get("audience"))}
	if j.Issuer == "" {
		b.errorf(f, "missing-key", "jwt has no issuer").Hint = "set issuer to the URL that tokens carry as iss"
		return j
	}
	if u, err := url.Parse(j.Issuer); err != nil || u.Scheme != "https" && b.g.Provider != "local" {
		b.errorf(n.field("issuer"), "invalid-url", "issuer cannot be %s", n.get("issuer").describe()).Hint = "it takes an https URL; provider local also takes http://127.0.0.1 and the file of a key set"
	}
	if f := n.field("jwks"); f != nil && b.g.Provider != "local" {
		b.checkURL(f, "jwks", "https")
	}
	return j
}

// checkRoutes reports routes that take the same requests.
func (b *builder) checkRoutes() {
	type route struct {
		function string
		trigger  *graph.Trigger
	}
	seen := map[string]route{}
	cors := false
	var all []route
	for i := range b.g.Functions {
		fn := &b.g.Functions[i]
		for j := range fn.Triggers {
			if t := &fn.Triggers[j]; t.HTTP != nil {
				all = append(all, route{fn.Name, t})
				cors = cors || t.HTTP.CORS
			}
		}
	}
	slices.SortStableFunc(all, func(a, c route) int { return a.trigger.Pos.Compare(c.trigger.Pos) })
	for _, r := range all {
		key := r.trigger.HTTP.Method + " " + canonicalPath(r.trigger.HTTP.Path)
		first, dup := seen[key]
		if !dup {
			seen[key] = r
			continue
		}
		d := b.l.Errorf(r.trigger.Pos, "duplicate-route", "route %s %s of function %q is already taken by %s of function %q at %s", r.trigger.HTTP.Method, r.trigger.HTTP.Path,
			r.function, first.trigger.HTTP.Path, first.function, at(first.trigger.Pos))
		d.Width, d.Hint = len("http"), "change the method or the path of one of them"
	}
	if f := b.root.get("http").field("cors"); f != nil && !cors {
		b.warnf(f, "unused-cors", "http.cors has no effect, since no http trigger has cors: true").Hint = "add cors: true to the triggers that browsers call"
	}
}

// canonicalPath takes the names out of a path: /a/{x} and /a/{y} are the same.
func canonicalPath(p string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		if m := parameter.FindStringSubmatch(s); m != nil {
			segments[i] = "{" + m[2] + "}"
		}
	}
	return strings.Join(segments, "/")
}
