package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"sync"
	"time"

	"github.com/pulumi/pulumi/pkg/v3/backend"
	pulumi "github.com/pulumi/pulumi/pkg/v3/engine"
	"github.com/pulumi/pulumi/pkg/v3/resource/stack"
	"github.com/pulumi/pulumi/pkg/v3/secrets"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"

	"github.com/anyfaas/anyfaas/stacks"
)

// The journal of a run is a log of lines, each "<crc32c, 8 hex digits> <JSON>".
// The first line is its header, then comes one line for every journal entry of
// the Pulumi engine, each durable before the step it announces begins and before
// the next step learns that it is done. When the run ends, the entries are folded
// into the checkpoint: first a mark says which checkpoint that will be, then the
// checkpoint is written, then journal and mark are deleted.
//
// So after a crash the checkpoint tells where it stopped: it is the journal's
// base (fold again), or the marked one (only delete), or a third one that
// somebody else wrote meanwhile (put the journal aside and say so).
type journalLine struct {
	Header *journalHeader        `json:"header,omitempty"`
	Entry  *apitype.JournalEntry `json:"entry,omitempty"`
}

// A foldMark says which checkpoint the journal of a run is folded into.
type foldMark struct {
	Run    string `json:"run"`
	Digest string `json:"digest"`
}

type journalHeader struct {
	Version   int       `json:"version"` // 1
	Run       string    `json:"run"`
	Base      string    `json:"base"` // digest of the checkpoint it starts from
	Operation string    `json:"operation"`
	Message   string    `json:"message,omitempty"`
	Started   time.Time `json:"started"`
}

const journalVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeLine(line journalLine) ([]byte, error) {
	data, err := json.Marshal(line)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(data)+10)
	out = fmt.Appendf(out, "%08x ", crc32.Checksum(data, castagnoli))
	out = append(out, data...)
	return append(out, '\n'), nil
}

// decodeLines returns the lines up to the first one that is not whole. Only what
// was written last and never acknowledged can be torn.
func decodeLines(data []byte) []journalLine {
	var lines []journalLine
	for {
		raw, rest, found := bytes.Cut(data, []byte{'\n'})
		if !found || len(raw) < 10 || raw[8] != ' ' {
			return lines
		}
		sum, err := strconv.ParseUint(string(raw[:8]), 16, 32)
		if err != nil || uint32(sum) != crc32.Checksum(raw[9:], castagnoli) {
			return lines
		}
		var line journalLine
		if err := json.Unmarshal(raw[9:], &line); err != nil {
			return lines
		}
		lines, data = append(lines, line), rest
	}
}

// A recording is a journal read back.
type recording struct {
	header  journalHeader
	entries []apitype.JournalEntry
	raw     []byte
}

// readJournal returns the journal of the stack, or nil when there is none. A
// journal without a whole header has recorded nothing: no step begins before
// the header is durable.
func readJournal(ctx context.Context, s store, id stacks.ID) (*recording, error) {
	data, err := s.ReadLog(ctx, journalKey(id))
	if isGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	lines := decodeLines(data)
	if len(lines) == 0 || lines[0].Header == nil {
		return &recording{raw: data}, nil
	}
	r := &recording{header: *lines[0].Header, raw: data}
	if r.header.Version != journalVersion {
		return nil, fmt.Errorf("journal of the interrupted %s has version %d, which this program does not know; use the newer one that wrote it", r.header.Operation, r.header.Version)
	}
	for _, line := range lines[1:] {
		if line.Entry != nil {
			r.entries = append(r.entries, *line.Entry)
		}
	}
	return r, nil
}

// replay applies journal entries to a base, which may be nil, and returns the
// deployment that results. The base is not changed.
func replay(base *apitype.DeploymentV3, entries []apitype.JournalEntry) (apitype.TypedDeployment, error) {
	if base == nil {
		base = &apitype.DeploymentV3{}
	}
	own := *base
	replayer := backend.NewJournalReplayer(&own)
	for _, e := range entries {
		if err := replayer.Add(e); err != nil {
			return apitype.TypedDeployment{}, fmt.Errorf("journal: %w", err)
		}
	}
	d, err := replayer.GenerateDeployment()
	if err != nil {
		return apitype.TypedDeployment{}, fmt.Errorf("journal: %w", err)
	}
	return d, nil
}

