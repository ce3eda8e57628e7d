package engine_test

import (
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// The times of a stack of a thousand resources, one in ten with a secret.
func BenchmarkThousandResources(b *testing.B) {
	program := func(w *world, size int) stacks.Program {
		var things []thing
		for i := range 1000 {
			th := thing{Name: fmt.Sprintf("r%04d", i), Props: pulumi.Map{"size": pulumi.Int(size)}}
			if i%10 == 0 {
				th.Props["password"] = pulumi.ToSecret(pulumi.String("hunter2"))
			}
			things = append(things, th)
		}
		return w.program(things...)
	}
	type operation = func(w *world) error
	up := func(size int) operation {
		return func(w *world) error {
			_, err := w.Up(b.Context(), testID, program(w, size), stacks.Options{}, event.Discard)
			return err
		}
	}
	benchmarks := []struct {
		name       string
		before, do operation
	}{
		{"create", func(*world) error { return nil }, up(1)},
		{"unchanged", up(1), up(1)},
		{"update", up(1), up(2)},
		{"preview", up(1), func(w *world) error {
			_, err := w.Preview(b.Context(), testID, program(w, 2), stacks.Options{}, event.Discard)
			return err
		}},
		{"remove", up(1), func(w *world) error {
			_, err := w.Destroy(b.Context(), testID, w.program(), stacks.Options{}, event.Discard)
			return err
		}},
	}
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b)
				if err := bm.before(w); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if err := bm.do(w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
