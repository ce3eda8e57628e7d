package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TypeScript projects are bundled without being type-checked, so the compiler
// has its say here. It is fetched from the registry of npm.
func TestTypeScriptProjectsHaveNoTypeErrors(t *testing.T) {
	if os.Getenv("CHECK_TYPES") == "" {
		t.Skip("CHECK_TYPES is not set; make check-types runs this")
	}
	need(t, "npm")
	var files []string
	for _, pattern := range []string{"../examples/*/tsconfig.json", "../templates/*/*/tsconfig.json"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 4 {
		t.Errorf("found only %v", files)
	}
	for _, file := range files {
		project := filepath.Dir(file)
		t.Run(project, func(t *testing.T) {
			dir := t.TempDir()
			copyProject(t, project, dir)
			for _, command := range [][]string{{"npm", "install", "--no-audit", "--no-fund"}, {"npm", "run", "check"}} {
				cmd := exec.Command(command[0], command[1:]...)
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s", command, err, out)
				}
			}
		})
	}
}
