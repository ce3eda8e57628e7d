package host

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// Sizes of a function's log.
const (
	logFileSize = 8 << 20 // a file is closed when it grows beyond
	logFiles    = 8       // so many are kept
	logBuffer   = 4 << 20 // lines beyond are dropped when the disk is too slow
	logDelay    = 30 * time.Millisecond
)

// A logbook writes the logs of all functions from one goroutine, so that a call
// never waits for a disk.
type logbook struct {
	dir   string
	log   *slog.Logger
	mu    sync.Mutex
	open  map[string]*journal // by path
	dirty []*journal
	wake  chan struct{}
	stop  chan struct{}
	done  chan struct{}
}

// A journal is the log of one function: files of JSON lines, numbered from old
// to new.
type journal struct {
	book *logbook
	dir  string
	name string // of the function

	mu      sync.Mutex // guards what follows; held shortly
	buf     []byte
	marks   []mark
	dirty   bool
	dropped int
	taps    map[string]*tap // by request id
	gone    bool

	tapped    atomic.Int32 // number of taps
	retention atomic.Int64 // time.Duration; 0 is for ever

	io      sync.Mutex // held while files are written or looked up
	file    *os.File
	number  int
	size    int64
	changed chan struct{} // closed at the next write; guarded by mu
}

// A mark is one line inside buf.
type mark struct {
	time       int64
	start, end int
}

// A tap collects the lines of one call.
type tap struct{ lines []api.LogLine }

