package manifest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adhocore/gronx"
	"pgregory.net/rapid"
)

// TestCronAgrees: what the manifest takes, another reader of cron takes too, and
// it fires.
func TestCronAgrees(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var fields []string
		for _, f := range cronFields {
			high := f.high
			value := func(low int) string {
				n := rapid.IntRange(low, high).Draw(t, f.name)
				if j := n - f.low; j < len(f.names) && rapid.Bool().Draw(t, "named") {
					return f.names[j]
				}
				return fmt.Sprint(n)
			}
			var parts []string
			for range rapid.IntRange(1, 3).Draw(t, "parts") {
				low := rapid.IntRange(f.low, high).Draw(t, "low")
				part := rapid.SampledFrom([]string{"*", fmt.Sprint(low), fmt.Sprintf("%d-%s", low, value(low))}).Draw(t, "part")
				if rapid.Bool().Draw(t, "stepped") {
					stepped := part + fmt.Sprintf("/%d", rapid.IntRange(1, f.high).Draw(t, "step"))
					if _, message, _ := f.parse(stepped); message == "" {
						part = stepped
					}
				}
				parts = append(parts, part)
			}
			fields = append(fields, strings.Join(parts, ","))
		}
		expression := strings.Join(fields, " ")
		if err := parseCron(expression); err != nil {
			if strings.Contains(err.message, "never comes") {
				return
			}
			t.Fatalf("%q is refused: %s", expression, err.message)
		}
		if _, err := gronx.NextTickAfter(expression, from, false); err != nil {
			t.Fatalf("%q: the other reader says %v", expression, err)
		}
	})
}

func TestSizes(t *testing.T) {
	for in, want := range map[string]int{"512": 512, "512MB": 512, "512 MiB": 512, "1GB": 1024, "1.5GiB": 1536, "0.001GB": 2, "0": 0} {
		if !memoryText.MatchString(in) {
			t.Errorf("%q is no size", in)
		} else if got := parseMemory(in); got != want {
			t.Errorf("%q is %d MiB, want %d", in, got, want)
		}
	}
	for in, want := range map[string]time.Duration{
		"15": 15 * time.Second, "15s": 15 * time.Second, "1h30m": 90 * time.Minute, "14d": 336 * time.Hour,
		"1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond, "1d1h1m1s1ms": 25*time.Hour + time.Minute + time.Second + time.Millisecond,
		"999999999d": 1<<63 - 1, "0": 0,
	} {
		if !durationText.MatchString(in) {
			t.Errorf("%q is no duration", in)
		} else if got := parseDuration(in); got != want {
			t.Errorf("%q is %v, want %v", in, got, want)
		}
	}
}
