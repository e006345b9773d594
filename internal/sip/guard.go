package sip

import (
	"bytes"
	"net/netip"
	"sync"
	"time"
)

// Limits of sources that are neither trunk nor registered phone.
const (
	strangerWindow = 2 * time.Second
	strangerLimit  = 16 // requests in a window; further ones are dropped
	// strangerPatience is how many windows in a row a source may go over the limit;
	// then it is ignored. An office whose phones all start at once goes over it in
	// the first, until one of them is registered and the address is no stranger's.
	strangerPatience = 5
	ignoredFor       = 300 * time.Second

	failedWindow = time.Minute
	failedLimit  = 10 // wrong digests in a window
	bannedFor    = 5 * time.Minute

	maxSources = 10000 // remembered at once; then a random one is forgotten
)

// guard looks at bytes before they are parsed.
type guard struct {
	// trusted says that a source is a trunk's, or has a phone registered.
	trusted func(netip.AddrPort) (trunk, registered bool)
	// note hears of each source that is dropped from now on. It is called with
	// the lock held.
	note func(source netip.Addr, why string)

	mu      sync.Mutex
	sources map[netip.Addr]*source
	held    map[netip.Addr]int // sources of legs that live, and how many
}

// source is what one stranger did lately.
type source struct {
	window   time.Time
	requests int
	over     int       // windows in a row in which there were too many
	ignored  time.Time // until then

	failing time.Time
	failed  int
	banned  time.Time // until then
}

func newGuard(trusted func(netip.AddrPort) (bool, bool), note func(netip.Addr, string)) *guard {
	return &guard{trusted: trusted, note: note, sources: map[netip.Addr]*source{}, held: map[netip.Addr]int{}}
}

// admit says whether data from an address is worth parsing. Nil data is a new
// connection.
func (g *guard) admit(_ string, from netip.AddrPort, data []byte) bool {
	if data != nil && !printableLine(data) {
		return false
	}
	trunk, registered := g.trusted(from)
	if trunk || registered {
		return true // a live registration outlives wrong passwords from its address
	}
	n := max(1, bytes.Count(data, []byte(" SIP/2.0\r\n"))) // over TCP many may come at once
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held[from.Addr()] > 0 {
		return true
	}
	now := time.Now()
	s := g.source(from.Addr())
	if now.Before(s.ignored) || now.Before(s.banned) {
		return false
	}
	if since := now.Sub(s.window); since >= strangerWindow {
		if s.requests <= strangerLimit || since >= 2*strangerWindow {
			s.over = 0
		}
		s.window, s.requests = now, 0
	}
	before := s.requests
	s.requests += n
	if s.requests <= strangerLimit {
		return true
	}
	if before <= strangerLimit { // the first too many of this window
		if s.over++; s.over >= strangerPatience {
			s.ignored = now.Add(ignoredFor)
			g.note(from.Addr(), "too many requests of a stranger")
		}
	}
	return false
}

// failed notes a wrong digest; enough of them, and the source is banned.
func (g *guard) failed(from netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	s := g.source(from.Addr())
	if now.Sub(s.failing) >= failedWindow {
		s.failing, s.failed = now, 0
	}
	if s.failed++; s.failed >= failedLimit {
		s.banned = now.Add(bannedFor)
		g.note(from.Addr(), "wrong passwords")
	}
}

// hold exempts the peer of a leg for as long as it lives.
func (g *guard) hold(a netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held[a]++
}

func (g *guard) release(a netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held[a]--; g.held[a] <= 0 {
		delete(g.held, a)
	}
}

// holding is how many exemptions there are.
func (g *guard) holding() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.held)
}

// source finds or makes the entry of an address; IPv6 counts by /64, which is
// one customer. g.mu is held.
func (g *guard) source(a netip.Addr) *source {
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			a = p.Addr()
		}
	}
	s := g.sources[a]
	if s != nil {
		return s
	}
	if len(g.sources) >= maxSources {
		g.sweep()
	}
	s = &source{}
	g.sources[a] = s
	return s
}

// sweep makes room: entries with nothing to remember go, and one at random if
// that frees none.
func (g *guard) sweep() {
	now := time.Now()
	for a, s := range g.sources {
		if now.Sub(s.window) >= strangerWindow && now.Sub(s.failing) >= failedWindow && now.After(s.ignored) && now.After(s.banned) {
			delete(g.sources, a)
		}
	}
	if len(g.sources) < maxSources {
		return
	}
	for a := range g.sources { // the order of a map is random
		delete(g.sources, a)
		return
	}
}

// printableLine says that data begins with a line of text, as every message does
// (over TCP it may also be the middle of one).
func printableLine(data []byte) bool {
	for _, c := range data[:min(len(data), 1024)] {
		if c == '\r' || c == '\n' {
			return true
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
