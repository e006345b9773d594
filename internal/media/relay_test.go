package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringpath/ringpath/internal/simnet"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// packetRTP is an RTP packet with one number as its sound.
func packetRTP(ssrc uint32, sound byte) []byte {
	p := make([]byte, 13)
	p[0] = 0x80
	binary.BigEndian.PutUint32(p[8:], ssrc)
	p[12] = sound
	return p
}

func packetRTCP(ssrc uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x80, 201, 0, 1}, ssrc)
}

// party is an end of a call: two sockets and its description.
type party struct {
	t         testing.TB
	rtp, rtcp *net.UDPConn
}

func newParty(t testing.TB) *party {
	p := &party{t: t, rtp: listen(t), rtcp: listen(t)}
	return p
}

func listen(t testing.TB) *net.UDPConn {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p *party) description() *Description {
	return &Description{RTP: addrOf(p.rtp), RTCP: addrOf(p.rtcp)}
}

func send(t testing.TB, c *net.UDPConn, port int, packet []byte) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort(packet, netip.AddrPortFrom(loopback, uint16(port))); err != nil {
		t.Fatal(err)
	}
}

// hear wants one packet within 5 s, whose last byte is sound and that came from
// our port.
func hear(t testing.TB, c *net.UDPConn, port int, sound byte) {
	t.Helper()
	buf := make([]byte, 100)
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, from, err := c.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	if int(from.Port()) != port {
		t.Errorf("came from port %d, want %d", from.Port(), port)
	}
	if got := buf[n-1]; got != sound {
		t.Errorf("heard %d, want %d", got, sound)
	}
}

// newTestRelay has at least so many pairs of ports, near one that was free.
func newTestRelay(t testing.TB, pairs int) *Relay {
	t.Helper()
	probe := listen(t)
	lowest := int(addrOf(probe).Port()+1) &^ 1
	if lowest+2*pairs > 65535 {
		lowest = 40000
	}
	r := NewRelay(Options{MinPort: lowest, MaxPort: lowest + 2*pairs + 40, Addr: loopback})
	t.Cleanup(func() { r.Close() })
	return r
}

func openCall(t testing.TB, r *Relay) (s *Session, callerPort, phonePort int) {
	t.Helper()
	s, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if callerPort, err = s.Port(CallerSide); err != nil {
		t.Fatal(err)
	}
	if phonePort, err = s.Port(PhoneSide); err != nil {
		t.Fatal(err)
	}
	return s, callerPort, phonePort
}

// TestRelay: what came before Start is dropped; then both sides hear each other,
// RTP and RTCP, and nothing else gets through.
func TestRelay(t *testing.T) {
	tests := map[string]func(*Options){
		"one address":       func(*Options) {},
		"every address":     func(o *Options) { o.Addr = netip.Addr{} },
		"every IPv4":        func(o *Options) { o.Addr = netip.IPv4Unspecified() },
		"any other network": func(o *Options) { o.ListenPacket = other },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			r := newTestRelay(t, 4)
			o := r.options
			o.ListenPacket = nil
			change(&o)
			r = NewRelay(o)
			t.Cleanup(func() { r.Close() })
			testRelay(t, r)
		})
	}
}

// other hides from the relay that it has UDP sockets.
func other(at netip.AddrPort) (net.PacketConn, error) {
	c, err := listenUDP(at)
	return struct{ net.PacketConn }{c}, err
}

func testRelay(t *testing.T, r *Relay) {
	s, callerPort, phonePort := openCall(t, r)
	if callerPort%2 != 0 || phonePort%2 != 0 || callerPort == phonePort {
		t.Errorf("ports %d and %d, want even and different", callerPort, phonePort)
	}
	caller, phone, stranger := newParty(t), newParty(t), listen(t)
	if _, generic := s.sides[PhoneSide].pair.rtp.(packetConn); !generic { // it gives nothing away: see drain
		for range 5 {
			send(t, caller.rtp, callerPort, packetRTP(1, 66))
			send(t, phone.rtp, phonePort, packetRTP(2, 66))
		}
	}
	s.SetRemote(CallerSide, caller.description(), loopback)
	s.SetRemote(PhoneSide, phone.description(), loopback)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range byte(5) {
		send(t, caller.rtp, callerPort, packetRTP(1, i))
		hear(t, phone.rtp, phonePort, i)
		send(t, phone.rtp, phonePort, packetRTP(2, 100+i))
		hear(t, caller.rtp, callerPort, 100+i)
	}
	send(t, caller.rtcp, callerPort+1, packetRTCP(1))
	hear(t, phone.rtcp, phonePort+1, 1)
	send(t, phone.rtcp, phonePort+1, packetRTCP(2))
	hear(t, caller.rtcp, callerPort+1, 2)

	send(t, stranger, callerPort, packetRTP(1, 66)) // the SSRC known, the port not
	send(t, caller.rtp, callerPort, []byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 66})
	send(t, caller.rtp, callerPort, make([]byte, 3000))
	send(t, caller.rtp, callerPort, packetRTP(1, 9))
	hear(t, phone.rtp, phonePort, 9)

	stats := s.Stats()
	if stats.Strangers != 1 || stats.Junk < 2 {
		t.Errorf("got %d strangers and %d junk, want 1 and at least 2", stats.Strangers, stats.Junk)
	}
	s.Close()
	s.Close()
	if _, err := s.Port(CallerSide); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Port after Close: got %v, want %v", err, net.ErrClosed)
	}
}

