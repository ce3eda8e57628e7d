package cli

import (
	"slices"
	"strings"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// nearest returns the only candidate that begins with word, or else the one that
// word was probably meant to be, or "".
func nearest(word string, candidates []string) string {
	longer := slices.DeleteFunc(slices.Clone(candidates), func(c string) bool { return !strings.HasPrefix(c, word) })
	if len(longer) == 1 && strings.Trim(word, "-") != "" {
		return longer[0]
	}
	return diag.Nearest(word, slices.Sorted(slices.Values(candidates)))
}

// meant is a hint that names the nearest candidate, or "".
func meant(word string, candidates []string) string {
	if n := nearest(word, candidates); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}
