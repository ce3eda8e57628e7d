package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adhocore/gronx"
	"github.com/google/go-cmp/cmp"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// TestCronAgreesWithASimulatedDaemon runs a model of cron(8) minute by minute
// through two years of zones whose clocks change by an hour, by half an hour
// and at midnight, with gronx deciding what matches, and compares every firing.
func TestCronAgreesWithASimulatedDaemon(t *testing.T) {
	expressions := []string{
		"*/7 * * * *", "30 * * * *", "*/20 2 * * *", "15 */2 * * *",
		"30 2 * * *", "0 3 * * *", "30 1 * * SUN", "0,30 1-3 * * *", "5-59/20 0-4/2 * * MON,WED,FRI",
		"0 0 * * *", "15 0 1,15 * 5", "45 23 * * *", "0 12 29 2 *", "0 2 * MAR,NOV 7", "10 2/3 1-7 * *",
	}
	for _, name := range []string{"America/New_York", "Europe/Paris", "Australia/Lord_Howe", "America/Santiago", "UTC"} {
		loc := zone(t, name)
		from := time.Date(2023, 7, 1, 0, 0, 0, 0, time.UTC)
		to := from.AddDate(2, 0, 0)
		var walls []int64 // what the clock shows, minute by minute, as minutes since 1970
		for now := from; now.Before(to); now = now.Add(time.Minute) {
			walls = append(walls, wallClock(now.In(loc)).Unix()/60)
		}
		for _, e := range expressions {
			t.Run(name+" "+e, func(t *testing.T) {
				c, err := parseCron(e, loc)
				if err != nil {
					t.Fatal(err)
				}
				var got []time.Time
				for at := c.next(from.Add(-1)); at.Before(to); at = c.next(at) {
					got = append(got, at.UTC())
				}
				want := simulate(t, e, walls, from)
				for i := range max(len(got), len(want)) {
					switch {
					case i >= len(got):
						t.Fatalf("firing %d: nothing, want %s", i, want[i].In(loc))
					case i >= len(want):
						t.Fatalf("firing %d: %s, want nothing", i, got[i].In(loc))
					case !got[i].Equal(want[i]):
						t.Fatalf("firing %d: %s, want %s", i, got[i].In(loc), want[i].In(loc))
					}
				}
			})
		}
	}
}

// simulate is the daemon: it wakes each minute, looks at the clock on the wall,
// and keeps a virtual clock that never goes back and never skips.
func simulate(t *testing.T, expression string, walls []int64, from time.Time) []time.Time {
	t.Helper()
	intervals := strings.HasPrefix(expression, "*") || strings.HasPrefix(strings.Fields(expression)[1], "*")
	matching := matcher(t, expression)
	var fired []time.Time
	virtual := walls[0] - 1
	for i, wall := range walls {
		due := intervals && matching(wall)
		for virtual < wall {
			virtual++
			due = due || !intervals && matching(virtual)
		}
		if due {
			fired = append(fired, from.Add(time.Duration(i)*time.Minute))
		}
	}
	return fired
}