// TestSymmetric: a phone behind NAT is answered where it sends from.
func TestSymmetric(t *testing.T) {
	s, callerPort, phonePort := openCall(t, newTestRelay(t, 4))
	caller, phone := newParty(t), newParty(t)
	behind := &Description{
		RTP:  netip.MustParseAddrPort("192.168.77.5:4000"),
		RTCP: netip.MustParseAddrPort("192.168.77.5:4001"),
	}
	s.SetRemote(CallerSide, caller.description(), loopback)
	s.SetRemote(PhoneSide, behind, loopback)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for passed := uint64(0); passed < 3; passed = s.Stats().ToCaller {
		send(t, phone.rtp, phonePort, packetRTP(2, 5))
		hear(t, caller.rtp, callerPort, 5)
	}
	send(t, caller.rtp, callerPort, packetRTP(1, 6))
	hear(t, phone.rtp, phonePort, 6)
}

// TestNewPhones: another ring step gets another port, and the old one rests.
func TestNewPhones(t *testing.T) {
	s, _, before := openCall(t, newTestRelay(t, 8))
	s.NewPhones()
	s.NewPhones()
	after, err := s.Port(PhoneSide)
	if err != nil {
		t.Fatal(err)
	}
	if after == before {
		t.Errorf("the port is %d again", before)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.NewPhones()
	if still, _ := s.Port(PhoneSide); still != after {
		t.Errorf("after Start the port became %d, want still %d", still, after)
	}
}

// TestRaces lets everything happen at once, for the race detector.
func TestRaces(t *testing.T) {
	r := newTestRelay(t, 40)
	var wg sync.WaitGroup
	for range 8 {
		s, callerPort, phonePort := openCall(t, r)
		caller, phone := newParty(t), newParty(t)
		s.SetRemote(CallerSide, caller.description(), loopback)
		s.SetRemote(PhoneSide, phone.description(), loopback)
		wg.Go(func() {
			for i := range byte(50) {
				send(t, caller.rtp, callerPort, packetRTP(1, i))
				send(t, phone.rtp, phonePort, packetRTP(2, i))
			}
		})
		wg.Go(func() { _ = s.Start() })
		wg.Go(func() {
			s.SetRemote(PhoneSide, phone.description(), loopback)
			s.NewPhones()
			s.Stats()
		})
		wg.Go(s.Close)
	}
	wg.Go(func() { r.Close() })
	wg.Wait()
	if got := r.Sessions(); got != 0 {
		t.Errorf("%d sessions are left", got)
	}
	if _, err := r.Open(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Open after Close: got %v, want %v", err, net.ErrClosed)
	}
}

// silence is a network on which nothing ever arrives.
type silence struct {
	at     netip.AddrPort
	closed chan struct{}
	once   *sync.Once
}

func newSilence(at netip.AddrPort) (net.PacketConn, error) {
	return silence{at, make(chan struct{}), new(sync.Once)}, nil
}

func (c silence) ReadFrom([]byte) (int, net.Addr, error) {
	<-c.closed
	return 0, nil, net.ErrClosed
}
func (c silence) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }
func (c silence) LocalAddr() net.Addr                       { return net.UDPAddrFromAddrPort(c.at) }
func (c silence) SetDeadline(time.Time) error               { return nil }
func (c silence) SetReadDeadline(time.Time) error           { return errors.ErrUnsupported }
func (c silence) SetWriteDeadline(time.Time) error          { return nil }
func (c silence) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// TestReuse: ports go round, the longest unused first, and rest for 2 s.
func TestReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// 3 pairs: 20002, 20004, 20006
		r := NewRelay(Options{MinPort: 20001, MaxPort: 20008, ListenPacket: newSilence})
		open := func(want int) *Session {
			t.Helper()
			s, err := r.Open()
			if err != nil {
				t.Fatalf("got %v, want port %d", err, want)
			}
			if got, _ := s.Port(CallerSide); got != want {
				t.Errorf("got port %d, want %d", got, want)
			}
			return s
		}
		exhausted := func() {
			t.Helper()
			if _, err := r.Open(); !errors.Is(err, ErrNoPorts) {
				t.Errorf("got %v, want %v", err, ErrNoPorts)
			}
		}
		a, b := open(20002), open(20004)
		a.Close()
		c := open(20006) // never used: before the one just closed
		exhausted()
		time.Sleep(time.Second)
		b.Close()
		time.Sleep(999 * time.Millisecond)
		exhausted()
		time.Sleep(time.Millisecond) // 2 s after a
		d := open(20002)
		exhausted()
		if _, err := d.Port(PhoneSide); !errors.Is(err, ErrNoPorts) {
			t.Errorf("phone side: got %v, want %v", err, ErrNoPorts)
		}
		if err := d.Start(); !errors.Is(err, ErrNoPorts) {
			t.Errorf("Start: got %v, want %v", err, ErrNoPorts)
		}
		time.Sleep(time.Second) // 2 s after b
		if got, err := d.Port(PhoneSide); got != 20004 {
			t.Errorf("phone side: got %d %v, want 20004", got, err)
		}
		if err := d.Start(); err != nil {
			t.Error(err)
		}
		c.Close()
		d.Close() // and its readers: else the bubble does not end
		if got := r.Sessions(); got != 0 {
			t.Errorf("%d sessions are left", got)
		}
	})
}

