package directory

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/lookup"
)

// Defaults and bounds of a trunk.
const (
	defaultUnanswered    = 90 * time.Second
	minUnanswered        = 10 * time.Second
	maxUnanswered        = time.Hour
	defaultMaxConcurrent = 10
	defaultMaxPerMinute  = 30
	maxTrunkCalls        = 100_000
)

// The widest networks that a trunk may have (spec/config.md).
const (
	minBits4 = 16 // 65,536 addresses
	minBits6 = 32
)

func (b *builder) trunk(f trunkForm) {
	t := Trunk{
		ID: b.entry.id, Name: f.Name, Hosts: f.Hosts, Transport: cmp.Or(f.Transport, "udp"),
		DefaultRegion: cmp.Or(b.region("/default_region", f.DefaultRegion), b.s.company.DefaultRegion),
		MaxUnanswered: cmp.Or(f.MaxUnanswered, defaultUnanswered), CallerFrom: []string{"from"},
	}
	at := len(b.s.trunks)
	if _, taken := b.s.trunkByName[f.Name]; b.name(f.Name, taken) {
		b.s.trunkByName[f.Name] = at
	}
	for i, text := range f.Networks {
		b.network(&t, document.Join("/networks", i), text, at)
	}
	if len(f.Hosts) > 1 {
		b.fault("/hosts/1", document.CodeNotYet, "a second host, for when the first does not answer, is not in this version: write one")
	}
	for i, host := range f.Hosts {
		if !isHost(host, false) {
			b.fault(document.Join("/hosts", i), document.CodeValue, "%q is no host: write a name or address, with :port where it is not the usual one", host)
		}
	}
	switch t.Transport {
	case "udp", "tcp":
	case "tls", "ws", "wss":
		b.fault("/transport", document.CodeNotYet, "the transport %s is not in this version: write udp or tcp", t.Transport)
	default:
		b.fault("/transport", document.CodeValue, "there is no transport %q: write udp or tcp", t.Transport)
	}
	if t.MaxUnanswered < minUnanswered || t.MaxUnanswered > maxUnanswered {
		b.fault("/max_unanswered", codeRange, "between 10s and 1h, not %s", t.MaxUnanswered)
	}
	b.numberFrom(&t, f)
	b.callerFrom(f.CallerFrom)
	t.CallerID = b.callerID(f.CallerID)
	t.Outbound = b.outbound(f.Outbound)
	if len(t.Outbound.Prefixes) > 0 && len(t.Hosts) == 0 {
		b.fault("/hosts", codeMissing, "outbound.prefixes lets calls go out, but hosts names nowhere to send them")
	}
	b.s.trunks = append(b.s.trunks, t)
	b.s.rules = append(b.s.rules, newRules(t.Outbound))
}

func (b *builder) network(t *Trunk, pointer, text string, at int) {
	n, err := parseNetwork(text)
	if err != nil {
		b.fault(pointer, document.CodeValue, "%s", err)
		return
	}
	if other, added := b.s.trunkBySource.add(n, at); !added {
		name := t.Name
		if other < len(b.s.trunks) {
			name = b.s.trunks[other].Name
		}
		b.fault(pointer, codeTaken, "%s belongs to the trunk %s already", text, name)
		return
	}
	t.Networks = append(t.Networks, n)
}

// parseNetwork reads a network, an address, or an address and port.
func parseNetwork(text string) (Network, error) {
	var n Network
	if ap, err := netip.ParseAddrPort(text); err == nil {
		if ap.Port() == 0 {
			return n, fmt.Errorf("%s: port 0 is no port", text)
		}
		n = Network{Prefix: netip.PrefixFrom(ap.Addr(), ap.Addr().BitLen()), Port: ap.Port()}
	} else if a, err := netip.ParseAddr(text); err == nil {
		n.Prefix = netip.PrefixFrom(a, a.BitLen())
	} else if n.Prefix, err = netip.ParsePrefix(text); err != nil {
		return n, fmt.Errorf("%q is no network: write 198.51.100.0/24, 198.51.100.7 or 198.51.100.7:5060", text)
	}
	a := n.Prefix.Addr()
	switch {
	case a.Zone() != "" || a.Is4In6():
		return n, fmt.Errorf("%s: write the plain IPv4 or IPv6 address", text)
	case a.IsUnspecified() || a.IsMulticast():
		return n, fmt.Errorf("%s: nobody sends from there", text)
	case n.Prefix.Masked() != n.Prefix:
		return n, fmt.Errorf("%s: a network has no bits behind its length: write %s", text, n.Prefix.Masked())
	case a.IsLoopback() && n.Port == 0:
		return n, fmt.Errorf("%s: a loopback address needs a port: everything on this machine comes from there", text)
	case a.Is4() && n.Prefix.Bits() < minBits4:
		return n, fmt.Errorf("%s has more than 65,536 addresses: name the networks that the carrier gives", text)
	case a.Is6() && n.Prefix.Bits() < minBits6:
		return n, fmt.Errorf("%s is wider than /32: name the networks that the carrier gives", text)
	}
	return n, nil
}

