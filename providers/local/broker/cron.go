package broker

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// A cron is a parsed five-field expression: minute, hour, day of month, month,
// day of week. Fields take lists, ranges, steps and English names; "a/n" is
// "a-max/n" and 7 is Sunday. When day of month and day of week are both
// restricted a day that matches either will do; a field that starts with "*" is
// not a restriction.
//
// Around changes of the clock it does what cron(8) of the Vixie and ISC line
// does:
//
//   - A schedule with fixed times (neither minute nor hour starts with "*")
//     fires once for each of its local times. A time that the clock skips fires
//     when the clock has jumped; several skipped times fire once together. A
//     time that the clock repeats fires at its first pass only.
//   - A schedule of intervals (minute or hour starts with "*") goes by the
//     time that passes: it does not make up for an hour that was skipped and
//     keeps firing through an hour that is repeated.
type cron struct {
	minutes, hours, days, months, weekdays uint64 // bit n is set when n matches
	intervals                              bool
	eitherDay                              bool
	zone                                   *time.Location
}

// A cronField is the range of a field, the last number that "*" and "a/n" mean,
// and the names from low up.
type cronField struct {
	name           string
	low, high, top int
	names          []string
}

var cronFields = [5]cronField{
	{name: "minute", low: 0, high: 59, top: 59},
	{name: "hour", low: 0, high: 23, top: 23},
	{name: "day of month", low: 1, high: 31, top: 31},
	{name: "month", low: 1, high: 12, top: 12, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
	{name: "day of week", low: 0, high: 7, top: 6, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
}

// longestGap is the most days between two matches: 29 February around a year
// such as 2100 that is no leap year.
const longestGap = 8*366 + 1

// parseCron reads an expression. It refuses one that never fires.
func parseCron(text string, zone *time.Location) (*cron, error) {
	parts := strings.Fields(text)
	if len(parts) != len(cronFields) {
		return nil, fmt.Errorf("cron %q has %d fields, not the 5 of minute, hour, day of month, month and day of week", text, len(parts))
	}
	var sets [5]uint64
	for i, p := range parts {
		set, err := cronFields[i].parse(p)
		if err != nil {
			return nil, fmt.Errorf("cron %q: %s: %w", text, cronFields[i].name, err)
		}
		sets[i] = set
	}
	star := func(i int) bool { return parts[i][0] == '*' }
	c := &cron{
		minutes: sets[0], hours: sets[1], days: sets[2], months: sets[3],
		weekdays:  sets[4]&0x7f | sets[4]>>7&1,
		intervals: star(0) || star(1),
		eitherDay: !star(2) && !star(4),
		zone:      zone,
	}
	if c.after(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("cron %q never fires: no month has such a day", text)
	}
	return c, nil
}

// parse reads one field as a set of numbers.
func (f cronField) parse(text string) (uint64, error) {
	var set uint64
	for item := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(item, "/")
		step := 1
		if stepped {
			n, err := strconv.Atoi(stepText)
			if err != nil || n < 1 || n > f.high {
				return 0, fmt.Errorf("the step %q is not a number from 1 to %d", stepText, f.high)
			}
			step = n
		}
		low, high := f.low, f.top
		if span != "*" {
			from, to, ranged := strings.Cut(span, "-")
			var err error
			if low, err = f.number(from); err != nil {
				return 0, err
			}
			switch {
			case ranged:
				if high, err = f.number(to); err != nil {
					return 0, err
				}
				if low > high {
					return 0, fmt.Errorf("the range %q runs backwards", span)
				}
			case !stepped:
				high = low
			}
		}
		for n := low; n <= high; n += step {
			set |= 1 << n
		}
	}
	return set, nil
}

func (f cronField) number(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.low + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.low || n > f.high || strings.HasPrefix(text, "+") {
		return 0, fmt.Errorf("%q is not a number from %d to %d", text, f.low, f.high)
	}
	return n, nil
}

// next returns the first time to fire after t.
func (c *cron) next(t time.Time) time.Time {
	if c.intervals {
		return c.nextInterval(t)
	}
	wall := wallClock(t.In(c.zone))
	for {
		wall = c.after(wall)
		if at := instant(wall, c.zone); at.After(t) {
			return at
		}
	}
}

// nextInterval goes from change to change of the clock: in between, local time
// and the time that passes are the same.
func (c *cron) nextInterval(t time.Time) time.Time {
	t = t.Truncate(time.Second)
	after := wallClock(t.In(c.zone))
	for {
		local := t.In(c.zone)
		next := t.Add(c.after(after).Sub(wallClock(local)))
		_, end := local.ZoneBounds()
		if end.IsZero() || next.Before(end) {
			return next
		}
		t = end
		after = wallClock(end.In(c.zone)).Add(-1) // what matches at the change counts
	}
}

// wallClock returns what the clock on the wall shows, as if it were UTC, so that
// adding to it never meets a change of the clock.
func wallClock(local time.Time) time.Time {
	y, mo, d := local.Date()
	h, m, s := local.Clock()
	return time.Date(y, mo, d, h, m, s, 0, time.UTC)
}

// instant returns when the clock on the wall of a zone first shows a time, or
// when it jumps over it.
func instant(wall time.Time, zone *time.Location) time.Time {
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(zone).Zone()
	first := wall.Add(-time.Duration(max(before, after)) * time.Second)
	second := wall.Add(-time.Duration(min(before, after)) * time.Second)
	for _, t := range []time.Time{first, second} {
		if wallClock(t.In(zone)).Equal(wall) {
			return t
		}
	}
	jump, _ := second.In(zone).ZoneBounds()
	return jump.UTC()
}

func (c *cron) matchesDay(wall time.Time) bool {
	if c.months>>int(wall.Month())&1 == 0 {
		return false
	}
	day, weekday := c.days>>wall.Day()&1 == 1, c.weekdays>>int(wall.Weekday())&1 == 1
	if c.eitherDay {
		return day || weekday
	}
	return day && weekday
}

// after returns the first matching time on the wall after one, or the zero time
// when there is none.
func (c *cron) after(wall time.Time) time.Time {
	wall = wall.Truncate(time.Minute).Add(time.Minute)
	day := wall.Truncate(24 * time.Hour)
	hour, minute := wall.Hour(), wall.Minute()
	for range longestGap {
		for h := firstBit(c.hours, hour); h >= 0 && c.matchesDay(day); h = firstBit(c.hours, h+1) {
			if h > hour {
				minute = 0
			}
			if m := firstBit(c.minutes, minute); m >= 0 {
				return day.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
			}
		}
		day = day.Add(24 * time.Hour)
		hour, minute = 0, 0
	}
	return time.Time{}
}

// firstBit returns the lowest bit set from n up, or -1.
func firstBit(set uint64, n int) int {
	rest := set >> n << n
	if rest == 0 {
		return -1
	}
	return bits.TrailingZeros64(rest)
}
