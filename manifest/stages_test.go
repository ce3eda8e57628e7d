package manifest

import (
	"slices"
	"testing"
)

func TestStages(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"the names of the overlays, sorted", "stages:\n  prod: {}\n  dev: { memroy: 1 }\n", []string{"dev", "prod"}},
		{"none when there are none", "service: shop\n", nil},
		{"none when it is no mapping", "stages: [prod]\n", nil},
		{"none in what is no mapping", "- stages\n", nil},
		{"none in what is no YAML", "stages: {", nil},
		{"none in an empty file", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Stages(Options{Dir: "/shop", ReadFile: func(string) ([]byte, error) { return []byte(c.in), nil }})
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
