package manifest

import (
	"fmt"
	"strconv"
	"strings"
)

// A cronField is one of the five fields of a cron expression.
type cronField struct {
	name      string
	low, high int
	names     []string // names of the values from low on
}

var cronFields = []cronField{
	{name: "minute", low: 0, high: 59},
	{name: "hour", low: 0, high: 23},
	{name: "day of month", low: 1, high: 31},
	{name: "month", low: 1, high: 12, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
	{name: "day of week", low: 0, high: 7, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
}

// A cronError says which field of an expression is wrong. start and end are
// offsets in the expression.
type cronError struct {
	start, end    int
	message, hint string
}

// checkCron reports what is wrong with a cron setting, at the field.
func (b *builder) checkCron(f *field) {
	err := parseCron(f.value.text)
	if err == nil {
		return
	}
	d := b.errorf(f, "invalid-cron", "%s", err.message)
	d.Hint = err.hint
	text := []rune(f.value.text)
	if quotes := f.value.width - len(text); f.value.width > 0 && (quotes == 0 || quotes == 2) && isASCII(f.value.text) {
		d.Pos.Column += quotes/2 + err.start
		d.Width = err.end - err.start
	}
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 127 }) < 0
}

// parseCron checks an expression of five fields: *, numbers, names, ranges,
// steps and lists. A day may be given by month or by week; if both are, either
// will do, as in every cron.
func parseCron(s string) *cronError {
	whole := func(message, hint string) *cronError { return &cronError{0, len(s), message, hint} }
	if strings.HasPrefix(s, "cron(") || strings.HasPrefix(s, "rate(") {
		return whole(fmt.Sprintf("cron cannot be %q", clip(s, 60)), "write five fields such as 0 3 * * MON-FRI; for a rate, use every: 5m")
	}
	if strings.HasPrefix(s, "@") {
		return whole(fmt.Sprintf("cron cannot be %q", clip(s, 60)), "write five fields: minute, hour, day of month, month, day of week")
	}
	var starts []int
	var fields []string
	for i := 0; i < len(s); {
		if s[i] == ' ' || s[i] == '\t' {
			i++
			continue
		}
		end := i
		for end < len(s) && s[end] != ' ' && s[end] != '\t' {
			end++
		}
		starts, fields = append(starts, i), append(fields, s[i:end])
		i = end
	}
	if len(fields) != len(cronFields) {
		hint := "the fields are minute, hour, day of month, month, day of week"
		if len(fields) == 6 {
			hint = "this looks like six fields with seconds or, as on AWS, a year; leave that one out and write * for ?"
		}
		return whole(fmt.Sprintf("cron has five fields, not %d", len(fields)), hint)
	}
	for i, f := range cronFields {
		offset := starts[i]
		for _, part := range strings.Split(fields[i], ",") {
			if message, hint := f.check(part); message != "" {
				return &cronError{offset, offset + max(len(part), 1), message, hint}
			}
			offset += len(part) + 1
		}
	}
	return nil
}

// check returns what is wrong with one part of a list, and what to do.
func (f cronField) check(part string) (message, hint string) {
	takes := fmt.Sprintf("%s takes %d to %d", f.name, f.low, f.high)
	if f.names != nil {
		takes += fmt.Sprintf(" or %s to %s", f.names[0], f.names[len(f.names)-1])
	}
	body, step, stepped := strings.Cut(part, "/")
	if stepped {
		if n, err := strconv.Atoi(step); err != nil || n < 1 || n > f.high || !digits(step) {
			return fmt.Sprintf("%s cannot have the step %q", f.name, clip(step, 20)), fmt.Sprintf("a step is a number from 1 to %d", f.high)
		}
	}
	if body == "*" {
		return "", ""
	}
	first, last, ranged := strings.Cut(body, "-")
	low, ok := f.value(first)
	if !ok {
		switch {
		case first == "?":
			return fmt.Sprintf("%s cannot be %q", f.name, part), "write * instead"
		case strings.ContainsAny(part, "LW#"):
			return fmt.Sprintf("%s cannot be %q", f.name, clip(part, 20)), "L, W and # are not portable; " + takes
		}
		return fmt.Sprintf("%s cannot be %q", f.name, clip(part, 20)), takes + ", also as lists 1,2, ranges 1-5 and steps */5"
	}
	if !ranged {
		if stepped {
			return fmt.Sprintf("%s cannot be %q", f.name, clip(part, 20)), fmt.Sprintf("steps go over a range: write %s-%d/%s", first, f.high, step)
		}
		return "", ""
	}
	high, ok := f.value(last)
	switch {
	case !ok:
		return fmt.Sprintf("%s cannot be %q", f.name, clip(part, 20)), takes
	case high < low:
		return fmt.Sprintf("%s range %q goes backwards", f.name, clip(body, 20)), "write it as two ranges in a list"
	}
	return "", ""
}

// value reads a number or a name of the field.
func (f cronField) value(s string) (int, bool) {
	for i, name := range f.names {
		if strings.EqualFold(s, name) {
			return f.low + i, true
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && digits(s) && n >= f.low && n <= f.high
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
