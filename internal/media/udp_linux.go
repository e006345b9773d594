//go:build linux && (amd64 || arm64)

package media

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"unsafe"
)

// rawUDP reads and writes with its own system calls. A reader that waits in
// net.UDPConn holds its buffer and twice the stack: 29 KiB a call instead of 13,
// for most sockets are idle at any moment and the RTCP ones nearly always.
//
// It serves one goroutine that reads and one that writes.
type rawUDP struct {
	*net.UDPConn
	raw  syscall.RawConn
	ipv6 bool // an AF_INET6 socket, which IPv4 addresses are mapped for

	in  transfer
	out transfer
	// made once, so that a packet allocates nothing
	receive, send func(fd uintptr) bool
}

// transfer is one system call's arguments and result.
type transfer struct {
	packet *datagram // received
	data   []byte    // to be sent
	addr   [syscall.SizeofSockaddrInet6]byte
	size   uint32 // of addr
	err    error
}

// openUDP is the fast path of a socket.
func openUDP(c *net.UDPConn) conn {
	raw, err := c.SyscallConn()
	if err != nil {
		return udpConn{c}
	}
	u := &rawUDP{UDPConn: c, raw: raw}
	domain := 0
	if raw.Control(func(fd uintptr) {
		domain, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_DOMAIN)
	}) != nil || err != nil {
		return udpConn{c}
	}
	u.ipv6 = domain == syscall.AF_INET6
	u.receive, u.send = u.receiveFrom, u.sendTo
	return u
}

func (u *rawUDP) port() int { return localPort(u) }
func (u *rawUDP) close()    { _ = u.Close() }
func (u *rawUDP) drain()    { drainUDP(u.UDPConn) }

func (u *rawUDP) read() (*datagram, netip.AddrPort, error) {
	err := u.raw.Read(u.receive)
	packet := u.in.packet
	u.in.packet = nil
	if err == nil {
		err = u.in.err
	}
	if err != nil {
		if packet != nil {
			packet.free()
		}
		return nil, netip.AddrPort{}, err
	}
	return packet, u.in.address(), nil
}

// receiveFrom is called when the socket may have something; false: it has not.
func (u *rawUDP) receiveFrom(fd uintptr) bool {
	d := newDatagram()
	n, errno := uintptr(0), syscall.EINTR
	for errno == syscall.EINTR {
		u.in.size = uint32(len(u.in.addr))
		n, _, errno = syscall.Syscall6(syscall.SYS_RECVFROM, fd,
			uintptr(unsafe.Pointer(&d.buf)), uintptr(len(d.buf)), syscall.MSG_DONTWAIT,
			uintptr(unsafe.Pointer(&u.in.addr)), uintptr(unsafe.Pointer(&u.in.size)))
	}
	if errno == syscall.EAGAIN {
		d.free()
		return false
	}
	d.n, u.in.packet, u.in.err = int(n), d, nil
	if errno != 0 {
		d.n, u.in.err = 0, errno
	}
	return true
}

func (u *rawUDP) write(packet []byte, to netip.AddrPort) error {
	if !u.ipv6 && !to.Addr().Is4() {
		return errFamily
	}
	u.out.set(to, u.ipv6)
	u.out.data = packet
	err := u.raw.Write(u.send)
	u.out.data = nil
	if err == nil {
		err = u.out.err
	}
	return err
}

var errFamily = errors.New("an IPv6 address on an IPv4 socket")

// sendTo never waits: a packet for which there is no room is late already.
func (u *rawUDP) sendTo(fd uintptr) bool {
	_, _, errno := syscall.Syscall6(syscall.SYS_SENDTO, fd,
		uintptr(unsafe.Pointer(unsafe.SliceData(u.out.data))), uintptr(len(u.out.data)), syscall.MSG_DONTWAIT,
		uintptr(unsafe.Pointer(&u.out.addr)), uintptr(u.out.size))
	u.out.err = nil
	if errno != 0 {
		u.out.err = errno
	}
	return true
}

// address reads a sockaddr_in or sockaddr_in6.
func (t *transfer) address() netip.AddrPort {
	port := binary.BigEndian.Uint16(t.addr[2:])
	if binary.NativeEndian.Uint16(t.addr[:]) == syscall.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(t.addr[4:8])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(t.addr[8:24])).Unmap(), port)
}

// set writes one.
func (t *transfer) set(to netip.AddrPort, ipv6 bool) {
	binary.BigEndian.PutUint16(t.addr[2:], to.Port())
	if !ipv6 {
		binary.NativeEndian.PutUint16(t.addr[:], syscall.AF_INET)
		four := to.Addr().As4()
		copy(t.addr[4:], four[:])
		t.size = syscall.SizeofSockaddrInet4
		return
	}
	binary.NativeEndian.PutUint16(t.addr[:], syscall.AF_INET6)
	sixteen := to.Addr().As16()
	copy(t.addr[8:], sixteen[:])
	t.size = syscall.SizeofSockaddrInet6
}
