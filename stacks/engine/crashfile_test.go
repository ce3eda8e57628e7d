package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

func (w *world) journalFile() string {
	return filepath.Join(w.dir, ".anyfaas/state/.pulumi/anyfaas/journal/orders/dev-local.jsonl")
}

func (w *world) stateFile() string {
	return filepath.Join(w.dir, ".anyfaas/state/.pulumi/stacks/orders/dev-local.json")
}

// goal is what the crashed deploy was to make.
var goal = []thingSpec{{Name: "api"}, {Name: "worker"}, {Name: "extra", Needs: []string{"worker"}}}

// crash leaves the state as a killed deploy does: a base with "api", and a
// journal in which "worker" is done and "extra" under way.
func crash(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.up(t, thingsOf(goal[:1])...)
	cmd, out := spawn(t, job{Dir: w.dir, Things: goal, HoldAt: "extra"})
	waitFor(t, out, "holding")
	cmd.Process.Kill()
	cmd.Wait()
	return w
}

func TestAfterACrash(t *testing.T) {
	read := func(t *testing.T, name string) []byte {
		t.Helper()
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	goal := thingsOf(goal)
	tests := []struct {
		name    string
		damage  func(t *testing.T, w *world)
		changes []string // of the next deploy
		pending int      // recorded before it
		says    string   // part of what it says
	}{
		{
			name:   "what was recorded counts",
			damage: func(*testing.T, *world) {}, changes: []string{"create extra"}, pending: 1,
			says: "the last deploy was interrupted; going on from what it recorded",
		},
		{
			name: "a torn last line is ignored",
			damage: func(t *testing.T, w *world) {
				data := read(t, w.journalFile())
				writeFile(t, w.journalFile(), append(data, []byte(`0123abcd {"entry":{"kind":1,"ope`)...))
			},
			changes: []string{"create extra"}, pending: 1,
			says: "the last deploy was interrupted; going on from what it recorded",
		},
		{
			name: "a journal that ends in the middle of its first line recorded nothing",
			damage: func(t *testing.T, w *world) {
				writeFile(t, w.journalFile(), read(t, w.journalFile())[:40])
			},
			changes: []string{"create extra", "create worker"},
		},
		{
			name: "a journal of another state is put aside, and says what it made",
			damage: func(t *testing.T, w *world) {
				writeFile(t, w.stateFile(), append(read(t, w.stateFile()), '\n'))
			},
			changes: []string{"create extra", "create worker"},
			says:    "it had made fake:index:Thing worker (fake:index:Thing/worker), which may exist without being recorded",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := crash(t)
			tt.damage(t, w)
			state, err := w.State(t.Context(), testID)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "pending", tt.pending, len(state.Pending))
			same(t, "preview", tt.changes, summary(w.preview(t, goal...)))
			var said strings.Builder
			r, err := w.Up(t.Context(), testID, w.program(goal...), stacks.Options{}, event.Func(func(e event.Event) {
				if m, ok := e.(event.Message); ok {
					said.WriteString(m.Text + "\n")
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			same(t, "deploy", tt.changes, summary(r))
			if !strings.Contains(said.String(), tt.says) {
				t.Errorf("it said %q; want %q in it", said.String(), tt.says)
			}
			same(t, "cloud", []string{"fake:index:Thing/api", "fake:index:Thing/extra", "fake:index:Thing/worker"}, w.cloud.exist(t))
			if _, err := os.Stat(w.journalFile()); !os.IsNotExist(err) {
				t.Errorf("the journal is still there: %v", err)
			}
		})
	}
}

// The fold is repeated or left out, whatever the crash left of it.
func TestCrashInTheMiddleOfAFold(t *testing.T) {
	w := crash(t)
	journal, err := os.ReadFile(w.journalFile())
	if err != nil {
		t.Fatal(err)
	}
	mark := strings.TrimSuffix(w.journalFile(), ".jsonl") + ".folded"
	_, err = w.Refresh(t.Context(), testID, w.program(), stacks.Options{}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	// The journal as it was, beside a state into which it is folded: without the
	// mark nobody could tell that from a state of somebody else.
	folded, err := os.ReadFile(w.stateFile())
	if err != nil {
		t.Fatal(err)
	}
	header := string(journal[strings.Index(string(journal), `"run":"`)+7:][:36])
	writeFile(t, w.journalFile(), journal)
	writeFile(t, mark, map[string]string{"run": header, "digest": hexSHA256(folded)})
	r, err := w.Up(t.Context(), testID, w.program(thingsOf(goal[:2])...), stacks.Options{}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "changes", []string{}, summary(r))
	same(t, "warnings", 0, len(r.Warnings))
}

func TestInterruptedRunIsInTheHistory(t *testing.T) {
	w := crash(t)
	w.up(t, thingsOf(goal)...)
	updates, err := w.History(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range updates {
		got = append(got, u.Operation+" "+u.Result)
	}
	same(t, "history", []string{"deploy succeeded", "deploy interrupted", "deploy succeeded"}, got)
}
