package sip_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/media"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/registrar"
	"github.com/ringpath/ringpath/internal/sip"
)

// wire is a carrier and a phone on real UDP sockets that write by hand, so that a
// benchmark measures the server and little else.
type wire struct {
	b       *testing.B
	server  *sip.Server
	carrier *net.UDPConn // the trunk's
	phone   *net.UDPConn
	to      netip.AddrPort
	buf     [8192]byte
}

// loopback is a directory whose trunk is one socket of this machine.
type loopback struct {
	office
	trunkAddr netip.AddrPort
}

func (l *loopback) TrunkFor(a netip.AddrPort) (*directory.Trunk, bool) {
	return &l.trunk, a == l.trunkAddr
}

type handlerFunc func(phone.IncomingLeg)

func (f handlerFunc) Serve(l phone.IncomingLeg) { f(l) }

func newWire(b *testing.B) *wire {
	b.Helper()
	socket := func() *net.UDPConn {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		return c
	}
	w := &wire{b: b, carrier: socket(), phone: socket()}
	dir := &loopback{trunkAddr: w.carrier.LocalAddr().(*net.UDPAddr).AddrPort()}
	dir.trunk.Name = "carrier"
	reg := registrar.New(registrar.Options{})
	b.Cleanup(reg.Close)
	phoneAddr := w.phone.LocalAddr().(*net.UDPAddr).AddrPort()
	if _, err := reg.Register(registrar.Request{
		User: 1, Username: "alice", CallID: "r", CSeq: 1, Expires: registrar.Unset, Transport: "udp", Source: phoneAddr,
		Contacts: []registrar.Contact{{URI: "sip:alice@" + phoneAddr.String(), Expires: registrar.Unset}},
	}); err != nil {
		b.Fatal(err)
	}
	server, err := sip.Listen(sip.Options{
		Listen:    []sip.Listener{{Network: "udp", Addr: "127.0.0.1:0"}},
		Directory: func() sip.Directory { return dir },
		Registrar: reg,
		Media:     media.NewRelay(media.Options{MinPort: 30000, MaxPort: 59999, Addr: netip.MustParseAddr("127.0.0.1")}),
		Handler:   handlerFunc(w.serve),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Close() })
	w.server, w.to = server, server.Addrs()[0].(*net.UDPAddr).AddrPort()
	return w
}

// serve joins the caller with alice's phone.
func (w *wire) serve(in phone.IncomingLeg) {
	out, err := w.server.Dial(w.b.Context(), phone.Dial{Call: in.Facts().ID, Caller: in, To: phone.Destination{Contact: w.server.Contacts(1)[0]}, From: in.Facts().Caller})
	if err != nil {
		w.b.Error(err)
		return
	}
	events := out.Events()
	for {
		select {
		case e, open := <-events:
			switch {
			case !open:
				events = nil
			case e.Kind == phone.LegAnswered:
				_ = in.Join(out)
			case e.Kind == phone.LegEnded:
				in.Hangup(e.Cause)
			}
		case e := <-in.Events():
			if e.Kind == phone.LegEnded {
				out.Hangup(e.Cause)
				for range out.Events() { // until it is over
				}
				return
			}
		}
	}
}

// await reads until a message begins with want, and returns it.
func (w *wire) await(c *net.UDPConn, want string) []byte {
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		n, _, err := c.ReadFromUDPAddrPort(w.buf[:])
		if err != nil {
			w.b.Fatalf("waiting for %s: %v", want, err)
		}
		if bytes.HasPrefix(w.buf[:n], []byte(want)) {
			return w.buf[:n]
		}
	}
}

func (w *wire) send(c *net.UDPConn, format string, args ...any) {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\r\n")
	if _, err := c.WriteToUDPAddrPort([]byte(text), w.to); err != nil {
		w.b.Fatal(err)
	}
}

func header(msg []byte, name string) string {
	for line := range strings.SplitSeq(string(msg), "\r\n") {
		if v, ok := strings.CutPrefix(line, name+": "); ok {
			return v
		}
	}
	return ""
}

func (w *wire) echo(req []byte, status, extra, body string) {
	w.send(w.phone, "SIP/2.0 %s\nVia: %s\nFrom: %s\nTo: %s%s\nCall-ID: %s\nCSeq: %s\nContact: <sip:%s>\nContent-Length: %d\n\n%s",
		status, header(req, "Via"), header(req, "From"), header(req, "To"), extra, header(req, "Call-ID"), header(req, "CSeq"),
		w.phone.LocalAddr(), len(strings.ReplaceAll(body, "\n", "\r\n")), body)
}

// up sets up one call and returns our tag.
func (w *wire) up(id int) (toTag string) {
	body := phonetest.SDP("127.0.0.1:4000", "sendrecv")
	own := w.carrier.LocalAddr()
	w.send(w.carrier, "INVITE sip:+14155550100@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d\nMax-Forwards: 70\nFrom: \"Jane\" <sip:+12025550123@x>;tag=f\nTo: <sip:+14155550100@x>\nCall-ID: bench-%d\nCSeq: 1 INVITE\nContact: <sip:%s>\nContent-Type: application/sdp\nContent-Length: %d\n\n%s",
		w.to, own, id, id, own, len(strings.ReplaceAll(body, "\n", "\r\n")), body)
	inv := bytes.Clone(w.await(w.phone, "INVITE"))
	w.echo(inv, "180 Ringing", ";tag=p", "")
	w.echo(inv, "200 OK", ";tag=p\nContent-Type: application/sdp", body)
	ok := header(w.await(w.carrier, "SIP/2.0 200"), "To")
	w.await(w.phone, "ACK")
	_, toTag, _ = strings.Cut(ok, ";tag=")
	w.send(w.carrier, "ACK sip:x SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKa%d\nFrom: <sip:+12025550123@x>;tag=f\nTo: %s\nCall-ID: bench-%d\nCSeq: 1 ACK\nContent-Length: 0\n\n", own, id, ok, id)
	return toTag
}

func (w *wire) down(id int, toTag string) {
	w.send(w.carrier, "BYE sip:x SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKb%d\nFrom: <sip:+12025550123@x>;tag=f\nTo: <sip:+14155550100@x>;tag=%s\nCall-ID: bench-%d\nCSeq: 2 BYE\nContent-Length: 0\n\n",
		w.carrier.LocalAddr(), id, toTag, id)
	w.echo(w.await(w.phone, "BYE"), "200 OK", "", "")
	w.await(w.carrier, "SIP/2.0 200 OK")
}

// BenchmarkCall is a call of fourteen messages with its media ports, the two ends
// included.
func BenchmarkCall(b *testing.B) {
	w := newWire(b)
	b.ReportAllocs()
	id := 0
	for b.Loop() {
		id++
		w.down(id, w.up(id))
	}
}

// BenchmarkTalking reports what a talking call holds in memory.
func BenchmarkTalking(b *testing.B) {
	const calls = 1000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	for b.Loop() {
		w := newWire(b)
		before := heap()
		tags := make([]string, calls)
		for i := range tags {
			tags[i] = w.up(i)
		}
		b.ReportMetric(float64(heap()-before)/calls, "B/call")
		for i := range tags {
			w.down(i, tags[i])
		}
	}
}
