package broker

import (
	"context"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/google/go-cmp/cmp"
)

func TestQueueRetriesThenDeadLetters(t *testing.T) {
	f := open(t)
	url := f.apply(api.KindQueue, "jobs", api.QueueSpec{Visibility: api.Duration(5 * time.Second), MaxReceives: 3, DeadLetter: "failures"})["url"].(string)
	dead := f.apply(api.KindQueue, "failures", api.QueueSpec{})["url"].(string)
	f.caller.handle("worker", func(context.Context, Call) ([]string, error) { return nil, errBroken })
	f.apply(api.KindQueueConsumer, "worker-jobs", api.QueueConsumerSpec{Function: "worker", Queue: "jobs", Batch: 10})

	sent := do(t, "POST", url, `{"order": 7}`, "Anyfaas-Attribute-Type: paid", "Content-Type: application/json")
	if sent.Status != 201 {
		t.Fatalf("send: status %d, %s", sent.Status, sent.Body)
	}
	got := received(t, do(t, "GET", dead+"?wait=20s", ""))
	if len(got) != 1 {
		t.Fatalf("dead letters: %v", got)
	}
	events := f.caller.events("worker")
	want := map[string]any{
		"body": map[string]any{"order": 7.0},
		"attributes": map[string]any{
			"type": "paid", "anyfaas-origin": "/queues/jobs", "anyfaas-function": "worker",
			"anyfaas-reason": "the function is broken", "anyfaas-receives": "3", "anyfaas-id": events[0].ID,
		},
		"receives": 1.0,
	}
	receipt := got[0]["receipt"].(string)
	for _, k := range []string{"id", "sent", "receipt"} {
		delete(got[0], k)
	}
	if d := cmp.Diff(want, got[0]); d != "" {
		t.Errorf("dead letter (-want +got):\n%s", d)
	}
	var counts []int
	for _, e := range events {
		counts = append(counts, e.DeliveryCount)
	}
	if d := cmp.Diff([]int{1, 2, 3}, counts); d != "" {
		t.Errorf("delivery counts (-want +got):\n%s", d)
	}
	if r := do(t, "DELETE", dead+"/"+receipt, ""); r.Status != 204 {
		t.Errorf("acknowledge: status %d, %s", r.Status, r.Body)
	}
	if r := do(t, "DELETE", dead+"/"+receipt, ""); r.Status != 410 {
		t.Errorf("acknowledge again: status %d, %s", r.Status, r.Body)
	}
	wantStatus := []api.QueueStatus{{Name: "failures"}, {Name: "jobs"}}
	if d := cmp.Diff(wantStatus, f.Status("shop-dev")); d != "" {
		t.Errorf("status (-want +got):\n%s", d)
	}
}

