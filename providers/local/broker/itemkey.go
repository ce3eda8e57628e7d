package broker

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// An itemKey is the key of an item in the forms that are needed.
type itemKey struct {
	partition  string          // text of the key attribute
	text       string          // key, or key/sort
	attributes json.RawMessage // {"id": "7", "at": 3}
	encoded    []byte          // sorts like the values: key first, then sort
}

// maxKey bounds the text of one key attribute, in bytes.
const maxKey = 2048

// parseKey reads the texts of a key as they stand in a URL: a string as it is, a
// number in decimal, binary in base64url.
func parseKey(spec api.TableSpec, texts []string) (itemKey, error) {
	attributes := []api.Attribute{spec.Key}
	if spec.Sort.Name != "" {
		attributes = append(attributes, spec.Sort)
	}
	if len(texts) != len(attributes) {
		return itemKey{}, badRequest{fmt.Sprintf("an item of this table is named by %s", keyForm(spec))}
	}
	k := itemKey{partition: texts[0], text: texts[0]}
	values := map[string]any{}
	for i, a := range attributes {
		value, encoded, err := encodeKey(a, texts[i])
		if err != nil {
			return itemKey{}, err
		}
		values[a.Name] = value
		k.encoded = append(k.encoded, encoded...)
		if i == 1 {
			k.text += "/" + texts[1]
		}
	}
	b, err := json.Marshal(values)
	k.attributes = b
	return k, err
}

func keyForm(spec api.TableSpec) string {
	if spec.Sort.Name == "" {
		return "/<" + spec.Key.Name + ">"
	}
	return "/<" + spec.Key.Name + ">/<" + spec.Sort.Name + ">"
}

// encodeKey reads one key attribute and encodes it so that the bytes sort like
// the values and none is the beginning of another.
func encodeKey(a api.Attribute, text string) (value any, encoded []byte, err error) {
	if text == "" || len(text) > maxKey || !utf8.ValidString(text) {
		return nil, nil, badRequest{fmt.Sprintf("key %q must be 1 to %d bytes of UTF-8", a.Name, maxKey)}
	}
	switch a.Type {
	case "number":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || !json.Valid([]byte(text)) {
			return nil, nil, badRequest{fmt.Sprintf("key %q must be a number, not %q", a.Name, text)}
		}
		return json.Number(text), encodeFloat(f), nil
	case "binary":
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			return nil, nil, badRequest{fmt.Sprintf("key %q must be base64url without padding, not %q", a.Name, text)}
		}
		return text, encodeBytes(b), nil
	}
	return text, encodeBytes([]byte(text)), nil
}

// encodeBytes ends bytes with 0 1 and writes a 0 in them as 0 255.
func encodeBytes(b []byte) []byte {
	return append(bytes.ReplaceAll(b, []byte{0}, []byte{0, 0xff}), 0, 1)
}

func encodeFloat(f float64) []byte {
	n := math.Float64bits(f + 0) // minus zero becomes zero
	if n>>63 == 1 {
		n = ^n
	} else {
		n |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(nil, n)
}

// withKey returns an item, a JSON object, that holds the key: attributes that
// are missing are added, others must be equal.
func (k itemKey) withKey(item []byte) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(item, &fields); err != nil || fields == nil {
		return nil, badRequest{"an item is a JSON object"}
	}
	var attributes map[string]json.RawMessage
	if err := json.Unmarshal(k.attributes, &attributes); err != nil {
		return nil, err
	}
	missing := false
	for name, value := range attributes {
		switch have, ok := fields[name]; {
		case !ok:
			fields[name] = value
			missing = true
		case !sameJSON(have, value):
			return nil, badRequest{fmt.Sprintf("the item's %q is %s, but the URL says %s", name, have, value)}
		}
	}
	if !missing {
		return item, nil
	}
	return json.Marshal(fields)
}
