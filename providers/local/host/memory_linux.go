package host

import (
	"bytes"
	"os"
	"strconv"
)

var pageSize = int64(os.Getpagesize())

// residentTree returns the resident memory of a process and all that descend
// from it, in bytes; 0 when it is gone.
func residentTree(pid int) int64 {
	proc := "/proc/" + strconv.Itoa(pid)
	text, err := os.ReadFile(proc + "/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	total := pages * pageSize
	threads, err := os.ReadDir(proc + "/task")
	if err != nil {
		return total
	}
	for _, t := range threads {
		// Each thread lists the processes that it started.
		children, err := os.ReadFile(proc + "/task/" + t.Name() + "/children")
		if err != nil {
			continue
		}
		for _, child := range bytes.Fields(children) {
			if id, err := strconv.Atoi(string(child)); err == nil {
				total += residentTree(id)
			}
		}
	}
	return total
}
