package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/google/go-cmp/cmp"
)

func TestTableStoresItems(t *testing.T) {
	f := open(t)
	orders := f.apply(api.KindTable, "orders", api.TableSpec{
		Key: api.Attribute{Name: "id", Type: "string"}, Sort: api.Attribute{Name: "at", Type: "number"},
	})["url"].(string)
	steps := []struct {
		name, method, path, body string
		status                   int
		answer                   string
	}{
		{"an item that is not there", "GET", "/a/1", "", 404, `{"code":"not-found","error":"no item \"a/1\" in table \"orders\""}`},
		{"a new item gets its key attributes", "PUT", "/a/1", `{"total":3}`, 201, `{"at":1,"id":"a","total":3}`},
		{"an item may hold them", "PUT", "/a/1", `{"id":"a","at":1,"total":4}`, 200, `{"id":"a","at":1,"total":4}`},
		{"but not others", "PUT", "/a/1", `{"id":"b"}`, 400, `{"code":"bad-request","error":"the item's \"id\" is \"b\", but the URL says \"a\""}`},
		{"an item is read", "GET", "/a/1", "", 200, `{"id":"a","at":1,"total":4}`},
		{"an item is an object", "PUT", "/a/2", `[1]`, 400, `{"code":"bad-request","error":"an item is a JSON object"}`},
		{"a key needs its sort key", "PUT", "/a", `{}`, 400, `{"code":"bad-request","error":"an item of this table is named by /<id>/<at>"}`},
		{"a number is a number", "PUT", "/a/x", `{}`, 400, `{"code":"bad-request","error":"key \"at\" must be a number, not \"x\""}`},
		{"keys may hold anything", "PUT", "/" + url.PathEscape("ä/ %2F.."), `{}`, 400, `{"code":"bad-request","error":"an item of this table is named by /<id>/<at>"}`},
		{"a slash in a key is escaped", "PUT", "/" + url.PathEscape("ä/ %2F..") + "/-0.5", `{}`, 201, `{"at":-0.5,"id":"ä/ %2F.."}`},
		{"an item is deleted", "DELETE", "/a/1", "", 204, ""},
		{"twice is fine", "DELETE", "/a/1", "", 204, ""},
		{"it is gone", "GET", "/a/1", "", 404, `{"code":"not-found","error":"no item \"a/1\" in table \"orders\""}`},
		{"another method", "POST", "/a/1", "{}", 405, `{"code":"method-not-allowed","error":"use GET or PUT or DELETE"}`},
	}
	for _, s := range steps {
		if r := do(t, s.method, orders+s.path, s.body); r.Status != s.status || r.Body != s.answer {
			t.Errorf("%s: %d %s\nwant %d %s", s.name, r.Status, r.Body, s.status, s.answer)
		}
	}
}

