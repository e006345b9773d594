package e2e

import (
	"encoding/binary"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// ear is the media side of an actor: it sends RTP that carries its own mark and
// notes whose marks it hears.
type ear struct {
	conn *net.UDPConn
	mark byte

	mu    sync.Mutex
	heard map[byte]int
}

var marks struct {
	sync.Mutex
	next byte
}

func newEar(t *testing.T, name string) *ear {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatalf("ear of %s: %v", name, err)
	}
	marks.Lock()
	marks.next = marks.next%250 + 1
	e := &ear{conn: conn, mark: marks.next, heard: map[byte]int{}}
	marks.Unlock()
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		e.listen()
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-listening
	})
	return e
}

func (e *ear) port() int { return e.conn.LocalAddr().(*net.UDPAddr).Port }

const rtpHeader = 12 // bytes, RFC 3550 §5.1

func (e *ear) listen() {
	buf := make([]byte, 2048)
	for {
		n, err := e.conn.Read(buf)
		if err != nil {
			return
		}
		if n > rtpHeader && buf[0]>>6 == 2 {
			e.mu.Lock()
			e.heard[buf[rtpHeader]]++
			e.mu.Unlock()
		}
	}
}

func (e *ear) hears(other *ear) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard[other.mark] >= 5 // a tenth of a second of audio
}

// say sends the n-th packet of 20 ms of PCMU.
func (e *ear) say(to netip.AddrPort, n int) {
	p := make([]byte, rtpHeader+160)
	p[0] = 0x80
	binary.BigEndian.PutUint16(p[2:], uint16(n))
	binary.BigEndian.PutUint32(p[4:], uint32(n)*160)
	binary.BigEndian.PutUint32(p[8:], 0xabcd0000|uint32(e.mark))
	for i := rtpHeader; i < len(p); i++ {
		p[i] = e.mark
	}
	_, _ = e.conn.WriteToUDPAddrPort(p, to) // a lost packet is a lost packet
}

var (
	sdpAddr = regexp.MustCompile(`(?m)^c=IN IP4 (\S+)\r?$`)
	sdpPort = regexp.MustCompile(`(?m)^m=audio (\d+) `)
)

// remote is where the other side told the actor to send audio: the newest SDP
// that it received.
func (a *actor) remote() (netip.AddrPort, bool) {
	var at netip.AddrPort
	for _, m := range a.messages() {
		c, p := sdpAddr.FindStringSubmatch(m.body()), sdpPort.FindStringSubmatch(m.body())
		if m.sent || c == nil || p == nil {
			continue
		}
		addr, err := netip.ParseAddr(c[1])
		port, err2 := strconv.ParseUint(p[1], 10, 16)
		if err == nil && err2 == nil {
			at = netip.AddrPortFrom(addr, uint16(port))
		}
	}
	return at, at.IsValid()
}

// audio lets caller and phone speak until both heard each other or two seconds
// are over, and says who was heard: both, to_phone, to_caller or none.
func audio(t *testing.T, w *world, caller, phone *actor) string {
	t.Helper()
	w.until("connected", 15*time.Second, func() bool {
		_, ok := caller.find(true, "ACK", 0)
		return ok && phone.talked()
	})
	toCaller, ok1 := phone.remote()
	toPhone, ok2 := caller.remote()
	if !ok1 || !ok2 {
		t.Fatalf("no SDP: caller was told %v, phone %v", toPhone, toCaller)
	}
	for n := range 100 {
		caller.ear.say(toPhone, n)
		phone.ear.say(toCaller, n)
		time.Sleep(20 * time.Millisecond)
		if phone.ear.hears(caller.ear) && caller.ear.hears(phone.ear) {
			return "both"
		}
	}
	switch {
	case phone.ear.hears(caller.ear):
		return "to_phone"
	case caller.ear.hears(phone.ear):
		return "to_caller"
	}
	return "none"
}
