package stack

import (
	"context"
	"net"
	"net/netip"
)

// Flow is one way between us and a peer: a socket of ours and the peer's
// address, or a connection.
type Flow struct {
	Transport string         // "udp" or "tcp"
	Local     netip.AddrPort // the socket's own; a wildcard listener's is unspecified
	Remote    netip.AddrPort
	end       end
}

// end is our side of a flow. write does not block.
type end interface {
	write(b []byte, to netip.AddrPort) error
}

// Reliable says that the transport repeats by itself (RFC 3261 §17).
func (f Flow) Reliable() bool { return f.Transport != "udp" }

// To is the same socket toward another address. A connection stays as it is.
func (f Flow) To(remote netip.AddrPort) Flow {
	if !f.Reliable() {
		f.Remote = remote
	}
	return f
}

// Flow finds a way to a peer that exists: over TCP its open connection, over UDP
// the socket bound to local, else the first one of its address family.
func (s *Stack) Flow(transport string, local, remote netip.AddrPort) (Flow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if transport == "tcp" {
		if c := s.conns[remote]; c != nil {
			return c.flow(), nil
		}
		return Flow{}, ErrNoFlow
	}
	var found *udpEnd
	for _, u := range s.udp {
		if !u.reaches(remote.Addr()) {
			continue
		}
		if found == nil || u.local == local {
			found = u
		}
	}
	if found == nil {
		return Flow{}, ErrNoFlow
	}
	return Flow{Transport: "udp", Local: found.local, Remote: remote, end: found}, nil
}

// Connect is Flow, but over TCP it opens a connection where there is none, which
// may take until ctx ends.
func (s *Stack) Connect(ctx context.Context, transport string, remote netip.AddrPort) (Flow, error) {
	f, err := s.Flow(transport, netip.AddrPort{}, remote)
	if err == nil || transport != "tcp" {
		return f, err
	}
	conn, err := s.opts.Dial(ctx, remote)
	if err != nil {
		return Flow{}, err
	}
	c, err := s.addConn(conn)
	if err != nil { // perhaps somebody else was first
		return s.Flow(transport, netip.AddrPort{}, remote)
	}
	return c.flow(), nil
}

func dialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * T1}
	return d.DialContext(ctx, "tcp", to.String())
}

// addrPort reads the address of a socket; the zero value for other kinds.
func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		return unmap(a.AddrPort())
	case *net.TCPAddr:
		return unmap(a.AddrPort())
	}
	return netip.AddrPort{}
}

// unmap makes ::ffff:192.0.2.1 what it is, 192.0.2.1.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
