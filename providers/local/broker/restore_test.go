package broker

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// A host that starts again has its ports before it knows who listens to what.
func TestSendersWaitUntilThoseWhoListenAreBack(t *testing.T) {
	restored := make(chan struct{})
	f := open(t, func(o *Options) { o.Restored = restored })
	bucket := f.apply(api.KindBucket, "uploads", api.BucketSpec{})["url"].(string)
	data, _ := f.Addrs()
	sent := make(chan string, 2)
	send := func(method, url, body string) {
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Error(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			sent <- err.Error()
			return
		}
		res.Body.Close()
		sent <- res.Status
	}
	go send("PUT", bucket+"/early", "123")
	go send("POST", data+"/shop-dev/events", `{"source": "shop", "type": "paid", "detail": 1}`)
	select {
	case status := <-sent:
		t.Errorf("answered %s although nobody was listening yet", status)
	case <-time.After(100 * time.Millisecond):
	}
	f.apply(api.KindNotification, "all", api.NotificationSpec{Function: "all", Bucket: "uploads", Events: []string{"created"}})
	f.apply(api.KindEventRule, "rule", api.EventRuleSpec{Function: "rule", Source: "shop", Type: "paid"})
	close(restored)
	eventually(t, func() string { return cmp.Diff([]string{"created.v1 early 3"}, f.objectEvents("all")) })
	eventually(t, func() string { return wantCount("events", len(f.caller.events("rule")), 1) })
}
