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
	cmd, out := spawn(t, job{Dir: w.dir, Things: goal, HoldAt: "create extra"})
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
			t.Parallel()
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

// A step that was made but not recorded is put right, even when the next program
// no longer wants what the killed one did.
func TestStepsThatAKillLeftOpen(t *testing.T) {
	tests := []struct {
		name                string
		before, killed      []thingSpec
		at                  string
		next                []thingSpec
		changes             []string
		wantCloud, wantFile string // the ids that exist, and the content of the first
	}{
		{
			name: "a creation that is no longer wanted", killed: []thingSpec{{Name: "api"}}, at: "create api",
			changes: []string{},
		},
		{
			name: "an update that is taken back", before: []thingSpec{{Name: "api", Size: 1}},
			killed: []thingSpec{{Name: "api", Size: 2}}, at: "update api", next: []thingSpec{{Name: "api", Size: 1}},
			changes: []string{"update api"}, wantCloud: "fake:index:Thing/api", wantFile: `{"generation":0,"name":"api","size":1}`,
		},
		{
			name: "a deletion that is taken back", before: []thingSpec{{Name: "api"}, {Name: "worker", Needs: []string{"api"}}},
			killed: []thingSpec{{Name: "api"}}, at: "delete worker", next: []thingSpec{{Name: "api"}, {Name: "worker", Needs: []string{"api"}}},
			changes: []string{"create worker"}, wantCloud: "fake:index:Thing/api fake:index:Thing/worker", wantFile: `{"generation":0,"name":"api","size":0}`,
		},
		{
			name: "a replacement under the same name that is no longer wanted", before: []thingSpec{{Type: "Unique", Name: "api"}},
			killed: []thingSpec{{Type: "Unique", Name: "api", Generation: 1}}, at: "create api",
			changes: []string{},
		},
		{
			name: "a replacement of which the old half was left", before: []thingSpec{{Name: "api"}},
			killed: []thingSpec{{Name: "api", Real: "api2"}}, at: "delete api", next: []thingSpec{{Name: "api", Real: "api2"}},
			changes: []string{}, wantCloud: "fake:index:Thing/api2", wantFile: `{"generation":0,"name":"api2","size":0}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.up(t, thingsOf(tt.before)...)
			cmd, out := spawn(t, job{Dir: w.dir, Things: tt.killed, HoldAt: tt.at})
			waitFor(t, out, "holding")
			cmd.Process.Kill()
			cmd.Wait()
			same(t, "changes", tt.changes, summary(w.up(t, thingsOf(tt.next)...)))
			exist := w.cloud.exist(t)
			same(t, "cloud", tt.wantCloud, strings.Join(exist, " "))
			if len(exist) > 0 && !t.Failed() {
				same(t, exist[0], tt.wantFile, w.cloud.content(t, exist[0]))
			}
			same(t, "nothing left", []string{}, summary(w.preview(t, thingsOf(tt.next)...)))
		})
	}
}

// The fold is repeated or left out, whatever the crash left of it.
func TestCrashInTheMiddleOfAFold(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