func (b *builder) numberFrom(t *Trunk, f trunkForm) {
	for i, text := range f.NumberFrom {
		header, isHeader := strings.CutPrefix(text, "header:")
		switch {
		case isHeader && isToken(header):
			text = "header:" + strings.ToLower(header)
		case text == "request_uri", text == "to", text == "p_called_party_id":
		default:
			b.fault(document.Join("/number_from", i), document.CodeValue, "there is no %q: write request_uri, to, p_called_party_id or header:NAME", text)
		}
		t.NumberFrom = append(t.NumberFrom, text)
	}
	if len(f.NumberFrom) == 0 {
		t.NumberFrom = []string{"request_uri", "to"}
	}
	if f.DefaultNumber == "" {
		return
	}
	n, ok := flow.FindNumber(b.s, f.DefaultNumber)
	if !ok {
		b.fault("/default_number", codeDangles, "there is no number %q of ours: write the digits (+ and country code) or the id of one under numbers", f.DefaultNumber)
	}
	t.DefaultNumber = n.ID
}

func (b *builder) callerFrom(from []string) {
	for i, text := range from {
		switch text {
		case "from":
		case "p_asserted_identity", "remote_party_id":
			b.fault(document.Join("/caller_from", i), document.CodeNotYet, "%s is not in this version: write [from]", text)
		default:
			b.fault(document.Join("/caller_from", i), document.CodeValue, "there is no %q: write [from]", text)
		}
	}
}

func (b *builder) callerID(text string) CallerID {
	fixed, isFixed := strings.CutPrefix(text, "fixed:")
	switch {
	case text == "", text == "number":
	case text == "original":
		return CallerID{Original: true}
	case isFixed:
		return CallerID{Fixed: b.e164("/caller_id", fixed)}
	default:
		b.fault("/caller_id", document.CodeValue, "there is no %q: write number, original or fixed:+14155550100", text)
	}
	return CallerID{}
}

var prefixForm = regexp.MustCompile(`^\+[0-9]{0,15}$`)

func (b *builder) outbound(f outboundForm) Outbound {
	for name, list := range map[string][]string{"prefixes": f.Prefixes, "deny": f.Deny} {
		for i, p := range list {
			if !prefixForm.MatchString(p) {
				b.fault(document.Join("/outbound", name, i), codeNotE164, "%q is no beginning of a number: write + and digits, for example +33", p)
			}
		}
	}
	limit := func(name string, n *int, otherwise int) int {
		if n == nil {
			return otherwise
		}
		if *n < 1 || *n > maxTrunkCalls {
			b.fault("/outbound/"+name, codeRange, "between 1 and %d; for no calls leave prefixes empty", maxTrunkCalls)
		}
		return *n
	}
	return Outbound{
		Prefixes: f.Prefixes, Deny: f.Deny,
		MaxConcurrent: limit("max_concurrent", f.MaxConcurrent, defaultMaxConcurrent),
		MaxPerMinute:  limit("max_per_minute", f.MaxPerMinute, defaultMaxPerMinute),
	}
}

const minSecret = 4 // bytes; shorter ones cannot be told from ordinary text

func (b *builder) lookupEnv() lookup.Env {
	return lookup.Env{HeaderNames: b.options.PassHeaders, Credentials: b.s, AllowsPlain: b.options.AllowsPlain, Stored: !b.entry.named}
}