// TestHeld: a port that another program holds is passed over; when all are, it
// says so.
func TestHeld(t *testing.T) {
	held := map[uint16]bool{20000: true, 20003: true} // an RTP and an RTCP port
	r := NewRelay(Options{MinPort: 20000, MaxPort: 20007, ListenPacket: func(at netip.AddrPort) (net.PacketConn, error) {
		if held[at.Port()] {
			return nil, fmt.Errorf("bind: %w", syscall.EADDRINUSE)
		}
		return newSilence(at)
	}})
	s, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Port(CallerSide); got != 20004 {
		t.Errorf("got port %d, want 20004", got)
	}
	held[20006] = true
	if _, err := r.Open(); !errors.Is(err, ErrNoPorts) {
		t.Errorf("got %v, want %v", err, ErrNoPorts)
	}
	r.Close()
}

// TestPortableConn: what systems without a path of their own use.
func TestPortableConn(t *testing.T) {
	a, b := udpConn{listen(t)}, udpConn{listen(t)}
	if err := a.write([]byte("early"), addrOf(b.UDPConn)); err != nil {
		t.Fatal(err)
	}
	b.drain()
	if err := a.write([]byte("hello"), addrOf(b.UDPConn)); err != nil {
		t.Fatal(err)
	}
	got, from, err := b.read()
	if err != nil {
		t.Fatal(err)
	}
	if string(got.bytes()) != "hello" || from != addrOf(a.UDPConn) {
		t.Errorf("got %q from %s, want hello from %s", got.bytes(), from, addrOf(a.UDPConn))
	}
	got.free()
	b.close()
	if _, _, err := b.read(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after close: got %v, want %v", err, net.ErrClosed)
	}
}

// BenchmarkPacket is a packet's way through the relay: it must not allocate.
func BenchmarkPacket(b *testing.B) {
	s, callerPort, _ := openCall(b, newTestRelay(b, 4))
	caller, phone := newParty(b), newParty(b)
	s.SetRemote(CallerSide, caller.description(), loopback)
	s.SetRemote(PhoneSide, phone.description(), loopback)
	s.sides[CallerSide].rtp.budget = 1 << 30
	if err := s.Start(); err != nil {
		b.Fatal(err)
	}
	packet, buf := packetRTP(1, 1), make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		send(b, caller.rtp, callerPort, packet)
		if _, _, err := phone.rtp.ReadFromUDPAddrPort(buf); err != nil {
			b.Fatal(err)
		}
	}
}

// TestKeptSockets: a port that rests keeps its sockets for the next call, and
// gives them up with the relay.
func TestKeptSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New(simnet.Options{})
		opened := 0
		r := NewRelay(Options{MinPort: 20000, MaxPort: 20007, Addr: loopback, ListenPacket: func(at netip.AddrPort) (net.PacketConn, error) {
			opened++
			return network.ListenPacket(at)
		}})
		for range 3 {
			s, err := r.Open()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			s.Close()
			time.Sleep(idle)
		}
		if got := network.Open(); got != 4 {
			t.Errorf("%d sockets are open while the ports rest, want 4", got)
		}
		if opened != 4 {
			t.Errorf("%d sockets opened for three calls one after the other, want 4", opened)
		}
		r.Close()
		if got := network.Open(); got != 0 {
			t.Errorf("%d sockets are open after Close", got)
		}
	})
}
