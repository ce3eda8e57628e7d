package host

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// endStrays ends by force what workers started and what has left their process
// groups, as daemons do: processes whose environment says that they listen on a
// socket whose path begins with prefix. It looks again as long as it finds any,
// since those may start others meanwhile.
func endStrays(prefix string) {
	first := []byte(api.ListenerEnv + "=unix:" + prefix)
	later := append([]byte{0}, first...)
	for range 100 {
		found := false
		environments, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, path := range environments {
			// Those of other users cannot be read, those of zombies are empty.
			environ, err := os.ReadFile(path)
			if err != nil || !bytes.HasPrefix(environ, first) && !bytes.Contains(environ, later) {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err == nil && pid > 1 && pid != os.Getpid() && syscall.Kill(pid, syscall.SIGKILL) == nil {
				found = true
			}
		}
		if !found {
			return
		}
	}
}
