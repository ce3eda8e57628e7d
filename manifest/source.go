package manifest

import (
	"bytes"
	"sort"
	"unicode/utf8"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// maxFileSize bounds what is read: a thousand functions take a few hundred
// kilobytes.
const maxFileSize = 4 << 20

// A source is a file and where its lines start.
type source struct {
	name  string
	data  []byte
	lines []int // offset of each line's first byte
}

func newSource(name string, data []byte) *source {
	return &source{name: name, data: data, lines: diag.LineStarts(data)}
}

// at returns the place of the byte at offset.
func (s *source) at(offset int) diag.Pos {
	offset = min(max(offset, 0), len(s.data))
	line := sort.Search(len(s.lines), func(i int) bool { return s.lines[i] > offset })
	start := s.lines[line-1]
	return diag.Pos{File: s.name, Line: line, Column: utf8.RuneCount(bytes.TrimPrefix(s.data[start:offset], bom)) + 1}
}

// pos turns a line and column of the YAML reader into a place in the file. YAML
// puts what is missing at the end of the file on the line after the last one.
func (s *source) pos(line, column int) diag.Pos {
	if line < 1 {
		return diag.Pos{File: s.name, Line: 1, Column: 1}
	}
	if line > len(s.lines) {
		return s.at(len(s.data))
	}
	return diag.Pos{File: s.name, Line: line, Column: max(column, 1)}
}

// offset returns the offset of a place, and false when it is not in the file.
func (s *source) offset(p diag.Pos) (int, bool) {
	if p.Line < 1 || p.Line > len(s.lines) {
		return 0, false
	}
	i := s.lines[p.Line-1]
	if i == 0 && bytes.HasPrefix(s.data, bom) {
		i = len(bom)
	}
	for c := 1; c < p.Column; c++ {
		if i >= len(s.data) {
			return 0, false
		}
		_, n := utf8.DecodeRune(s.data[i:])
		i += n
	}
	return i, true
}

var bom = []byte("\ufeff")

// checkEncoding reports what makes a file unreadable as text, once.
func (s *source) checkEncoding(l *diag.List) bool {
	data := s.data
	switch {
	case len(data) > maxFileSize:
		l.Errorf(diag.Pos{File: s.name}, "file-too-large", "the file is larger than %d MiB", maxFileSize>>20).Hint = "split the service, or put data that functions read into a bucket or their package"
		return false
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		l.Errorf(diag.Pos{File: s.name}, "file-encoding", "the file is UTF-16").Hint = "save it as UTF-8"
		return false
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		l.Errorf(s.at(i), "file-encoding", "the file has a NUL byte, so it is not text").Hint = "name a YAML file, saved as UTF-8"
		return false
	}
	for i := 0; i < len(data); {
		c := data[i]
		if c >= 0x20 && c < utf8.RuneSelf || c == '\n' || c == '\r' || c == '\t' {
			i++
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			l.Errorf(s.at(i), "file-encoding", "byte 0x%02x is not valid UTF-8", c).Hint = "save the file as UTF-8"
			return false
		case r < 0x20, r == 0x85, r == 0x2028, r == 0x2029, r == 0xfffe, r == 0xffff, r == 0xfeff && i > 0:
			l.Errorf(s.at(i), "file-encoding", "character U+%04X cannot stand in a manifest", r).Hint = "remove it; it is invisible in most editors"
			return false
		}
		i += n
	}
	return true
}
