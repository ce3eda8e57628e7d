package broker

// nearest returns the name that differs least from what was asked for, or "" when
// none is similar: more than a third of its letters would have to change.
func nearest(asked string, names []string) string {
	best, bestDistance := "", max(len(asked)/3, 1)+1
	for _, n := range names {
		if d := distance(asked, n); d < bestDistance {
			best, bestDistance = n, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
