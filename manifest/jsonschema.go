package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// schemaID names the schema; editors that know it need no file.
const schemaID = "https://anyfaas.dev/schema/v1.json"

// JSONSchema returns the JSON Schema (draft 2020-12) of a manifest as written,
// with variables still in it. It accepts exactly what the shape phase of Load
// accepts.
func JSONSchema() []byte {
	g := schemaGenerator{defs: map[string]any{}, names: map[*shape]string{}}
	root := g.object(language)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = schemaID
	root["title"] = "anyfaas manifest"
	g.defs["variable"] = map[string]any{"type": "string", "pattern": variableExpr, "description": "A text with a variable such as ${stage} or ${env.NAME}."}
	root["$defs"] = g.defs
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic(fmt.Sprintf("manifest: schema: %v", err))
	}
	return b.Bytes()
}

type schemaGenerator struct {
	defs  map[string]any
	names map[*shape]string // of the objects that have a definition
}

// of returns the schema of a value that may also be a variable.
func (g *schemaGenerator) of(s *shape) map[string]any {
	switch s.kind {
	case anyShape:
		return map[string]any{}
	case scalarShape:
		return map[string]any{"type": []string{"string", "number", "boolean"}}
	}
	if s.literal {
		return map[string]any{"const": s.options[0]}
	}
	if s.kind == textShape && s.options == nil && s.pattern == nil {
		return map[string]any{"type": "string"}
	}
	forms := g.forms(s)
	return map[string]any{"anyOf": append(forms, map[string]any{"$ref": "#/$defs/variable"})}
}

// forms returns the schemas of the ways to write a value.
func (g *schemaGenerator) forms(s *shape) []any {
	var out []any
	add := func(m map[string]any) { out = append(out, m) }
	switch s.kind {
	case objectShape:
		if s.short != nil {
			out = append(out, g.forms(s.short)...)
		}
		add(g.ref(s))
	case dictShape:
		m := map[string]any{"type": "object", "additionalProperties": g.of(s.elem)}
		if s.names.options != nil {
			m["propertyNames"] = map[string]any{"enum": s.names.options}
		} else {
			m["propertyNames"] = map[string]any{"pattern": s.names.expr}
		}
		add(m)
	case listShape:
		m := map[string]any{"type": "array", "items": g.of(s.elem)}
		if s.filled {
			m["minItems"] = 1
		}
		add(m)
		if s.single {
			out = append(out, g.single(s.elem)...)
		}
	case textShape:
		m := map[string]any{"type": "string"}
		switch {
		case s.options != nil:
			m = map[string]any{"enum": s.options}
		case s.pattern != nil && s.pattern.options != nil:
			m = map[string]any{"enum": s.pattern.options}
		case s.pattern != nil:
			m["pattern"] = s.pattern.expr
		}
		add(m)
	case integerShape:
		add(map[string]any{"type": "integer", "minimum": s.min, "maximum": s.max})
	case booleanShape:
		add(map[string]any{"type": "boolean"})
	case memoryShape:
		add(map[string]any{"type": "integer", "minimum": 0, "maximum": wholeLimit})
		add(map[string]any{"type": "string", "pattern": memoryExpr})
	case durationShape:
		add(map[string]any{"type": "integer", "minimum": 0, "maximum": wholeLimit})
		add(map[string]any{"type": "string", "pattern": durationExpr})
	default:
		panic(fmt.Sprintf("manifest: shape kind %d", s.kind))
	}
	if s.nullable() {
		add(map[string]any{"type": "null"})
	}
	return out
}

// single returns the forms of a list's bare value.
func (g *schemaGenerator) single(elem *shape) []any {
	if elem.kind == scalarShape || elem.kind == textShape && elem.options == nil && elem.pattern == nil {
		return []any{g.of(elem)}
	}
	return g.forms(elem)
}

// ref returns a reference to an object's definition, which it makes when it is
// asked for the first time. Unnamed objects stand where they are used.
func (g *schemaGenerator) ref(s *shape) map[string]any {
	if s.name == "" {
		return g.object(s)
	}
	name, ok := g.names[s]
	if !ok {
		name = s.name
		for i := 2; g.defs[name] != nil; i++ {
			name = fmt.Sprintf("%s%d", s.name, i)
		}
		g.names[s] = name
		g.defs[name] = true // taken
		g.defs[name] = g.object(s)
	}
	return map[string]any{"$ref": "#/$defs/" + name}
}

func (g *schemaGenerator) object(s *shape) map[string]any {
	properties := map[string]any{}
	var required []string
	for _, k := range s.keys {
		p := g.of(k.shape)
		doc := k.doc
		if doc == "" {
			doc = k.shape.doc
		}
		if doc != "" {
			p["description"] = doc
		}
		if k.standard != "" {
			p["description"] = doc + " Default: " + k.standard + "."
		}
		properties[k.name] = p
		if k.required {
			required = append(required, k.name)
		}
	}
	m := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if s.doc != "" {
		m["description"] = s.doc
	}
	if required != nil {
		m["required"] = slices.Clone(required)
	}
	if s.one != nil {
		var one []any
		for _, k := range s.one {
			one = append(one, map[string]any{"required": []string{k}})
		}
		m["oneOf"] = one
	}
	return m
}
