package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func TestLinesOfAJournal(t *testing.T) {
	var whole []byte
	for i := range 3 {
		line, err := encodeLine(journalLine{Entry: &apitype.JournalEntry{SequenceID: int64(i + 1)}})
		if err != nil {
			t.Fatal(err)
		}
		whole = append(whole, line...)
	}
	text := string(whole)
	second := strings.Index(text, "\n") + 1
	third := second + strings.Index(text[second:], "\n") + 1
	tests := []struct {
		name string
		in   string
		want []int64
	}{
		{"nothing", "", nil},
		{"all", text, []int64{1, 2, 3}},
		{"without the last line break", text[:len(text)-1], []int64{1, 2}},
		{"cut in the last line", text[:third+12], []int64{1, 2}},
		{"cut after a line", text[:third], []int64{1, 2}},
		{"a hole in the last write", text[:second+12] + strings.Repeat("\x00", third-second-13) + "\n" + text[third:], []int64{1}},
		{"a digit of another value", strings.Replace(text, `"sequenceID":2`, `"sequenceID":7`, 1), []int64{1}},
		{"something else", "hello\n" + text, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []int64
			for _, line := range decodeLines([]byte(tt.in)) {
				got = append(got, line.Entry.SequenceID)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzDecodeLines(f *testing.F) {
	line, err := encodeLine(journalLine{Header: &journalHeader{Version: 1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte("00000000 {}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// However it goes on, a journal begins with what was acknowledged.
		lines := decodeLines(append(append([]byte{}, line...), data...))
		if len(lines) == 0 || lines[0].Header == nil {
			t.Errorf("%q hides the line before it", data)
		}
	})
}

func TestLiveness(t *testing.T) {
	self, err := thisProcess()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	ended, reused, elsewhere := self, self, self
	ended.PID = cmd.Process.Pid
	reused.Started = "another boot 1"
	elsewhere.Machine = "another"
	tests := []struct {
		name string
		of   processName
		want liveness
	}{
		{"this process", self, alive},
		{"a process that ended", ended, dead},
		{"a process whose number was given to another", reused, dead},
		{"a process of another machine", elsewhere, unknown},
		{"a process nothing is known of", processName{}, unknown},
	}
	for _, tt := range tests {
		if got := tt.of.look(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestOfSeveralCreatorsOneSucceeds(t *testing.T) {
	s := &files{root: t.TempDir()}
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() { errs[i] = s.Create(t.Context(), "a/b", []byte(fmt.Sprint(i))) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("%d and %d both created the file", winner, i)
		case err == nil:
			winner = i
		case !isThere(err):
			t.Error(err)
		}
	}
	data, err := s.Read(t.Context(), "a/b")
	if err != nil || string(data) != fmt.Sprint(winner) {
		t.Errorf("the file of %d holds %q, %v", winner, data, err)
	}
	entries, err := os.ReadDir(filepath.Join(s.root, "a"))
	if err != nil || len(entries) != 1 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
}

func TestKeysThatLeaveTheStore(t *testing.T) {
	s := &files{root: t.TempDir()}
	for _, key := range []string{"", "../x", "a/../../x", "/etc/passwd", "a//b", "a/."} {
		if err := s.Write(context.Background(), key, nil); err == nil {
			t.Errorf("%q was written", key)
		}
	}
}

func TestSecretsStaySecretWhenReadBack(t *testing.T) {
	secret := func(v resource.PropertyValue) resource.PropertyValue { return resource.MakeSecret(v) }
	text := func(s string) resource.PropertyValue { return resource.NewProperty(s) }
	object := func(m resource.PropertyMap) resource.PropertyValue { return resource.NewProperty(m) }
	list := func(vs ...resource.PropertyValue) resource.PropertyValue { return resource.NewProperty(vs) }
	tests := []struct {
		name           string
		old, new, want resource.PropertyValue
	}{
		{"plain text", text("a"), text("b"), text("b")},
		{"a secret", secret(text("a")), text("b"), secret(text("b"))},
		{"a secret that still is one", secret(text("a")), secret(text("b")), secret(text("b"))},
		{
			"inside an object", object(resource.PropertyMap{"a": secret(text("1")), "b": text("2")}),
			object(resource.PropertyMap{"a": text("3"), "b": text("2"), "c": text("4")}),
			object(resource.PropertyMap{"a": secret(text("3")), "b": text("2"), "c": text("4")}),
		},
		{"inside a list", list(text("1"), secret(text("2"))), list(text("1"), text("3"), text("4")), list(text("1"), secret(text("3")), text("4"))},
		{"of another kind", secret(text("1")), list(text("2")), secret(list(text("2")))},
	}
	for _, tt := range tests {
		if got := markLike(tt.old, tt.new); !got.DeepEquals(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A process that was suspended while it held the guard must not make all others
// hang.
func TestAGuardThatIsNotGivenBackIsNotWaitedForForever(t *testing.T) {
	was := guardPatience
	guardPatience = 20 * time.Millisecond
	defer func() { guardPatience = was }()
	p := filepath.Join(t.TempDir(), "guard")
	release, err := guardFile(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	_, err = guardFile(t.Context(), p)
	want := "another process has held " + p + " for 20ms, which takes moments unless it is suspended: look for a stopped anyfaas, let it go on or end it"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	release()
	release, err = guardFile(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	release()
}
