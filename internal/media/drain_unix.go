//go:build unix

package media

import (
	"net"
	"syscall"
)

// drainUDP throws away what waits in the socket, without waiting itself.
func drainUDP(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	var buf [1]byte // the rest of each datagram is cut off
	_ = raw.Read(func(fd uintptr) bool {
		for range maxDrain {
			if _, _, err := syscall.Recvfrom(int(fd), buf[:], syscall.MSG_DONTWAIT); err != nil {
				break
			}
		}
		return true
	})
}
