package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/standin"
)

// wire is a SIP client that does exactly what its test says, message by message,
// over UDP: for registering, and for moments that a scenario cannot hit.
type wire struct {
	t    *testing.T
	name string
	conn *net.UDPConn
	peer netip.AddrPort
	tag  string

	mu   sync.Mutex
	seen []message
}

func (w *world) wire(name string, at netip.AddrPort) *wire {
	w.t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	c := &wire{t: w.t, name: name, conn: conn, peer: w.sip, tag: name + strconv.FormatInt(time.Now().UnixNano(), 36)}
	w.t.Cleanup(c.close)
	return c
}

func (c *wire) close() { _ = c.conn.Close() } // twice is harmless

func (c *wire) addr() string { return c.conn.LocalAddr().String() }

func (c *wire) send(text string) {
	c.t.Helper()
	if _, err := c.conn.WriteToUDPAddrPort([]byte(text), c.peer); err != nil {
		if !errors.Is(err, net.ErrClosed) { // a phone that went on answering when its test had ended
			c.t.Errorf("%s: %v", c.name, err)
		}
		return
	}
	c.note(text, true)
}

func (c *wire) note(text string, sent bool) message {
	m, _ := parseLogged(" " + time.Now().Format("2006-01-02 15:04:05.000000") + "\nmessage " + map[bool]string{true: "sent", false: "received"}[sent] + "\n\n" + text)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, m)
	return m
}

// next is the next message that comes within d.
func (c *wire) next(d time.Duration) (message, bool) {
	buf := make([]byte, 64<<10)
	if err := c.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		c.t.Fatal(err)
	}
	n, err := c.conn.Read(buf)
	if err != nil {
		return message{}, false
	}
	return c.note(string(buf[:n]), false), true
}

// expect waits for a message of that method and status (0: a request), passing
// over others.
func (c *wire) expect(method string, statuses ...int) message {
	c.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if m, ok := c.next(time.Until(end)); ok && m.method == method && slices.Contains(statuses, m.status) {
			return m
		}
	}
	c.t.Fatalf("%s waited in vain for %s %v; it saw:\n%s", c.name, method, statuses, c.ladder())
	return message{}
}

// count is how many messages were sent or received of that method and status.
func (c *wire) count(sent bool, method string, status int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, m := range c.seen {
		if m.sent == sent && m.method == method && m.status == status {
			n++
		}
	}
	return n
}

func (c *wire) ladder() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, m := range c.seen {
		fmt.Fprintln(&b, " ", m)
	}
	return b.String()
}

// request writes a request. to is the whole To value; extra are whole header lines.
func (c *wire) request(method, uri, from, to, callID string, cseq int, branch, body string, extra ...string) string {
	lines := append([]string{
		method + " " + uri + " SIP/2.0",
		"Via: SIP/2.0/UDP " + c.addr() + ";branch=z9hG4bK" + branch,
		"From: " + from + ";tag=" + c.tag,
		"To: " + to,
		"Call-ID: " + callID,
		"CSeq: " + strconv.Itoa(cseq) + " " + method,
		"Max-Forwards: 70",
		"Contact: <sip:" + c.addr() + ">",
	}, extra...)
	if body != "" {
		lines = append(lines, "Content-Type: application/sdp")
	}
	lines = append(lines, "Content-Length: "+strconv.Itoa(len(body)))
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// reply writes a response to m.
func (c *wire) reply(m message, status int, reason, body string) string {
	to := m.header("To")
	if !strings.Contains(to, ";tag=") {
		to += ";tag=" + c.tag
	}
	lines := []string{
		"SIP/2.0 " + strconv.Itoa(status) + " " + reason,
		"Via: " + m.header("Via"), // one hop: Ringpath's
		"From: " + m.header("From"),
		"To: " + to,
		"Call-ID: " + m.header("Call-ID"),
		"CSeq: " + m.header("CSeq"),
		"Contact: <sip:" + c.addr() + ">",
	}
	if body != "" {
		lines = append(lines, "Content-Type: application/sdp")
	}
	lines = append(lines, "Content-Length: "+strconv.Itoa(len(body)))
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// sdp is an offer or answer of G.711 on a port where nobody listens.
func (c *wire) sdp() string {
	return strings.Join([]string{"v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
		"m=audio 9 RTP/AVP 0 8", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", ""}, "\r\n")
}

// register registers the user's phone from its own port, which is free again
// afterwards for whoever plays the phone.
func (u *user) register() {
	u.w.t.Helper()
	c := u.w.wire(u.name, u.addr)
	defer c.close()
	c.register(u)
}

// register registers u's phone from this socket.
func (c *wire) register(u *user) {
	c.t.Helper()
	if got := c.tryRegister(u); got != 200 {
		c.t.Fatalf("%s: REGISTER got %d", c.name, got)
	}
}

// tryRegister is register with the final status as its result.
func (c *wire) tryRegister(u *user) int {
	c.t.Helper()
	status, err := standin.Registration{Server: u.w.sip, Username: u.name, Password: u.password}.Send(c.t.Context(), c.conn)
	if err != nil {
		c.t.Fatalf("%s: %v", c.name, err)
	}
	return status
}
