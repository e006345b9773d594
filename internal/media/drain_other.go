//go:build !unix

package media

import "net"

// drainUDP does what it can where the system has no MSG_DONTWAIT.
func drainUDP(c *net.UDPConn) { packetConn{c}.drain() }
