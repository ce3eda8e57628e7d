package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

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
			e.Setenv("ANYFAAS_LOCAL_FIRST_PORT", strconv.Itoa(10000+30*rand.IntN(600))) // away from those of other tests
			e.Setenv("TERM", "xterm")
			return nil
		},
	})
}

func TestABuildIsToldFromAnother(t *testing.T) {
	program := filepath.Join(t.TempDir(), "anyfaas")
	write := func(content string, age time.Duration) string {
		t.Helper()
		if err := os.WriteFile(program, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC).Add(age)
		if err := os.Chtimes(program, at, at); err != nil {
			t.Fatal(err)
		}
		return readRelease(program).Host()
	}
	first := write("program", 0)
	if again := write("program", 0); again != first {
		t.Errorf("the same build is %s, then %s", first, again)
	}
	for name, other := range map[string]string{"of another time": write("program", time.Second), "of another size": write("programs", 0)} {
		if other == first {
			t.Errorf("a build %s is %s too", name, other)
		}
	}
	if got := readRelease(program).Version; got != readRelease("/nowhere").Version {
		t.Errorf("the version printed depends on the build: %s", got)
	}
}
