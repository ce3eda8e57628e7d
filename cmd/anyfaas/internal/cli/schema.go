package cli

import (
	"context"

	"github.com/anyfaas/anyfaas/manifest"
)

func newSchema() *command {
	return &command{
		name: "schema", summary: "print the JSON Schema of the manifest",
		about: "Editors check and complete serverless.yaml with it. Put this line first in the file:\n" +
			"    # yaml-language-server: $schema=./serverless.schema.json",
		examples: []string{"anyfaas schema > serverless.schema.json"},
		exits:    exitsPlain,
		run: func(_ context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			_, err := c.Stdout.Write(manifest.JSONSchema())
			return err
		},
	}
}
