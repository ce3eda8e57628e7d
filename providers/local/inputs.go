package local

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/providers"
)

// Inputs of a resource are a struct whose fields carry `pulumi:"name"` tags,
// optionally followed by ",required". Zero fields and empty
// lists and maps are left out. A field is a
// string, int, bool, something with a text form, a value, a list of strings, a
// map of any of these, or a pointer to such a struct. encode and decode are the
// two directions; both hold for every inputs type.

// A value is a string input that may depend on other resources: known, or the
// output of one of them. In inputs decoded from the engine it is always known.
type value struct {
	text   string
	output pulumi.StringInput // used instead of text when set
}

// known returns a plain value.
func known(s string) value { return value{text: s} }

// input gives the value to Pulumi.
func (v value) input() pulumi.StringInput {
	if v.output != nil {
		return v.output
	}
	return pulumi.String(v.text)
}

// naming returns the name of another resource: known at once, and still a
// dependency, so that the engine orders steps and replaces dependents rightly.
func naming(ctx *pulumi.Context, name string, res pulumi.Resource) value {
	if name == "" || res == nil {
		return known(name)
	}
	out := pulumi.OutputWithDependencies(ctx.Context(), pulumi.String(name).ToStringOutput(), res)
	return value{text: name, output: out.(pulumi.StringOutput)}
}

// encode turns an inputs struct into what RegisterResource takes. Nested maps
// stay maps of single inputs, so that one unknown value leaves the rest known.
func encode(in any) pulumi.Map { return input(tree(in)).(pulumi.Map) }

func input(x any) pulumi.Input {
	switch x := x.(type) {
	case value:
		return x.input()
	case string:
		return pulumi.String(x)
	case int:
		return pulumi.Int(x)
	case bool:
		return pulumi.Bool(x)
	case []any:
		a := make(pulumi.Array, len(x))
		for i, e := range x {
			a[i] = input(e)
		}
		return a
	case map[string]any:
		m := make(pulumi.Map, len(x))
		for k, e := range x {
			m[k] = input(e)
		}
		return m
	}
	panic(fmt.Sprintf("local: an input of type %T", x))
}

// properties is encode for inputs whose values are all known.
func properties(in any) resource.PropertyMap {
	return resource.NewPropertyMapFromMapRepl(tree(in), nil, func(x any) (resource.PropertyValue, bool) {
		v, ok := x.(value)
		return resource.NewProperty(v.text), ok
	})
}

// tree turns an inputs struct into maps, lists, strings, ints, bools and values,
// without what is zero or empty.
func tree(in any) map[string]any {
	m := map[string]any{}
	v := reflect.Indirect(reflect.ValueOf(in))
	for _, sf := range reflect.VisibleFields(v.Type()) {
		f := v.FieldByIndex(sf.Index)
		if list := f.Kind() == reflect.Map || f.Kind() == reflect.Slice; !sf.Anonymous && !f.IsZero() && !(list && f.Len() == 0) {
			name, _ := tag(sf)
			m[name] = node(f)
		}
	}
	return m
}

func node(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case value:
		return x
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			panic(fmt.Sprintf("local: text of %T: %v", x, err))
		}
		return string(b)
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Int:
		return int(v.Int())
	case reflect.Bool:
		return v.Bool()
	case reflect.Slice:
		a := make([]any, v.Len())
		for i := range a {
			a[i] = node(v.Index(i))
		}
		return a
	case reflect.Map:
		m := map[string]any{}
		for _, k := range v.MapKeys() {
			m[k.String()] = node(v.MapIndex(k))
		}
		return m
	case reflect.Pointer:
		return tree(v.Interface())
	}
	panic(fmt.Sprintf("local: an input of type %s", v.Type()))
}

// decode fills the inputs struct out from props and reports what cannot be
// right: unknown properties, wrong types, missing required ones. Secrets are
// unwrapped. Values known only later are left out and not reported.
func decode(props resource.PropertyMap, out any) []providers.CheckFailure {
	d := decoder{}
	d.object("", props, reflect.ValueOf(out).Elem())
	slices.SortFunc(d.failures, func(a, b providers.CheckFailure) int { return strings.Compare(a.Property, b.Property) })
	return d.failures
}

