package broker

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// childEnv makes the test binary a host process with a broker in the folder it
// names.
const childEnv = "BROKER_TEST_CHILD"

// crashResources are what the child applies, in this order.
var crashResources = []struct {
	kind api.Kind
	name string
	spec any
}{
	{api.KindQueue, "jobs", api.QueueSpec{Visibility: api.Duration(time.Second)}},
	{api.KindQueue, "orders", api.QueueSpec{Visibility: api.Duration(time.Second), FIFO: true}},
	{api.KindQueue, "inbox", api.QueueSpec{Visibility: api.Duration(time.Hour)}},
	{api.KindTopic, "events", api.TopicSpec{}},
	{api.KindStream, "clicks", api.StreamSpec{Shards: 2}},
	{api.KindTable, "items", api.TableSpec{Key: api.Attribute{Name: "id", Type: "string"}, Stream: true}},
	{api.KindBucket, "uploads", api.BucketSpec{}},
	{api.KindQueueConsumer, "jobs", api.QueueConsumerSpec{Function: "jobs", Queue: "jobs", Batch: 5}},
	{api.KindQueueConsumer, "orders", api.QueueConsumerSpec{Function: "orders", Queue: "orders", Batch: 5}},
	{api.KindSubscription, "events", api.SubscriptionSpec{Function: "events", Topic: "events"}},
	{api.KindNotification, "uploads", api.NotificationSpec{Function: "uploads", Bucket: "uploads", Events: []string{"created"}}},
	{api.KindStreamReader, "clicks", api.StreamReaderSpec{Function: "clicks", Stream: "clicks", Batch: 10, From: "earliest"}},
	{api.KindTableReader, "items", api.TableReaderSpec{Function: "items", Table: "items", Batch: 10}},
}

// runChild serves until it is killed. It prints its addresses, then a line for
// each event that it dealt with: function and number.
func runChild(dir string) {
	var printing sync.Mutex
	caller := &fakeCaller{}
	for _, r := range crashResources {
		caller.handle(r.name, func(_ context.Context, c Call) ([]string, error) {
			printing.Lock()
			defer printing.Unlock()
			for _, ev := range c.Events {
				fmt.Println(c.Function, numberOf(ev.Data))
			}
			return nil, nil
		})
	}
	b, err := Open(context.Background(), Options{Dir: dir, Caller: caller, FirstPort: firstPort()})
	if err != nil {
		panic(err)
	}
	for _, r := range crashResources {
		raw, err := json.Marshal(r.spec)
		if err != nil {
			panic(err)
		}
		if _, err := b.Apply(context.Background(), "shop-dev", r.kind, r.name, raw); err != nil {
			panic(err)
		}
	}
	data, s3 := b.Addrs()
	printing.Lock()
	fmt.Println("ready", data, s3)
	printing.Unlock()
	select {}
}

