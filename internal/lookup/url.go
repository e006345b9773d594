package lookup

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// urlTemplate is a URL with placeholders in path segments and query values. Its
// scheme, host and port are fixed.
type urlTemplate struct {
	scheme, host, port string // lower case; port is always set
	origin             string // scheme://host:port as written
	server             string // the same in one spelling
	pieces             []piece
	hasQuery           bool
	names              []string // of query parameters, decoded
}

// piece is a part of the URL after the origin.
type piece struct {
	parts   []part
	segment bool // a path segment with a placeholder: must not become a dot segment
}

// url compiles the url field.
func (t templates) url(pointer, text string) (urlTemplate, bool) {
	if text == "" {
		t.faults.add(pointer, "required", "the address to ask is missing, for example https://crm.example/contacts?phone={{callerNumber}}")
		return urlTemplate{}, false
	}
	parts, ok := t.parse(pointer, text, inURL)
	if !ok {
		return urlTemplate{}, false
	}
	if parts[0].ph != nil {
		t.faults.add(pointer, "placeholder_in_host", "scheme, host and port are fixed text; %s may stand in the path or in a query value", parts[0].ph.source)
		return urlTemplate{}, false
	}
	first := parts[0].lit
	scheme, rest, found := strings.Cut(first, "://")
	if scheme = strings.ToLower(scheme); !found || scheme != "https" && scheme != "http" {
		t.faults.add(pointer, "bad_url", "want an address that begins with https:// (or http://)")
		return urlTemplate{}, false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
		if len(parts) > 1 {
			t.faults.add(pointer, "placeholder_in_host", "scheme, host and port are fixed text; %s stands in the host: put a / before it if it is a path", parts[1].ph.source)
			return urlTemplate{}, false
		}
	}
	u := urlTemplate{scheme: scheme}
	if !t.authority(pointer, &u, rest[:end]) {
		return u, false
	}
	p := urlParser{templates: t, pointer: pointer, u: &u}
	p.literal(rest[end:])
	for _, part := range parts[1:] {
		if part.ph == nil {
			p.literal(part.lit)
		} else {
			p.placeholder(part)
		}
	}
	p.close()
	return u, !p.failed
}

func (t templates) authority(pointer string, u *urlTemplate, text string) bool {
	parsed, err := url.Parse(u.scheme + "://" + text)
	host := ""
	if err == nil {
		host = strings.ToLower(parsed.Hostname())
	}
	switch {
	case strings.Contains(text, "@"):
		t.faults.add(pointer, "bad_url", "no user and password in the address: store them as a credential")
		return false
	case err != nil, host == "", strings.HasSuffix(text, ":"):
		t.faults.add(pointer, "bad_url", "%q is no host or host:port", text)
		return false
	}
	for i := range len(host) {
		if c := host[i]; !isIdent(c) && !strings.ContainsRune("-.:%", rune(c)) {
			t.faults.add(pointer, "bad_url", "%q: a host name is letters, digits, dots and dashes (write an international one in its xn-- form)", text)
			return false
		}
	}
	u.host, u.port = host, parsed.Port()
	if u.port == "" {
		u.port = defaultPort(u.scheme)
	}
	if n, err := strconv.Atoi(u.port); err != nil || n < 1 || n > 65535 {
		t.faults.add(pointer, "bad_url", "%q: a port is 1 to 65535", text)
		return false
	}
	u.origin = u.scheme + "://" + text
	u.server = u.scheme + "://" + net.JoinHostPort(u.host, u.port)
	return true
}

// urlParser walks a URL after its host, with placeholders as opaque marks.
type urlParser struct {
	templates
	pointer string
	u       *urlTemplate
	cur     piece
	lit     strings.Builder
	inValue bool // of a query parameter
	failed  bool
}

func (p *urlParser) placeholder(x part) {
	if p.u.hasQuery && !p.inValue {
		p.faults.add(p.pointer, "placeholder_in_name", "%s stands in the name of a query parameter; only values may change", x.ph.source)
		p.failed = true
	}
	p.flush()
	p.cur.parts = append(p.cur.parts, x)
	p.cur.segment = !p.u.hasQuery
}

func (p *urlParser) literal(s string) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '#':
			p.faults.add(p.pointer, "bad_url", "what stands after # is not sent; write %%23 if the sign itself is meant")
			p.failed = true
			return
		case !p.u.hasQuery && (c == '/' || c == '?'):
			p.close()
			p.lit.WriteByte(c)
			p.close()
			p.u.hasQuery = c == '?'
		case p.u.hasQuery && c == '&':
			p.close()
			p.lit.WriteByte(c)
			p.close()
			p.inValue = false
		case p.u.hasQuery && c == '=' && !p.inValue:
			name, _ := url.QueryUnescape(p.lit.String())
			p.u.names = append(p.u.names, name)
			p.lit.WriteByte(c)
			p.close()
			p.inValue = true
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			p.lit.WriteString(s[i : i+3])
			i += 2
		case isUnreserved(c) || strings.IndexByte("!$&()*+,;=:@", c) >= 0 || p.u.hasQuery && (c == '/' || c == '?'):
			p.lit.WriteByte(c)
		default:
			p.lit.Write(percentEncode(nil, s[i:i+1]))
		}
	}
}

func (p *urlParser) flush() {
	if p.lit.Len() > 0 {
		p.cur.parts = append(p.cur.parts, part{lit: p.lit.String()})
		p.lit.Reset()
	}
}

// close ends a segment, name or value. Neighbours without placeholders are joined.
func (p *urlParser) close() {
	p.flush()
	if len(p.cur.parts) == 0 {
		return
	}
	p.check(p.pointer, asTyped(p.cur.parts), inURL)
	last := len(p.u.pieces) - 1
	if last >= 0 && p.cur.parts[0].ph == nil && len(p.cur.parts) == 1 &&
		len(p.u.pieces[last].parts) == 1 && p.u.pieces[last].parts[0].ph == nil {
		p.u.pieces[last].parts[0].lit += p.cur.parts[0].lit
	} else {
		p.u.pieces = append(p.u.pieces, p.cur)
	}
	p.cur = piece{}
}

// asTyped undoes the encoding of fixed text.
func asTyped(parts []part) []part {
	out := slices.Clone(parts)
	for i := range out {
		if text, err := url.PathUnescape(out[i].lit); err == nil {
			out[i].lit = text
		}
	}
	return out
}

// render appends the URL.
func (u *urlTemplate) render(dst []byte, v *Vars) ([]byte, *stop) {
	dst = append(dst, u.origin...)
	for _, x := range u.pieces {
		start := len(dst)
		var s *stop
		if dst, s = write(dst, x.parts, inURL, v); s != nil {
			return dst, s
		}
		if x.segment && isDotSegment(string(dst[start:])) {
			return dst, &stop{reason: ReasonUnsafeValue, variable: source(x.parts)}
		}
	}
	return dst, nil
}

// source is the first placeholder of parts, as written.
func source(parts []part) string {
	for _, p := range parts {
		if p.ph != nil {
			return p.ph.source
		}
	}
	return ""
}

// isDotSegment says that a segment means "here" or "up" (RFC 3986 §3.3), in
// whatever spelling.
func isDotSegment(s string) bool {
	decoded, err := url.PathUnescape(s)
	return err == nil && (decoded == "." || decoded == "..")
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}