func openLogbook(dir string, log *slog.Logger) *logbook {
	b := &logbook{
		dir: dir, log: log, open: map[string]*journal{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go b.run()
	return b
}

// journal returns the log of a function.
func (b *logbook) journal(stack, function string) *journal {
	b.mu.Lock()
	defer b.mu.Unlock()
	dir := filepath.Join(b.dir, stack, function)
	j := b.open[dir]
	if j == nil {
		j = &journal{book: b, dir: dir, name: function, taps: map[string]*tap{}, changed: make(chan struct{})}
		b.open[dir] = j
	}
	return j
}

// remove deletes the log of a function, or of a whole stack.
func (b *logbook) remove(stack, function string) error {
	dir := filepath.Join(b.dir, stack, function)
	b.mu.Lock()
	var gone []*journal
	for path, j := range b.open {
		if path == dir || strings.HasPrefix(path, dir+string(filepath.Separator)) {
			gone = append(gone, j)
			delete(b.open, path)
		}
	}
	b.mu.Unlock()
	for _, j := range gone {
		j.close()
	}
	return os.RemoveAll(dir)
}

func (b *logbook) run() {
	defer close(b.done)
	for {
		select {
		case <-b.wake:
		case <-b.stop:
			b.flush(forever)
			return
		}
		select { // gather more lines
		case <-time.After(logDelay):
		case <-b.stop:
		}
		b.flush(time.Now().Add(-attributionGrace))
	}
}

// forever is a time after that of every line.
var forever = time.Unix(1<<33, 0)

func (b *logbook) flush(until time.Time) {
	b.mu.Lock()
	dirty := b.dirty
	b.dirty = nil
	b.mu.Unlock()
	for _, j := range dirty {
		if err := j.flush(until); err != nil {
			b.log.Error("write function log", "function", j.name, "error", err)
		}
		j.mu.Lock()
		left := j.dirty
		j.mu.Unlock()
		if left {
			b.enlist(j)
		}
	}
}

// enlist has a journal written soon.
func (b *logbook) enlist(j *journal) {
	b.mu.Lock()
	b.dirty = append(b.dirty, j)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// expire deletes files that are older than the retention of their function.
func (b *logbook) expire(now time.Time) {
	b.mu.Lock()
	journals := make([]*journal, 0, len(b.open))
	for _, j := range b.open {
		journals = append(journals, j)
	}
	b.mu.Unlock()
	for _, j := range journals {
		if err := j.expire(now); err != nil {
			b.log.Error("expire function log", "function", j.name, "error", err)
		}
	}
}

func (b *logbook) close() {
	close(b.stop)
	<-b.done
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, j := range b.open {
		j.close()
	}
}

// add appends a line. It does not wait for the disk.
func (j *journal) add(l *api.LogLine) {
	l.Function = j.name
	j.mu.Lock()
	if j.gone {
		j.mu.Unlock()
		return
	}
	if j.tapped.Load() > 0 {
		if t := j.taps[l.RequestID]; t != nil {
			t.lines = append(t.lines, *l)
		}
	}
	if len(j.buf) > logBuffer {
		j.dropped++
		j.mu.Unlock()
		return
	}
	start := len(j.buf)
	j.buf = appendLine(j.buf, l)
	j.marks = append(j.marks, mark{l.Time.UnixNano(), start, len(j.buf)})
	first := !j.dirty
	j.dirty = true
	j.mu.Unlock()
	if first {
		j.book.enlist(j)
	}
}

// tap starts to collect the lines of a call; the returned function ends that
// and gives them in time order.
func (j *journal) tap(requestID string) func() []api.LogLine {
	t := &tap{}
	j.mu.Lock()
	j.taps[requestID] = t
	j.mu.Unlock()
	j.tapped.Add(1)
	return func() []api.LogLine {
		j.tapped.Add(-1)
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.taps, requestID)
		slices.SortStableFunc(t.lines, func(a, b api.LogLine) int { return a.Time.Compare(b.Time) })
		return t.lines
	}
}

// flush writes the lines that were added up to a time, in time order. Later ones
// wait: one that belongs before them may still come.
func (j *journal) flush(until time.Time) error {
	j.io.Lock()
	defer j.io.Unlock()
	j.mu.Lock()
	buf := j.take(until)
	dropped := j.dropped
	j.dropped = 0
	gone := j.gone
	j.mu.Unlock()
	if gone || len(buf) == 0 {
		return nil
	}
	if dropped > 0 {
		buf = appendLine(buf, &api.LogLine{
			Time: time.Now(), Function: j.name, Kind: "err", Level: "warn",
			Text: fmt.Sprintf("%d log lines were dropped: the disk was too slow for them", dropped),
		})
	}
	err := j.write(buf)
	j.mu.Lock()
	close(j.changed)
	j.changed = make(chan struct{})
	j.mu.Unlock()
	return err
}

// take removes the lines up to a time from the buffer and returns them sorted.
// The caller holds mu.
func (j *journal) take(until time.Time) []byte {
	slices.SortStableFunc(j.marks, func(a, b mark) int { return cmp.Compare(a.time, b.time) })
	limit := until.UnixNano()
	n := len(j.marks)
	for n > 0 && j.marks[n-1].time > limit {
		n--
	}
	size := 0
	for _, m := range j.marks[:n] {
		size += m.end - m.start
	}
	out, rest := make([]byte, 0, size), make([]byte, 0, len(j.buf)-size)
	for _, m := range j.marks[:n] {
		out = append(out, j.buf[m.start:m.end]...)
	}
	kept := make([]mark, 0, len(j.marks)-n)
	for _, m := range j.marks[n:] {
		start := len(rest)
		rest = append(rest, j.buf[m.start:m.end]...)
		kept = append(kept, mark{m.time, start, len(rest)})
	}
	j.buf, j.marks, j.dirty = rest, kept, len(kept) > 0
	return out
}

// write appends to the newest file, or to a new one when that is full. The
// caller holds io.
func (j *journal) write(buf []byte) error {
	if j.file == nil {
		if err := j.openFile(); err != nil {
			return err
		}
	}
	if j.size > 0 && j.size+int64(len(buf)) > logFileSize {
		j.file.Close()
		j.file = nil
		j.number++
		if err := j.openFile(); err != nil {
			return err
		}
		if old := j.number - logFiles; old > 0 {
			if err := os.Remove(j.path(old)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	n, err := j.file.Write(buf)
	j.size += int64(n)
	return err
}

// openFile opens the newest file for appending. A last line that a crash cut
// short is ended first.
func (j *journal) openFile() error {
	if _, err := os.Stat(j.book.dir); err != nil {
		return err // somebody has deleted it all; it shall stay deleted
	}
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	if j.number == 0 {
		j.number = 1
		if all := j.numbers(); len(all) > 0 {
			j.number = all[len(all)-1]
		}
	}
	f, err := os.OpenFile(j.path(j.number), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil && size > 0 {
		last := []byte{0}
		if _, err = f.ReadAt(last, size-1); err == nil && last[0] != '\n' {
			_, err = f.Write([]byte{'\n'})
			size++
		}
	}
	if err != nil {
		f.Close()
		return err
	}
	j.file, j.size = f, size
	return nil
}

func (j *journal) path(number int) string {
	return filepath.Join(j.dir, fmt.Sprintf("%08d.jsonl", number))
}

// numbers lists the files there are, from old to new.
func (j *journal) numbers() []int {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil
	}
	var all []int
	for _, e := range entries {
		var n int
		if _, err := fmt.Sscanf(e.Name(), "%08d.jsonl", &n); err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

func (j *journal) expire(now time.Time) error {
	keep := time.Duration(j.retention.Load())
	if keep == 0 {
		return nil
	}
	j.io.Lock()
	defer j.io.Unlock()
	for _, n := range j.numbers() {
		info, err := os.Stat(j.path(n))
		if err != nil || now.Sub(info.ModTime()) < keep {
			continue
		}
		if n == j.number && j.file != nil {
			j.file.Close()
			j.file = nil
			j.number++ // a follower at the end of the old file goes on with this
		}
		if err := os.Remove(j.path(n)); err != nil {
			return err
		}
	}
	return nil
}

func (j *journal) close() {
	j.mu.Lock()
	if !j.gone {
		j.gone = true
		close(j.changed)
	}
	j.mu.Unlock()
	j.io.Lock()
	defer j.io.Unlock()
	if j.file != nil {
		j.file.Close()
		j.file = nil
	}
}
