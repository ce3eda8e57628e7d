//go:build unix && !linux

package host

import "syscall"

// grouped puts a worker into a process group of its own. When the host dies,
// the end of file on its standard input tells it to exit.
func grouped() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
