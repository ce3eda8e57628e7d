package e2e

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheHostComesBackWithEverythingAfterACrash(t *testing.T) {
	for _, tt := range []struct {
		name  string
		crash func(*world)
	}{
		{"the host is killed and comes back by itself", func(w *world) {
			pid := w.status().PID
			w.kill(pid)
			w.eventually("another host", func() string {
				if s := w.status(); s.PID == 0 || s.PID == pid || len(s.Stacks) == 0 {
					return fmt.Sprintf("%+v", s)
				}
				return ""
			})
		}},
		{"everything is killed, as by a power cut, and local start brings it back", func(w *world) {
			w.killAll()
			w.must(0, "local", "start")
		}},
		{"everything is killed, and the next deploy brings it back", func(w *world) {
			w.killAll()
			w.must(0, "deploy", "--yes")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "examples/photos")
			w.ownPort()
			w.must(0, "deploy", "--yes")
			url := w.url()
			// "broken" is a dead-letter queue that nobody reads.
			w.call("POST", w.resource("queues", "broken"), `{"kept":"over the crash"}`)
			if a := w.call("PUT", w.object("photos", "out/cat/index.json"), `{"photo":"cat"}`, "Content-Type", "application/json"); a.Status != 200 {
				t.Fatalf("PUT to the bucket: %+v", a)
			}
			w.want(200, `{"photo":"cat"}`, "GET", url+"/photos/cat", "")
			before := w.held()

			tt.crash(w)

			if got := w.held(); got != before {
				t.Errorf("after the crash the host holds\n%s\nwant\n%s", got, before)
			}
			if got := w.url(); got != url {
				t.Errorf("the URL changed from %s to %s", url, got)
			}
			w.want(200, `{"photo":"cat"}`, "GET", url+"/photos/cat", "")
			if n := w.waiting("broken"); n != 1 {
				t.Errorf("want the message still in its queue, got %d", n)
			}
			w.must(0, "preview", "--exit-code")
			w.must(0, "remove", "--yes")
		})
	}
}

func TestLocalStopAndTheNextDeployBringBackWhatRan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "examples/meetings")
	w.ownPort()
	w.must(0, "deploy", "--yes")
	w.must(0, "local", "stop")
	w.nothingRuns()
	w.must(0, "deploy", "--yes")
	const noon = "/zones/UTC?at=2026-01-01T12:00:00Z"
	w.want(200, `{"name":"UTC","offset":"0s","summer":false,"time":"2026-01-01T12:00:00Z","zone":"UTC"}`, "GET", w.url()+noon, "")
	w.must(0, "remove", "--yes")
}

func TestTwoServicesShareTheHostAndTheLastOneEndsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "examples/meetings")
	w.must(0, "deploy", "--yes")
	w.must(0, "deploy", "--yes", "--stage", "test")
	s := w.status()
	var got []string
	for _, st := range s.Stacks {
		a := w.call("GET", st.URL+"/zones/UTC", "")
		got = append(got, fmt.Sprint(st.Stack, " ", a.Status))
	}
	if want := "meetings-dev 200, meetings-test 200"; strings.Join(got, ", ") != want {
		t.Errorf("want %s, got %s", want, strings.Join(got, ", "))
	}
	w.must(0, "remove", "--yes")
	if a := w.call("GET", w.url()+"/zones/UTC", ""); a.Status != 200 {
		t.Errorf("after its neighbour was removed the other stack answers %+v", a)
	}
	w.must(0, "remove", "--yes", "--stage", "test")
	w.nothingRuns()
}
