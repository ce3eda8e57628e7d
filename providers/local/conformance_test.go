package local

import (
	"testing"

	"github.com/anyfaas/anyfaas/providers/providertest"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, Provider{}, "../../examples/*/serverless.yaml", "testdata/manifests/*.yaml")
}