// A journal records a run. It implements the engine's Journal; several steps
// append at once, and those that wait together share one write.
type journal struct {
	// The engine hands no context over. This one is never cancelled: what was
	// done must be recorded, most of all after an interruption.
	ctx     context.Context
	log     appender
	secrets secrets.Manager
	pending []resource.Operation // kept when the engine rebases

	mu      sync.Mutex
	entries []apitype.JournalEntry
	queue   []byte
	batch   *batch // what the queue belongs to
	err     error  // the first failure; nothing is recorded after it

	wake   chan struct{}
	closed chan struct{}
}

// A batch is what is written and synced together.
type batch struct {
	done chan struct{}
	err  error
}

// startJournal opens the journal of the stack and makes its header durable.
func startJournal(ctx context.Context, s store, id stacks.ID, h journalHeader, sm secrets.Manager, pending []resource.Operation) (*journal, error) {
	log, err := s.OpenLog(ctx, journalKey(id))
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	line, err := encodeLine(journalLine{Header: &h})
	if err != nil {
		return nil, err
	}
	if err := log.Append(ctx, line); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &journal{
		ctx: context.WithoutCancel(ctx), log: log, secrets: sm, pending: pending,
		batch: &batch{done: make(chan struct{})},
		wake:  make(chan struct{}, 1), closed: make(chan struct{}),
	}
	go j.write()
	return j, nil
}

var _ pulumi.Journal = (*journal)(nil)

// AddJournalEntry appends the entry and returns when it is durable. Entries that
// the engine marks as elidable, of unchanged resources, do not wait: they are
// written with the next that does.
func (j *journal) AddJournalEntry(e pulumi.JournalEntry) error {
	if e.Kind == pulumi.JournalEntryWrite && e.NewSnapshot != nil {
		e.NewSnapshot.PendingOperations = j.pending
	}
	entry, err := stack.BatchEncrypt(j.ctx, j.secrets,
		func(ctx context.Context, enc config.Encrypter) (apitype.JournalEntry, error) {
			return backend.SerializeJournalEntry(ctx, e, enc)
		})
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	line, err := encodeLine(journalLine{Entry: &entry})
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	b, err := j.enqueue(line, entry)
	if err != nil || e.ElideWrite {
		return err
	}
	<-b.done
	return b.err
}

// Close is called by the engine's snapshot manager; stop ends the journal.
func (j *journal) Close() error { return nil }

func (j *journal) enqueue(line []byte, entry apitype.JournalEntry) (*batch, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return nil, j.err
	}
	j.queue = append(j.queue, line...)
	j.entries = append(j.entries, entry)
	select {
	case j.wake <- struct{}{}:
	default:
	}
	return j.batch, nil
}

// write appends what is queued until stop.
func (j *journal) write() {
	defer close(j.closed)
	for range j.wake {
		j.mu.Lock()
		data, b := j.queue, j.batch
		j.queue, j.batch = nil, &batch{done: make(chan struct{})}
		j.mu.Unlock()
		if len(data) > 0 {
			if err := j.log.Append(j.ctx, data); err != nil {
				b.err = fmt.Errorf("journal: %w", err)
				j.mu.Lock()
				j.err = b.err
				j.mu.Unlock()
			}
		}
		close(b.done)
	}
}

// recorded returns the entries so far, in order.
func (j *journal) recorded() []apitype.JournalEntry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.entries
}

// stop closes the log. The engine must have returned.
func (j *journal) stop() error {
	j.mu.Lock()
	if j.err == nil {
		j.err = errors.New("journal: closed")
	}
	j.mu.Unlock()
	close(j.wake)
	<-j.closed
	return j.log.Close()
}