type decoder struct{ failures []providers.CheckFailure }

func (d *decoder) failf(path, format string, args ...any) {
	d.failures = append(d.failures, providers.CheckFailure{Property: path, Reason: fmt.Sprintf(format, args...)})
}

func (d *decoder) object(path string, props resource.PropertyMap, out reflect.Value) {
	fields := map[resource.PropertyKey]bool{}
	for _, sf := range reflect.VisibleFields(out.Type()) {
		if sf.Anonymous {
			continue
		}
		name, required := tag(sf)
		fields[resource.PropertyKey(name)] = true
		p, ok := props[resource.PropertyKey(name)]
		if !ok || p.IsNull() {
			if required {
				d.failf(join(path, name), "is missing")
			}
			continue
		}
		d.value(join(path, name), p, out.FieldByIndex(sf.Index))
	}
	for k := range props {
		if !fields[k] && !strings.HasPrefix(string(k), "__") {
			d.failf(join(path, string(k)), "is not an input of this resource")
		}
	}
}

func (d *decoder) value(path string, p resource.PropertyValue, out reflect.Value) {
	p, unknown := plain(p)
	if unknown {
		return
	}
	if _, ok := out.Interface().(value); ok {
		if p.IsString() {
			out.Set(reflect.ValueOf(known(p.StringValue())))
			return
		}
		d.failf(path, "must be a string, not %s", p.TypeString())
		return
	}
	if t, ok := out.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if !p.IsString() {
			d.failf(path, "must be a string, not %s", p.TypeString())
		} else if err := t.UnmarshalText([]byte(p.StringValue())); err != nil {
			d.failf(path, "%v", err)
		}
		return
	}
	switch kind := out.Kind(); {
	case kind == reflect.String && p.IsString():
		out.SetString(p.StringValue())
	case kind == reflect.Int && p.IsNumber() && p.NumberValue() == math.Trunc(p.NumberValue()):
		out.SetInt(int64(p.NumberValue()))
	case kind == reflect.Bool && p.IsBool():
		out.SetBool(p.BoolValue())
	case kind == reflect.Slice && p.IsArray():
		s := reflect.MakeSlice(out.Type(), len(p.ArrayValue()), len(p.ArrayValue()))
		for i, e := range p.ArrayValue() {
			d.value(fmt.Sprintf("%s[%d]", path, i), e, s.Index(i))
		}
		out.Set(s)
	case kind == reflect.Map && p.IsObject():
		m := reflect.MakeMap(out.Type())
		for k, e := range p.ObjectValue() {
			item := reflect.New(out.Type().Elem()).Elem()
			d.value(join(path, string(k)), e, item)
			m.SetMapIndex(reflect.ValueOf(string(k)), item)
		}
		out.Set(m)
	case kind == reflect.Pointer && p.IsObject():
		s := reflect.New(out.Type().Elem())
		d.object(path, p.ObjectValue(), s.Elem())
		out.Set(s)
	default:
		d.failf(path, "must be %s, not %s", wanted(kind), p.TypeString())
	}
}

// plain takes off the wrappings of secrets and outputs and reports whether the
// value is known only later.
func plain(p resource.PropertyValue) (v resource.PropertyValue, unknown bool) {
	for {
		switch {
		case p.IsSecret():
			p = p.SecretValue().Element
		case p.IsOutput() && p.OutputValue().Known:
			p = p.OutputValue().Element
		case p.IsComputed() || p.IsOutput():
			return p, true
		default:
			return p, false
		}
	}
}

func wanted(k reflect.Kind) string {
	switch k {
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Pointer:
		return "a map"
	}
	return "a string"
}

func tag(f reflect.StructField) (name string, required bool) {
	name, rest, _ := strings.Cut(f.Tag.Get("pulumi"), ",")
	if name == "" {
		panic("local: input field " + f.Name + " has no pulumi tag")
	}
	return name, rest == "required"
}

// join extends a property path as Pulumi writes it: "env.LEVEL",
// `env["a.b"]`.
func join(path, key string) string {
	switch {
	case strings.ContainsAny(key, `.[]"`) || key == "":
		return path + fmt.Sprintf("[%q]", key)
	case path == "":
		return key
	}
	return path + "." + key
}
