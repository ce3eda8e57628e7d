package broker

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/google/go-cmp/cmp"
)

func longText(n int) string { return strings.Repeat("x", n) }

func TestDataPlaneRefusesWhatItMust(t *testing.T) {
	f := open(t)
	jobs := f.apply(api.KindQueue, "jobs", api.QueueSpec{})["url"].(string)
	f.apply(api.KindQueue, "orders", api.QueueSpec{})
	f.apply(api.KindTopic, "events", api.TopicSpec{})
	base, _ := f.Addrs()
	tests := []struct {
		name, method, url, body string
		header                  []string
		status                  int
		want                    string
	}{
		{"an unknown queue", "POST", base + "/shop-dev/queues/job", "x", nil, 404, `no queue "job" in stack "shop-dev"; did you mean "jobs"?`},
		{"a queue like no other", "POST", base + "/shop-dev/queues/zebra", "x", nil, 404, `no queue "zebra" in stack "shop-dev"`},
		{"an unknown stack", "POST", base + "/shop-dew/queues/jobs", "x", nil, 404, `no stack "shop-dew"; did you mean "shop-dev"?`},
		{"the bus of an unknown stack", "POST", base + "/other/events", "{}", nil, 404, `no stack "other"`},
		{"another path", "GET", base + "/shop-dev", "", nil, 404, `nothing at "/shop-dev"; resources are at /<stack>/queues/<name>, topics, streams and tables, the bus at /<stack>/events`},
		{"another method", "PATCH", jobs, "", nil, 405, "use GET or POST"},
		{"a host elsewhere", "POST", jobs, "x", []string{"Host: evil.example"}, 403, "the Host header must name this machine: localhost or 127.0.0.1"},
		{"a page elsewhere", "POST", jobs, "x", []string{"Origin: https://evil.example"}, 403, "requests from web pages of other hosts are refused"},
		{"a page without an origin", "POST", jobs, "x", []string{"Origin: null"}, 403, "requests from web pages of other hosts are refused"},
		{"an image of a page elsewhere", "GET", jobs, "", []string{"Sec-Fetch-Site: cross-site"}, 403, "requests from web pages of other hosts are refused"},
		{"a body that is too large", "POST", jobs, longText(MaxBody + 1), nil, 413, "the body is over the limit of 1048576 bytes"},
		{"attributes that are too large", "POST", jobs, "x", []string{"Anyfaas-Attribute-A: " + longText(MaxAttributes)}, 413, "the attributes are over the limit of 65536 bytes"},
		{"a delay that is none", "POST", jobs, "x", []string{"Anyfaas-Delay: soon"}, 400, `Anyfaas-Delay: "soon" is neither a number of seconds nor a duration such as 1m30s`},
		{"a delay past the retention", "POST", jobs, "x", []string{"Anyfaas-Delay: 96h"}, 400, "the delay must be less than the queue's retention of 96h0m0s"},
		{"a group without order", "POST", jobs, "x", []string{"Anyfaas-Message-Group: g"}, 400, "message groups need a queue with fifo: true"},
		{"too many at once", "GET", jobs + "?max=101", "", nil, 400, `max must be a whole number from 1 to 100, not "101"`},
		{"too long a wait", "GET", jobs + "?wait=2m", "", nil, 400, "wait must be at most 1m0s"},
		{"a receipt that is none", "DELETE", jobs + "/nonsense!", "", nil, 400, "that is no receipt of this queue"},
		{"a delay on a topic", "POST", base + "/shop-dev/topics/events", "x", []string{"Anyfaas-Delay: 1"}, 400, "a topic cannot delay messages"},
	}
	for _, tt := range tests {
		if r := do(t, tt.method, tt.url, tt.body, tt.header...); r.Status != tt.status || errorOf(t, r) != tt.want {
			t.Errorf("%s: %d %s\nwant %d %s", tt.name, r.Status, r.Body, tt.status, tt.want)
		}
	}
	for _, fine := range []string{"Host: localhost:1", "Host: [::1]:80", "Host: shop.localhost", "Origin: http://localhost:3000", "Origin: http://127.0.0.1"} {
		if r := do(t, "POST", jobs, "x", fine); r.Status != 201 {
			t.Errorf("%s: %d %s", fine, r.Status, r.Body)
		}
	}
	if r := do(t, "POST", jobs, longText(MaxBody)); r.Status != 201 {
		t.Errorf("the largest body: %d %s", r.Status, r.Body)
	}
	if _, err := f.Apply(t.Context(), "shop-dev", api.KindQueueConsumer, "c", []byte(`{"function":"f","queue":"orderz","batch":1}`)); err == nil ||
		err.Error() != `shop-dev/queueConsumers/c: no queue "orderz" in stack "shop-dev"; did you mean "orders"?` {
		t.Errorf("a consumer of nothing: %v", err)
	}
	if _, err := f.Apply(t.Context(), "shop-dev", api.KindQueue, "q", []byte(`{"visibilty":"1s"}`)); err == nil ||
		err.Error() != `shop-dev/queues/q: spec: json: unknown field "visibilty"` {
		t.Errorf("an unknown setting: %v", err)
	}
}