func TestTableListsInOrderOfKeys(t *testing.T) {
	f := open(t)
	orders := f.apply(api.KindTable, "orders", api.TableSpec{
		Key: api.Attribute{Name: "id", Type: "string"}, Sort: api.Attribute{Name: "at", Type: "number"},
	})["url"].(string)
	for _, id := range []string{"b", "a", "ab", "a\x00"} {
		for _, at := range []string{"10", "9", "-3", "-20", "1e3"} {
			if r := do(t, "PUT", orders+"/"+url.PathEscape(id)+"/"+at, "{}"); r.Status != 201 {
				t.Fatal(r.Status, r.Body)
			}
		}
	}
	list := func(query string) (keys []string, next string) {
		r := do(t, "GET", orders+"?"+query, "")
		var v struct {
			Items []struct {
				ID string
				At json.Number
			}
			Next string
		}
		if err := json.Unmarshal([]byte(r.Body), &v); err != nil || r.Status != 200 {
			t.Fatal(r.Status, r.Body)
		}
		for _, i := range v.Items {
			keys = append(keys, fmt.Sprintf("%s/%s", i.ID, i.At))
		}
		return keys, v.Next
	}
	times := []string{"-20", "-3", "9", "10", "1e3"}
	var all []string
	for _, id := range []string{"a", "a\x00", "ab", "b"} {
		for _, at := range times {
			all = append(all, id+"/"+at)
		}
	}
	got, _ := list("")
	if d := cmp.Diff(all, got); d != "" {
		t.Errorf("all (-want +got):\n%s", d)
	}
	got, _ = list("prefix=a")
	if d := cmp.Diff(all[:15], got); d != "" {
		t.Errorf("prefix a (-want +got):\n%s", d)
	}
	got, _ = list("key=a")
	if d := cmp.Diff(all[:5], got); d != "" {
		t.Errorf("key a (-want +got):\n%s", d)
	}
	got = nil
	for next, pages := "", 0; pages == 0 || next != ""; pages++ {
		var page []string
		page, next = list("limit=7&after=" + next)
		got = append(got, page...)
	}
	if d := cmp.Diff(all, got); d != "" {
		t.Errorf("pages (-want +got):\n%s", d)
	}
}

func TestTableTellsItsChangesInOrder(t *testing.T) {
	f := open(t)
	spec := api.TableSpec{Key: api.Attribute{Name: "id", Type: "string"}, Stream: true}
	orders := f.apply(api.KindTable, "orders", spec)["url"].(string)
	do(t, "PUT", orders+"/before", `{}`)
	failed := false
	f.caller.handle("audit", func(_ context.Context, c Call) ([]string, error) {
		f.caller.mu.Lock()
		defer f.caller.mu.Unlock()
		if !failed {
			failed = true
			return nil, errBroken
		}
		return nil, nil
	})
	reader := api.TableReaderSpec{Function: "audit", Table: "orders", Batch: 1}
	f.apply(api.KindTableReader, "r", reader)
	changes := func(want ...string) {
		t.Helper()
		eventually(t, func() string {
			var got []string
			for _, ev := range f.caller.events("audit") {
				got = append(got, fmt.Sprint(ev.DeliveryCount, " ", ev.Subject, " ", string(ev.Data)))
			}
			return cmp.Diff(want, got)
		})
	}
	do(t, "PUT", orders+"/a", `{"n":1}`)
	do(t, "PUT", orders+"/a", `{"n":2}`)
	do(t, "PUT", orders+"/a", `{ "n": 2, "id": "a" }`) // equal: no change
	do(t, "DELETE", orders+"/a", "")
	do(t, "DELETE", orders+"/a", "")
	insert := `a {"operation":"insert","keys":{"id":"a"},"new":{"id":"a","n":1}}`
	want := []string{
		"1 " + insert, "2 " + insert,
		`1 a {"operation":"update","keys":{"id":"a"},"new":{"id":"a","n":2},"old":{"id":"a","n":1}}`,
		`1 a {"operation":"delete","keys":{"id":"a"},"old":{"id":"a","n":2}}`,
	}
	changes(want...)

	f.close()
	f.reopen()
	orders = f.apply(api.KindTable, "orders", spec)["url"].(string)
	do(t, "PUT", orders+"/b", `{}`)
	f.apply(api.KindTableReader, "r", reader)
	changes(append(want, `1 b {"operation":"insert","keys":{"id":"b"},"new":{"id":"b"}}`)...)
	ev := f.caller.events("audit")[0]
	wantEvent := api.CloudEvent{
		SpecVersion: "1.0", Type: "dev.anyfaas.db.change.v1", Source: "/tables/orders", ID: ev.ID, Time: ev.Time, Subject: "a",
		PartitionKey: "a", Sequence: "2", DataContentType: "application/json", DeliveryCount: 1, Data: ev.Data,
	}
	if d := cmp.Diff(wantEvent, ev); d != "" {
		t.Errorf("event (-want +got):\n%s", d)
	}
}
