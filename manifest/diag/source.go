package diag

// LineStarts returns the offset of each line's first byte. Lines end at \n, at
// \r\n or at a lone \r, as in YAML and in editors.
func LineStarts(data []byte) []int {
	starts := []int{0}
	for i := 0; i < len(data); i++ {
		switch {
		case data[i] == '\n':
			starts = append(starts, i+1)
		case data[i] == '\r' && (i+1 >= len(data) || data[i+1] != '\n'):
			starts = append(starts, i+1)
		}
	}
	return starts
}
