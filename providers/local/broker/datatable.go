package broker

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"go.etcd.io/bbolt"
)

// maxListed bounds one page of items.
const maxListed = 1000

func (d *dataServer) serveTable(r *http.Request, stack, name string, rest []string) (int, any, error) {
	t, err := find[*table](d.b, stack, api.KindTable, name)
	if err != nil {
		return 0, nil, err
	}
	if len(rest) == 0 {
		if r.Method != http.MethodGet {
			return 0, nil, wrongMethod{"GET"}
		}
		return t.serveList(r.URL.Query())
	}
	spec, _ := t.state()
	k, err := parseKey(spec, rest)
	if err != nil {
		return 0, nil, err
	}
	switch r.Method {
	case http.MethodGet:
		item, err := t.get(k)
		if err == nil && item == nil {
			err = notFound{fmt.Sprintf("no item %q in table %q", k.text, name)}
		}
		return http.StatusOK, item, err
	case http.MethodPut:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return 0, nil, err
		}
		item, err := k.withKey(body)
		if err != nil {
			return 0, nil, err
		}
		operation, err := t.set(k, item)
		if operation == "insert" {
			return http.StatusCreated, item, err
		}
		return http.StatusOK, item, err
	case http.MethodDelete:
		_, err := t.set(k, nil)
		return http.StatusNoContent, nil, err
	}
	return 0, nil, wrongMethod{"GET, PUT, DELETE"}
}

// serveList returns items in the order of their keys: all, those whose key
// begins with prefix, or, with key, those of one partition whose sort key
// begins with prefix. Next is where a following page starts.
func (t *table) serveList(query url.Values) (int, any, error) {
	spec, db := t.state()
	limit, err := intParam(query, "limit", 100, 1, maxListed)
	if err != nil {
		return 0, nil, err
	}
	var from []byte
	prefixed := spec.Key
	if query.Has("key") {
		_, encoded, err := encodeKey(spec.Key, query.Get("key"))
		if err != nil {
			return 0, nil, err
		}
		from, prefixed = encoded, spec.Sort
	}
	if prefix := query.Get("prefix"); prefix != "" {
		if prefixed.Type != "string" {
			return 0, nil, badRequest{"prefix needs a key of type string"}
		}
		encoded := encodeBytes([]byte(prefix))
		from = append(from, encoded[:len(encoded)-2]...)
	}
	start := from
	if after := query.Get("after"); after != "" {
		if start, err = base64.RawURLEncoding.DecodeString(after); err != nil || !bytes.HasPrefix(start, from) {
			return 0, nil, badRequest{"after must be the next of an earlier page of the same list"}
		}
		start = append(start, 0) // the key after it
	}
	items, next := []json.RawMessage{}, ""
	err = db.View(func(tx *bbolt.Tx) error {
		stored, err := nested(tx, tablesBucket, t.bucketName())
		if err != nil {
			return err
		}
		c := stored.Cursor()
		var last []byte
		for k, v := c.Seek(start); bytes.HasPrefix(k, from) && k != nil; k, v = c.Next() {
			if len(items) == limit {
				next = base64.RawURLEncoding.EncodeToString(last)
				break
			}
			items = append(items, bytes.Clone(v))
			last = k
		}
		return nil
	})
	answer := map[string]any{"items": items}
	if next != "" {
		answer["next"] = next
	}
	return http.StatusOK, answer, err
}
