package local

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

const tokenSchedule = Package + ":index:Schedule"

type schedule struct{ pulumi.CustomResourceState }

type scheduleInputs struct {
	member
	Function value  `pulumi:"function,required"`
	Cron     string `pulumi:"cron"`
	Every    span   `pulumi:"every"`
	Timezone string `pulumi:"timezone"`
	Input    string `pulumi:"input"` // JSON
}

func (p *program) schedule(f *deployed, t *graph.ScheduleTrigger) {
	in := scheduleInputs{member: p.member, Function: f.ref(p.ctx), Cron: t.Cron, Every: span(t.Every), Timezone: t.Timezone}
	if t.Input != nil {
		b, err := json.Marshal(t.Input)
		if err != nil {
			p.fail(fmt.Errorf("schedule of function %q: input: %w", f.Name, err))
			return
		}
		in.Input = string(b)
	}
	p.trigger(tokenSchedule, f, "schedule", in, &schedule{})
}

func (in *scheduleInputs) spec() any {
	return api.ScheduleSpec{Function: in.Function.text, Cron: in.Cron, Every: api.Duration(in.Every), Timezone: in.Timezone, Input: json.RawMessage(in.Input)}
}

func (in *scheduleInputs) read(raw json.RawMessage) error {
	var s api.ScheduleSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = scheduleInputs{member: in.member, Function: known(s.Function), Cron: s.Cron, Every: span(s.Every), Timezone: s.Timezone, Input: string(s.Input)}
	return nil
}
