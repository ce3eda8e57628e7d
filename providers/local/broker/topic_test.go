package broker

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/google/go-cmp/cmp"
)

// post sends and wants a 201; it returns the id.
func post(t *testing.T, url, body string, header ...string) string {
	t.Helper()
	r := do(t, "POST", url, body, header...)
	if r.Status != 201 {
		t.Fatalf("POST %s: status %d, %s", url, r.Status, r.Body)
	}
	var v struct{ ID string }
	if err := json.Unmarshal([]byte(r.Body), &v); err != nil || v.ID == "" {
		t.Fatalf("POST %s: %s", url, r.Body)
	}
	return v.ID
}

// bodies returns the bodies of all messages a function got.
func (f *fixture) bodies(function string) []string {
	var list []string
	for _, ev := range f.caller.events(function) {
		var m struct{ Body json.RawMessage }
		if err := json.Unmarshal(ev.Data, &m); err != nil {
			f.t.Fatal(err)
		}
		list = append(list, string(m.Body))
	}
	return list
}

// wantBodies waits until a function got these bodies, in any order when sorted.
func (f *fixture) wantBodies(function string, want []string) {
	f.t.Helper()
	eventually(f.t, func() string {
		return cmp.Diff(want, f.bodies(function))
	})
}

func TestTopicReachesEverySubscriberThatWantsIt(t *testing.T) {
	f := open(t)
	url := f.apply(api.KindTopic, "events", api.TopicSpec{})["url"].(string)
	created := map[string][]string{"type": {"created", "restored"}}
	f.apply(api.KindSubscription, "all", api.SubscriptionSpec{Function: "all", Topic: "events"})
	f.apply(api.KindSubscription, "some", api.SubscriptionSpec{Function: "some", Topic: "events", Filter: created})
	f.apply(api.KindSubscription, "both", api.SubscriptionSpec{
		Function: "both", Topic: "events",
		Filter: map[string][]string{"Type": {"created"}, "region": {"eu"}},
	})

	messages := []struct {
		body   string
		header []string
	}{
		{`{"n":1}`, []string{"Anyfaas-Attribute-Type: created"}},
		{`{"n":2}`, []string{"Anyfaas-Attribute-Type: deleted"}},
		{`{"n":3,"type":"restored"}`, nil},
		{`{"n":4,"type":"created"}`, []string{"Anyfaas-Attribute-Type: deleted"}},
		{`{"n":5,"type":7}`, nil},
		{`plain`, nil},
		{`{"n":6,"region":"eu"}`, []string{"Anyfaas-Attribute-Type: created"}},
	}
	want := map[string][]string{
		"all": {`{"n":1}`, `{"n":2}`, `{"n":3,"type":"restored"}`, `{"n":4,"type":"created"}`, `{"n":5,"type":7}`, `"plain"`, `{"n":6,"region":"eu"}`},
	}
	for i, m := range messages {
		post(t, url, m.body, m.header...)
		f.wantBodies("all", want["all"][:i+1])
	}
	f.wantBodies("some", []string{`{"n":1}`, `{"n":3,"type":"restored"}`, `{"n":6,"region":"eu"}`})
	f.wantBodies("both", []string{`{"n":6,"region":"eu"}`})

	ev := f.caller.events("some")[0]
	wantEvent := api.CloudEvent{
		SpecVersion: "1.0", Type: "dev.anyfaas.topic.message.v1", Source: "/topics/events", ID: ev.ID, Time: ev.Time,
		DataContentType: "application/json", DeliveryCount: 1,
		Data: json.RawMessage(`{"body":{"n":1},"attributes":{"type":"created"}}`),
	}
	if d := cmp.Diff(wantEvent, ev); d != "" {
		t.Errorf("event (-want +got):\n%s", d)
	}
}

