package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/google/go-cmp/cmp"
)

// A fakeClock stands still until it is moved.
type fakeClock struct {
	mu      sync.Mutex
	now     time.Time
	waiting map[chan time.Time]time.Time
}

func newFakeClock(t *testing.T, now string) *fakeClock {
	t.Helper()
	at, err := time.Parse(time.RFC3339, now)
	if err != nil {
		t.Fatal(err)
	}
	return &fakeClock{now: at, waiting: map[chan time.Time]time.Time{}}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) At(t time.Time) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan time.Time, 1)
	if !t.After(c.now) {
		ch <- c.now
		return ch, func() {}
	}
	c.waiting[ch] = t
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, ch)
	}
}

// move sets the time and wakes who waited for it.
func (c *fakeClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for ch, t := range c.waiting {
		if !t.After(c.now) {
			ch <- c.now
			delete(c.waiting, ch)
		}
	}
}

// waits until n schedules sleep until a time to come.
func (c *fakeClock) waitForSleepers(t *testing.T, n int) {
	t.Helper()
	eventually(t, func() string {
		c.mu.Lock()
		defer c.mu.Unlock()
		return wantCount("sleeping schedules", len(c.waiting), n)
	})
}

// ticks returns the data of all ticks of a function in the order of their times,
// waiting for n of them: they are events like others and may overtake.
func (f *fixture) ticks(function string, n int) []string {
	f.t.Helper()
	eventually(f.t, func() string { return wantCount("ticks", len(f.caller.events(function)), n) })
	var list []string
	for _, e := range f.caller.events(function) {
		list = append(list, string(e.Data))
	}
	return sorted(list)
}

func TestScheduleFires(t *testing.T) {
	f := open(t)
	f.apply(api.KindSchedule, "tick", api.ScheduleSpec{Function: "report", Every: api.Duration(time.Second), Input: json.RawMessage(`{"full":true}`)})
	eventually(t, func() string {
		if len(f.caller.events("report")) == 0 {
			return "no tick"
		}
		return ""
	})
	ev := f.caller.events("report")[0]
	at, err := time.Parse(time.RFC3339, ev.Time)
	if err != nil {
		t.Fatal(err)
	}
	stamp := at.Format(time.RFC3339)
	want := api.CloudEvent{
		SpecVersion: "1.0", Type: "dev.anyfaas.schedule.tick.v1", Source: "/schedules/tick",
		ID: "shop-dev/tick@" + stamp, Time: ev.Time, DataContentType: "application/json", DeliveryCount: 1,
		Data: json.RawMessage(fmt.Sprintf(`{"scheduledTime":%q,"pastDue":false,"input":{"full":true}}`, stamp)),
	}
	if d := cmp.Diff(want, ev); d != "" {
		t.Errorf("event (-want +got):\n%s", d)
	}
}

func TestScheduleKeepsItsTimesAndDoesNotDrift(t *testing.T) {
	clock := newFakeClock(t, "2026-03-28T22:59:59Z")
	f := open(t, func(o *Options) { o.Clock = clock })
	f.apply(api.KindSchedule, "nightly", api.ScheduleSpec{Function: "nightly", Cron: "30 2 * * *", Timezone: "Europe/Paris"})
	f.apply(api.KindSchedule, "often", api.ScheduleSpec{Function: "often", Every: api.Duration(5 * time.Minute)})
	for range 72 { // six hours in steps that are not those of the schedules
		clock.waitForSleepers(t, 2)
		clock.move(5*time.Minute + time.Second)
	}
	got := f.ticks("nightly", 1)
	if d := cmp.Diff([]string{`{"scheduledTime":"2026-03-29T01:00:00Z","pastDue":false}`}, got); d != "" {
		t.Errorf("nightly, over the change of the clock (-want +got):\n%s", d)
	}
	for i, data := range f.ticks("often", 72) {
		at := time.Date(2026, 3, 28, 22, 59, 59, 0, time.UTC).Add(time.Duration(i+1) * 5 * time.Minute)
		if want := fmt.Sprintf(`{"scheduledTime":%q,"pastDue":false}`, at.Format(time.RFC3339)); data != want {
			t.Fatalf("tick %d: %s, want %s", i, data, want)
		}
	}
}

