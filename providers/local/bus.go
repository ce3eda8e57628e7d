package local

import (
	"encoding/json"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

const tokenEventRule = Package + ":index:EventRule"

type eventRule struct{ pulumi.CustomResourceState }

type eventRuleInputs struct {
	member
	Function value  `pulumi:"function,required"`
	Source   string `pulumi:"source"`
	Type     string `pulumi:"type"`
}

func (p *program) eventRule(f *deployed, t *graph.EventTrigger) {
	p.trigger(tokenEventRule, f, "event", eventRuleInputs{member: p.member, Function: f.ref(p.ctx), Source: t.Source, Type: t.Type}, &eventRule{})
}

func (in *eventRuleInputs) spec() any {
	return api.EventRuleSpec{Function: in.Function.text, Source: in.Source, Type: in.Type}
}

func (in *eventRuleInputs) read(raw json.RawMessage) error {
	var s api.EventRuleSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = eventRuleInputs{member: in.member, Function: known(s.Function), Source: s.Source, Type: s.Type}
	return nil
}
