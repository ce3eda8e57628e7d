package providertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers"
)

// Benchmark measures the program of p, under mocks, for a graph with so many
// functions that have everything.
func Benchmark(b *testing.B, p providers.Provider, functions int) {
	s := Suite{Provider: p}
	g := s.full()
	f := g.Functions[0]
	g.Functions = nil
	for i := range functions {
		f.Name = fmt.Sprintf("api-%04d", i)
		g.Functions = append(g.Functions, f)
	}
	// References of FullGraph are to a function of this name.
	f.Name = "api"
	g.Functions = append(g.Functions, f)
	slices.SortFunc(g.Functions, func(a, b graph.Function) int { return strings.Compare(a.Name, b.Name) })
	for b.Loop() {
		if _, err := s.record(g, deploying); err != nil {
			b.Fatal(err)
		}
	}
}
