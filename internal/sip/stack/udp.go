package stack

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// maxReadErrors in a row end a UDP listener; a read error is otherwise of no
// consequence (an ICMP message for an earlier packet, for example).
const maxReadErrors = 100

var errMalformed = errors.New("malformed message")

// udpEnd is one UDP socket.
type udpEnd struct {
	stack *Stack
	conn  net.PacketConn
	fast  fastConn // conn's quicker calls; nil if it has none
	local netip.AddrPort
}

// fastConn is what *net.UDPConn has beyond net.PacketConn: no allocations.
type fastConn interface {
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
}

// ServeUDP begins to read a socket, which from now on is the stack's.
func (s *Stack) ServeUDP(conn net.PacketConn) error {
	u := &udpEnd{stack: s, conn: conn, local: addrPort(conn.LocalAddr())}
	u.fast, _ = conn.(fastConn)
	if !u.local.IsValid() {
		return fmt.Errorf("listen on %v: not a UDP address", conn.LocalAddr())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.udp = append(s.udp, u)
	s.work.Go(u.read)
	return nil
}

// reaches says that the socket has the address family of an address.
func (u *udpEnd) reaches(a netip.Addr) bool {
	own := u.local.Addr()
	return own.Is4() == a.Is4() || own == netip.IPv6Unspecified()
}

func (u *udpEnd) read() {
	buf := make([]byte, MaxMessage+1)
	failed := 0
	for {
		n, from, err := u.readFrom(buf)
		if err == nil {
			failed = 0
			u.packet(buf[:n], unmap(from))
			continue
		}
		if errors.Is(err, net.ErrClosed) || u.stack.isClosed() {
			return
		}
		if failed++; failed == maxReadErrors {
			u.stack.log.Error("sip listener ended: no calls arrive on it any more", "addr", u.local.String(), "err", err)
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-u.stack.done:
			return
		}
	}
}

func (u *udpEnd) readFrom(buf []byte) (int, netip.AddrPort, error) {
	if u.fast != nil {
		return u.fast.ReadFromUDPAddrPort(buf)
	}
	n, from, err := u.conn.ReadFrom(buf)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	return n, addrPort(from), nil
}

func (u *udpEnd) packet(data []byte, from netip.AddrPort) {
	if isKeepAlive(data) || len(data) > MaxMessage || !u.stack.opts.Admit("udp", from, data) {
		return
	}
	if !cleanHead(data) {
		u.stack.opts.Malformed(from, errMalformed)
		return
	}
	flow := Flow{Transport: "udp", Local: u.local, Remote: from, end: u}
	msg, err := u.stack.parse(data)
	if err == nil {
		u.stack.message(msg, flow, data)
		return
	}
	u.stack.opts.Malformed(from, err)
	if req, status := u.stack.salvage(data); req != nil {
		u.stack.opts.Handle(&Incoming{Request: req, Flow: flow, Broken: status, stack: u.stack})
	}
}

func (s *Stack) parse(data []byte) (msg sip.Message, err error) {
	defer func() { // a fault of the parser is the sender's message lost, not the program
		if r := recover(); r != nil {
			msg, err = nil, fmt.Errorf("%w: %v", errMalformed, r)
		}
	}()
	return s.parser.ParseSIP(data)
}

// salvage reads of a request that does not parse what an answer repeats, and says
// which status it deserves (RFC 4475 §3.1.2). Nil: not even that can be read.
func (s *Stack) salvage(data []byte) (req *sip.Request, status int) {
	head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	first, rest, _ := strings.Cut(string(head), "\r\n")
	method, target, _ := strings.Cut(first, " ")
	if !strings.Contains(target, "SIP/2.0") || len(method) > 32 || strings.HasPrefix(method, "SIP/") || hasControl(first) {
		return nil, 0
	}
	text := method + " sip:unreadable.invalid SIP/2.0\r\n"
	rest = strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(rest) // folded lines
	for line := range strings.SplitSeq(rest, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		if repeated[strings.ToLower(strings.TrimSpace(name))] {
			text += line + "\r\n"
		}
	}
	msg, err := s.parse([]byte(text + "\r\n"))
	req, ok := msg.(*sip.Request)
	if err != nil || !ok || !Complete(req) {
		return nil, 0
	}
	scheme, _, hasScheme := strings.Cut(target, ":")
	if hasScheme && isScheme(scheme) && !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips") && !strings.EqualFold(scheme, "tel") {
		return req, 416
	}
	return req, 400
}

// repeated are the headers that a response repeats, with their short forms.
var repeated = map[string]bool{
	"via": true, "v": true, "from": true, "f": true, "to": true, "t": true, "call-id": true, "i": true, "cseq": true,
}

func isScheme(s string) bool {
	for _, c := range []byte(s) {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if !strings.ContainsRune("0123456789+-.", rune(c)) {
				return false
			}
		}
	}
	return s != ""
}

// isKeepAlive knows the empty packets that phones send to keep a NAT open (RFC
// 5626 §3.5.1, and NULs).
func isKeepAlive(data []byte) bool {
	return len(data) <= 4 && len(bytes.Trim(data, "\r\n\x00 ")) == 0
}

// cleanHead is Clean for a message that has not been parsed, at a tenth of the
// cost: no control characters before the body but those that end lines.
func cleanHead(b []byte) bool {
	for i, c := range b {
		switch {
		case c >= ' ' && c != 0x7f, c == '\t':
		case c == '\r' && i+1 < len(b) && b[i+1] == '\n':
			if bytes.HasPrefix(b[i:], []byte("\r\n\r\n")) {
				return true
			}
		case c == '\n' && i > 0 && b[i-1] == '\r':
		default:
			return false
		}
	}
	return true
}

func (u *udpEnd) write(b []byte, to netip.AddrPort) error {
	if u.fast != nil {
		_, err := u.fast.WriteToUDPAddrPort(b, to)
		return err
	}
	_, err := u.conn.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return err
}

func (s *Stack) isClosed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}
