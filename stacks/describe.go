package stacks

import (
	"fmt"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/manifest/graph"
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
