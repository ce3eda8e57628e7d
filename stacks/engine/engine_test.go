package engine_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func TestLifeOfAStack(t *testing.T) {
	w := newWorld(t)
	first := []thing{{Name: "api", Props: pulumi.Map{"size": pulumi.Int(1)}}, {Name: "worker", Needs: []string{"api"}}}

	same(t, "first preview", []string{"create api", "create worker"}, summary(w.preview(t, first...)))
	same(t, "a preview changes nothing", []string{}, w.cloud.exist(t))

	r := w.up(t, first...)
	same(t, "first deploy", []string{"create api", "create worker"}, summary(r))
	same(t, "counts", map[event.Op]int{event.Create: 2}, r.Counts)
	same(t, "outputs", map[string]any{"api": "fake://api", "worker": "fake://worker"}, r.Outputs)
	same(t, "cloud", []string{"fake:index:Thing/api", "fake:index:Thing/worker"}, w.cloud.exist(t))
	same(t, "worker knows the api", `{"name":"worker","uses-api":"fake://api"}`, w.cloud.content(t, "fake:index:Thing/worker"))

	same(t, "nothing to do", []string{}, summary(w.preview(t, first...)))
	r = w.up(t, first...)
	same(t, "same again", map[event.Op]int{event.Same: 2}, r.Counts)

	second := []thing{{Name: "api", Props: pulumi.Map{"size": pulumi.Int(2)}}, {Name: "worker", Real: "labour", Needs: []string{"api"}}, {Name: "extra"}}
	plan := w.preview(t, second...)
	same(t, "second preview", []string{"create extra", "update api", "replace worker"}, summary(plan))
	r = w.up(t, second...)
	same(t, "the deploy does what the preview said", plan.Changes, r.Changes)
	same(t, "cloud after a replacement", []string{"fake:index:Thing/api", "fake:index:Thing/extra", "fake:index:Thing/labour"}, w.cloud.exist(t))

	same(t, "deletion", []string{"delete extra"}, summary(w.up(t, second[:2]...)))

	r, err := w.Destroy(t.Context(), testID, w.program(), stacks.Options{}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "removal", []string{"delete api", "delete worker"}, summary(r))
	same(t, "empty cloud", []string{}, w.cloud.exist(t))
	state, err := w.State(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "empty stack", 0, len(state.Resources))
}
