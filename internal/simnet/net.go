package simnet

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Options say how bad the network is. The zero value delivers everything at
// once, in order.
type Options struct {
	Delay     time.Duration // of every packet
	Jitter    time.Duration // added at random, 0 to Jitter; packets may overtake each other
	Loss      float64       // share of packets that vanish, 0 to 1
	Duplicate float64       // share that arrives twice
	Reorder   float64       // share that is held back for one more Delay (at least 1 ms)
	Seed      uint64        // of the random numbers; equal seeds give equal runs
}

// Packet is one datagram under way.
type Packet struct {
	From, To netip.AddrPort
	Data     []byte
	At       time.Time // when it was sent
}

// Net is a hub that everybody hears everybody through.
type Net struct {
	mu      sync.Mutex
	opts    Options
	random  *rand.Rand
	conns   map[netip.AddrPort]*Conn
	streams map[netip.AddrPort]*Listener
	drop    func(Packet) bool
	watch   func(Packet)
	next    uint16 // ephemeral ports
	seq     uint64
}

// New makes an empty network.
func New(o Options) *Net {
	return &Net{
		opts:    o,
		random:  rand.New(rand.NewPCG(o.Seed, 1)),
		conns:   map[netip.AddrPort]*Conn{},
		streams: map[netip.AddrPort]*Listener{},
		next:    49152,
	}
}

// Set changes how bad the network is from the next packet on.
func (n *Net) Set(o Options) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.opts = o
}

// Drop makes packets vanish for which f is true; nil drops none. f is called
// while the network stands still and must not send.
func (n *Net) Drop(f func(Packet) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop = f
}

// Watch shows f every packet as it is sent, also those that will be lost.
func (n *Net) Watch(f func(Packet)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watch = f
}

// Open is how many sockets and listeners are open: 0 when everybody cleaned up.
func (n *Net) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns) + len(n.streams)
}

// Listen opens a socket, "192.0.2.1:5060"; port 0 takes a free one. It panics
// on an address that is no address: that is the test's fault.
func (n *Net) Listen(addr string) *Conn {
	c, err := n.listen(netip.MustParseAddrPort(addr))
	if err != nil {
		panic(err)
	}
	return c
}

// ListenPacket is Listen with an error for an address in use.
func (n *Net) ListenPacket(addr netip.AddrPort) (net.PacketConn, error) {
	c, err := n.listen(addr)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (n *Net) listen(addr netip.AddrPort) (*Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addr.Port() == 0 {
		addr = n.freePort(addr.Addr())
	}
	if _, used := n.conns[addr]; used {
		return nil, fmt.Errorf("listen udp %s: address already in use", addr)
	}
	c := &Conn{net: n, addr: addr, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	n.conns[addr] = c
	return c, nil
}

// freePort is called with n.mu held.
func (n *Net) freePort(a netip.Addr) netip.AddrPort {
	for {
		n.next++
		if n.next < 49152 {
			n.next = 49152
		}
		addr := netip.AddrPortFrom(a, n.next)
		if n.conns[addr] == nil && n.streams[addr] == nil {
			return addr
		}
	}
}

func (n *Net) send(from, to netip.AddrPort, data []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	p := Packet{From: from, To: to, Data: append([]byte(nil), data...), At: now}
	if n.watch != nil {
		n.watch(p)
	}
	if n.drop != nil && n.drop(p) || n.chance(n.opts.Loss) {
		return
	}
	dst := n.conns[to]
	if dst == nil {
		return
	}
	copies := 1
	if n.chance(n.opts.Duplicate) {
		copies = 2
	}
	for range copies {
		due := now.Add(n.opts.Delay)
		if n.opts.Jitter > 0 {
			due = due.Add(time.Duration(n.random.Int64N(int64(n.opts.Jitter) + 1)))
		}
		if n.chance(n.opts.Reorder) {
			due = due.Add(max(n.opts.Delay, time.Millisecond))
		}
		n.seq++
		dst.put(parcel{due: due, seq: n.seq, from: from, data: p.Data})
	}
}

func (n *Net) chance(p float64) bool { return p > 0 && n.random.Float64() < p }

func (n *Net) forget(c *Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conns[c.addr] == c {
		delete(n.conns, c.addr)
	}
}
