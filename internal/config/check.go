package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ringpath/ringpath/internal/document"
)

const (
	codeRange   = "out_of_range"
	codeMissing = "missing"
	maxRate     = 1_000_000
	maxDrain    = 24 * time.Hour
)

// UnmarshalText reads udp://0.0.0.0:5060, tcp://[::]:5060.
func (l *Listener) UnmarshalText(text []byte) error {
	network, addr, ok := strings.Cut(string(text), "://")
	if !ok {
		return fmt.Errorf("%q is no listener: write udp://0.0.0.0:5060 or tcp://0.0.0.0:5060", text)
	}
	switch network {
	case "udp", "tcp":
	case "tls", "ws", "wss":
		return &document.Error{Code: document.CodeNotYet, Text: "the transport " + network + " is not in this version: write udp:// or tcp://"}
	default:
		return fmt.Errorf("there is no transport %q: write udp:// or tcp://", network)
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("%q is no address and port: write for example 0.0.0.0:5060 or [::]:5060", addr)
	}
	*l = Listener{Network: network, Addr: ap.String()}
	return nil
}

// MarshalText is String.
func (l Listener) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// checker finds values that cannot be.
type checker struct {
	root   *document.Node
	faults document.Faults
}

// fault reports one at a setting, given as an RFC 6901 pointer.
func (c *checker) fault(pointer, code, format string, args ...any) {
	n, at := c.root.At(pointer)
	if n.Place.File != "" {
		at = n.Place
	}
	c.faults = append(c.faults, document.Fault{File: at.File, Line: at.Line, Column: at.Column, Pointer: pointer, Code: code, Message: fmt.Sprintf(format, args...)})
}

// level checks log.level before it is decoded, because it must say what would be
// right, and leaves the default when it is none.
func (c *checker) level() {
	n := c.root.Get("log").Get("level")
	if n == nil || n.Type != document.Scalar {
		return
	}
	switch n.Text {
	case "debug", "info", "warn", "error":
		return
	}
	c.fault("/log/level", document.CodeValue, "there is no %q: write debug, info, warn or error", n.Text)
	c.root.Get("log").Delete("level")
}

// Validate checks settings that were made in Go, as Load checks those it reads.
func (s Settings) Validate() document.Faults {
	c := &checker{root: document.NewMap()}
	c.settings(s)
	return c.faults
}

func (c *checker) settings(s Settings) {
	if s.Data == "" {
		c.fault("/data", codeMissing, "data names the folder of the database: write for example ./data")
	}
	c.hostPort("/http/listen", s.HTTP.Listen)
	c.publicURL(s.HTTP.PublicURL)
	c.networks("/http/trusted_proxies", s.HTTP.TrustedProxies)
	c.sip(s.SIP)
	c.media(s.Media)
	for i, a := range s.Lookup.Allow {
		if _, err := parsePrefix(a); err != nil && (!isHostPort(a) || strings.HasPrefix(a, ":")) {
			c.fault(document.Join("/lookup/allow", i), document.CodeValue, "%q is neither a network nor host:port: write for example 10.1.0.0/16 or crm.internal:8443", a)
		}
	}
	if s.V1.RatePerMin < 1 || s.V1.RatePerMin > maxRate {
		c.fault("/v1/rate_per_min", codeRange, "between 1 and %d", maxRate)
	}
	if s.Metrics.Listen != "" {
		c.hostPort("/metrics/listen", s.Metrics.Listen)
	}
	c.oneOf("/log/format", s.Log.Format, "text", "json")
	c.oneOf("/log/numbers", s.Log.Numbers, "masked", "full")
	if s.Drain < 0 || s.Drain > maxDrain {
		c.fault("/drain", codeRange, "between 0s and 24h")
	}
}

func (c *checker) sip(s SIP) {
	if len(s.Listen) == 0 {
		c.fault("/sip/listen", codeMissing, "name at least one listener, for example udp://0.0.0.0:5060")
	}
	seen := map[Listener]bool{}
	for i, l := range s.Listen {
		if seen[l] && l.Addr != "" && !strings.HasSuffix(l.Addr, ":0") {
			c.fault(document.Join("/sip/listen", i), document.CodeValue, "%s stands twice", l)
		}
		seen[l] = true
	}
	if s.Domain != "" && !isHost(s.Domain) {
		c.fault("/sip/domain", document.CodeValue, "%q is no domain: write a host name or address, without sip: and port", s.Domain)
	}
	if a, err := netip.ParseAddr(s.PublicAddress); s.PublicAddress != "" && (err != nil || a.IsUnspecified()) {
		c.fault("/sip/public_address", document.CodeValue, "%q is no address: write the IPv4 or IPv6 address that the world reaches this server at", s.PublicAddress)
	}
	c.networks("/sip/local_networks", s.LocalNetworks)
	c.oneOf("/sip/digest", s.Digest, "both", "sha-256", "md5")
	for i, h := range s.PassHeaders {
		if !headerForm.MatchString(h) {
			c.fault(document.Join("/sip/pass_headers", i), document.CodeValue, "%q is no header's name", h)
		}
	}
}

var headerForm = regexp.MustCompile("^[A-Za-z0-9.!%*_+`'~-]{1,64}$") // a token, RFC 3261 §25.1

func (c *checker) media(m Media) {
	low, high := m.Range()
	switch {
	case low < 1024 || high > 65535 || high-low < 3:
		c.fault("/media/ports", codeRange, "%q is no range of ports: write low-high, between 1024 and 65535; a call takes four", m.Ports)
	case low%2 != 0:
		c.fault("/media/ports", codeRange, "the first port is even: RTP has the even ports, RTCP the odd ones (RFC 3550 §11)")
	}
	if m.Mode == "direct" {
		c.fault("/media/mode", document.CodeNotYet, "the mode direct is not in this version: write relay")
		return
	}
	c.oneOf("/media/mode", m.Mode, "relay")
}

func (c *checker) publicURL(text string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Path != "" && u.Path != "/") {
		c.fault("/http/public_url", document.CodeValue, "%q is no address of this server: write https:// and the host, without a path", text)
	}
}

func (c *checker) networks(pointer string, texts []string) {
	for i, text := range texts {
		if _, err := parsePrefix(text); err != nil {
			c.fault(document.Join(pointer, i), document.CodeValue, "%q is no network: write for example 10.0.0.0/8", text)
		}
	}
}

// hostPort checks an address to listen on; host may be empty or a name.
func (c *checker) hostPort(pointer, text string) {
	if !isHostPort(text) {
		c.fault(pointer, document.CodeValue, "%q is no address to listen on: write for example 127.0.0.1:8080", text)
	}
}

func (c *checker) oneOf(pointer, text string, words ...string) {
	for _, w := range words {
		if text == w {
			return
		}
	}
	c.fault(pointer, document.CodeValue, "there is no %q: write %s", text, strings.Join(words, " or "))
}

// isHostPort says that text is host:port, [IPv6]:port or :port.
func isHostPort(text string) bool {
	if _, err := netip.ParseAddrPort(text); err == nil {
		return true
	}
	host, port, ok := strings.Cut(text, ":")
	_, err := strconv.ParseUint(port, 10, 16)
	return ok && err == nil && (host == "" || isHost(host))
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$`)

func isHost(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	return len(text) <= 253 && hostForm.MatchString(text)
}
