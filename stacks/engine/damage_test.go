package engine_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func TestDamagedState(t *testing.T) {
	w := newWorld(t)
	api := thing{Name: "api", Props: pulumi.Map{"password": pulumi.ToSecret(pulumi.String("hunter2"))}}
	w.up(t, api)
	exported, err := w.Export(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(w.dir, ".anyfaas", "state", ".pulumi")
	file := filepath.Join(root, "stacks", "orders", "dev-local.json")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	copies, err := filepath.Glob(filepath.Join(root, "backups", "orders", "dev-local", "*.json"))
	if err != nil || len(copies) != 1 {
		t.Fatalf("the copies after one deploy are %v, %v", copies, err)
	}
	copied, err := os.ReadFile(copies[0])
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the copy is the state", string(whole), string(copied))
	cut := whole[:len(whole)/2]
	writeFile(t, file, cut)

	_, err = w.State(t.Context(), testID)
	hinted, ok := err.(interface{ Hint() string })
	if !ok {
		t.Fatalf("the error %v has no hint", err)
	}
	restore := "restore an export with\n    anyfaas stack import FILE\nand compare it with what exists:\n    anyfaas refresh"
	same(t, "error", "the state file "+file+" cannot be read: place 1: unexpected end of JSON input", err.Error())
	same(t, "hint", "the newest copy that can be read is\n    "+copies[0]+"\nput it in the place of the state file, or "+restore, hinted.Hint())

	writeFile(t, copies[0], copied[:10])
	if err := os.RemoveAll(filepath.Join(root, "history")); err != nil {
		t.Fatal(err)
	}
	_, err = w.State(t.Context(), testID)
	if hinted, ok = err.(interface{ Hint() string }); !ok {
		t.Fatalf("the error %v has no hint", err)
	}
	same(t, "hint when no copy can be read", restore, hinted.Hint())

	if err := w.Import(t.Context(), testID, exported); err != nil {
		t.Fatalf("an import is no way out: %v", err)
	}
	same(t, "after the import nothing is left to do", []string{}, summary(w.preview(t, api)))
	backups, err := filepath.Glob(filepath.Join(root, "backups", "orders", "dev-local", "*.json"))
	if err != nil || len(backups) == 0 {
		t.Fatalf("the backups are %v, %v", backups, err)
	}
	kept, err := os.ReadFile(backups[len(backups)-1])
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the damaged file is kept", string(cut), string(kept))
}
