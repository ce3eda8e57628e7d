package host

import (
	"net"
	"os"
	"syscall"
)

// peerIsOwner asks the kernel who is at the other end of a unix socket. The
// superuser may, too.
func peerIsOwner(c net.Conn) bool {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return false
	}
	allowed := false
	err = raw.Control(func(fd uintptr) {
		cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		allowed = err == nil && (cred.Uid == uint32(os.Geteuid()) || cred.Uid == 0)
	})
	return err == nil && allowed
}
