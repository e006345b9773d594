package simnet

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// queueLimit is how many packets wait for a reader; more are lost, as in a
// socket's buffer.
const queueLimit = 4096

// parcel is a packet on its way to one receiver.
type parcel struct {
	due  time.Time
	seq  uint64 // equal times keep the order of sending
	from netip.AddrPort
	data []byte
}

// Conn is one socket. It is a net.PacketConn with the fast calls of
// *net.UDPConn.
type Conn struct {
	net    *Net
	addr   netip.AddrPort
	wake   chan struct{} // buffer 1: something changed for the reader
	closed chan struct{}

	mu       sync.Mutex
	queue    []parcel
	deadline time.Time
	done     bool
}

func (c *Conn) put(p parcel) {
	c.mu.Lock()
	if !c.done && len(c.queue) < queueLimit {
		i, _ := slices.BinarySearchFunc(c.queue, p, func(a, b parcel) int {
			if d := a.due.Compare(b.due); d != 0 {
				return d
			}
			return int(int64(a.seq) - int64(b.seq))
		})
		c.queue = slices.Insert(c.queue, i, p)
	}
	c.mu.Unlock()
	c.poke()
}

func (c *Conn) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// ReadFrom waits for the next packet.
func (c *Conn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromUDPAddrPort waits for the next packet.
func (c *Conn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		p, wait, err := c.take()
		if err != nil {
			return 0, netip.AddrPort{}, err
		}
		if p.data != nil {
			return copy(b, p.data), p.from, nil
		}
		c.sleep(wait)
	}
}

// take gives the packet that is due, or how long to wait (0: until something
// changes).
func (c *Conn) take() (parcel, time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return parcel{}, 0, net.ErrClosed
	}
	now := time.Now()
	if !c.deadline.IsZero() && !now.Before(c.deadline) {
		return parcel{}, 0, os.ErrDeadlineExceeded
	}
	var wait time.Duration
	if len(c.queue) > 0 {
		if p := c.queue[0]; !p.due.After(now) {
			c.queue = c.queue[1:]
			if p.data == nil {
				p.data = []byte{}
			}
			return p, 0, nil
		}
		wait = c.queue[0].due.Sub(now)
	}
	if !c.deadline.IsZero() && (wait == 0 || c.deadline.Sub(now) < wait) {
		wait = c.deadline.Sub(now)
	}
	return parcel{}, wait, nil
}

func (c *Conn) sleep(wait time.Duration) {
	var due <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-c.wake:
	case <-c.closed:
	case <-due:
	}
}

// WriteTo sends a packet; one to nobody is lost without an error.
func (c *Conn) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, &net.AddrError{Err: "not a UDP address", Addr: to.String()}
	}
	return c.WriteToUDPAddrPort(b, u.AddrPort())
}

// WriteToUDPAddrPort sends a packet.
func (c *Conn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	c.mu.Lock()
	done := c.done
	c.mu.Unlock()
	if done {
		return 0, net.ErrClosed
	}
	c.net.send(c.addr, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()), b)
	return len(b), nil
}

// Close ends waiting readers with net.ErrClosed.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.done {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.done, c.queue = true, nil
	close(c.closed)
	c.mu.Unlock()
	c.net.forget(c)
	return nil
}

// LocalAddr is the socket's address.
func (c *Conn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.addr) }

// Net is the network that the socket is on.
func (c *Conn) Net() *Net { return c.net }

// AddrPort is the socket's address.
func (c *Conn) AddrPort() netip.AddrPort { return c.addr }

// SetReadDeadline ends reads at t; the zero time never does.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline = t
	c.mu.Unlock()
	c.poke()
	return nil
}

// SetDeadline is SetReadDeadline: writes never wait.
func (c *Conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writes never wait.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }
