package host

import (
	"bytes"
	"context"
	"io"
	"os"
	"time"
)

// A logQuery selects lines of a journal.
type logQuery struct {
	since  time.Time
	follow bool
}

// read passes the selected lines to emit, each with its line feed. With follow
// it goes on until ctx ends or the function is removed. Idle is called when
// there is nothing more to read for the moment.
func (j *journal) read(ctx context.Context, q logQuery, emit func([]byte) error, idle func() error) error {
	asked := time.Now()
	time.Sleep(attributionGrace) // for lines that belong before those
	if err := j.flush(asked); err != nil {
		return err
	}
	r := &journalReader{journal: j, since: q.since}
	defer r.close()
	for {
		j.mu.Lock()
		changed, gone := j.changed, j.gone
		j.mu.Unlock()
		if err := r.drain(ctx, emit); err != nil {
			return err
		}
		if !q.follow || gone {
			return nil
		}
		if err := idle(); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// A journalReader is a place in the files of a journal.
type journalReader struct {
	*journal
	since  time.Time
	file   *os.File
	number int
	rest   []byte // a line not yet complete
}

func (r *journalReader) close() {
	if r.file != nil {
		r.file.Close()
	}
}

// drain emits every complete line there is.
func (r *journalReader) drain(ctx context.Context, emit func([]byte) error) error {
	for {
		if r.file == nil && !r.next() {
			return nil
		}
		buf := make([]byte, 64<<10)
		for {
			if ctx.Err() != nil {
				return nil
			}
			n, err := r.file.Read(buf)
			r.rest = append(r.rest, buf[:n]...)
			if err := r.lines(emit); err != nil {
				return err
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
		}
		if !r.newer() {
			return nil
		}
		r.file.Close()
		r.file, r.rest = nil, nil
	}
}

// next opens the oldest file after the last one.
func (r *journalReader) next() bool {
	numbers := r.numbers()
	for _, n := range numbers {
		if n <= r.number {
			continue
		}
		info, err := os.Stat(r.path(n))
		if err != nil {
			continue
		}
		if !r.since.IsZero() && info.ModTime().Before(r.since) && n != numbers[len(numbers)-1] {
			r.number = n
			continue
		}
		if r.file, err = os.Open(r.path(n)); err == nil {
			r.number = n
			return true
		}
	}
	return false
}

func (r *journalReader) newer() bool {
	all := r.numbers()
	return len(all) > 0 && all[len(all)-1] > r.number
}

func (r *journalReader) lines(emit func([]byte) error) error {
	for {
		i := bytes.IndexByte(r.rest, '\n')
		if i < 0 {
			return nil
		}
		line := r.rest[:i+1]
		r.rest = r.rest[i+1:]
		at, ok := timeOfLine(line)
		if !ok || (!r.since.IsZero() && at.Before(r.since)) {
			continue
		}
		if err := emit(line); err != nil {
			return err
		}
	}
}

// timeOfLine reads the time at the start of a line as appendLine writes it. A
// line that a crash cut short has none or no end.
func timeOfLine(line []byte) (time.Time, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"time":"`))
	if !ok || !bytes.HasSuffix(line, []byte("}\n")) {
		return time.Time{}, false
	}
	i := bytes.IndexByte(rest, '"')
	if i < 0 {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(rest[:i]))
	return t, err == nil
}
