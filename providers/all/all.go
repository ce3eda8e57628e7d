// Package all is the one list of providers.
package all

import (
	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/providers/local"
)

// Providers returns every provider anyfaas knows.
func Providers() *providers.Registry {
	return providers.NewRegistry(local.Provider{})
}
