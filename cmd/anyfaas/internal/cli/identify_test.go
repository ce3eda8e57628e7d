package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIdentify(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     map[string]string
	}{
		{
			"the defaults of the language are filled in", "service: shop\n",
			map[string]string{"service": "shop", "stage": "dev", "provider": "local"},
		},
		{
			"quotes, comments, a mark and CRLF are no part of a word", "\ufeffservice: \"shop\" # mine\r\nstage: 'prod'\r\nprovider: aws\r\n",
			map[string]string{"service": "shop", "stage": "prod", "provider": "aws"},
		},
		{
			"only top-level keys count", "x:\n  service: no\n  stage: no\nservice: shop\n",
			map[string]string{"service": "shop", "stage": "dev", "provider": "local"},
		},
		{
			"a value that has to be worked out is left out", "service: ${env.NAME}\nbackend: s3://state?region=x\n",
			map[string]string{"stage": "dev", "provider": "local", "backend": "s3://state?region=x"},
		},
		{
			"what is no YAML at all still has its words", "service: shop\n\t{[}\nprovider: local\n",
			map[string]string{"service": "shop", "stage": "dev", "provider": "local"},
		},
		{"an empty file has none", "", map[string]string{"stage": "dev", "provider": "local"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, identify([]byte(c.in))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	for _, c := range []struct {
		name, word, want string
		in               []string
	}{
		{"a swap of neighbours is one edit", "deplyo", "deploy", []string{"deploy", "destroy"}},
		{"the only one that begins so is meant", "hist", "history", []string{"list", "history"}},
		{"what is too far is not meant", "zebra", "", []string{"deploy", "info"}},
		{"nothing is near to nothing", "x", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := nearest(c.word, c.in); got != c.want {
				t.Errorf("nearest(%q) = %q, want %q", c.word, got, c.want)
			}
		})
	}
}