// numberOf returns what an event is about: the body of a message, the key of an
// object, or the field n of an item.
func numberOf(data json.RawMessage) string {
	var d struct {
		Body string `json:"body"`
		Key  string `json:"key"`
		New  struct {
			N json.Number `json:"n"`
		} `json:"new"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		panic(err)
	}
	return d.Body + d.Key + d.New.N.String()
}

// A child is a host process and what it has printed.
type child struct {
	cmd      *exec.Cmd
	data, s3 string
	ended    chan struct{}

	mu    sync.Mutex
	lines []string
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0]), ended: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childEnv+"="+dir)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		defer close(c.ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			line := s.Text()
			if rest, ok := strings.CutPrefix(line, "ready "); ok {
				c.data, c.s3, _ = strings.Cut(rest, " ")
				close(ready)
				continue
			}
			c.mu.Lock()
			c.lines = append(c.lines, line)
			c.mu.Unlock()
		}
	}()
	select {
	case <-ready:
	case <-time.After(30 * time.Second):
		c.kill(t)
		t.Fatal("the child is not ready after 30 seconds")
	}
	return c
}

func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-c.ended
	_ = c.cmd.Wait() // it was killed
}

func (c *child) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.lines...)
}

// TestNothingIsLostWhenTheProcessIsKilled sends to every kind of resource while
// the host process is killed again and again. Whatever was confirmed arrives,
// in order where there is an order, and what was acknowledged stays away.
func TestNothingIsLostWhenTheProcessIsKilled(t *testing.T) {
	dir := t.TempDir()
	var confirmed, seen, acknowledged []string
	number := 0
	for round := range 4 {
		c := startChild(t, dir)
		before := len(confirmed)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
				}
				number++
				sends := []struct{ function, method, url, header string }{
					{"jobs", "POST", c.data + "/shop-dev/queues/jobs", ""},
					{"orders", "POST", c.data + "/shop-dev/queues/orders", "Anyfaas-Message-Group: g"},
					{"events", "POST", c.data + "/shop-dev/topics/events", ""},
					{"clicks", "POST", c.data + "/shop-dev/streams/clicks", "Anyfaas-Partition-Key: k"},
					{"items", "PUT", c.data + "/shop-dev/tables/items/k", ""},
					{"uploads", "PUT", fmt.Sprintf("%s/shop-dev-uploads/%d", c.s3, number), ""},
					{"", "POST", c.data + "/shop-dev/queues/inbox", ""},
				}
				for _, s := range sends {
					body := fmt.Sprint(number)
					if s.method == "PUT" {
						body = fmt.Sprintf(`{"n":%d}`, number)
					}
					if status, _ := try(s.method, s.url, body, s.header); status/100 != 2 {
						return // killed
					}
					if s.function != "" {
						confirmed = append(confirmed, fmt.Sprint(s.function, " ", number))
					}
				}
				if number%3 > 0 {
					continue
				}
				status, body := try("GET", c.data+"/shop-dev/queues/inbox?max=1", "", "")
				var got struct {
					Messages []struct{ ID, Receipt string }
				}
				if status != 200 || json.Unmarshal([]byte(body), &got) != nil || len(got.Messages) != 1 {
					return
				}
				m := got.Messages[0]
				if slices.Contains(acknowledged, m.ID) {
					t.Errorf("message %s was received again after it was acknowledged", m.ID)
				}
				if status, _ := try("DELETE", c.data+"/shop-dev/queues/inbox/"+m.Receipt, "", ""); status != 204 {
					return
				}
				acknowledged = append(acknowledged, m.ID)
			}
		}()
		deadline := time.Now().Add(20 * time.Second)
		for len(c.seen()) < 40+20*round && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		c.kill(t)
		close(stop)
		<-stopped
		seen = append(seen, c.seen()...)
		if len(confirmed) == before {
			t.Fatalf("round %d confirmed nothing", round)
		}
	}
	if len(acknowledged) == 0 {
		t.Fatal("nothing was acknowledged")
	}
	last := startChild(t, dir)
	defer last.kill(t)
	eventually(t, func() string {
		all := append(slices.Clone(seen), last.seen()...)
		for _, line := range confirmed {
			if !slices.Contains(all, line) {
				return "never arrived: " + line
			}
		}
		return ""
	})
	for _, ordered := range []string{"orders ", "clicks ", "items "} {
		newest, known := 0, map[string]bool{}
		for _, line := range append(seen, last.seen()...) {
			text, ok := strings.CutPrefix(line, ordered)
			if !ok || known[text] { // a repeated delivery may come at any time
				continue
			}
			known[text] = true
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			if n <= newest {
				t.Errorf("%s: %d came after %d", ordered, n, newest)
			}
			newest = n
		}
	}
}

// try sends a request to a process that may be gone: then the status is 0.
func try(method, url, body, header string) (int, string) {
	rq, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, ""
	}
	if name, value, ok := strings.Cut(header, ": "); ok {
		rq.Header.Set(name, value)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	rs, err := client.Do(rq)
	if err != nil {
		return 0, ""
	}
	defer rs.Body.Close()
	b, err := io.ReadAll(rs.Body)
	if err != nil {
		return 0, ""
	}
	return rs.StatusCode, string(b)
}
