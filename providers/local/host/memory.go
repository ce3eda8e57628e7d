package host

import (
	"fmt"
	"strconv"

	boot "github.com/shirou/gopsutil/v4/host"
)

// sample measures the resident memory of a worker's processes and ends them
// when they are over the limit.
func (w *worker) sample() {
	used := residentTree(int(w.pid.Load()))
	if used == 0 {
		return // gone meanwhile
	}
	w.rss.Store(used)
	if limit := w.program.memory; limit > 0 && used > limit {
		w.abort(fmt.Sprintf("memory limit exceeded: used %d MB of %d MB", (used+1<<20-1)>>20, limit>>20))
	}
}

// machineStart returns when the machine was started, as text.
func machineStart() string {
	t, err := boot.BootTime()
	if err != nil {
		return ""
	}
	return strconv.FormatUint(t, 10)
}