// credential checks one. Which secret it needs is a matter of its type.
func (b *builder) credential(f credentialForm) {
	c := lookup.Credential{Name: f.Name, Type: f.Type, Username: f.Username, Key: f.Key, Form: f.Form, In: f.In, Hosts: f.Hosts}
	_, taken := b.s.credentials[f.Name]
	b.name(f.Name, taken)
	secrets := map[string]secretForm{"password": f.Password, "token": f.Token, "value": f.Value}
	own := map[string]string{lookup.Basic: "password", lookup.Bearer: "token", lookup.APIKey: "value"}[f.Type]
	switch {
	case slices.Contains(lookup.LaterCredentials, f.Type):
		b.fault("/type", document.CodeNotYet, "the type %s is not in this version: write basic, bearer or api_key", f.Type)
	case own == "":
		b.fault("/type", document.CodeValue, "there is no type %q: write basic, bearer or api_key", f.Type)
	default:
		for name, s := range secrets {
			if name != own && s.written {
				b.fault("/"+name, document.CodeUnknown, "a credential of the type %s has no %s: its secret is %s", f.Type, name, own)
			}
		}
		if c.Secret = secrets[own].text; c.Secret.Empty() {
			b.missingSecret("/"+own, "the credential "+f.Name, secrets[own])
		} else {
			if len(c.Secret.Reveal()) < minSecret {
				b.fault("/"+own, codeSecret, "the secret of %s is too short to be kept out of traces: %d bytes or more", f.Name, minSecret)
			}
			b.s.secrets = append(b.s.secrets, c.Secret)
		}
	}
	b.credentialFields(f)
	if len(f.Hosts) == 0 {
		b.fault("/hosts", codeMissing, "a credential needs hosts, the only places that it may be sent to, for example [api.example.com]")
	}
	for i, host := range f.Hosts {
		if !isHost(host, true) {
			b.fault(document.Join("/hosts", i), document.CodeValue, "%q is no host: write a name or address, with :port where it is not the usual one; *. stands for one label", host)
		}
	}
	b.s.credentials[f.Name] = c
}

// credentialFields checks the fields that belong to one type only.
func (b *builder) credentialFields(f credentialForm) {
	for _, x := range []struct{ name, text, of string }{
		{"username", f.Username, lookup.Basic}, {"key", f.Key, lookup.APIKey}, {"form", f.Form, lookup.APIKey}, {"in", f.In, lookup.APIKey},
	} {
		if x.text != "" && f.Type != x.of {
			b.fault("/"+x.name, document.CodeUnknown, "only credentials of the type %s have %s", x.of, x.name)
		}
	}
	switch {
	case f.Type == lookup.Basic && f.Username == "":
		b.fault("/username", codeMissing, "a credential of the type basic needs a username")
	case f.Type == lookup.Basic && strings.Contains(f.Username, ":"):
		b.fault("/username", document.CodeValue, "a username of Basic authentication has no colon (RFC 7617)")
	case f.Type != lookup.APIKey:
	case !isToken(f.Key):
		b.fault("/key", codeMissing, "a credential of the type api_key needs key, the name of its header or parameter, for example X-Api-Key")
	case f.In != "query" && lookup.RefusedHeader(f.Key):
		b.fault("/key", document.CodeValue, "the header %s is set by the program itself: a secret in it would not be sent", f.Key)
	case f.In != "" && f.In != "header" && f.In != "query":
		b.fault("/in", document.CodeValue, "there is no %q: write header or query", f.In)
	case f.Form != "" && (strings.Count(f.Form, "{{secret}}") != 1 || f.In == "query"):
		b.fault("/form", document.CodeValue, "form holds {{secret}} once, for a header, for example Token token={{secret}}")
	}
}

var (
	tokenForm = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$") // RFC 9110 §5.6.2
	labelForm = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
)

func isToken(s string) bool { return tokenForm.MatchString(s) }

// isHost says that text is host or host:port, an IPv6 address in brackets when
// a port follows. Wild: its first label may be *.
func isHost(text string, wild bool) bool {
	if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return true
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Port() != 0
	}
	host, port, hasPort := strings.Cut(text, ":")
	if n, err := strconv.ParseUint(port, 10, 16); hasPort && (err != nil || n == 0) || len(host) > 253 {
		return false
	}
	labels := strings.Split(host, ".")
	if wild && labels[0] == "*" && len(labels) > 2 {
		labels = labels[1:]
	}
	return !slices.ContainsFunc(labels, func(l string) bool { return !labelForm.MatchString(l) })
}
