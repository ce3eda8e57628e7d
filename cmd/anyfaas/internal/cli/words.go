package cli

import (
	"fmt"
	"strings"
)

// count says how many: "1 function", "2 functions".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// alternatives joins words as a choice: "text, json or markdown".
func alternatives(words []string) string { return join(words, "or") }

// all joins words as a sum: "aws, gcp and local".
func all(words []string) string { return join(words, "and") }

func join(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + last + " " + words[len(words)-1]
}

// size says how big: "812 B", "1.2 MB", "80.5 GB".
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	if n >= 1000*1000*1000 {
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
