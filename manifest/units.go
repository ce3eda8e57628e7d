package manifest

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// parseMemory reads a text that matches memoryExpr and returns whole MiB,
// rounded up. MB and MiB are the same, as in every cloud's own settings.
func parseMemory(s string) int {
	number := strings.TrimRight(s, " MGBi")
	v, _ := strconv.ParseFloat(number, 64)
	if strings.Contains(s, "G") {
		v *= 1024
	}
	return int(math.Ceil(v))
}

var unitText = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)[ _-]*([A-Za-z]+)$`)

// memoryHint guesses what a text that is no size was meant to be.
func memoryHint(s string) string {
	const forms = "sizes are written 512MB, 512MiB, 1GB or 1GiB; a bare number is MB"
	m := unitText.FindStringSubmatch(s)
	if m == nil {
		return forms
	}
	unit := ""
	switch strings.ToLower(m[2]) {
	case "m", "mb", "mbs", "mbytes", "megabytes", "mbb", "meg":
		unit = "MB"
	case "mi", "mib", "mibs":
		unit = "MiB"
	case "g", "gb", "gbs", "gbytes", "gigabytes", "gbb", "gig":
		unit = "GB"
	case "gi", "gib", "gibs":
		unit = "GiB"
	}
	if guess := m[1] + unit; unit != "" && memoryText.MatchString(guess) {
		return fmt.Sprintf("did you mean %q? ", guess) + forms
	}
	return forms
}

// parseDuration reads a text that matches durationExpr. What is too long for a
// time.Duration becomes the longest one.
func parseDuration(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil {
		return time.Duration(n) * time.Second
	}
	total := 0.0
	for s != "" {
		i := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		j := i
		for j < len(s) && (s[j] < '0' || s[j] > '9') {
			j++
		}
		v, _ := strconv.ParseFloat(s[:i], 64)
		total += v * float64(durationUnits[s[i:j]])
		s = s[j:]
	}
	if total >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(math.Round(total))
}

var durationUnits = map[string]time.Duration{
	"ms": time.Millisecond,
	"s":  time.Second,
	"m":  time.Minute,
	"h":  time.Hour,
	"d":  24 * time.Hour,
}

// durationHint guesses what a text that is no duration was meant to be.
func durationHint(s string) string {
	const forms = "durations are written with ms, s, m, h and d, such as 90s or 1h30m; a bare number is seconds"
	m := unitText.FindStringSubmatch(s)
	if m == nil {
		return forms
	}
	number, unit := m[1], ""
	switch strings.ToLower(m[2]) {
	case "ms", "msec", "millis", "milliseconds":
		unit = "ms"
	case "s", "sec", "secs", "second", "seconds":
		unit = "s"
	case "m", "min", "mins", "minute", "minutes":
		unit = "m"
	case "h", "hr", "hrs", "hour", "hours":
		unit = "h"
	case "d", "day", "days":
		unit = "d"
	case "w", "week", "weeks":
		if n, err := strconv.Atoi(number); err == nil && n < 100_000 {
			number, unit = strconv.Itoa(n*7), "d"
		}
	}
	if guess := number + unit; unit != "" && durationText.MatchString(guess) {
		return fmt.Sprintf("did you mean %q? ", guess) + forms
	}
	return forms
}

func itoa(i int64) string { return strconv.FormatInt(i, 10) }
