package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/google/go-cmp/cmp"
)

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// errorOf returns the text of an error answer.
func errorOf(t *testing.T, r reply) string {
	t.Helper()
	var v struct{ Error, Code string }
	if err := json.Unmarshal([]byte(r.Body), &v); err != nil || v.Error == "" || v.Code == "" {
		t.Fatalf("not an error: %d %s", r.Status, r.Body)
	}
	return v.Error
}

func TestStreamKeepsTheOrderOfAKeyAndStopsAtTheFirstFailure(t *testing.T) {
	f := open(t)
	url := f.apply(api.KindStream, "clicks", api.StreamSpec{Shards: 2, Retention: api.Duration(time.Hour)})["url"].(string)
	failures := map[string]int{"a3": 2, "b1": 1}
	done := map[string][]string{}
	f.caller.handle("reader", func(_ context.Context, c Call) ([]string, error) {
		if !c.Ordered {
			t.Error("the call is not ordered")
		}
		f.caller.mu.Lock()
		defer f.caller.mu.Unlock()
		for i, ev := range c.Events {
			var d struct{ Body string }
			if err := json.Unmarshal(ev.Data, &d); err != nil {
				t.Error(err)
			}
			if failures[d.Body] > 0 {
				failures[d.Body]--
				var failed []string
				for _, later := range c.Events[i:] {
					failed = append(failed, later.ID)
				}
				return failed, nil
			}
			done[ev.PartitionKey] = append(done[ev.PartitionKey], d.Body)
		}
		return nil, nil
	})
	f.apply(api.KindStreamReader, "r", api.StreamReaderSpec{Function: "reader", Stream: "clicks", Batch: 3, From: "latest"})
	want := map[string][]string{}
	for i := range 8 {
		for _, key := range []string{"a", "b", "c"} {
			body := fmt.Sprint(key, i)
			post(t, url, body, "Anyfaas-Partition-Key: "+key)
			want[key] = append(want[key], body)
		}
	}
	eventually(t, func() string {
		f.caller.mu.Lock()
		defer f.caller.mu.Unlock()
		return cmp.Diff(want, done)
	})
	first := f.caller.events("reader")[0]
	wantEvent := api.CloudEvent{
		SpecVersion: "1.0", Type: "dev.anyfaas.stream.record.v1", Source: "/streams/clicks", ID: first.ID, Time: first.Time,
		Subject: "a", PartitionKey: "a", Sequence: "1", DataContentType: "application/json", DeliveryCount: 1,
		Data: json.RawMessage(`{"body":"a0"}`),
	}
	if d := cmp.Diff(wantEvent, first); d != "" {
		t.Errorf("event (-want +got):\n%s", d)
	}
}

func TestStreamReaderBeginsWhereToldAndGoesOnAfterARestart(t *testing.T) {
	f := open(t)
	stream := func() string {
		return f.apply(api.KindStream, "clicks", api.StreamSpec{Shards: 1})["url"].(string)
	}
	readers := func() {
		f.apply(api.KindStreamReader, "early", api.StreamReaderSpec{Function: "early", Stream: "clicks", Batch: 10, From: "earliest"})
		f.apply(api.KindStreamReader, "late", api.StreamReaderSpec{Function: "late", Stream: "clicks", Batch: 10, From: "latest"})
	}
	url := stream()
	post(t, url, "0")
	readers()
	post(t, url, "1")
	f.wantBodies("early", []string{`"0"`, `"1"`})
	f.wantBodies("late", []string{`"1"`})
	f.close()
	f.reopen()
	url = stream()
	post(t, url, "2") // before the readers are back
	readers()
	post(t, url, "3")
	f.wantBodies("early", []string{`"0"`, `"1"`, `"2"`, `"3"`})
	f.wantBodies("late", []string{`"1"`, `"2"`, `"3"`})

	// A reader that is removed forgets its position.
	for _, name := range []string{"early", "late"} {
		if err := f.Remove(t.Context(), "shop-dev", api.KindStreamReader, name); err != nil {
			t.Fatal(err)
		}
	}
	post(t, url, "4")
	readers()
	f.wantBodies("late", []string{`"1"`, `"2"`, `"3"`})
	f.wantBodies("early", []string{`"0"`, `"1"`, `"2"`, `"3"`, `"0"`, `"1"`, `"2"`, `"3"`, `"4"`})
}

func TestStreamRecordMovesToTheFunctionsDeadLetterQueue(t *testing.T) {
	f := open(t, func(o *Options) {
		o.Policy = func(string, string) api.FunctionSpec {
			return api.FunctionSpec{Retries: api.Retries{Attempts: 1}, DeadLetter: "failures"}
		}
	})
	dead := f.apply(api.KindQueue, "failures", api.QueueSpec{})["url"].(string)
	url := f.apply(api.KindStream, "clicks", api.StreamSpec{})["url"].(string)
	f.caller.handle("reader", func(_ context.Context, c Call) ([]string, error) {
		for i, ev := range c.Events {
			if string(ev.Data) == `{"body":"poison"}` {
				var failed []string
				for _, later := range c.Events[i:] {
					failed = append(failed, later.ID)
				}
				return failed, nil
			}
		}
		return nil, nil
	})
	f.apply(api.KindStreamReader, "r", api.StreamReaderSpec{Function: "reader", Stream: "clicks", Batch: 1, From: "earliest"})
	post(t, url, "before")
	post(t, url, "poison")
	post(t, url, "after")
	f.wantBodies("reader", []string{`"before"`, `"poison"`, `"poison"`, `"after"`})
	got := received(t, do(t, "GET", dead+"?wait=20s", ""))
	if len(got) != 1 || got[0]["attributes"].(map[string]any)["anyfaas-origin"] != "/streams/clicks" {
		t.Errorf("dead letters: %v", got)
	}
}

func TestStreamWithMoreShardsIsReadInFull(t *testing.T) {
	f := open(t)
	url := f.apply(api.KindStream, "clicks", api.StreamSpec{Shards: 1})["url"].(string)
	f.apply(api.KindStreamReader, "r", api.StreamReaderSpec{Function: "reader", Stream: "clicks", Batch: 10, From: "latest"})
	var want []string
	send := func(n int) {
		for range n {
			body := fmt.Sprint("m", len(want))
			post(t, url, body, "Anyfaas-Partition-Key: "+body)
			want = append(want, `"`+body+`"`)
		}
		eventually(t, func() string { return cmp.Diff(sorted(want), sorted(f.bodies("reader"))) })
	}
	send(5)
	f.apply(api.KindStream, "clicks", api.StreamSpec{Shards: 4})
	send(20)
	f.apply(api.KindStream, "clicks", api.StreamSpec{Shards: 2})
	send(10)
}
