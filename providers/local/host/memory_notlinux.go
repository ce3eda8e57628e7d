//go:build !linux

package host

import "github.com/shirou/gopsutil/v4/process"

// residentTree returns the resident memory of a process and all that descend
// from it, in bytes; 0 when it is gone.
func residentTree(pid int) int64 {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return 0
	}
	info, err := p.MemoryInfo()
	if err != nil {
		return 0
	}
	total := int64(info.RSS)
	children, err := p.Children()
	if err != nil {
		return total
	}
	for _, c := range children {
		total += residentTree(int(c.Pid))
	}
	return total
}
