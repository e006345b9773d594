package softphone

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringpath/ringpath/internal/media"
)

// voice is a call's sound: it sends a tone and listens for one.
type voice struct {
	conn    *net.UDPConn
	addr    netip.AddrPort
	session uint32 // of our o= line
	version int

	mu      sync.Mutex // guards what follows
	remote  netip.AddrPort
	sends   bool
	payload byte

	received atomic.Int64    // packets of G.711
	context  context.Context // of the call's goroutines, these and the dialog's
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// openVoice takes a port; nothing is sent before start.
func openVoice(addr netip.Addr) (*voice, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return nil, fmt.Errorf("open a media port: %w", err)
	}
	port := conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	v := &voice{conn: conn, addr: netip.AddrPortFrom(addr, port), session: rand.Uint32()}
	v.context, v.stop = context.WithCancel(context.Background())
	return v, nil
}

// offer describes what we can do.
func (v *voice) offer() []byte { return v.describe("0 8 101", "sendrecv") }

// answer describes what we do with the other party's offer d: the first codec of
// theirs that we have, and the mirror of their direction (RFC 3264 §6.1).
func (v *voice) answer(d *media.Description) ([]byte, error) {
	if err := v.follow(d); err != nil {
		return nil, err
	}
	mirror := map[string]string{
		"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive",
	}
	return v.describe(strconv.Itoa(int(v.payload)), mirror[d.Direction()]), nil
}

func (v *voice) describe(formats, direction string) []byte {
	family := "IP4"
	if v.addr.Addr().Is6() {
		family = "IP6"
	}
	v.version++
	events := ""
	if formats == "0 8 101" {
		events = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
	}
	return fmt.Appendf(nil, "v=0\r\no=- %d %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n"+
		"m=audio %d RTP/AVP %s\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n%sa=ptime:20\r\na=%s\r\n",
		v.session, v.version, family, v.addr.Addr(), family, v.addr.Addr(),
		v.addr.Port(), formats, events, direction)
}

// follow sends to where d says, with its first codec that is ours; nothing while
// it holds us.
func (v *voice) follow(d *media.Description) error {
	i := slices.IndexFunc(d.Payloads(), func(p string) bool { return p == "0" || p == "8" })
	if i < 0 {
		return errNoCodec
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.payload = pcmu
	if d.Payloads()[i] == "8" {
		v.payload = pcma
	}
	v.remote = d.RTP
	v.sends = !d.RTP.Addr().IsUnspecified() && d.Direction() != "sendonly" && d.Direction() != "inactive"
	return nil
}

// start begins to send a tone (0: silence) and to listen.
func (v *voice) start(frequency float64, heard func(frequency float64)) {
	v.running.Go(func() { v.speak(&tone{frequency: frequency}) })
	v.running.Go(func() { v.listen(&ear{heard: heard}) })
}

// close ends both; it returns when they have. Safe to call twice.
func (v *voice) close() {
	v.stop()
	_ = v.conn.Close()
	v.running.Wait()
}

func (v *voice) speak(t *tone) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	packet := make([]byte, 12+frame)
	samples := make([]int16, frame)
	sequence, timestamp, ssrc := uint16(rand.Uint32()), rand.Uint32(), rand.Uint32()
	packet[0] = 0x80
	for {
		select {
		case <-v.context.Done():
			return
		case <-tick.C:
		}
		t.next(samples)
		sequence++
		timestamp += frame
		v.mu.Lock()
		remote, sends, payload := v.remote, v.sends, v.payload
		v.mu.Unlock()
		if !sends {
			continue
		}
		packet[1] = payload
		binary.BigEndian.PutUint16(packet[2:], sequence)
		binary.BigEndian.PutUint32(packet[4:], timestamp)
		binary.BigEndian.PutUint32(packet[8:], ssrc)
		for i, s := range samples {
			packet[12+i] = encode(payload, s)
		}
		_, _ = v.conn.WriteToUDPAddrPort(packet, remote) // lost like any other packet
	}
}

func (v *voice) listen(e *ear) {
	buf := make([]byte, 1500)
	samples := make([]int16, 0, len(buf))
	for {
		n, _, err := v.conn.ReadFromUDPAddrPort(buf)
		if v.context.Err() != nil {
			return
		}
		if err != nil || n < 12 || buf[0]>>6 != 2 {
			continue
		}
		payload := buf[1] & 0x7f
		start := 12 + 4*int(buf[0]&0x0f) // behind the contributing sources
		if payload != pcmu && payload != pcma || start > n {
			continue
		}
		v.received.Add(1)
		samples = samples[:0]
		for _, octet := range buf[start:n] {
			samples = append(samples, decode(payload, octet))
		}
		e.feed(samples)
	}
}
