package manifest

import "strconv"

func itoa(i int64) string { return strconv.FormatInt(i, 10) }

func parseFloat(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64)
	return f
}