func TestSubscriptionsRetryOnTheirOwnAndSurviveARestart(t *testing.T) {
	f := open(t, func(o *Options) {
		o.Policy = func(_, function string) api.FunctionSpec {
			return api.FunctionSpec{Retries: api.Retries{Attempts: 100}}
		}
	})
	broken := func(context.Context, Call) ([]string, error) { return nil, errBroken }
	f.caller.handle("weak", broken)
	url := f.apply(api.KindTopic, "events", api.TopicSpec{})["url"].(string)
	subscribe := func() {
		f.apply(api.KindSubscription, "strong", api.SubscriptionSpec{Function: "strong", Topic: "events"})
		f.apply(api.KindSubscription, "weak", api.SubscriptionSpec{Function: "weak", Topic: "events"})
	}
	subscribe()
	id := post(t, url, "hello")
	eventually(t, func() string {
		if len(f.caller.events("weak")) < 2 {
			return "no second attempt"
		}
		return ""
	})
	f.close()
	f.caller.handle("weak", nil)
	before := len(f.caller.events("weak"))
	f.reopen()
	f.apply(api.KindTopic, "events", api.TopicSpec{})
	subscribe()
	eventually(t, func() string { return wantCount("attempts", len(f.caller.events("weak")), before+1) })
	last := f.caller.events("weak")[before]
	if last.ID != id || last.DeliveryCount < 3 {
		t.Errorf("after the restart: id %s, delivery %d; want id %s, delivery 3 or more", last.ID, last.DeliveryCount, id)
	}
	f.wantBodies("strong", []string{`"hello"`})
}

func TestBusRulesMatchSourceAndType(t *testing.T) {
	f := open(t)
	f.apply(api.KindEventRule, "any", api.EventRuleSpec{Function: "any"})
	f.apply(api.KindEventRule, "paid", api.EventRuleSpec{Function: "paid", Source: "com.example.shop", Type: "order.paid"})
	f.apply(api.KindEventRule, "shop", api.EventRuleSpec{Function: "shop", Source: "com.example.shop"})
	data, _ := f.Addrs()
	url := data + "/shop-dev/events"

	post(t, url, `{"source":"com.example.shop","type":"order.paid","detail":{"n":1}}`)
	id := post(t, url, `{"specversion":"1.0","id":"e-2","source":"com.example.shop","type":"order.sent","time":"2026-01-02T03:04:05Z","data":{"n":2}}`,
		"Content-Type: application/cloudevents+json")
	post(t, url, `{"specversion":"1.0","id":"e-2","source":"com.example.shop","type":"order.sent","data":"the same event again"}`)
	post(t, url, `{"n":3}`, "Content-Type: application/json", "Ce-Specversion: 1.0", "Ce-Id: e-3", "Ce-Source: other", "Ce-Type: order.paid")
	if id != "e-2" {
		t.Errorf("id %q, want the sender's own", id)
	}
	details := func(function string) []string {
		var list []string
		for _, ev := range f.caller.events(function) {
			list = append(list, string(ev.Data))
		}
		return sorted(list)
	}
	paid := `{"source":"com.example.shop","name":"order.paid","detail":{"n":1}}`
	sent := `{"source":"com.example.shop","name":"order.sent","detail":{"n":2}}`
	other := `{"source":"other","name":"order.paid","detail":{"n":3}}`
	want := map[string][]string{"any": {paid, sent, other}, "paid": {paid}, "shop": {paid, sent}}
	for function, list := range want {
		eventually(t, func() string { return cmp.Diff(sorted(list), details(function)) })
	}
	for _, ev := range f.caller.events("any") {
		if ev.ID != "e-2" {
			continue
		}
		wantEvent := api.CloudEvent{
			SpecVersion: "1.0", Type: "dev.anyfaas.bus.event.v1", Source: "/buses/default", ID: "e-2", Time: "2026-01-02T03:04:05Z",
			Subject: "order.sent", DataContentType: "application/json", DeliveryCount: 1, Data: json.RawMessage(sent),
		}
		if d := cmp.Diff(wantEvent, ev); d != "" {
			t.Errorf("event (-want +got):\n%s", d)
		}
	}

	for body, want := range map[string]string{
		`{"type":"x"}`: "an event needs a source and a type",
		`{"source":"s","type":"t","time":"yesterday"}`: `the time "yesterday" is not RFC 3339`,
	} {
		if r := do(t, "POST", url, body); r.Status != 400 || errorOf(t, r) != want {
			t.Errorf("%s: status %d, %s; want 400, %s", body, r.Status, r.Body, want)
		}
	}
}
