package manifest

import (
	"fmt"
	"strings"
	"testing"
)

// thousand is a manifest of a thousand functions, some 19,000 lines.
func thousand() []byte {
	var b strings.Builder
	b.WriteString("apiVersion: anyfaas/v1\nservice: large\ndefaults: { runtime: node22, memory: 256MB, env: { LOG_LEVEL: info } }\nfunctions:\n")
	for i := range 1000 {
		fmt.Fprintf(&b, `  fn-%d:
    handler: src/fn%d.handler
    description: Function %d of ${service} in ${stage}
    memory: 512MB
    timeout: 15s
    concurrency:
      max: 50
      warm: 1
    env:
      TABLE: ${tables.orders.name}
      MODE: ${env.MODE:-test}
    uses:
      - { queue: jobs, access: send }
      - { table: orders, access: [read, write] }
    triggers:
      - http: GET /fn-%d/{id}
      - http: { method: POST, path: /fn-%d, cors: true }
      - schedule: { cron: "0 3 * * MON-FRI", timezone: Europe/Paris }
      - queue: { name: jobs, batch: 10 }
`, i, i, i, i, i)
	}
	b.WriteString("resources:\n  queues: { jobs: {} }\n  tables: { orders: { key: { id: string } } }\nstages:\n  prod: { functions: { fn-1: { memory: 1GB } } }\n")
	return []byte(b.String())
}

func BenchmarkLoad1000Functions(b *testing.B) {
	data := thousand()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		g, _, list := Load(Options{Stage: "prod", ReadFile: func(string) ([]byte, error) { return data, nil }})
		if g == nil || len(g.Functions) != 1000 {
			b.Fatal(list)
		}
	}
}
