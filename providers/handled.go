package providers

import "maps"

// Handled lists the settings that anyfaas deals with before a provider is
// asked, in the same way for each of them, and who does. They are Exact in
// every table; a conformance test does not expect to see them in a program.
var Handled = map[string]string{
	"apiVersion": "read by the manifest reader",
	"provider":   "chooses the provider",
	"backend":    "tells the engine where the state lies",
	"accept":     "silences differences of providers",

	"functions.*.accept":           "silences differences of providers",
	"functions.*.package.include":  "packed into the artifact",
	"functions.*.package.exclude":  "left out of the artifact",
	"functions.*.package.external": "shipped unbundled in the artifact",
}

// NewFeatures returns a provider's table: its own entries and those of Handled.
// A setting that is in both is a mistake of ours and panics.
func NewFeatures(own Features) Features {
	f := maps.Clone(own)
	for path := range Handled {
		if _, ok := f[path]; ok {
			panic("providers: " + path + " is handled by anyfaas itself and cannot be in a provider's table")
		}
		f[path] = Support{Level: Exact}
	}
	return f
}
