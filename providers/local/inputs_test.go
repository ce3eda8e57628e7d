package local

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"pgregory.net/rapid"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

func TestSpanText(t *testing.T) {
	for _, test := range []struct {
		span time.Duration
		want string
	}{
		{15 * time.Second, "15s"},
		{time.Minute, "1m"},
		{90 * time.Second, "1m30s"},
		{time.Hour, "1h"},
		{90 * time.Minute, "1h30m"},
		{time.Hour + time.Second, "1h0m1s"},
		{10 * time.Minute, "10m"},
		{24 * time.Hour, "24h"},
		{96 * time.Hour, "4d"},
		{250 * time.Millisecond, "250ms"},
		{0, "0s"},
	} {
		b, err := span(test.span).MarshalText()
		if err != nil || string(b) != test.want {
			t.Errorf("%v: want %q, got %q, %v", test.span, test.want, b, err)
		}
		var back span
		if err := back.UnmarshalText(b); err != nil || time.Duration(back) != test.span {
			t.Errorf("%q is read as %v, %v", b, time.Duration(back), err)
		}
	}
}

func TestSpanRefusesWhatIsNoLength(t *testing.T) {
	for _, text := range []string{"", "d", "-1d", "4 d", "1.5d", "-5s", "soon", "99999999d"} {
		var s span
		want := fmt.Sprintf(`must be a length of time like "15s" or "4d", not %q`, text)
		if err := s.UnmarshalText([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: want %q, got %v", text, want, err)
		}
	}
}

func TestSizeText(t *testing.T) {
	b, err := size(512).MarshalText()
	if err != nil || string(b) != "512MB" {
		t.Errorf("got %q, %v", b, err)
	}
	for _, text := range []string{"", "MB", "512", "0MB", "-1MB", "1GB", "1.5MB"} {
		var s size
		want := fmt.Sprintf(`must be a positive size like "512MB", not %q`, text)
		if err := s.UnmarshalText([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: want %q, got %v", text, want, err)
		}
	}
}

// What goes to the host comes back the same, for every type and any inputs: as
// properties through the state, and as a specification through the host.
func TestInputsRoundTrip(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k.api), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				in := k.inputs()
				fill(t, "", reflect.ValueOf(in).Elem())

				decoded := k.inputs()
				if f := decode(properties(in), decoded); len(f) > 0 {
					t.Fatalf("decode: %v", f)
				}
				if d := cmp.Diff(in, decoded, cmp.AllowUnexported(value{}), cmp.Exporter(func(reflect.Type) bool { return true })); d != "" {
					t.Fatalf("through the state (-want +got):\n%s", d)
				}

				raw, err := json.Marshal(in.spec())
				if err != nil {
					t.Fatal(err)
				}
				if err := decoded.read(raw); err != nil {
					t.Fatal(err)
				}
				if d := k.diff(properties(in), properties(decoded)); len(d.Changed) > 0 {
					t.Fatalf("through the host %v change:\n%s", d.Changed, raw)
				}
			})
		})
	}
}

// fill gives every field of an inputs struct a value as a program would: no
// empty maps, lists or pointers to nothing.
func fill(t *rapid.T, path string, v reflect.Value) {
	switch v.Interface().(type) {
	case value:
		v.Set(reflect.ValueOf(known(rapid.StringN(1, 8, -1).Draw(t, path))))
		return
	case size:
		v.SetInt(int64(rapid.IntRange(1, 1<<20).Draw(t, path)))
		return
	case span:
		v.SetInt(int64(rapid.Int64Range(1, int64(1000*day)).Draw(t, path)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		s := rapid.StringN(1, 8, -1)
		if path == ".Input" {
			s = rapid.SampledFrom([]string{`{"full":true}`, `[1,2]`, `"text"`, `null`, `1.5`})
		}
		v.SetString(s.Draw(t, path))
	case reflect.Int:
		v.SetInt(int64(rapid.IntRange(1, 1<<30).Draw(t, path)))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, path))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rapid.IntRange(1, 3).Draw(t, path), 3))
		for i := range v.Len() {
			fill(t, path+"[]", v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rapid.IntRange(1, 3).Draw(t, path) {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(t, path+"{}", e)
			v.SetMapIndex(reflect.ValueOf(rapid.StringMatching(`[a-zA-Z.]{1,5}`).Draw(t, path+" key")), e)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, path, v.Elem())
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(v.Type()) {
			if !f.Anonymous {
				fill(t, path+"."+f.Name, v.FieldByIndex(f.Index))
			}
		}
	default:
		t.Fatalf("%s: an input of type %s", path, v.Type())
	}
}

// Every kind of the host has a type and the other way round.
func TestKinds(t *testing.T) {
	var got []api.Kind
	tokens := map[string]bool{}
	for _, k := range kinds {
		got = append(got, k.api)
		if tokens[k.token] {
			t.Errorf("%s is listed twice", k.token)
		}
		tokens[k.token] = true
	}
	if d := cmp.Diff(api.Kinds, got); d != "" {
		t.Errorf("kinds (-host +types):\n%s", d)
	}
}

