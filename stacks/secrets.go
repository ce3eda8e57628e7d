package stacks

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/anyfaas/anyfaas/providers"
)

// A SecretInfo says who wants a secret and whether it has a value. It never
// holds the value.
type SecretInfo struct {
	Name      string   `json:"name"`
	Set       bool     `json:"set"`
	Functions []string `json:"functions"` // that ask for it, sorted
}

// ListSecrets returns what is set and what functions ask for, sorted by name.
func (s *Stack) ListSecrets(ctx context.Context) ([]SecretInfo, error) {
	values, err := s.c.Secrets.Secrets(ctx, s.c.ID)
	if err != nil {
		return nil, s.wrap("list secrets of", err)
	}
	all := map[string]SecretInfo{}
	for name := range values {
		all[name] = SecretInfo{Name: name, Set: true, Functions: []string{}}
	}
	if s.c.Graph != nil {
		for _, f := range s.c.Graph.Functions {
			for _, name := range f.Secrets {
				i := all[name]
				all[name] = SecretInfo{Name: name, Set: i.Set, Functions: append(i.Functions, f.Name)}
			}
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b SecretInfo) int { return cmp.Compare(a.Name, b.Name) }), nil
}

// SetSecret stores a value; the next deploy hands it to the functions that ask
// for it.
func (s *Stack) SetSecret(ctx context.Context, name string, value providers.Secret) error {
	return s.wrap("set secret "+name+" of", s.c.Secrets.SetSecret(ctx, s.c.ID, name, value))
}

// RemoveSecret forgets a value.
func (s *Stack) RemoveSecret(ctx context.Context, name string) error {
	return s.wrap("remove secret "+name+" of", s.c.Secrets.RemoveSecret(ctx, s.c.ID, name))
}
