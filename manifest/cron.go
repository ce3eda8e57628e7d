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
	var sets [5]uint64
	for i, f := range cronFields {
		offset := starts[i]
		for _, part := range strings.Split(fields[i], ",") {
			set, message, hint := f.parse(part)
			if message != "" {
				return &cronError{offset, offset + max(len(part), 1), message, hint}
			}
			sets[i] |= set
			offset += len(part) + 1
		}
	}
	if strings.HasPrefix(fields[4], "*") && !dayExists(sets[2], sets[3]) {
		return &cronError{starts[2], starts[3] + len(fields[3]), fmt.Sprintf("day of month %s never comes in month %s", clip(fields[2], 20), clip(fields[3], 20)), "choose a day that the month has"}
	}
	return nil
}

// dayExists reports whether one of the days is in one of the months; 29 February
// counts.
func dayExists(days, months uint64) bool {
	for m, length := range []int{1: 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31} {
		if months>>m&1 == 1 && days&(1<<(length+1)-1) != 0 {
			return true
		}
	}
	return false
}

// parse reads one part of a list: bit n of the set is for value n. The message
// says what is wrong with it, the hint what to do.
func (f cronField) parse(part string) (set uint64, message, hint string) {
	fail := func(hint, format string, args ...any) (uint64, string, string) {
		return 0, f.name + " " + fmt.Sprintf(format, args...), hint
	}
	takes := fmt.Sprintf("%s takes %d to %d", f.name, f.low, f.high)
	if f.names != nil {
		takes += fmt.Sprintf(" or %s to %s", f.names[0], f.names[len(f.names)-1])
	}
	shown := clip(part, 20)
	body, step, stepped := strings.Cut(part, "/")
	low, high, ranged := f.low, f.high, true
	if body == "*" && f.high == 7 {
		high = 6 // 7 is another name of Sunday
	}
	if body != "*" {
		first, last, found := strings.Cut(body, "-")
		ranged = found
		var ok bool
		if low, ok = f.value(first); !ok {
			switch {
			case first == "?":
				return fail("write * instead", "cannot be %q", shown)
			case strings.ContainsAny(part, "LW#"):
				return fail("L, W and # are not portable; "+takes, "cannot be %q", shown)
			}
			return fail(takes+", also as lists 1,2, ranges 1-5 and steps */5", "cannot be %q", shown)
		}
		high = low
		if ranged {
			if high, ok = f.value(last); !ok {
				return fail(takes, "cannot be %q", shown)
			}
			if high < low {
				return fail("write it as two ranges in a list", "range %q goes backwards", clip(body, 20))
			}
		}
	}
	n := 1
	if stepped {
		var err error
		switch n, err = strconv.Atoi(step); {
		case err != nil || n < 1 || !digits(step):
			return fail("a step is a number from 1 on", "cannot have the step %q", clip(step, 20))
		case !ranged:
			return fail(fmt.Sprintf("steps go over a range: write %d-%d/%d", low, f.high, n), "cannot be %q", shown)
		case n > high-low:
			return fail(fmt.Sprintf("only %d would be left; write that", low), "cannot have the step %d over %d values", n, high-low+1)
		}
	}
	for v := low; v <= high; v += n {
		set |= 1 << v
	}
	return set, "", ""
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
