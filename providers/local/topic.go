package local

import (
	"encoding/json"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

const (
	tokenTopic        = Package + ":index:Topic"
	tokenSubscription = Package + ":index:Subscription"
)

type topicInputs struct{ member }

func (p *program) topic(t *graph.Topic) {
	p.store(graph.TopicKind, t.Name, tokenTopic, topicInputs{p.member})
}

func (in *topicInputs) spec() any { return api.TopicSpec{} }

func (in *topicInputs) read(json.RawMessage) error { return nil }

type subscription struct{ pulumi.CustomResourceState }

type subscriptionInputs struct {
	member
	Function value               `pulumi:"function,required"`
	Topic    value               `pulumi:"topic,required"`
	Filter   map[string][]string `pulumi:"filter"`
}

func (p *program) subscription(f *deployed, t *graph.TopicTrigger) {
	p.trigger(tokenSubscription, f, "topic."+t.Name, subscriptionInputs{
		member:   p.member,
		Function: f.ref(p.ctx),
		Topic:    p.refer(graph.TopicKind, t.Name),
		Filter:   t.Filter,
	}, &subscription{})
}

func (in *subscriptionInputs) spec() any {
	return api.SubscriptionSpec{Function: in.Function.text, Topic: in.Topic.text, Filter: in.Filter}
}

func (in *subscriptionInputs) read(raw json.RawMessage) error {
	var s api.SubscriptionSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = subscriptionInputs{member: in.member, Function: known(s.Function), Topic: known(s.Topic), Filter: s.Filter}
	return nil
}
