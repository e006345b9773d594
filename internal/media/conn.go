package media

import (
	"net"
	"net/netip"
	"time"
)

// conn is a socket as the relay needs it.
type conn interface {
	// read and write do not allocate on UDP. Addresses are never IPv4 in IPv6.
	// The reader frees the datagram.
	read() (*datagram, netip.AddrPort, error)
	write(packet []byte, to netip.AddrPort) error
	SetReadDeadline(time.Time) error
	drain() // throws away what waits, without waiting itself
	port() int
	close()
}

// queue is what the system keeps for a socket that nobody reads yet, in bytes:
// about a second of speech.
const queue = 64 << 10

func listenUDP(at netip.AddrPort) (net.PacketConn, error) {
	if at.Addr() == netip.IPv6Unspecified() {
		// "udp" without an address takes IPv4 and IPv6, where the machine has both
		return net.ListenUDP("udp", &net.UDPAddr{Port: int(at.Port())})
	}
	return net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
}

func wrap(c net.PacketConn) conn {
	if u, ok := c.(*net.UDPConn); ok {
		_ = u.SetReadBuffer(queue) // the system's default serves as well
		return openUDP(u)
	}
	return packetConn{c}
}

// udpConn is UDP on systems without a path of their own.
type udpConn struct{ *net.UDPConn }

func (c udpConn) read() (*datagram, netip.AddrPort, error) {
	d := newDatagram()
	n, from, err := c.ReadFromUDPAddrPort(d.buf[:])
	if err != nil {
		d.free()
		return nil, netip.AddrPort{}, err
	}
	d.n = n
	return d, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), nil
}

func (c udpConn) write(packet []byte, to netip.AddrPort) error {
	_, err := c.WriteToUDPAddrPort(packet, to)
	return err
}

func (c udpConn) port() int { return localPort(c) }
func (c udpConn) close()    { _ = c.Close() }
func (c udpConn) drain()    { drainUDP(c.UDPConn) }

// packetConn is any other network.
type packetConn struct{ net.PacketConn }

func (c packetConn) read() (*datagram, netip.AddrPort, error) {
	d := newDatagram()
	n, from, err := c.ReadFrom(d.buf[:])
	var at netip.AddrPort
	if err == nil {
		at, err = netip.ParseAddrPort(from.String())
	}
	if err != nil {
		d.free()
		return nil, netip.AddrPort{}, err
	}
	d.n = n
	return d, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

func (c packetConn) write(packet []byte, to netip.AddrPort) error {
	_, err := c.WriteTo(packet, net.UDPAddrFromAddrPort(to))
	return err
}

func (c packetConn) port() int { return localPort(c) }
func (c packetConn) close()    { _ = c.Close() }

// drain reads under a deadline that is over; a network that looks at its
// deadline first gives nothing away, and then a few packets pass.
func (c packetConn) drain() {
	if c.SetReadDeadline(time.Now()) != nil {
		return
	}
	var buf [maxDatagram]byte
	for range maxDrain {
		if _, _, err := c.ReadFrom(buf[:]); err != nil {
			break
		}
	}
	_ = c.SetReadDeadline(time.Time{})
}

// maxDrain is how many packets drain throws away at most, so that a flood cannot
// hold a call up.
const maxDrain = 1024

func localPort(c net.PacketConn) int {
	at, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		return 0
	}
	return int(at.Port())
}
