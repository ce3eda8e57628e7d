package engine

import (
	"fmt"
	"os"
	"os/user"
	"strings"

	machine "github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/process"
)

// A processName tells one process from all others, on any machine and after any
// reboot: process numbers alone are used again.
type processName struct {
	PID int `json:"pid"`
	// Machine is the same for every process that can see this one by its
	// number: machine id and, on Linux, the namespace of process numbers.
	Machine string `json:"machine"`
	// Started is the boot and the moment in it at which the process began.
	Started string `json:"started"`
}

// thisProcess names the running process.
func thisProcess() (processName, error) {
	here, err := machineName()
	if err != nil {
		return processName{}, err
	}
	pid := os.Getpid()
	started, _, err := processStart(pid)
	if err != nil {
		return processName{}, err
	}
	return processName{PID: pid, Machine: here, Started: started}, nil
}

// Liveness is what can be told about another process.
type liveness int

const (
	_       liveness = iota
	alive            // it runs
	dead             // it ran on this machine and is gone
	unknown          // it is another machine's
)

// look tells whether p still runs.
func (p processName) look() liveness {
	here, err := machineName()
	if err != nil || p.Machine == "" || p.Machine != here {
		return unknown
	}
	started, exists, err := processStart(p.PID)
	switch {
	case err != nil:
		return unknown
	case !exists || started != p.Started:
		return dead
	}
	return alive
}

func machineName() (string, error) {
	id, err := machine.HostID()
	if err != nil {
		return "", fmt.Errorf("machine id: %w", err)
	}
	if ns, err := os.Readlink("/proc/self/ns/pid"); err == nil {
		id += " " + ns
	}
	return id, nil
}

// processStart returns a text that differs for every process that ever has the
// number pid, and whether there is such a process now.
func processStart(pid int) (started string, exists bool, err error) {
	// On Linux the kernel's own figures are exact; those derived from the wall
	// clock move when the clock is set.
	boot, berr := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if berr == nil {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return "", false, nil
		}
		// The second field is the name in brackets and may hold anything.
		_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
		fields := strings.Fields(rest)
		if len(fields) < 20 {
			return "", false, fmt.Errorf("process %d: unexpected /proc format", pid)
		}
		if fields[0] == "Z" || fields[0] == "X" {
			return "", false, nil // ended, only not yet collected by its parent
		}
		return strings.TrimSpace(string(boot)) + " " + fields[19], true, nil
	}
	exists, err = process.PidExists(int32(pid))
	if err != nil || !exists {
		return "", false, err
	}
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return "", false, nil
	}
	ms, err := p.CreateTime()
	if err != nil {
		return "", false, err
	}
	return fmt.Sprint(ms), true, nil
}

// person is the user and host name shown to others.
func person() (userName, hostName string) {
	userName = "unknown"
	if u, err := user.Current(); err == nil {
		userName = u.Username
	}
	hostName, err := os.Hostname()
	if err != nil {
		hostName = "unknown"
	}
	return userName, hostName
}
