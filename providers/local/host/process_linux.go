package host

import "syscall"

// grouped puts a worker into a process group of its own and has the kernel end
// it when the thread that started it ends, which is when the host dies: the
// spawner keeps its thread for as long as it lives.
func grouped() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
