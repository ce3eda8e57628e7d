package local

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A size is an amount of memory or disk in MiB, "512MB" as an input.
type size int

// MarshalText writes the size as the manifest does.
func (s size) MarshalText() ([]byte, error) { return []byte(strconv.Itoa(int(s)) + "MB"), nil }

// UnmarshalText reads what MarshalText writes.
func (s *size) UnmarshalText(b []byte) error {
	n, err := strconv.Atoi(strings.TrimSuffix(string(b), "MB"))
	if err != nil || n <= 0 || !strings.HasSuffix(string(b), "MB") {
		return fmt.Errorf(`must be a positive size like "512MB", not %q`, b)
	}
	*s = size(n)
	return nil
}

// A span is a length of time, "15s" or "4d" as an input.
type span time.Duration

const day = 24 * time.Hour

// MarshalText writes the shortest form: whole days from two on, otherwise a Go
// duration without zero parts.
func (s span) MarshalText() ([]byte, error) {
	d := time.Duration(s)
	if d >= 2*day && d%day == 0 {
		return []byte(strconv.FormatInt(int64(d/day), 10) + "d"), nil
	}
	t := d.String()
	if strings.HasSuffix(t, "m0s") {
		t = strings.TrimSuffix(t, "0s")
	}
	if strings.HasSuffix(t, "h0m") {
		t = strings.TrimSuffix(t, "0m")
	}
	return []byte(t), nil
}

// UnmarshalText reads whole days or a Go duration.
func (s *span) UnmarshalText(b []byte) error {
	if n, ok := strings.CutSuffix(string(b), "d"); ok {
		if days, err := strconv.Atoi(n); err == nil && days >= 0 && days <= 36500 {
			*s = span(time.Duration(days) * day)
			return nil
		}
	}
	d, err := time.ParseDuration(string(b))
	if err != nil || d < 0 {
		return fmt.Errorf(`must be a length of time like "15s" or "4d", not %q`, b)
	}
	*s = span(d)
	return nil
}
