package simnet

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// Listener takes stream connections, as a TCP listener does.
type Listener struct {
	net    *Net
	addr   netip.AddrPort
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// ListenStream opens a listener for streams.
func (n *Net) ListenStream(addr string) *Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := netip.MustParseAddrPort(addr)
	if a.Port() == 0 {
		a = n.freePort(a.Addr())
	}
	if n.streams[a] != nil {
		panic(fmt.Sprintf("listen tcp %s: address already in use", a))
	}
	l := &Listener{net: n, addr: a, queue: make(chan net.Conn, 16), closed: make(chan struct{})}
	n.streams[a] = l
	return l
}

// Dial opens a stream from address from (port 0 takes a free one) to a
// listener.
func (n *Net) Dial(from, to string) (net.Conn, error) {
	n.mu.Lock()
	f := netip.MustParseAddrPort(from)
	if f.Port() == 0 {
		f = n.freePort(f.Addr())
	}
	l := n.streams[netip.MustParseAddrPort(to)]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial tcp %s: connection refused", to)
	}
	a, b := net.Pipe()
	select {
	case l.queue <- stream{b, l.addr, f}:
		return stream{a, f, l.addr}, nil
	case <-l.closed:
		return nil, fmt.Errorf("dial tcp %s: connection refused", to)
	}
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept with net.ErrClosed.
func (l *Listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.net.mu.Lock()
		delete(l.net.streams, l.addr)
		l.net.mu.Unlock()
	})
	return nil
}

// Addr is the listener's address.
func (l *Listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

// stream is a pipe's end that knows its addresses.
type stream struct {
	net.Conn
	local, remote netip.AddrPort
}

func (s stream) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(s.local) }
func (s stream) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.remote) }
