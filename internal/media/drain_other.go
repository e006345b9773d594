//go:build !unix

package media

import "net"

// drainUDP reads under a deadline that is nearly over.
func drainUDP(c *net.UDPConn) { packetConn{c}.drain() }
