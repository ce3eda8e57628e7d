package host

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// TestMain runs the tests, or what they start: a host ("local serve --home H")
// or a worker ("worker").
func TestMain(m *testing.M) {
	args := os.Args[1:]
	switch {
	case len(args) > 0 && args[0] == "worker":
		runWorker()
	case len(args) == 4 && slices.Equal(args[:3], []string{"local", "serve", "--home"}):
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if file := os.Getenv("ANYFAAS_LOCAL_TEST_PROFILE"); file != "" && os.Getenv(roleEnv) == roleHost {
			f, err := os.Create(file)
			if err == nil && pprof.StartCPUProfile(f) == nil {
				defer pprof.StopCPUProfile()
			}
		}
		version := "test"
		if v := os.Getenv("ANYFAAS_LOCAL_TEST_VERSION"); v != "" {
			version = v
		}
		if err := Run(ctx, Options{Home: args[3], Version: version}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		// Hosts of other test binaries that run now take ports too; one that
		// starts again must find its own free.
		if err := os.Setenv("ANYFAAS_LOCAL_FIRST_PORT", strconv.Itoa(10000+30*rand.IntN(500))); err != nil {
			panic(err)
		}
		os.Exit(m.Run())
	}
}
