package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	if os.Getenv("AS_ANYFAAS") != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"anyfaas": main})
}

// The scripts see to what only the program with all its parts can get wrong;
// what commands do is tested where they are.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true,
		UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("ANYFAAS_HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("TERM", "xterm")
			return nil
		},
	})
}
