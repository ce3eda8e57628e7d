package local

import (
	"encoding/json"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

const (
	tokenStream       = Package + ":index:Stream"
	tokenStreamReader = Package + ":index:StreamReader"
)

type streamInputs struct {
	member
	Shards    int  `pulumi:"shards,required"`
	Retention span `pulumi:"retention"`
	Retain    bool `pulumi:"retain"`
}

func (p *program) stream(s *graph.Stream) {
	in := streamInputs{member: p.member, Shards: s.Shards, Retention: span(s.Retention), Retain: s.Retain}
	p.store(graph.StreamKind, s.Name, tokenStream, in, kept(s.Retain))
}

func (in *streamInputs) spec() any {
	return api.StreamSpec{Shards: in.Shards, Retention: api.Duration(in.Retention), Retain: in.Retain}
}

func (in *streamInputs) read(raw json.RawMessage) error {
	var s api.StreamSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = streamInputs{member: in.member, Shards: s.Shards, Retention: span(s.Retention), Retain: s.Retain}
	return nil
}

type streamReader struct{ pulumi.CustomResourceState }

type streamReaderInputs struct {
	member
	Function value  `pulumi:"function,required"`
	Stream   value  `pulumi:"stream,required"`
	Batch    int    `pulumi:"batch,required"`
	From     string `pulumi:"from,required"`
}

func (p *program) streamReader(f *deployed, t *graph.StreamTrigger) {
	p.trigger(tokenStreamReader, f, "stream."+t.Name, streamReaderInputs{
		member:   p.member,
		Function: f.ref(p.ctx),
		Stream:   p.refer(graph.StreamKind, t.Name),
		Batch:    t.Batch,
		From:     t.From,
	}, &streamReader{})
}

func (in *streamReaderInputs) spec() any {
	return api.StreamReaderSpec{Function: in.Function.text, Stream: in.Stream.text, Batch: in.Batch, From: in.From}
}

func (in *streamReaderInputs) read(raw json.RawMessage) error {
	var s api.StreamReaderSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = streamReaderInputs{member: in.member, Function: known(s.Function), Stream: known(s.Stream), Batch: s.Batch, From: s.From}
	return nil
}
