package broker

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"pgregory.net/rapid"
)

// TestQueueSemantics runs random sends, receives, acknowledgements, failures and
// restarts against a standard and a FIFO queue, beside a model that knows what
// must, may and must not be received.
func TestQueueSemantics(t *testing.T) {
	// One check is a life of several broker processes: a handful is enough here,
	// -rapid.checks asks for more.
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("8"); err != nil {
			t.Fatal(err)
		}
	}
	for _, fifo := range []bool{false, true} {
		t.Run(map[bool]string{false: "standard", true: "fifo"}[fifo], func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { checkQueue(t, fifo) })
		})
	}
}

// A modelMessage is what the model knows about a message.
type modelMessage struct {
	id, group string
	receives  int
	held      *taken // the last delivery, until it is settled
	acked     bool
}

func checkQueue(t *rapid.T, fifo bool) {
	dir, err := os.MkdirTemp("", "broker")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	var b *Broker
	var q *queue
	start := func() {
		var err error
		if b, err = Open(ctx, Options{Dir: dir, Caller: &fakeCaller{}, FirstPort: firstPort()}); err != nil {
			t.Fatal(err)
		}
		raw, _ := json.Marshal(api.QueueSpec{FIFO: fifo, Visibility: api.Duration(time.Hour)})
		if _, err := b.Apply(ctx, "shop-dev", api.KindQueue, "q", raw); err != nil {
			t.Fatal(err)
		}
		if q, err = b.queue("shop-dev", "q"); err != nil {
			t.Fatal(err)
		}
	}
	start()
	defer func() {
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
	}()

	var sent []*modelMessage
	byID := map[string]*modelMessage{}
	// receivable returns the messages that may be handed out now: all that are
	// neither held nor acknowledged, of a FIFO group only the oldest that is
	// not acknowledged.
	receivable := func() map[string]bool {
		may, seen := map[string]bool{}, map[string]bool{}
		for _, m := range sent {
			if m.acked || fifo && seen[m.group] {
				continue
			}
			seen[m.group] = true
			if m.held == nil {
				may[m.id] = true
			}
		}
		return may
	}
	receive := func(n int) {
		may := receivable()
		_, _, waiting := q.state()
		want := min(n, len(may))
		for got := 0; got < want; {
			list, err := waiting.receive(ctx, n-got, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				t.Fatalf("received %d messages, want %d", got, want)
			}
			for _, x := range list {
				m, err := x.load()
				if err != nil {
					t.Fatal(err)
				}
				known := byID[m.ID]
				switch {
				case known == nil:
					t.Fatalf("received %s, which nobody sent", m.ID)
				case known.acked:
					t.Fatalf("received %s again after it was acknowledged", m.ID)
				case !may[m.ID]:
					t.Fatalf("received %s, which is held or not the oldest of its group", m.ID)
				}
				delete(may, m.ID)
				if known.receives++; x.count() != known.receives {
					t.Fatalf("message %s says delivery %d, want %d", m.ID, x.count(), known.receives)
				}
				known.held = &x
				got++
			}
		}
		list, err := waiting.receive(ctx, 10, 0)
		if err != nil || len(list) > 0 && len(may) == 0 {
			t.Fatalf("received %d more messages, %v", len(list), err)
		}
		for _, x := range list {
			m, _ := x.load()
			if !may[m.ID] {
				t.Fatalf("received %s, which must not be", m.ID)
			}
			byID[m.ID].receives++
			byID[m.ID].held = &x
		}
	}
	heldMessages := func() []*modelMessage {
		var list []*modelMessage
		for _, m := range sent {
			if m.held != nil {
				list = append(list, m)
			}
		}
		return list
	}
	actions := map[string]func(*rapid.T){
		"send": func(t *rapid.T) {
			out := outgoing{body: fmt.Appendf(nil, "%d", len(sent)), attributes: map[string]string{}}
			if fifo {
				out.group = rapid.SampledFrom([]string{"a", "b.*>", "c d"}).Draw(t, "group")
			}
			id, err := q.send(ctx, out)
			if err != nil {
				t.Fatal(err)
			}
			m := &modelMessage{id: id, group: out.group}
			sent, byID[id] = append(sent, m), m
		},
		"receive": func(t *rapid.T) { receive(rapid.IntRange(1, 4).Draw(t, "max")) },
		"acknowledge": func(t *rapid.T) {
			held := heldMessages()
			if len(held) == 0 {
				t.Skip("nothing is held")
			}
			m := rapid.SampledFrom(held).Draw(t, "message")
			_, _, waiting := q.state()
			var err error
			if rapid.Bool().Draw(t, "by receipt") {
				err = waiting.acknowledge(ctx, waiting.receipt(*m.held))
			} else {
				err = (*m.held).done(ctx)
			}
			if err != nil {
				t.Fatal(err)
			}
			m.held, m.acked = nil, true
		},
		"fail": func(t *rapid.T) {
			held := heldMessages()
			if len(held) == 0 {
				t.Skip("nothing is held")
			}
			m := rapid.SampledFrom(held).Draw(t, "message")
			if err := (*m.held).again(ctx, 0); err != nil {
				t.Fatal(err)
			}
			m.held = nil
		},
		"restart": func(t *rapid.T) {
			// What is held is given back first: a receipt is good after a
			// restart, but the connection it was taken over is not.
			for _, m := range heldMessages() {
				if err := (*m.held).again(ctx, 0); err != nil {
					t.Fatal(err)
				}
				m.held = nil
			}
			if err := b.Close(ctx); err != nil {
				t.Fatal(err)
			}
			start()
		},
	}
	t.Repeat(actions)
	// In the end everything that was not acknowledged is still there.
	for _, m := range heldMessages() {
		if err := (*m.held).again(ctx, 0); err != nil {
			t.Fatal(err)
		}
		m.held = nil
	}
	for {
		may := receivable()
		if len(may) == 0 {
			break
		}
		receive(len(may))
		for _, m := range heldMessages() {
			if err := (*m.held).done(ctx); err != nil {
				t.Fatal(err)
			}
			m.held, m.acked = nil, true
		}
	}
}
