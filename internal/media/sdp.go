package media

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ringpath/ringpath/internal/phone"
)

// What Parse refuses a description for; it wraps them with the detail. ErrSDP is
// a malformed request (SIP status 400), each other one is media that we do not
// carry (488).
var (
	ErrSDP     = &phone.Error{Kind: phone.Invalid, Text: "unreadable session description"}
	ErrNoAudio = &phone.Error{Kind: phone.Invalid, Text: "the session description has no audio"}
	ErrAddress = &phone.Error{Kind: phone.Invalid, Text: "the session description has no usable address"}
	ErrCrypto  = &phone.Error{Kind: phone.Invalid, Text: "encrypted media (SRTP) is not supported on this connection"}
	ErrT38     = &phone.Error{Kind: phone.Invalid, Text: "fax (T.38) is not supported"}
)

// Bounds of what Parse reads.
const (
	maxBody    = 64 << 10 // bytes
	maxLines   = 512
	maxStreams = 16 // m= lines
	maxFormats = 64 // payload types of one stream
)

// Description is what one party says of its media.
type Description struct {
	// RTP and RTCP are where the party wants to receive. An unspecified address
	// (0.0.0.0, the hold of RFC 2543) means: send nothing.
	RTP  netip.AddrPort
	RTCP netip.AddrPort

	direction string // as Direction returns it
	streams   []stream
	audio     int // index in streams of the one that we carry
}

// stream is one m= line and what follows it.
type stream struct {
	kind, proto string
	port        int
	formats     []string
	addr        netip.Addr // of its own c= line, else the session's
	rtcp        string     // value of a=rtcp
	direction   string     // empty: the session's
	crypto      bool
	keep        []string // lines that the other party gets as they are
}

// Parse reads a session description. It is strict in what it needs and passes
// over what it does not.
func Parse(body []byte) (*Description, error) {
	if len(body) > maxBody {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrSDP, maxBody)
	}
	lines, err := split(body)
	if err != nil {
		return nil, err
	}
	session := stream{direction: "sendrecv"}
	var streams []stream
	now := &session
	for i, line := range lines {
		if line[0] == 'm' {
			if len(streams) == maxStreams {
				return nil, fmt.Errorf("%w: more than %d streams", ErrSDP, maxStreams)
			}
			m, err := parseStream(line[2:])
			if err != nil {
				return nil, fmt.Errorf("%w: line %d: %w", ErrSDP, i+1, err)
			}
			// a session's own direction, address and keys hold for its streams
			m.addr, m.direction, m.crypto = session.addr, session.direction, session.crypto
			streams = append(streams, m)
			now = &streams[len(streams)-1]
			continue
		}
		if err := now.read(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return choose(streams, now == &session)
}

// split cuts the body into its lines, each of the form "x=value".
func split(body []byte) ([]string, error) {
	if !bytes.HasPrefix(body, []byte("v=0")) {
		return nil, fmt.Errorf("%w: does not begin with v=0", ErrSDP)
	}
	lines := strings.Split(strings.TrimRight(string(body), "\r\n"), "\n")
	if len(lines) > maxLines {
		return nil, fmt.Errorf("%w: more than %d lines", ErrSDP, maxLines)
	}
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if len(line) < 2 || line[1] != '=' || line[0] < 'a' || line[0] > 'z' {
			return nil, fmt.Errorf("%w: line %d is not of the form x=value", ErrSDP, i+1)
		}
		if strings.ContainsFunc(line, isControl) {
			return nil, fmt.Errorf("%w: line %d holds a control character", ErrSDP, i+1)
		}
		lines[i] = line
	}
	if lines[0] != "v=0" {
		return nil, fmt.Errorf("%w: does not begin with v=0", ErrSDP)
	}
	return lines, nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// parseStream reads "audio 49170 RTP/AVP 0 8 101" (RFC 8866 §5.14).
func parseStream(value string) (stream, error) {
	f := strings.Fields(value)
	if len(f) < 4 {
		return stream{}, fmt.Errorf("a stream needs kind, port, protocol and formats")
	}
	if len(f)-3 > maxFormats {
		return stream{}, fmt.Errorf("more than %d formats", maxFormats)
	}
	number, _, _ := strings.Cut(f[1], "/") // "49170/2" is a count of ports
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return stream{}, fmt.Errorf("bad port")
	}
	return stream{kind: f[0], port: int(port), proto: f[2], formats: f[3:]}, nil
}

