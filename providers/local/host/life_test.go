package host

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

func TestFunctionAnswersAndTheLastRemovalLeavesNothing(t *testing.T) {
	h := startHost(t)
	h.service(nil)
	h.function("api", nil)
	h.route("GET", "/hello/{name}", "api", nil)
	if got, want := h.get("/hello/world?x=1"), "200 hello from api"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	st := h.status()
	if st.Version != "test" || st.Supervisor == 0 {
		t.Errorf("status: %+v", st)
	}
	worker := h.functionStatus("api").PIDs
	if len(worker) != 1 {
		t.Fatalf("workers: %v", worker)
	}
	if err := h.Delete(t.Context(), testStack, api.KindRoute, "GET :hello:{name}"); err != nil {
		t.Fatal(err)
	}
	if got, want := h.get("/hello/world"), `404 {"message":"Not Found"}`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := h.DeleteStack(t.Context(), testStack); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		for name, pid := range map[string]int{"host": st.PID, "supervisor": st.Supervisor, "worker": worker[0]} {
			if alive(pid) {
				return "the " + name + " is still there"
			}
		}
		if _, err := os.Stat(Socket(h.home)); !errors.Is(err, os.ErrNotExist) {
			return "the socket is still there"
		}
		return ""
	})
	for _, dir := range []string{"logs", "tmp", "w", "artifacts"} {
		entries, _ := filepath.Glob(filepath.Join(h.home, "local", dir, "*"))
		for _, e := range entries {
			if filepath.Base(e) != "boot" {
				t.Errorf("left behind: %s", e)
			}
		}
	}
}