// matcher asks gronx which minutes of the wall clock match, the time of day
// apart from the day to be quick. gronx takes neither all names nor 7.
func matcher(t *testing.T, expression string) func(minute int64) bool {
	t.Helper()
	f := strings.Fields(strings.NewReplacer("SUN", "0", "MON", "1", "WED", "3", "FRI", "5", "MAR", "3", "NOV", "11").Replace(expression))
	if f[4] == "7" {
		f[4] = "0"
	}
	due := func(expression string, minute int64) bool {
		ok, err := gronx.New().IsDue(expression, time.Unix(minute*60, 0).UTC())
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	const day = 24 * 60
	var clock [day]bool
	for m := range clock {
		clock[m] = due(f[0]+" "+f[1]+" * * *", int64(m))
	}
	days := map[int64]bool{}
	return func(minute int64) bool {
		if !clock[minute%day] {
			return false
		}
		d := minute / day
		is, known := days[d]
		if !known {
			is = due("* * "+strings.Join(f[2:], " "), d*day)
			days[d] = is
		}
		return is
	}
}

func TestCronAroundChangesOfTheClock(t *testing.T) {
	paris := "Europe/Paris" // 31 March 2024: 02:00 → 03:00; 27 October 2024: 03:00 → 02:00
	tests := []struct {
		name, cron, zone, after string
		want                    []string
	}{
		{
			"a time that is skipped fires when the clock has jumped", "30 2 * * *", paris, "2024-03-30T12:00:00Z",
			[]string{"2024-03-31T03:00:00+02:00", "2024-04-01T02:30:00+02:00"},
		},
		{
			"several skipped times fire once together", "10,40 2 * * *", paris, "2024-03-30T12:00:00Z",
			[]string{"2024-03-31T03:00:00+02:00", "2024-04-01T02:10:00+02:00"},
		},
		{
			"a time that is repeated fires once, at its first pass", "30 2 * * *", paris, "2024-10-26T12:00:00Z",
			[]string{"2024-10-27T02:30:00+02:00", "2024-10-28T02:30:00+01:00"},
		},
		{
			"intervals go by the time that passes, in spring", "*/30 * * * *", paris, "2024-03-31T00:20:00Z",
			[]string{"2024-03-31T01:30:00+01:00", "2024-03-31T03:00:00+02:00", "2024-03-31T03:30:00+02:00"},
		},
		{
			"intervals go by the time that passes, in autumn", "*/30 * * * *", paris, "2024-10-27T00:10:00Z",
			[]string{"2024-10-27T02:30:00+02:00", "2024-10-27T02:00:00+01:00", "2024-10-27T02:30:00+01:00", "2024-10-27T03:00:00+01:00"},
		},
		{
			"a day without midnight", "0 0 * * *", "America/Santiago", "2024-09-07T12:00:00Z",
			[]string{"2024-09-08T01:00:00-03:00", "2024-09-09T00:00:00-03:00"},
		},
		{
			"either day will do", "0 0 13 * FRI", "UTC", "2024-09-05T12:00:00Z",
			[]string{"2024-09-06T00:00:00Z", "2024-09-13T00:00:00Z", "2024-09-20T00:00:00Z"},
		},
		{
			"a star in front of a day is no restriction", "0 0 */2 * FRI", "UTC", "2024-09-05T12:00:00Z",
			[]string{"2024-09-13T00:00:00Z", "2024-09-27T00:00:00Z"},
		},
		{
			"a leap day across 2100", "0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z",
			[]string{"2104-02-29T00:00:00Z"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			loc := zone(t, tt.zone)
			c, err := parseCron(tt.cron, loc)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, tt.after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range tt.want {
				at = c.next(at)
				got = append(got, at.In(loc).Format(time.RFC3339))
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("firings (-want +got):\n%s", d)
			}
		})
	}
}

func TestCronRefuses(t *testing.T) {
	tests := []struct{ cron, want string }{
		{"* * * *", `cron "* * * *" has 4 fields, not the 5 of minute, hour, day of month, month and day of week`},
		{"@daily", `cron "@daily" has 1 fields, not the 5 of minute, hour, day of month, month and day of week`},
		{"60 * * * *", `cron "60 * * * *": minute: "60" is not a number from 0 to 59`},
		{"* 24 * * *", `cron "* 24 * * *": hour: "24" is not a number from 0 to 23`},
		{"* * 0 * *", `cron "* * 0 * *": day of month: "0" is not a number from 1 to 31`},
		{"* * * MAY-JAN *", `cron "* * * MAY-JAN *": month: the range "MAY-JAN" runs backwards`},
		{"* * * * 8", `cron "* * * * 8": day of week: "8" is not a number from 0 to 7`},
		{"*/0 * * * *", `cron "*/0 * * * *": minute: the step "0" is not a number from 1 to 59`},
		{"1,,2 * * * *", `cron "1,,2 * * * *": minute: "" is not a number from 0 to 59`},
		{"0 0 L * *", `cron "0 0 L * *": day of month: "L" is not a number from 1 to 31`},
		{"0 0 30 2 *", `cron "0 0 30 2 *" never fires: no month has such a day`},
	}
	for _, tt := range tests {
		_, err := parseCron(tt.cron, time.UTC)
		if got := fmt.Sprint(err); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.cron, got, tt.want)
		}
	}
}
