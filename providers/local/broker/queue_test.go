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
