package local

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/anyfaas/anyfaas/providers/local/host"
)

// A stack on the host belongs to the project folder whose service was put
// first. What follows keeps the two in step when the state and the host were
// parted: by a lost state, a moved folder, or resources that are retained.

// sweep deletes everything of a stack but its service, dependents first. The
// host leaves the data of what is retained on disk.
func sweep(ctx context.Context, m machine, stack string) error {
	return deleteIf(ctx, m, stack, func(r api.ResourceState) bool { return r.Kind != api.KindService })
}

// clear deletes what a lost state has left running under a service that is made
// anew: functions and triggers, which the deploy makes again. What holds data
// stays, to be taken over or looked at.
func (s *server) clear(ctx context.Context, in resource.PropertyMap) error {
	var service serviceInputs
	if f := decode(in, &service); len(f) > 0 {
		return nil // apply says so
	}
	m, err := s.open(ctx, ifKept)
	if err != nil || m == nil {
		return err
	}
	state, err := m.Stack(ctx, service.Stack)
	if err != nil || state == nil || state.Owner != service.Owner {
		return err
	}
	return deleteIf(ctx, m, service.Stack, func(r api.ResourceState) bool {
		return slices.ContainsFunc(kinds, func(k kind) bool { return k.api == r.Kind && !k.shared })
	})
}

func deleteIf(ctx context.Context, m machine, stack string, match func(api.ResourceState) bool) error {
	state, err := m.Stack(ctx, stack)
	if err != nil || state == nil {
		return err
	}
	for _, r := range slices.Backward(state.Resources) {
		if !match(r) {
			continue
		}
		if err := m.Delete(ctx, stack, r.Kind, r.Name); err != nil {
			return fmt.Errorf("delete %s %q of stack %q: %w", r.Kind, r.Name, stack, err)
		}
	}
	return nil
}

// refused reports whether the host said that a stack belongs to another folder.
func refused(err error) bool {
	e, ok := errors.AsType[*host.Error](err)
	return ok && e.Code == "owned"
}

// move hands a stack over to another folder when the state proves that it is
// the same project: the host still names the folder that the state does. The
// front is made anew on its port; the rest of the stack does not notice.
func (s *server) move(ctx context.Context, r providers.Resource, oldInputs, in resource.PropertyMap, refusal error) (resource.PropertyMap, error) {
	var before, after serviceInputs
	if len(decode(oldInputs, &before)) > 0 || len(decode(in, &after)) > 0 || before.Owner == after.Owner {
		return nil, refusal
	}
	m, err := s.open(ctx, always)
	if err != nil {
		return nil, err
	}
	state, err := m.Stack(ctx, after.Stack)
	if err != nil {
		return nil, err
	}
	if state == nil || state.Owner != before.Owner {
		return nil, refusal
	}
	name := hostName(r.Name)
	held, err := m.Get(ctx, after.Stack, api.KindService, name)
	if err != nil {
		return nil, err
	}
	if err := m.Delete(ctx, after.Stack, api.KindService, name); err != nil {
		return nil, err
	}
	if port := portOf(held); after.Port == 0 && port != 0 {
		after.Port = port // the one it had, as long as it was not asked for another
		if _, err := m.Put(ctx, after.Stack, api.KindService, name, after.spec()); err != nil {
			return nil, err
		}
		after.Port = 0
	}
	out, err := m.Put(ctx, after.Stack, api.KindService, name, after.spec())
	if err != nil {
		return nil, err
	}
	return resource.NewPropertyMapFromMap(out), nil
}

// portOf returns the port of a service on the host, 0 when it has none.
func portOf(service *api.ResourceState) int {
	if service == nil {
		return 0
	}
	port, _ := service.Outputs["port"].(float64)
	return int(port)
}
