//go:build unix

package host

import (
	"os"
	"syscall"
)

func ownedByUser(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(stat.Uid) == os.Geteuid()
}

// detached puts a process into a session of its own, away from the terminal.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// terminate asks the processes of a group to finish.
func terminate(pgid int) error { return signalGroup(pgid, syscall.SIGTERM) }

// kill ends the processes of a group at once.
func kill(pgid int) error { return signalGroup(pgid, syscall.SIGKILL) }

func signalGroup(pgid int, s syscall.Signal) error {
	if pgid <= 1 {
		panic("host: a signal for a group that cannot be a worker's") // 0 is our own, 1 everybody
	}
	return syscall.Kill(-pgid, s)
}

// alive reports whether a process of this id exists.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || err == syscall.EPERM
}
