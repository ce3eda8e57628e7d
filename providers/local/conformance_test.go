package local

import (
	"testing"

	"github.com/anyfaas/anyfaas/providers/providertest"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, Provider{},
		"../../serverless.yaml.example",
		"../../examples/*/serverless.yaml",
		"testdata/manifests/*.yaml")
}

func BenchmarkProgram(b *testing.B) {
	providertest.Benchmark(b, Provider{}, 100)
}