func TestDiff(t *testing.T) {
	base := map[string]any{"stack": "orders-dev", "memory": "256MB", "env": map[string]any{"A": "1", "b.c": "2"}, "command": []any{"node", "main.js"}}
	with := func(change func(resource.PropertyMap)) resource.PropertyMap {
		m := resource.NewPropertyMapFromMap(base)
		change(m)
		return m
	}
	env := func(m resource.PropertyMap) resource.PropertyMap { return m["env"].ObjectValue() }
	for _, test := range []struct {
		name          string
		token         string
		new           resource.PropertyMap
		want, replace []string
	}{
		{name: "nothing", token: tokenFunction, new: with(func(resource.PropertyMap) {})},
		{name: "one value", token: tokenFunction, new: with(func(m resource.PropertyMap) { m["memory"] = resource.NewProperty("512MB") }), want: []string{"memory"}},
		{name: "a value in a map is named alone", token: tokenFunction, new: with(func(m resource.PropertyMap) { env(m)["A"] = resource.NewProperty("2") }), want: []string{"env.A"}},
		{name: "a key with a dot is quoted", token: tokenFunction, new: with(func(m resource.PropertyMap) { delete(env(m), "b.c") }), want: []string{`env["b.c"]`}},
		{name: "a whole map that goes is named by its values", token: tokenFunction, new: with(func(m resource.PropertyMap) { delete(m, "env") }), want: []string{"env.A", `env["b.c"]`}},
		{name: "an empty map is like none", token: tokenFunction, new: with(func(m resource.PropertyMap) { m["secrets"] = resource.NewProperty(resource.PropertyMap{}) })},
		{name: "a list is one value", token: tokenFunction, new: with(func(m resource.PropertyMap) {
			m["command"] = resource.NewProperty([]resource.PropertyValue{resource.NewProperty("node")})
		}), want: []string{"command"}},
		{name: "a value that became secret is the same", token: tokenFunction, new: with(func(m resource.PropertyMap) { env(m)["A"] = resource.MakeSecret(resource.NewProperty("1")) })},
		{name: "a value not known yet may change", token: tokenFunction, new: with(func(m resource.PropertyMap) { env(m)["A"] = resource.MakeComputed(resource.NewProperty("")) }), want: []string{"env.A"}},
		{name: "the engine's own keys do not count", token: tokenFunction, new: with(func(m resource.PropertyMap) { m["__defaults"] = resource.NewProperty([]resource.PropertyValue{}) })},
		{name: "another stack is another resource", token: tokenFunction, new: with(func(m resource.PropertyMap) { m["stack"] = resource.NewProperty("x-dev") }), want: []string{"stack"}, replace: []string{"stack"}},
		{name: "a queue cannot become fifo", token: tokenQueue, new: with(func(m resource.PropertyMap) { m["fifo"] = resource.NewProperty(true) }), want: []string{"fifo"}, replace: []string{"fifo"}},
		{name: "a table cannot change its key", token: tokenTable, new: with(func(m resource.PropertyMap) {
			m["key"] = resource.NewProperty(resource.PropertyMap{"name": resource.NewProperty("id")})
		}), want: []string{"key.name"}, replace: []string{"key.name"}},
		{name: "a consumer follows its queue when that is replaced", token: tokenQueueConsumer, new: with(func(m resource.PropertyMap) { m["queue"] = resource.MakeComputed(resource.NewProperty("")) }), want: []string{"queue"}, replace: []string{"queue"}},
		{name: "a consumer can move to another function in place", token: tokenQueueConsumer, new: with(func(m resource.PropertyMap) { m["function"] = resource.NewProperty("other") }), want: []string{"function"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := kindNamed(t, test.token).diff(resource.NewPropertyMapFromMap(base), test.new)
			if d := cmp.Diff(test.want, got.Changed); d != "" {
				t.Errorf("changed (-want +got):\n%s", d)
			}
			if d := cmp.Diff(test.replace, got.Replace); d != "" {
				t.Errorf("replace (-want +got):\n%s", d)
			}
			if got.DeleteBeforeReplace != (len(test.replace) > 0) {
				t.Errorf("delete before replace: %v", got.DeleteBeforeReplace)
			}
		})
	}
}

func TestHostNamesStayDistinct(t *testing.T) {
	long := "api.http.GET/" + string(make([]byte, 300))
	names := []string{"api", "api.http.GET/a/b", "api.http.GET/a%2Fb", "api.http.GET/a.b", long + "a", long + "b"}
	seen := map[string]string{}
	for _, n := range names {
		h := hostName(n)
		if other, ok := seen[h]; ok {
			t.Errorf("%q and %q are both %q", n, other, h)
		}
		seen[h] = n
		if len(h) > 255 {
			t.Errorf("%q has %d bytes", h, len(h))
		}
	}
}

func TestOwners(t *testing.T) {
	for _, test := range []struct{ typ, name, want string }{
		{tokenFunction, "api", "api"},
		{tokenRoute, "api.http.GET/v1.0/orders", "api"},
		{tokenQueue, "api", ""},
		{tokenService, "orders", ""},
		{"pulumi:pulumi:Stack", "orders-dev", ""},
	} {
		if got := (Provider{}).OwnerOf(test.typ, test.name); got != test.want {
			t.Errorf("%s %s: want %q, got %q", test.typ, test.name, test.want, got)
		}
	}
}