func TestOutputsAndAddressesStayOverARestart(t *testing.T) {
	f := open(t)
	base, _ := f.Addrs()
	want := map[api.Kind]api.Outputs{}
	for kind, spec := range map[api.Kind]any{
		api.KindQueue: api.QueueSpec{}, api.KindTopic: api.TopicSpec{}, api.KindStream: api.StreamSpec{},
		api.KindTable: api.TableSpec{Key: api.Attribute{Name: "id", Type: "string"}},
	} {
		want[kind] = api.Outputs{"id": "shop-dev/" + string(kind) + "/x", "name": "shop-dev-x", "url": base + "/shop-dev/" + string(kind) + "/x"}
		if d := cmp.Diff(want[kind], f.apply(kind, "x", spec)); d != "" {
			t.Errorf("%s (-want +got):\n%s", kind, d)
		}
	}
	f.close()
	f.reopen()
	if d := cmp.Diff(want[api.KindQueue], f.apply(api.KindQueue, "x", api.QueueSpec{})); d != "" {
		t.Errorf("after a restart (-want +got):\n%s", d)
	}
}

func TestRemoveDeletesDataUnlessRetained(t *testing.T) {
	f := open(t)
	key := api.Attribute{Name: "id", Type: "string"}
	for _, retain := range []bool{false, true} {
		apply := func() (queue, table, bucket string) {
			queue = f.apply(api.KindQueue, "q", api.QueueSpec{Retain: retain})["url"].(string)
			table = f.apply(api.KindTable, "t", api.TableSpec{Key: key, Retain: retain})["url"].(string)
			bucket = f.apply(api.KindBucket, "b", api.BucketSpec{Retain: retain})["url"].(string)
			f.apply(api.KindStream, "s", api.StreamSpec{Retain: retain})
			return queue, table, bucket
		}
		queue, table, bucket := apply()
		post(t, queue, "x")
		do(t, "PUT", table+"/k", "{}")
		do(t, "PUT", bucket+"/o", "x")
		post(t, strings.Replace(queue, "queues/q", "streams/s", 1), "x")
		f.apply(api.KindQueueConsumer, "c", api.QueueConsumerSpec{Function: "none", Queue: "q", Batch: 1})
		if err := f.Remove(t.Context(), "shop-dev", api.KindQueueConsumer, "c"); err != nil {
			t.Fatal(err)
		}
		post(t, queue, "y")
		if err := f.RemoveStack(t.Context(), "shop-dev"); err != nil {
			t.Fatal(err)
		}
		if r := do(t, "POST", queue, "x"); r.Status != 404 {
			t.Errorf("a removed queue: %d %s", r.Status, r.Body)
		}
		if r := do(t, "GET", bucket+"/o", ""); r.Status != 404 || !strings.Contains(r.Body, "NoSuchBucket") {
			t.Errorf("a removed bucket: %d %s", r.Status, r.Body)
		}
		apply()
		f.apply(api.KindStreamReader, "r", api.StreamReaderSpec{Function: "reader", Stream: "s", Batch: 1, From: "earliest"})
		status, messages := 404, 0
		if retain {
			status, messages = 200, 1
			f.wantBodies("reader", []string{`"x"`})
		}
		if r := do(t, "GET", table+"/k", ""); r.Status != status {
			t.Errorf("retain %v: item %d %s", retain, r.Status, r.Body)
		}
		if r := do(t, "GET", bucket+"/o", ""); r.Status != status {
			t.Errorf("retain %v: object %d %s", retain, r.Status, r.Body)
		}
		if got := received(t, do(t, "GET", queue+"?peek=true", "")); len(got) < messages || !retain && len(got) > 0 {
			t.Errorf("retain %v: messages %v", retain, got)
		}
		if err := f.RemoveStack(t.Context(), "shop-dev"); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Remove(t.Context(), "shop-dev", api.KindQueue, "never"); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
}

func TestStacksAreApart(t *testing.T) {
	f := open(t)
	other := func(kind api.Kind, name, spec string) api.Outputs {
		t.Helper()
		out, err := f.Apply(t.Context(), "other-dev", kind, name, []byte(spec))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	mine := f.apply(api.KindTopic, "events", api.TopicSpec{})["url"].(string)
	theirs := other(api.KindTopic, "events", `{}`)["url"].(string)
	f.apply(api.KindSubscription, "s", api.SubscriptionSpec{Function: "mine", Topic: "events"})
	other(api.KindSubscription, "s", `{"function":"theirs","topic":"events"}`)
	post(t, mine, "1")
	post(t, theirs, "2")
	f.wantBodies("mine", []string{`"1"`})
	f.wantBodies("theirs", []string{`"2"`})
	if err := f.RemoveStack(t.Context(), "shop-dev"); err != nil {
		t.Fatal(err)
	}
	post(t, theirs, "3")
	f.wantBodies("theirs", []string{`"2"`, `"3"`})
	if _, err := f.Apply(t.Context(), "a-b", api.KindBucket, "c-d", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Apply(t.Context(), "a-b-c", api.KindBucket, "d", []byte(`{}`)); err == nil || err.Error() != `a-b-c/buckets/d: the bucket name "a-b-c-d" is taken by a-b/buckets/c-d` {
		t.Errorf("two buckets of one name: %v", err)
	}
}

func TestCloseInterruptsCallsAndTheirMessagesComeAgainAtOnce(t *testing.T) {
	f := open(t)
	spec := api.QueueSpec{Visibility: api.Duration(time.Hour)}
	url := f.apply(api.KindQueue, "jobs", spec)["url"].(string)
	started := make(chan struct{}, 1)
	f.caller.handle("worker", func(ctx context.Context, c Call) ([]string, error) {
		started <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	consumer := api.QueueConsumerSpec{Function: "worker", Queue: "jobs", Batch: 1}
	f.apply(api.KindQueueConsumer, "c", consumer)
	post(t, url, "x")
	<-started
	f.close()
	if _, err := f.Apply(t.Context(), "shop-dev", api.KindQueue, "q", []byte(`{}`)); err != ErrClosed {
		t.Errorf("after Close: %v", err)
	}
	f.caller.handle("worker", nil)
	f.reopen()
	f.apply(api.KindQueue, "jobs", spec)
	f.apply(api.KindQueueConsumer, "c", consumer)
	f.wantBodies("worker", []string{`"x"`, `"x"`})
}

func TestEventsForCallingByHand(t *testing.T) {
	f := open(t, func(o *Options) { o.Clock = newFakeClock(t, "2026-05-01T10:00:00Z") })
	f.apply(api.KindQueue, "jobs", api.QueueSpec{})
	f.apply(api.KindQueueConsumer, "c", api.QueueConsumerSpec{Function: "worker", Queue: "jobs", Batch: 1})
	f.apply(api.KindSchedule, "nightly", api.ScheduleSpec{Function: "worker", Every: api.Duration(time.Hour), Input: []byte(`{"full":true}`)})
	f.apply(api.KindEventRule, "r", api.EventRuleSpec{Function: "worker", Source: "com.example.shop", Type: "order.paid"})
	tests := []struct{ trigger, data, typ, source, want string }{
		{"queue", `{"n":1}`, "queue.message.v1", "/queues/jobs", `{"body":{"n":1},"attributes":{}}`},
		{"queue", `"text"`, "queue.message.v1", "/queues/jobs", `{"body":"text","attributes":{}}`},
		{"topic", `[1]`, "topic.message.v1", "/topics/example", `{"body":[1],"attributes":{}}`},
		{"stream", `"x"`, "stream.record.v1", "/streams/example", `{"body":"x"}`},
		{"schedule", ``, "schedule.tick.v1", "/schedules/nightly", `{"scheduledTime":"2026-05-01T10:00:00Z","pastDue":false,"input":{"full":true}}`},
		{"schedule", `7`, "schedule.tick.v1", "/schedules/nightly", `{"scheduledTime":"2026-05-01T10:00:00Z","pastDue":false,"input":7}`},
		{"storage", `{"key":"a.png","size":3}`, "object.created.v1", "/buckets/example", `{"bucket":"shop-dev-example","key":"a.png","size":3}`},
		{"storage", `{"key":"a.png","deleted":true}`, "object.deleted.v1", "/buckets/example", `{"bucket":"shop-dev-example","key":"a.png","size":0}`},
		{"table", `{"keys":{"id":"a"},"new":{"id":"a"}}`, "db.change.v1", "/tables/example", `{"operation":"insert","keys":{"id":"a"},"new":{"id":"a"}}`},
		{"event", `{"n":1}`, "bus.event.v1", "/buses/default", `{"source":"com.example.shop","name":"order.paid","detail":{"n":1}}`},
		{"event", `{"source":"s","type":"t","detail":1}`, "bus.event.v1", "/buses/default", `{"source":"s","name":"t","detail":1}`},
	}
	for _, tt := range tests {
		ev, err := f.Event(tt.trigger, "shop-dev", "worker", []byte(tt.data))
		if err != nil {
			t.Errorf("%s %s: %v", tt.trigger, tt.data, err)
			continue
		}
		got := []string{ev.Type, ev.Source, string(ev.Data), ev.Time}
		if d := cmp.Diff([]string{"dev.anyfaas." + tt.typ, tt.source, tt.want, "2026-05-01T10:00:00Z"}, got); d != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.trigger, tt.data, d)
		}
	}
	for trigger, want := range map[string]string{
		"cron":    `no trigger kind "cron"; kinds with events are queue, topic, stream, schedule, storage, table and event`,
		"storage": `the data of a storage event is {"key": "…", "size": …, "deleted": …}; key is needed`,
		"table":   `the data of a table event is {"operation": "insert", "keys": {…}, "new": {…}, "old": {…}}; keys is needed`,
	} {
		if _, err := f.Event(trigger, "shop-dev", "worker", nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", trigger, err, want)
		}
	}
}

func TestTriggersFollowAResourceThatIsReplaced(t *testing.T) {
	f := open(t)
	apply := func() (queue, stream, table, bucket string) {
		queue = f.apply(api.KindQueue, "x", api.QueueSpec{FIFO: true})["url"].(string)
		stream = f.apply(api.KindStream, "x", api.StreamSpec{})["url"].(string)
		table = f.apply(api.KindTable, "x", api.TableSpec{Key: api.Attribute{Name: "id", Type: "string"}})["url"].(string)
		bucket = f.apply(api.KindBucket, "x", api.BucketSpec{})["url"].(string)
		return queue, stream, table, bucket
	}
	queue, stream, table, bucket := apply()
	f.apply(api.KindQueueConsumer, "t", api.QueueConsumerSpec{Function: "queue", Queue: "x", Batch: 1})
	f.apply(api.KindStreamReader, "t", api.StreamReaderSpec{Function: "stream", Stream: "x", Batch: 1})
	f.apply(api.KindTableReader, "t", api.TableReaderSpec{Function: "table", Table: "x", Batch: 1})
	f.apply(api.KindNotification, "t", api.NotificationSpec{Function: "bucket", Bucket: "x", Events: []string{"created"}})
	for round := 1; round <= 3; round++ {
		post(t, queue, "x")
		post(t, stream, "x")
		do(t, "PUT", table+"/k", "{}")
		do(t, "PUT", bucket+"/k", "x")
		for _, function := range []string{"queue", "stream", "table", "bucket"} {
			eventually(t, func() string {
				return wantCount("events of "+function, len(f.caller.events(function)), round)
			})
		}
		for kind := range consumers {
			if err := f.Remove(t.Context(), "shop-dev", kind, "x"); err != nil {
				t.Fatal(err)
			}
		}
		apply()
	}
}
