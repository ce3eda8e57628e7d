package diag

import "strings"

// Nearest returns the candidate that s was probably meant to be, or "" when none
// is similar: more than a third of its characters would have to change. The first
// of equally near ones is taken; letter case does not count.
func Nearest(s string, candidates []string) string {
	if len(s) > 100 {
		return ""
	}
	best, distance := "", 1+max(1, len(s)/3)
	for _, c := range candidates {
		if strings.EqualFold(s, c) {
			return c
		}
		if d := edits(strings.ToLower(s), strings.ToLower(c), distance); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// edits counts the insertions, deletions, replacements and swaps of neighbours
// that turn a into b; it may return any number of at least limit once the count
// reaches it.
func edits(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	next := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
