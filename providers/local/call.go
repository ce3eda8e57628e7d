package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/anyfaas/anyfaas/providers/local/host"
)

// Logs yields what a function printed, as the host has kept it.
func (Provider) Logs(ctx context.Context, t providers.Target, function string, o providers.LogOptions) iter.Seq2[providers.LogLine, error] {
	return func(yield func(providers.LogLine, error) bool) {
		c, err := running(ctx, t)
		if err != nil {
			yield(providers.LogLine{}, err)
			return
		}
		defer c.Close()
		for l, err := range c.Logs(ctx, stackOf(t), function, host.LogOptions{Since: o.Since, Follow: o.Follow}) {
			if err != nil {
				yield(providers.LogLine{}, missing(err, t, function))
				return
			}
			if !yield(line(l), nil) {
				return
			}
		}
	}
}

// Invoke calls a function on the host.
func (Provider) Invoke(ctx context.Context, t providers.Target, function string, p providers.Payload) (providers.Reply, error) {
	c, err := running(ctx, t)
	if err != nil {
		return providers.Reply{}, err
	}
	defer c.Close()
	trigger := p.Trigger
	if trigger == "invoke" {
		trigger = ""
	}
	r, err := c.Invoke(ctx, stackOf(t), function, api.InvokeRequest{Trigger: trigger, Data: json.RawMessage(p.Data)})
	if err != nil {
		return providers.Reply{}, missing(err, t, function)
	}
	reply := providers.Reply{RequestID: r.RequestID, Duration: time.Duration(r.Duration), Cold: r.Cold, Status: r.Status, Body: r.Body}
	for _, l := range r.Logs {
		reply.Logs = append(reply.Logs, line(l))
	}
	return reply, nil
}

// running connects to the host of a deployed stack, starting it again when it
// was stopped.
func running(ctx context.Context, t providers.Target) (*host.Client, error) {
	kept, err := host.Kept(ctx, t.Home)
	if err != nil {
		return nil, err
	}
	if !kept {
		return nil, fmt.Errorf("nothing of %s/%s runs on this machine; deploy it first", t.Service, t.Stage)
	}
	return host.Ensure(ctx, host.Start{Home: t.Home, Command: t.Command, Version: t.Version})
}

func missing(err error, t providers.Target, function string) error {
	if e, ok := errors.AsType[*host.Error](err); ok && e.Status == http.StatusNotFound {
		return fmt.Errorf("function %q of %s/%s does not run on this machine; deploy it first", function, t.Service, t.Stage)
	}
	return err
}

func stackOf(t providers.Target) string { return t.Service + "-" + t.Stage }

func line(l api.LogLine) providers.LogLine {
	return providers.LogLine{
		Time: l.Time, Function: l.Function, Kind: l.Kind, RequestID: l.RequestID, Level: l.Level,
		Text: l.Text, Duration: time.Duration(l.Duration), Cold: l.Cold, Status: l.Status,
	}
}
