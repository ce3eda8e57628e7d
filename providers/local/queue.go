package local

import (
	"encoding/json"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

const (
	tokenQueue         = Package + ":index:Queue"
	tokenQueueConsumer = Package + ":index:QueueConsumer"
)

type queueInputs struct {
	member
	Visibility  span  `pulumi:"visibility"`
	Retention   span  `pulumi:"retention"`
	MaxReceives int   `pulumi:"maxReceives"`
	DeadLetter  value `pulumi:"deadLetter"`
	FIFO        bool  `pulumi:"fifo"`
	Retain      bool  `pulumi:"retain"`
}

func (p *program) queue(q *graph.Queue) {
	in := queueInputs{
		member:      p.member,
		Visibility:  span(q.Visibility),
		Retention:   span(q.Retention),
		MaxReceives: q.MaxReceives,
		FIFO:        q.FIFO,
		Retain:      q.Retain,
	}
	if q.DeadLetter != "" {
		in.DeadLetter = p.refer(graph.QueueKind, q.DeadLetter)
	}
	p.store(graph.QueueKind, q.Name, tokenQueue, in, kept(q.Retain))
}

func (in *queueInputs) spec() any {
	return api.QueueSpec{Visibility: api.Duration(in.Visibility), Retention: api.Duration(in.Retention), MaxReceives: in.MaxReceives, DeadLetter: in.DeadLetter.text, FIFO: in.FIFO, Retain: in.Retain}
}

func (in *queueInputs) read(raw json.RawMessage) error {
	var s api.QueueSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = queueInputs{member: in.member, Visibility: span(s.Visibility), Retention: span(s.Retention), MaxReceives: s.MaxReceives, DeadLetter: known(s.DeadLetter), FIFO: s.FIFO, Retain: s.Retain}
	return nil
}

type queueConsumer struct{ pulumi.CustomResourceState }

type queueConsumerInputs struct {
	member
	Function    value `pulumi:"function,required"`
	Queue       value `pulumi:"queue,required"`
	Batch       int   `pulumi:"batch,required"`
	Window      span  `pulumi:"window"`
	Concurrency int   `pulumi:"concurrency"`
}

func (p *program) queueConsumer(f *deployed, t *graph.QueueTrigger) {
	p.trigger(tokenQueueConsumer, f, "queue."+t.Name, queueConsumerInputs{
		member:      p.member,
		Function:    f.ref(p.ctx),
		Queue:       p.refer(graph.QueueKind, t.Name),
		Batch:       t.Batch,
		Window:      span(t.Window),
		Concurrency: t.Concurrency,
	}, &queueConsumer{})
}

func (in *queueConsumerInputs) spec() any {
	return api.QueueConsumerSpec{Function: in.Function.text, Queue: in.Queue.text, Batch: in.Batch, Window: api.Duration(in.Window), Concurrency: in.Concurrency}
}

func (in *queueConsumerInputs) read(raw json.RawMessage) error {
	var s api.QueueConsumerSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = queueConsumerInputs{member: in.member, Function: known(s.Function), Queue: known(s.Queue), Batch: s.Batch, Window: span(s.Window), Concurrency: s.Concurrency}
	return nil
}
