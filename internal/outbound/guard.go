package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
)

// Guard decides which addresses may be dialled. Public ones may; of the rest
// only what the settings allow; our own listeners never.
type Guard struct {
	networks []netip.Prefix
	hosts    map[string]bool // host:port, lower case
	own      atomic.Pointer[[]netip.AddrPort]
}

// refused are the ranges that are not the public internet: IANA's special-purpose
// registries (RFC 6890) and the tunnels that can carry such an address inside.
var refused = prefixes(
	"0.0.0.0/8",       // this network
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // shared by carriers
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local, clouds' metadata
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.31.196.0/24", // AS112
	"192.52.193.0/24", // AMT
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"192.175.48.0/24", // AS112
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, broadcast
	"::/96",           // unspecified, loopback, IPv4-compatible
	"::ffff:0:0/96",   // IPv4-mapped; unmapped before it gets here
	"::ffff:0:0:0/96", // IPv4-translated (SIIT)
	"64:ff9b::/96",    // NAT64
	"64:ff9b:1::/48",  // NAT64, local
	"100::/64",        // discard
	"100:0:0:1::/64",  // dummy
	"2001::/23",       // protocol assignments, Teredo
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4
	"2620:4f:8000::/48",
	"3fff::/20", // documentation
	"5f00::/16", // segment routing
	"fc00::/7",  // private
	"fe80::/10", // link-local
	"fec0::/10", // site-local
	"ff00::/8",  // multicast
)

// metadata are addresses at which clouds hand out credentials. A network that
// holds one does not open it: it must be named alone.
var metadata = prefixes(
	"169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "169.254.169.253/32",
	"100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
	"fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128",
)

// newGuard reads lookup.allow: networks, addresses, host:port.
func newGuard(allow []string) (*Guard, error) {
	g := &Guard{hosts: map[string]bool{}}
	for _, text := range allow {
		text = strings.ToLower(strings.TrimSpace(text))
		if p, err := netip.ParsePrefix(text); err == nil {
			g.networks = append(g.networks, unmapPrefix(p))
			continue
		}
		if a, err := netip.ParseAddr(text); err == nil {
			a = a.Unmap()
			g.networks = append(g.networks, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		host, port, err := net.SplitHostPort(text)
		if err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("allow %q: want a network (10.0.0.0/8), an address, or host:port", text)
		}
		if a, err := netip.ParseAddr(host); err == nil {
			host = a.Unmap().String() // one spelling
		}
		g.hosts[net.JoinHostPort(host, port)] = true
	}
	return g, nil
}

// setOwn says which addresses we listen on.
func (g *Guard) setOwn(own []netip.AddrPort) {
	g.own.Store(&own)
}

// permits says whether the name hostport (lower case, as the URL has it) may be
// reached at addr, one of the addresses that it resolved to.
func (g *Guard) permits(hostport string, addr netip.AddrPort) bool {
	ip := addr.Addr().WithZone("").Unmap()
	if !ip.IsValid() || g.isOwn(ip, addr.Port()) {
		return false
	}
	if contains(metadata, ip) {
		return g.namesAlone(ip, addr.Port())
	}
	if inner, ok := translated(ip); ok && !g.permits(hostport, netip.AddrPortFrom(inner, addr.Port())) {
		return false
	}
	if !contains(refused, ip) {
		return true
	}
	return contains(g.networks, ip) || g.hosts[hostport] ||
		g.hosts[netip.AddrPortFrom(ip, addr.Port()).String()]
}

// translated is the IPv4 address that an IPv6 address leads to by a gateway:
// allowing the gateway (as a network without IPv4 must) does not allow all that
// is behind it.
func translated(ip netip.Addr) (netip.Addr, bool) {
	b := ip.As16()
	switch {
	case contains(translators, ip): // RFC 6052 §2.2
		return netip.AddrFrom4([4]byte(b[12:])), true
	case sixToFour.Contains(ip): // RFC 3056 §2
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

var (
	translators = prefixes("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")
	sixToFour   = netip.MustParsePrefix("2002::/16")
)

// namesAlone says that the settings name exactly this address.
func (g *Guard) namesAlone(ip netip.Addr, port uint16) bool {
	for _, p := range g.networks {
		if p.IsSingleIP() && p.Addr() == ip {
			return true
		}
	}
	return g.hosts[netip.AddrPortFrom(ip, port).String()]
}

// isOwn says that one of our listeners is there.
func (g *Guard) isOwn(ip netip.Addr, port uint16) bool {
	own := g.own.Load()
	if own == nil {
		return false
	}
	for _, o := range *own {
		if o.Port() != port {
			continue
		}
		listens := o.Addr().WithZone("").Unmap()
		if listens == ip || listens.IsUnspecified() && isLocal(ip) || ip.IsUnspecified() && isLocal(listens) {
			return true
		}
	}
	return false
}

// isLocal says that ip is this machine.
func isLocal(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true // what cannot be told apart is refused
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if local, ok := netip.AddrFromSlice(n.IP); ok && local.Unmap() == ip {
				return true
			}
		}
	}
	return false
}

func contains(list []netip.Prefix, ip netip.Addr) bool {
	for _, p := range list {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		list[i] = netip.MustParsePrefix(t)
	}
	return list
}

// unmapPrefix turns ::ffff:10.0.0.0/104 into 10.0.0.0/8.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked()
	}
	return p.Masked()
}