func TestScheduleMakesUpForTheLastMissedTickOnly(t *testing.T) {
	clock := newFakeClock(t, "2026-05-01T00:00:30Z")
	f := open(t, func(o *Options) { o.Clock = clock })
	spec := api.ScheduleSpec{Function: "report", Cron: "*/10 * * * *"}
	f.apply(api.KindSchedule, "report", spec)
	clock.waitForSleepers(t, 1)
	clock.move(10 * time.Minute)
	f.ticks("report", 1)

	f.close()
	clock.move(3*time.Hour + 2*time.Minute)
	f.reopen()
	f.apply(api.KindSchedule, "report", spec)
	f.ticks("report", 2)
	clock.waitForSleepers(t, 1)
	clock.move(8 * time.Minute)
	want := []string{
		`{"scheduledTime":"2026-05-01T00:10:00Z","pastDue":false}`,
		`{"scheduledTime":"2026-05-01T03:10:00Z","pastDue":true}`,
		`{"scheduledTime":"2026-05-01T03:20:00Z","pastDue":false}`,
	}
	if d := cmp.Diff(want, f.ticks("report", 3)); d != "" {
		t.Errorf("ticks (-want +got):\n%s", d)
	}
}

func TestScheduleOfAnotherRuleStartsAnew(t *testing.T) {
	clock := newFakeClock(t, "2026-05-01T00:00:00Z")
	f := open(t, func(o *Options) { o.Clock = clock })
	f.apply(api.KindSchedule, "s", api.ScheduleSpec{Function: "report", Every: api.Duration(time.Hour)})
	clock.waitForSleepers(t, 1)
	clock.move(59 * time.Minute)
	f.apply(api.KindSchedule, "s", api.ScheduleSpec{Function: "report", Every: api.Duration(2 * time.Minute)})
	clock.waitForSleepers(t, 1)
	clock.move(2 * time.Minute)
	want := []string{`{"scheduledTime":"2026-05-01T01:01:00Z","pastDue":false}`}
	if d := cmp.Diff(want, f.ticks("report", 1)); d != "" {
		t.Errorf("ticks (-want +got):\n%s", d)
	}
	if err := f.Remove(context.Background(), "shop-dev", api.KindSchedule, "s"); err != nil {
		t.Fatal(err)
	}
	clock.waitForSleepers(t, 0)
}

func TestFailedTickFollowsTheFunctionsRetries(t *testing.T) {
	clock := newFakeClock(t, "2026-05-01T00:00:00Z")
	f := open(t, func(o *Options) {
		o.Clock = clock
		o.Policy = func(stack, function string) api.FunctionSpec {
			return api.FunctionSpec{Retries: api.Retries{Attempts: 2}, DeadLetter: "failures"}
		}
	})
	dead := f.apply(api.KindQueue, "failures", api.QueueSpec{})["url"].(string)
	f.caller.handle("report", func(context.Context, Call) ([]string, error) { return nil, errBroken })
	f.apply(api.KindSchedule, "s", api.ScheduleSpec{Function: "report", Every: api.Duration(time.Minute)})
	clock.waitForSleepers(t, 1)
	clock.move(time.Minute)
	got := received(t, do(t, "GET", dead+"?wait=20s", ""))
	if len(got) != 1 {
		t.Fatalf("dead letters: %v", got)
	}
	want := map[string]any{
		"body": map[string]any{
			"specversion": "1.0", "type": "dev.anyfaas.schedule.tick.v1", "source": "/schedules/s",
			"id": "shop-dev/s@2026-05-01T00:01:00Z", "time": "2026-05-01T00:01:00Z", "datacontenttype": "application/json",
			"data": map[string]any{"scheduledTime": "2026-05-01T00:01:00Z", "pastDue": false},
		},
		"attributes": map[string]any{
			"anyfaas-origin": "/schedules/s", "anyfaas-function": "report", "anyfaas-reason": "the function is broken",
			"anyfaas-receives": "3", "anyfaas-id": "shop-dev/s@2026-05-01T00:01:00Z",
		},
		"receives": 1.0,
	}
	for _, k := range []string{"id", "sent", "receipt"} {
		delete(got[0], k)
	}
	if d := cmp.Diff(want, got[0]); d != "" {
		t.Errorf("dead letter (-want +got):\n%s", d)
	}
}
