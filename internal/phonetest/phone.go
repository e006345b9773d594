package phonetest

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Wait is how long Phone waits for a message before the test fails, unless it is
// told otherwise.
const Wait = 40 * time.Second

// Phone is a SIP endpoint that does what its test says and nothing else: it
// repeats nothing, acknowledges nothing by itself.
type Phone struct {
	t    testing.TB
	conn net.PacketConn
	// Server is where requests go.
	Server netip.AddrPort
	// Tap, if set, sees each message that arrives.
	Tap func(sip.Message)

	branches int
}

// NewPhone makes an endpoint on a socket, which is closed at the end of the test.
func NewPhone(t testing.TB, conn net.PacketConn, server netip.AddrPort) *Phone {
	t.Helper()
	return &Phone{t: t, conn: conn, Server: server}
}

// Close closes the socket.
func (p *Phone) Close() { _ = p.conn.Close() }

// Addr is the endpoint's address, "192.0.2.1:5060".
func (p *Phone) Addr() string { return p.conn.LocalAddr().String() }

// Send sends text with the line ends that SIP wants. Content-Length is added, and
// a Via with a new branch where the text has none.
func (p *Phone) Send(format string, args ...any) {
	p.t.Helper()
	text := strings.TrimLeft(fmt.Sprintf(format, args...), "\n\t ")
	head, body, _ := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimLeft(lines[i], "\t")
	}
	has := func(name string) bool {
		for _, l := range lines[1:] {
			if strings.HasPrefix(strings.ToLower(l), name) {
				return true
			}
		}
		return false
	}
	if !has("via:") {
		p.branches++
		via := fmt.Sprintf("Via: SIP/2.0/UDP %s;rport;branch=z9hG4bK%s-%d", p.Addr(), strings.ReplaceAll(p.Addr(), ":", "-"), p.branches)
		lines = append([]string{lines[0], via}, lines[1:]...)
	}
	if body != "" {
		var b strings.Builder
		for l := range strings.Lines(body) {
			b.WriteString(strings.TrimLeft(strings.TrimRight(l, "\r\n"), "\t") + "\r\n")
		}
		body = b.String()
	}
	if !has("content-length:") {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	p.SendRaw([]byte(strings.Join(lines, "\r\n") + "\r\n\r\n" + body))
}

// SendRaw sends bytes as they are.
func (p *Phone) SendRaw(b []byte) {
	p.t.Helper()
	if _, err := p.conn.WriteTo(b, net.UDPAddrFromAddrPort(p.Server)); err != nil {
		p.t.Fatalf("%s: send: %v", p.Addr(), err)
	}
}

// Next waits for a message, whatever it is; nil after d without one.
func (p *Phone) Next(d time.Duration) sip.Message {
	p.t.Helper()
	buf := make([]byte, 64<<10)
	_ = p.conn.SetReadDeadline(time.Now().Add(d))
	n, _, err := p.conn.ReadFrom(buf)
	if err != nil {
		return nil
	}
	msg, err := sip.ParseMessage(bytes.Clone(buf[:n]))
	if err != nil {
		p.t.Fatalf("%s: unreadable message: %v\n%s", p.Addr(), err, buf[:n])
	}
	if p.Tap != nil {
		p.Tap(msg)
	}
	return msg
}

// Request waits for a request with a method; anything else before it fails the
// test, retransmissions too.
func (p *Phone) Request(method string) *sip.Request {
	p.t.Helper()
	msg := p.Next(Wait)
	req, ok := msg.(*sip.Request)
	if !ok || string(req.Method) != method {
		p.t.Fatalf("%s: got %s, want a %s", p.Addr(), short(msg), method)
	}
	return req
}

// Response waits for a response with a status; anything else before it fails the
// test.
func (p *Phone) Response(status int) *sip.Response {
	p.t.Helper()
	msg := p.Next(Wait)
	res, ok := msg.(*sip.Response)
	if !ok || res.StatusCode != status {
		p.t.Fatalf("%s: got %s, want a %d", p.Addr(), short(msg), status)
	}
	return res
}

// Silence fails the test if a message comes within d.
func (p *Phone) Silence(d time.Duration) {
	p.t.Helper()
	if msg := p.Next(d); msg != nil {
		p.t.Fatalf("%s: got %s, want nothing for %v", p.Addr(), short(msg), d)
	}
}

// Reply answers a request; the To tag is tag, unless it has one. headers are
// whole lines.
func (p *Phone) Reply(req *sip.Request, status int, tag, body string, headers ...string) {
	p.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d Whatever\n", status)
	for _, h := range req.GetHeaders("Via") {
		fmt.Fprintf(&b, "Via: %s\n", h.Value())
	}
	for _, h := range req.GetHeaders("Record-Route") {
		fmt.Fprintf(&b, "Record-Route: %s\n", h.Value())
	}
	to := req.To().Value()
	if !strings.Contains(to, ";tag=") && tag != "" {
		to += ";tag=" + tag
	}
	fmt.Fprintf(&b, "From: %s\nTo: %s\nCall-ID: %s\nCSeq: %s\nContact: <sip:%s>\n", req.From().Value(), to, req.CallID().Value(), req.CSeq().Value(), p.Addr())
	for _, h := range headers {
		b.WriteString(h + "\n")
	}
	if body != "" {
		b.WriteString("Content-Type: application/sdp\n")
	}
	p.Send("%s\n%s", b.String(), body)
}

func short(m sip.Message) string {
	switch m := m.(type) {
	case *sip.Request:
		return m.StartLine()
	case *sip.Response:
		return fmt.Sprintf("%d to %s", m.StatusCode, m.CSeq().Value())
	}
	return "nothing"
}

// SDP is a session description with one audio stream at addr ("192.0.2.1:4000")
// and a direction.
func SDP(addr, direction string) string {
	ap := netip.MustParseAddrPort(addr)
	return fmt.Sprintf("v=0\no=- 1 1 IN IP4 %s\ns=-\nc=IN IP4 %s\nt=0 0\nm=audio %d RTP/AVP 0 8 101\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\na=%s\n",
		ap.Addr(), ap.Addr(), ap.Port(), direction)
}
