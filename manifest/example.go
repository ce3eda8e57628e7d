package manifest

import (
	"regexp"
	"strconv"
	"strings"
)

// The examples of language: each shows the right form of a value that was
// written in another, with the words of that value where they fit.

func exampleConcurrency(n *node) string {
	if i, ok := wholeNumber(n.text); ok && n.isScalar() && i > 0 {
		return "concurrency: { max: " + n.text + " }"
	}
	return "concurrency: { max: 10 }"
}

// rateText and cronText are schedules as AWS writes them.
var (
	rateText = regexp.MustCompile(`^rate\(([0-9]{1,9}) +(minute|hour|day)s?\)$`)
	cronText = regexp.MustCompile(`^cron\((.*)\)$`)
)

func exampleSchedule(n *node) string {
	const example = "schedule: { every: 5m }"
	if !n.isScalar() {
		return example
	}
	text := strings.TrimSpace(n.text)
	if m := rateText.FindStringSubmatch(text); m != nil {
		return "schedule: { every: " + m[1] + m[2][:1] + " }"
	}
	if durationText.MatchString(text) {
		return "schedule: { every: " + text + " }"
	}
	if m := cronText.FindStringSubmatch(text); m != nil {
		// Six fields, the last of them years; ? is their word for any day.
		fields := strings.Fields(strings.ReplaceAll(m[1], "?", "*"))
		if len(fields) == 6 && fields[5] == "*" {
			fields = fields[:5]
		}
		if len(fields) == 5 && strings.ContainsAny(fields[4], "0123456789") {
			return `schedule: { cron: "0 9 * * MON-FRI" }` // their week starts with 1 for Sunday
		}
		text = strings.Join(fields, " ")
	}
	if parseCron(text) == nil {
		return `schedule: { cron: "` + text + `" }`
	}
	return example
}

func exampleUses(n *node) string {
	if n.kind == mapKind {
		return "uses: [{ queue: jobs, access: send }]"
	}
	return "uses: [" + exampleUse(n) + "]"
}

func exampleUse(n *node) string {
	name := "jobs"
	if n.kind == textKind && namePattern.matches(n.text) {
		name = n.text
	}
	return "{ queue: " + name + ", access: send }"
}

// triggerExamples are triggers by their key.
var triggerExamples = map[string]string{
	"http": "http: GET /orders", "schedule": "schedule: { every: 5m }", "queue": "queue: jobs", "topic": "topic: news",
	"storage": "storage: uploads", "stream": "stream: clicks", "table": "table: orders", "event": "event: { type: order.placed }",
}

func exampleTriggers(n *node) string {
	if n.kind != mapKind || len(n.fields) == 0 {
		return "triggers: [" + exampleTrigger(n) + "]"
	}
	f := n.fields[0]
	one := triggerExamples[f.key]
	switch {
	case one == "":
		one = triggerExamples["http"]
	case f.key == "http":
		if f.value.kind == textKind && len(f.value.text) < 60 && routePattern.matches(f.value.text) {
			one = exampleRoute(f.value.text)
		}
	case f.key == "schedule":
		one = exampleSchedule(f.value)
	case f.key != "event" && f.value.kind == textKind && namePattern.matches(f.value.text):
		one = f.key + ": " + f.value.text
	}
	return "triggers: [{ " + one + " }]"
}

func exampleTrigger(n *node) string {
	one := triggerExamples["http"]
	if n.kind == textKind {
		if e := triggerExamples[n.text]; e != "" {
			one = e
		} else if len(n.text) < 60 && routePattern.matches(n.text) {
			one = exampleRoute(n.text)
		}
	}
	return "{ " + one + " }"
}

// exampleRoute writes a route for a mapping in braces.
func exampleRoute(route string) string {
	if strings.ContainsAny(route, `{}[],:#&*!|>'"%@\`) {
		route = strconv.Quote(route)
	}
	return "http: " + route
}
