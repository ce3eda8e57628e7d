package stacks

import (
	"fmt"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// Describe says what starts a function, in the manifest's own words:
// "GET /orders/{id}", "every 5m", "queue jobs (batch 10)".
func Describe(t graph.Trigger) string {
	var words string
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	switch {
	case t.HTTP != nil:
		method := t.HTTP.Method
		if method == "*" {
			method = "ANY"
		}
		words = method + " " + t.HTTP.Path
		if t.HTTP.Auth != "" {
			note("auth %s", t.HTTP.Auth)
		}
	case t.Schedule != nil && t.Schedule.Cron != "":
		words = "cron " + t.Schedule.Cron
		if t.Schedule.Timezone != "" {
			note("%s", t.Schedule.Timezone)
		}
	case t.Schedule != nil:
		words = "every " + duration(t.Schedule.Every)
	case t.Queue != nil:
		words = "queue " + t.Queue.Name
		if t.Queue.Batch > 1 {
			note("batch %d", t.Queue.Batch)
		}
	case t.Topic != nil:
		words = "topic " + t.Topic.Name
		if len(t.Topic.Filter) > 0 {
			note("filtered")
		}
	case t.Storage != nil:
		words = "storage " + t.Storage.Bucket
		note("%s", strings.Join(t.Storage.Events, ", "))
		if t.Storage.Prefix != "" || t.Storage.Suffix != "" {
			note("%s*%s", t.Storage.Prefix, t.Storage.Suffix)
		}
	case t.Stream != nil:
		words = "stream " + t.Stream.Name
		note("from %s", t.Stream.From)
	case t.Table != nil:
		words = "table " + t.Table.Name
	case t.Event != nil:
		words = strings.TrimSpace("event " + t.Event.Type)
		if t.Event.Source != "" {
			note("from %s", t.Event.Source)
		}
	default:
		panic("stacks: a trigger without a kind")
	}
	if len(notes) == 0 {
		return words
	}
	return words + " (" + strings.Join(notes, "; ") + ")"
}

// duration drops the zero units that time.Duration prints: "5m", not "5m0s".
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// triggerKinds are the kinds that graph.Trigger.Kind returns.
var triggerKinds = []string{"http", "schedule", "queue", "topic", "storage", "stream", "table", "event"}

// Part names a resource of a function in the manifest's words, as far as its
// logical name "<function>.<kind>.<what>" tells: "GET /orders", "queue jobs".
// The kind is "" for a name of another form.
func Part(function, name string) (words, kind string) {
	rest, ok := strings.CutPrefix(name, function+".")
	if !ok {
		return name, ""
	}
	kind, what, _ := strings.Cut(rest, ".")
	if i := strings.IndexByte(what, '/'); kind == "http" && i > 0 {
		method := what[:i]
		if method == "*" {
			method = "ANY"
		}
		return method + " " + what[i:], kind
	}
	return strings.TrimSpace(kind + " " + what), kind
}

// stackType is the resource that stands for the stack itself.
const stackType = "pulumi:pulumi:Stack"

// Label names a resource as the manifest does: "api", "queue jobs",
// "api GET /orders".
func Label(r event.Resource) string {
	switch {
	case r.Type == stackType:
		return "stack"
	case r.Function != "" && r.Name == r.Function:
		return r.Function
	case r.Function != "":
		return r.Function + " " + PartOf(r)
	}
	kind := kindOf(r.Type)
	if kind == r.Name || r.Name == "" {
		return kind
	}
	return kind + " " + r.Name
}

// PartOf names a resource inside its function: "GET /orders", "queue jobs".
func PartOf(r event.Resource) string {
	words, kind := Part(r.Function, r.Name)
	if kind == "" {
		return kindOf(r.Type)
	}
	return words
}

// kindOf is the last part of a type token in small words:
// "anyfaas-local:index:QueueConsumer" is "queue consumer".
func kindOf(typ string) string {
	typ = typ[strings.LastIndexAny(typ, ":/")+1:]
	var b strings.Builder
	for i, r := range typ {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}
