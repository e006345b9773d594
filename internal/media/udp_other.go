//go:build !(linux && (amd64 || arm64))

package media

import "net"

func openUDP(c *net.UDPConn) conn { return udpConn{c} }
