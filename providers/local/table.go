package local

import (
	"encoding/json"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

const (
	tokenTable       = Package + ":index:Table"
	tokenTableReader = Package + ":index:TableReader"
)

type tableInputs struct {
	member
	Key    *attributeInputs `pulumi:"key,required"`
	Sort   *attributeInputs `pulumi:"sort"`
	Stream bool             `pulumi:"stream"`
	Retain bool             `pulumi:"retain"`
}

type attributeInputs struct {
	Name string `pulumi:"name,required"`
	Type string `pulumi:"type,required"`
}

func (p *program) table(t *graph.Table) {
	in := tableInputs{
		member: p.member,
		Key:    &attributeInputs{Name: t.Key.Name, Type: t.Key.Type},
		Stream: t.Stream,
		Retain: t.Retain,
	}
	if t.Sort.Name != "" {
		in.Sort = &attributeInputs{Name: t.Sort.Name, Type: t.Sort.Type}
	}
	p.store(graph.TableKind, t.Name, tokenTable, in, kept(t.Retain))
}

func (in *tableInputs) spec() any {
	s := api.TableSpec{Stream: in.Stream, Retain: in.Retain}
	if k := in.Key; k != nil {
		s.Key = api.Attribute{Name: k.Name, Type: k.Type}
	}
	if k := in.Sort; k != nil {
		s.Sort = api.Attribute{Name: k.Name, Type: k.Type}
	}
	return s
}

func (in *tableInputs) read(raw json.RawMessage) error {
	var s api.TableSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = tableInputs{member: in.member, Key: &attributeInputs{Name: s.Key.Name, Type: s.Key.Type}, Stream: s.Stream, Retain: s.Retain}
	if s.Sort.Name != "" {
		in.Sort = &attributeInputs{Name: s.Sort.Name, Type: s.Sort.Type}
	}
	return nil
}

type tableReader struct{ pulumi.CustomResourceState }

type tableReaderInputs struct {
	member
	Function value `pulumi:"function,required"`
	Table    value `pulumi:"table,required"`
	Batch    int   `pulumi:"batch,required"`
}

func (p *program) tableReader(f *deployed, t *graph.TableTrigger) {
	p.trigger(tokenTableReader, f, "table."+t.Name, tableReaderInputs{
		member:   p.member,
		Function: f.ref(p.ctx),
		Table:    p.refer(graph.TableKind, t.Name),
		Batch:    t.Batch,
	}, &tableReader{})
}

func (in *tableReaderInputs) spec() any {
	return api.TableReaderSpec{Function: in.Function.text, Table: in.Table.text, Batch: in.Batch}
}

func (in *tableReaderInputs) read(raw json.RawMessage) error {
	var s api.TableReaderSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = tableReaderInputs{member: in.member, Function: known(s.Function), Table: known(s.Table), Batch: s.Batch}
	return nil
}