// read takes in a line of the session or of a stream. Lines that it does not
// know are dropped: whatever reaches the other party is on a list here.
func (s *stream) read(line string) error {
	value := line[2:]
	switch line[0] {
	case 'c':
		addr, err := parseConnection(value)
		if err != nil {
			return err
		}
		s.addr = addr
	case 'b':
		s.keep = append(s.keep, line)
	case 'a':
		s.attribute(line, value)
	}
	return nil
}

func (s *stream) attribute(line, value string) {
	name, arg, _ := strings.Cut(value, ":")
	switch name {
	case "sendrecv", "sendonly", "recvonly", "inactive":
		s.direction = name
	case "crypto":
		s.crypto = true
	case "rtcp":
		s.rtcp = arg
	case "rtpmap", "fmtp", "ptime", "maxptime", "minptime", "silenceSupp", "rtcp-fb":
		s.keep = append(s.keep, line)
	}
}

// parseConnection reads "IN IP4 192.0.2.1" (RFC 8866 §5.7). Names are refused,
// for we look nothing up that a stranger chose, and so are groups.
func parseConnection(value string) (netip.Addr, error) {
	f := strings.Fields(value)
	if len(f) != 3 || f[0] != "IN" || f[1] != "IP4" && f[1] != "IP6" {
		return netip.Addr{}, fmt.Errorf("%w: bad connection line", ErrSDP)
	}
	addr, err := netip.ParseAddr(f[2])
	if err != nil || addr.Zone() != "" || addr.Is4() != (f[1] == "IP4") {
		return netip.Addr{}, fmt.Errorf("%w: not an %s address", ErrAddress, f[1])
	}
	addr = addr.Unmap()
	if addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.Addr{}, fmt.Errorf("%w: a group address", ErrAddress)
	}
	return addr, nil
}

// choose picks the stream that we carry: the first audio one that is not
// switched off.
func choose(streams []stream, empty bool) (*Description, error) {
	if empty {
		return nil, fmt.Errorf("%w: no streams", ErrNoAudio)
	}
	fax := false
	for i, m := range streams {
		fax = fax || m.kind == "image" && m.port != 0
		if m.kind != "audio" || m.port == 0 {
			continue
		}
		if m.crypto || strings.Contains(m.proto, "SAVP") {
			return nil, ErrCrypto
		}
		if m.proto != "RTP/AVP" && m.proto != "RTP/AVPF" {
			return nil, fmt.Errorf("%w over RTP", ErrNoAudio)
		}
		return m.describe(streams, i)
	}
	if fax {
		return nil, ErrT38
	}
	return nil, ErrNoAudio
}

func (s *stream) describe(streams []stream, index int) (*Description, error) {
	if !s.addr.IsValid() {
		return nil, fmt.Errorf("%w: no connection line", ErrSDP)
	}
	d := &Description{
		RTP:       netip.AddrPortFrom(s.addr, uint16(s.port)),
		direction: s.direction,
		streams:   streams,
		audio:     index,
	}
	if s.port < 65535 {
		d.RTCP = netip.AddrPortFrom(s.addr, uint16(s.port+1))
	}
	if s.rtcp != "" {
		at, err := parseRTCP(s.rtcp, s.addr)
		if err != nil {
			return nil, err
		}
		d.RTCP = at
	}
	if s.addr.IsUnspecified() { // RFC 3264 §8.4
		switch s.direction {
		case "sendrecv":
			d.direction = "sendonly"
		case "recvonly":
			d.direction = "inactive"
		}
	}
	return d, nil
}

// parseRTCP reads "53020" or "53020 IN IP4 192.0.2.1" (RFC 3605 §2.1).
func parseRTCP(value string, addr netip.Addr) (netip.AddrPort, error) {
	number, connection, given := strings.Cut(value, " ")
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}, fmt.Errorf("%w: bad a=rtcp", ErrSDP)
	}
	if given {
		if addr, err = parseConnection(connection); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}

// Direction is what the party does: "sendrecv", "sendonly", "recvonly" or
// "inactive". An unspecified address counts as hold: the party does not receive.
func (d *Description) Direction() string { return d.direction }

// Held says that the party does not want to hear the other one: it put the call
// on hold (RFC 3264 §8.4).
func (d *Description) Held() bool {
	return d.direction == "sendonly" || d.direction == "inactive"
}

// Payloads are the payload types of the audio stream, in the party's order of
// preference.
func (d *Description) Payloads() []string { return d.streams[d.audio].formats }
