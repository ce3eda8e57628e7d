package stacks

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// A mortal provider's resources can vanish.
type mortal struct {
	*fake
	asked []string
	found providers.Revived
	fails error
}

func (m *mortal) Revive(_ context.Context, o providers.HostOptions, recorded []providers.Recorded) (providers.Revived, error) {
	m.calls = append(m.calls, "revive")
	for _, r := range recorded {
		m.asked = append(m.asked, fmt.Sprint(r.ID, r.Outputs))
	}
	m.host = o
	return m.found, m.fails
}

func (m *mortal) Refresh(ctx context.Context, id ID, p Program, o Options, s event.Sink) (Result, error) {
	return m.operate("refresh")(ctx, id, p, o, s)
}

func (m *mortal) stack() *Stack {
	s := m.open()
	s.c.Provider, s.c.Engine = m, m
	return s
}

func TestADeployBringsBackWhatIsGone(t *testing.T) {
	recorded := &State{Resources: []Resource{
		{Type: "pulumi:pulumi:Stack", ID: ""},
		{Type: "pulumi:providers:toy", ID: "1234"},
		{Type: "toy:index:Function", ID: "api"},
		{Type: "toy:index:Queue", ID: "jobs", Outputs: map[string]any{"url": "u"}},
	}}
	for _, test := range []struct {
		name    string
		mortal  mortal
		calls   []string
		asked   []string
		err     string
		message string
	}{
		{
			name:   "nothing was deployed yet",
			mortal: mortal{fake: &fake{}},
			calls:  []string{"build", "up"},
			err:    "<nil>",
		},
		{
			name:   "everything is there",
			mortal: mortal{fake: &fake{state: recorded}},
			calls:  []string{"build", "revive", "up"},
			asked:  []string{"apimap[]", "jobsmap[url:u]"},
			err:    "<nil>",
		},
		{
			name:    "something is gone",
			mortal:  mortal{fake: &fake{state: recorded}, found: providers.Revived{Gone: []string{"jobs"}}},
			calls:   []string{"build", "revive", "refresh", "up"},
			asked:   []string{"apimap[]", "jobsmap[url:u]"},
			err:     "<nil>",
			message: "1 of 2 resources are gone and will be made again",
		},
		{
			name:    "something is elsewhere",
			mortal:  mortal{fake: &fake{state: recorded}, found: providers.Revived{Moved: []string{"jobs"}}},
			calls:   []string{"build", "revive", "refresh", "up"},
			asked:   []string{"apimap[]", "jobsmap[url:u]"},
			err:     "<nil>",
			message: "1 of 2 resources have moved: their old ports are taken; what uses them is changed",
		},
		{
			name:    "something is down until somebody does something",
			mortal:  mortal{fake: &fake{state: recorded}, found: providers.Revived{Down: []string{"service shop is down: the port is taken"}}},
			calls:   []string{"build", "revive", "up"},
			asked:   []string{"apimap[]", "jobsmap[url:u]"},
			err:     "<nil>",
			message: "service shop is down: the port is taken",
		},
		{
			name:   "it cannot be told",
			mortal: mortal{fake: &fake{state: recorded}, fails: errors.New("no answer")},
			calls:  []string{"build", "revive"},
			asked:  []string{"apimap[]", "jobsmap[url:u]"},
			err:    "deploy shop/dev (toy): no answer",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var message string
			sink := event.Func(func(e event.Event) {
				if m, ok := e.(event.Message); ok {
					message = m.Text
				}
			})
			_, err := test.mortal.stack().Deploy(t.Context(), DeployOptions{}, sink)
			if got := fmt.Sprint(err); got != test.err {
				t.Errorf("error %q, want %q", got, test.err)
			}
			test.mortal.want(t, test.calls...)
			if d := cmp.Diff(test.asked, test.mortal.asked); d != "" {
				t.Errorf("asked about: %s", d)
			}
			if message != test.message {
				t.Errorf("message %q, want %q", message, test.message)
			}
			if test.asked != nil && test.mortal.host.Home != "/home" {
				t.Errorf("options %v", test.mortal.host)
			}
		})
	}
}