func TestQueueMessageForms(t *testing.T) {
	f := open(t)
	url := f.apply(api.KindQueue, "jobs", api.QueueSpec{})["url"].(string)
	f.apply(api.KindQueueConsumer, "c", api.QueueConsumerSpec{Function: "worker", Queue: "jobs", Batch: 1})
	tests := []struct{ name, body, contentType, want string }{
		{"an object is parsed", ` {"a": [1, 2.50]}`, "application/json", `{"body":{"a":[1,2.50]},"attributes":{}}`},
		{"an array is parsed, whatever its type", `[true]`, "text/plain", `{"body":[true],"attributes":{}}`},
		{"a scalar stays text", `123`, "application/json", `{"body":"123","attributes":{}}`},
		{"broken JSON is text", `{"a":`, "application/json", `{"body":"{\"a\":","attributes":{}}`},
		{"text is text", "grüße\n", "text/plain", `{"body":"grüße\n","attributes":{}}`},
		{"bytes are base64", "\xff\x00", "application/octet-stream", `{"bodyBase64":"/wA=","attributes":{}}`},
		{"nothing is an empty text", "", "", `{"body":"","attributes":{}}`},
	}
	for i, tt := range tests {
		post(t, url, tt.body, "Content-Type: "+tt.contentType)
		eventually(t, func() string { return wantCount("messages", len(f.caller.events("worker")), i+1) })
		if got := string(f.caller.events("worker")[i].Data); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	first := f.caller.events("worker")[0]
	want := api.CloudEvent{
		SpecVersion: "1.0", Type: "dev.anyfaas.queue.message.v1", Source: "/queues/jobs", ID: first.ID, Time: first.Time,
		DataContentType: "application/json", DeliveryCount: 1, Sequence: "1", Data: first.Data,
	}
	if d := cmp.Diff(want, first); d != "" {
		t.Errorf("event (-want +got):\n%s", d)
	}
}

func TestQueueGathersBatchesWithinTheWindow(t *testing.T) {
	f := open(t)
	url := f.apply(api.KindQueue, "jobs", api.QueueSpec{})["url"].(string)
	f.apply(api.KindQueueConsumer, "c", api.QueueConsumerSpec{Function: "worker", Queue: "jobs", Batch: 4, Window: api.Duration(time.Minute)})
	for range 8 {
		post(t, url, "x")
	}
	sizes := func() []int {
		f.caller.mu.Lock()
		defer f.caller.mu.Unlock()
		var list []int
		for _, c := range f.caller.calls {
			list = append(list, len(c.Events))
		}
		return list
	}
	eventually(t, func() string { return cmp.Diff([]int{4, 4}, sizes()) })
	// Without a window a message does not wait for others; the change takes
	// effect with the next gathering.
	f.apply(api.KindQueueConsumer, "c", api.QueueConsumerSpec{Function: "worker", Queue: "jobs", Batch: 4, Window: api.Duration(10 * time.Millisecond)})
	for range 4 {
		post(t, url, "x")
	}
	eventually(t, func() string { return wantCount("messages", len(f.caller.events("worker")), 12) })
	post(t, url, "x")
	eventually(t, func() string { return wantCount("messages", len(f.caller.events("worker")), 13) })
}

func TestQueueRedeliversOnlyWhatFailed(t *testing.T) {
	f := open(t)
	url := f.apply(api.KindQueue, "jobs", api.QueueSpec{})["url"].(string)
	f.caller.handle("worker", func(_ context.Context, c Call) ([]string, error) {
		var failed []string
		for _, ev := range c.Events {
			if string(ev.Data) == `{"body":"bad","attributes":{}}` && ev.DeliveryCount < 3 {
				failed = append(failed, ev.ID)
			}
		}
		return failed, nil
	})
	for _, body := range []string{"good", "bad", "fine"} {
		post(t, url, body)
	}
	f.apply(api.KindQueueConsumer, "c", api.QueueConsumerSpec{Function: "worker", Queue: "jobs", Batch: 10})
	eventually(t, func() string {
		return cmp.Diff(sorted([]string{`"good"`, `"bad"`, `"fine"`, `"bad"`, `"bad"`}), sorted(f.bodies("worker")))
	})
	eventually(t, func() string { return cmp.Diff([]api.QueueStatus{{Name: "jobs"}}, f.Status("shop-dev")) })
}

func TestQueueConcurrencyIsLimitedAndCallsHoldTheirMessages(t *testing.T) {
	f := open(t)
	url := f.apply(api.KindQueue, "jobs", api.QueueSpec{Visibility: api.Duration(2 * time.Second)})["url"].(string)
	release := make(chan struct{})
	running := 0
	f.caller.handle("worker", func(ctx context.Context, c Call) ([]string, error) {
		f.caller.mu.Lock()
		running++
		f.caller.mu.Unlock()
		select {
		case <-release:
		case <-ctx.Done():
		}
		f.caller.mu.Lock()
		running--
		f.caller.mu.Unlock()
		return nil, nil
	})
	f.apply(api.KindQueueConsumer, "c", api.QueueConsumerSpec{Function: "worker", Queue: "jobs", Batch: 1, Concurrency: 2})
	for range 3 {
		post(t, url, "x")
	}
	count := func(want int) {
		t.Helper()
		eventually(t, func() string {
			f.caller.mu.Lock()
			defer f.caller.mu.Unlock()
			return wantCount("running calls", running, want)
		})
	}
	count(2)
	f.apply(api.KindQueueConsumer, "c", api.QueueConsumerSpec{Function: "worker", Queue: "jobs", Batch: 1, Concurrency: 3})
	count(3)
	// The visibility time passes, and nobody else sees the messages in calls.
	if got := received(t, do(t, "GET", url+"?max=10&wait=3s", "")); len(got) > 0 {
		t.Errorf("received %v", got)
	}
	if d := cmp.Diff([]api.QueueStatus{{Name: "jobs", InFlight: 3}}, f.Status("shop-dev")); d != "" {
		t.Errorf("status (-want +got):\n%s", d)
	}
	close(release)
	eventually(t, func() string { return cmp.Diff([]api.QueueStatus{{Name: "jobs"}}, f.Status("shop-dev")) })
	if n := len(f.caller.events("worker")); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestQueueOverHTTP(t *testing.T) {
	f := open(t)
	spec := api.QueueSpec{Visibility: api.Duration(300 * time.Millisecond), MaxReceives: 2, DeadLetter: "failures"}
	dead := f.apply(api.KindQueue, "failures", api.QueueSpec{Visibility: api.Duration(time.Hour)})["url"].(string)
	url := f.apply(api.KindQueue, "jobs", spec)["url"].(string)
	if got := received(t, do(t, "GET", url, "")); len(got) != 0 {
		t.Fatalf("an empty queue gave %v", got)
	}
	id := post(t, url, "hello", "Anyfaas-Attribute-Two-Words: yes")
	for range 2 {
		got := received(t, do(t, "GET", url+"?peek=true", ""))
		if len(got) != 1 || got[0]["id"] != id || got[0]["body"] != "hello" || got[0]["receipt"] != nil {
			t.Errorf("peek: %v", got)
		}
	}
	first := received(t, do(t, "GET", url, ""))
	if len(first) != 1 || first[0]["id"] != id || first[0]["receives"] != 1.0 {
		t.Fatalf("receive: %v", first)
	}
	if d := cmp.Diff(map[string]any{"two-words": "yes"}, first[0]["attributes"]); d != "" {
		t.Errorf("attributes (-want +got):\n%s", d)
	}
	second := received(t, do(t, "GET", url+"?wait=10s", "")) // once it is visible again
	if len(second) != 1 || second[0]["receives"] != 2.0 {
		t.Fatalf("receive again: %v", second)
	}
	if third := received(t, do(t, "GET", url+"?wait=1s", "")); len(third) != 0 {
		t.Errorf("received too often: %v", third)
	}
	letters := received(t, do(t, "GET", dead, ""))
	if len(letters) != 1 {
		t.Fatalf("dead letters: %v", letters)
	}
	want := map[string]any{"two-words": "yes", "anyfaas-origin": "/queues/jobs", "anyfaas-id": id, "anyfaas-receives": "2", "anyfaas-reason": "received too often without being acknowledged"}
	if d := cmp.Diff(want, letters[0]["attributes"]); d != "" {
		t.Errorf("attributes (-want +got):\n%s", d)
	}
	// A receipt outlives the process.
	f.close()
	f.reopen()
	f.apply(api.KindQueue, "failures", api.QueueSpec{Visibility: api.Duration(time.Hour)})
	if r := do(t, "DELETE", dead+"/"+letters[0]["receipt"].(string), ""); r.Status != 204 {
		t.Errorf("acknowledge after a restart: %d %s", r.Status, r.Body)
	}
	if got := received(t, do(t, "GET", dead+"?peek=true", "")); len(got) != 0 {
		t.Errorf("acknowledged, but still there: %v", got)
	}
}

func TestQueueDelaysAndRemembersDedupIDs(t *testing.T) {
	f := open(t)
	url := f.apply(api.KindQueue, "jobs", api.QueueSpec{})["url"].(string)
	start := time.Now()
	post(t, url, "later", "Anyfaas-Delay: 1.2s")
	post(t, url, "now")
	got := received(t, do(t, "GET", url+"?wait=20s", ""))
	if len(got) != 1 || got[0]["body"] != "now" {
		t.Fatalf("first: %v", got)
	}
	f.close()
	f.reopen()
	f.apply(api.KindQueue, "jobs", api.QueueSpec{})
	got = received(t, do(t, "GET", url+"?wait=20s", ""))
	if len(got) != 1 || got[0]["body"] != "later" || got[0]["receives"] != 1.0 {
		t.Fatalf("second: %v", got)
	}
	if passed := time.Since(start); passed < 1200*time.Millisecond {
		t.Errorf("the message came after %s", passed)
	}
	a := post(t, url, "x", "Anyfaas-Dedup-Id: once")
	b := post(t, url, "x", "Anyfaas-Dedup-Id: once")
	if a != b {
		t.Errorf("ids %s and %s, want the same", a, b)
	}
	if got := received(t, do(t, "GET", url+"?wait=20s", "")); len(got) != 1 {
		t.Errorf("received %v", got)
	}
}

func TestFIFOQueueKeepsTheOrderOfEachGroup(t *testing.T) {
	f := open(t, func(o *Options) { o.Retry = Backoff{First: 20 * time.Millisecond, Max: 40 * time.Millisecond} })
	spec := api.QueueSpec{FIFO: true, Visibility: api.Duration(5 * time.Second), MaxReceives: 3, DeadLetter: "failures"}
	dead := f.apply(api.KindQueue, "failures", api.QueueSpec{})["url"].(string)
	url := f.apply(api.KindQueue, "orders", spec)["url"].(string)
	inFlight, done := map[string]int{}, map[string][]string{}
	f.caller.handle("worker", func(_ context.Context, c Call) ([]string, error) {
		f.caller.mu.Lock()
		for _, ev := range c.Events {
			if inFlight[ev.Subject]++; inFlight[ev.Subject] > 1 {
				t.Errorf("two messages of group %s are in flight", ev.Subject)
			}
		}
		f.caller.mu.Unlock()
		time.Sleep(time.Millisecond) // so that calls overlap
		f.caller.mu.Lock()
		defer f.caller.mu.Unlock()
		var failed []string
		for _, ev := range c.Events {
			inFlight[ev.Subject]--
			switch body := string(ev.Data); {
			case body == `{"body":"a-3","attributes":{}}`, body == `{"body":"b-2","attributes":{}}` && ev.DeliveryCount == 1:
				failed = append(failed, ev.ID)
			default:
				done[ev.Subject] = append(done[ev.Subject], body)
			}
		}
		return failed, nil
	})
	f.apply(api.KindQueueConsumer, "c", api.QueueConsumerSpec{Function: "worker", Queue: "orders", Batch: 3, Concurrency: 4})
	want := map[string][]string{}
	for i := range 10 {
		for _, g := range []string{"a", "b", "c", "d"} {
			body := g + "-" + string(rune('0'+i))
			post(t, url, body, "Anyfaas-Message-Group: "+g)
			if body != "a-3" {
				want[g] = append(want[g], `{"body":"`+body+`","attributes":{}}`)
			}
		}
	}
	eventually(t, func() string {
		f.caller.mu.Lock()
		defer f.caller.mu.Unlock()
		return cmp.Diff(want, done)
	})
	letters := received(t, do(t, "GET", dead+"?wait=20s", ""))
	if len(letters) != 1 || letters[0]["body"] != "a-3" || letters[0]["attributes"].(map[string]any)["anyfaas-receives"] != "3" {
		t.Errorf("dead letters: %v", letters)
	}
	eventually(t, func() string {
		return cmp.Diff(api.QueueStatus{Name: "orders"}, f.Status("shop-dev")[1])
	})
}

func TestFIFOQueueOverHTTP(t *testing.T) {
	f := open(t)
	spec := api.QueueSpec{FIFO: true, Visibility: api.Duration(400 * time.Millisecond)}
	url := f.apply(api.KindQueue, "orders", spec)["url"].(string)
	post(t, url, "a1", "Anyfaas-Message-Group: a")
	post(t, url, "a2", "Anyfaas-Message-Group: a")
	post(t, url, "b1", "Anyfaas-Message-Group: b")
	first := received(t, do(t, "GET", url, ""))
	if len(first) != 2 || first[0]["body"] != "a1" || first[0]["group"] != "a" || first[1]["body"] != "b1" {
		t.Fatalf("first: %v", first)
	}
	if got := received(t, do(t, "GET", url, "")); len(got) != 0 {
		t.Errorf("the groups are in flight, but gave %v", got)
	}
	again := received(t, do(t, "GET", url+"?wait=10s&max=1", "")) // once visible again
	if len(again) != 1 || again[0]["receives"] != 2.0 {
		t.Fatalf("again: %v", again)
	}
	for _, m := range first { // receipts of the first delivery are void
		if m["id"] != again[0]["id"] {
			continue
		}
		if r := do(t, "DELETE", url+"/"+m["receipt"].(string), ""); r.Status != 410 {
			t.Errorf("an old receipt: %d %s", r.Status, r.Body)
		}
	}
	if r := do(t, "DELETE", url+"/"+again[0]["receipt"].(string), ""); r.Status != 204 {
		t.Errorf("acknowledge: %d %s", r.Status, r.Body)
	}
	for _, bad := range []struct{ header, want string }{
		{"Anyfaas-Delay: 5", "a message of a fifo queue cannot be delayed; it would hold up its group"},
		{"Anyfaas-Message-Group: " + longText(129), "a message group is at most 128 bytes long"},
	} {
		if r := do(t, "POST", url, "x", bad.header); r.Status != 400 || errorOf(t, r) != bad.want {
			t.Errorf("%.30s: %d %s", bad.header, r.Status, r.Body)
		}
	}
}
