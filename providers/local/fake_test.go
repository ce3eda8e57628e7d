package local

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// A fakeHost holds resources in memory as the host process would and notes the
// calls that change something.
type fakeHost struct {
	mu        sync.Mutex
	running   bool
	kept      bool // something is on disk for a new process to bring back
	starts    int
	resources map[string]api.ResourceState // by identity
	artifacts map[string]bool
	calls     []string
	fail      error // of the next Put
}

func key(stack string, kind api.Kind, name string) string {
	return stack + "/" + string(kind) + "/" + name
}

func newFakeHost() *fakeHost {
	return &fakeHost{resources: map[string]api.ResourceState{}, artifacts: map[string]bool{}}
}

func (h *fakeHost) open(_ context.Context, when occasion) (machine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.running {
		if when == ifKept && !h.kept {
			return nil, nil
		}
		h.running = true
		h.starts++
	}
	return h, nil
}

func (h *fakeHost) Stack(_ context.Context, stack string) (*api.StackState, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &api.StackState{Stack: stack}
	for _, id := range slices.Sorted(maps.Keys(h.resources)) {
		if r := h.resources[id]; strings.HasPrefix(id, stack+"/") {
			s.Resources = append(s.Resources, r)
		}
	}
	if len(s.Resources) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(s.Resources, func(a, b api.ResourceState) int {
		return cmp.Compare(slices.Index(api.Kinds, a.Kind), slices.Index(api.Kinds, b.Kind))
	})
	return s, nil
}

func (h *fakeHost) Put(_ context.Context, stack string, kind api.Kind, name string, spec any) (api.Outputs, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.fail; err != nil {
		h.fail = nil
		return nil, err
	}
	id := key(stack, kind, name)
	if f, ok := spec.(api.FunctionSpec); ok {
		if !h.artifacts[f.Artifact] {
			return nil, fmt.Errorf("artifact %s has not been uploaded", f.Artifact)
		}
		f.Secrets = maps.Clone(f.Secrets)
		for name := range f.Secrets {
			f.Secrets[name] = ""
		}
		spec = f
	}
	b, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	out := api.Outputs{"id": id}
	switch kind {
	case api.KindService:
		out = api.Outputs{"url": "http://127.0.0.1:8080", "port": 8080, "events": "http://127.0.0.1:9000/" + stack + "/events"}
	case api.KindQueue, api.KindTopic, api.KindStream, api.KindTable:
		out["url"], out["name"] = "http://127.0.0.1:9000/"+id, stack+"-"+name
	case api.KindBucket:
		out["url"], out["name"], out["endpoint"] = "http://127.0.0.1:9001/"+stack+"-"+name, stack+"-"+name, "http://127.0.0.1:9001"
	}
	h.resources[id] = api.ResourceState{Kind: kind, Name: name, Spec: b, Outputs: out}
	h.calls = append(h.calls, "put "+id)
	return out, nil
}

func (h *fakeHost) Get(_ context.Context, stack string, kind api.Kind, name string) (*api.ResourceState, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.resources[key(stack, kind, name)]
	if !ok {
		return nil, nil
	}
	return &r, nil
}

func (h *fakeHost) Delete(_ context.Context, stack string, kind api.Kind, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := key(stack, kind, name)
	delete(h.resources, id)
	h.calls = append(h.calls, "delete "+id)
	h.running = len(h.resources) > 0
	h.kept = h.running
	return nil
}

func (h *fakeHost) HasArtifact(_ context.Context, sha256 string) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.artifacts[sha256], nil
}

func (h *fakeHost) PutArtifact(_ context.Context, sha256, _ string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.artifacts[sha256] = true
	h.calls = append(h.calls, "upload "+sha256)
	return nil
}
