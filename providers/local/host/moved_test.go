package host

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

func TestCallersWaitUntilAllFunctionsAreBack(t *testing.T) {
	m := newTestMachine(t)
	s := newStack(m, testStack)
	if _, err := s.putService([]byte(`{"service": "shop", "stage": "dev", "owner": "/project", "port": 0}`), 0); err != nil {
		t.Fatal(err)
	}
	defer s.close(0)
	answered := make(chan string, 1)
	go func() { answered <- answerOf(http.Get(s.url() + "/hello")) }()
	select {
	case got := <-answered:
		t.Errorf("answered before the functions are there: %s", got)
	case <-time.After(100 * time.Millisecond):
	}
	close(m.restored)
	if got, want := <-answered, `404 {"message":"Not Found"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Another user of the machine may have a host, and the default ports, first.
func TestWhatHadAPortThatIsTakenNowIsFoundElsewhere(t *testing.T) {
	h := startHost(t)
	oldQueue := h.deployed()
	before := h.state()
	if err := h.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{before.URL, oldQueue} {
		u, err := url.Parse(old)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}

	held := map[api.Kind]api.ResourceState{}
	for _, r := range h.state().Resources { // starts the host
		held[r.Kind] = r
	}
	for kind, down := range map[api.Kind]bool{api.KindService: true, api.KindRoute: true, api.KindFunction: false, api.KindQueue: false} {
		if held[kind].Down != down {
			t.Errorf("%s: down is %v, want %v", kind, held[kind].Down, down)
		}
	}
	queue := fmt.Sprint(held[api.KindQueue].Outputs["url"])
	if queue == oldQueue {
		t.Fatal("the queue is said to be where it was")
	}
	if got := answerOf(http.Get(queue + "?peek=true")); !strings.Contains(got, `"m"`) {
		t.Errorf("the queue: %s", got)
	}

	// A deploy puts the service again, which has no wish for a port.
	out := h.put(api.KindService, held[api.KindService].Name, held[api.KindService].Spec)
	h.put(api.KindRoute, held[api.KindRoute].Name, held[api.KindRoute].Spec)
	h.url = fmt.Sprint(out["url"])
	if h.url == before.URL {
		t.Error("the front is said to be where it was")
	}
	if got, want := h.get("/hello"), "200 hello from api"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, r := range h.state().Resources {
		if r.Down {
			t.Errorf("%s %s is down", r.Kind, r.Name)
		}
	}
}
