package sip

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/sip/stack"
)

// addresses knows what we are called: by ourselves, and by those who reach us.
type addresses struct {
	domain string
	public netip.Addr
	local  []netip.Prefix
	own    map[netip.Addr]bool // that we listen on

	mu     sync.Mutex
	routes map[netip.Addr]netip.Addr // our address on the way to a peer, for wildcard listeners
	since  time.Time                 // when routes was empty
}

// Routes are remembered for a minute, and so many of them: networks change.
const (
	routeLife = time.Minute
	maxRoutes = 4096
)

func newAddresses(o *Options, listening []net.Addr) *addresses {
	a := &addresses{
		domain: o.Domain, public: o.PublicAddress, local: o.LocalNetworks,
		own: map[netip.Addr]bool{}, routes: map[netip.Addr]netip.Addr{},
	}
	for _, l := range listening {
		ap, err := netip.ParseAddrPort(l.String())
		if err != nil {
			continue
		}
		a.own[ap.Addr().Unmap()] = true
		if ap.Addr().IsUnspecified() {
			a.addInterfaces()
		}
	}
	if a.public.IsValid() {
		a.own[a.public] = true
	}
	return a
}

func (a *addresses) addInterfaces() {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return // a peer that names us by another address than it reaches is then not understood
	}
	for _, i := range all {
		if p, err := netip.ParsePrefix(i.String()); err == nil {
			a.own[p.Addr().Unmap()] = true
		}
	}
}

// toward is our address as a peer of the flow can reach it.
func (a *addresses) toward(f stack.Flow) netip.Addr {
	remote := f.Remote.Addr()
	if a.public.IsValid() && !a.isLocal(remote) {
		return a.public
	}
	if own := f.Local.Addr(); !own.IsUnspecified() {
		return own.Unmap()
	}
	return a.route(remote)
}

func (a *addresses) isLocal(remote netip.Addr) bool {
	if remote.IsLoopback() || remote.IsLinkLocalUnicast() {
		return true
	}
	for _, p := range a.local {
		if p.Contains(remote) {
			return true
		}
	}
	return false
}

// route asks the kernel which of our addresses it would send from. No packet is
// sent.
func (a *addresses) route(remote netip.Addr) netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := time.Now(); now.Sub(a.since) > routeLife || len(a.routes) >= maxRoutes {
		clear(a.routes)
		a.since = now
	}
	if own, ok := a.routes[remote]; ok {
		return own
	}
	own := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if c, err := net.Dial("udp", netip.AddrPortFrom(remote, 9).String()); err == nil {
		if ap, err := netip.ParseAddrPort(c.LocalAddr().String()); err == nil {
			own = ap.Addr().Unmap()
		}
		_ = c.Close()
	}
	a.routes[remote] = own
	return own
}

// isOurs says that a URI's host means us.
func (a *addresses) isOurs(host string, f stack.Flow) bool {
	if a.domain != "" && strings.EqualFold(host, a.domain) {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && (a.own[ip.Unmap()] || ip.Unmap() == a.toward(f))
}

// host is our host part in From and To toward a peer.
func (a *addresses) host(f stack.Flow) string {
	if a.domain != "" {
		return a.domain
	}
	return hostText(a.toward(f))
}

// hostText writes an address as URIs do.
func hostText(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.WithZone("").String() + "]"
	}
	return a.String()
}
