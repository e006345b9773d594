package media

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// lockAfter is how many packets of one source lock a latch to it.
	lockAfter = 3
	// openFor is how long after a re-INVITE the party may move.
	openFor = 5 * time.Second
	// silentFor is how long a locked source must be silent before another SSRC
	// from the same address and port takes its place, as when a PBX connects its
	// caller to somebody else.
	silentFor = 200 * time.Millisecond
	// perSecond bounds what a party can make us send, also where two parties name
	// our own ports and a packet would go round for ever. Speech is 50, at most 200.
	perSecond = 1000
)

// latch decides which packets are the party's, and where its own go (symmetric
// RTP, RFC 4961). Its party is only known by what SDP and signalling say; so a
// source counts only if its IP is one of these two, and after lockAfter packets
// nothing but that address, port and SSRC passes.
//
//	open ──3 packets──► locked ──re-INVITE, 3 packets of another──► locked
type latch struct {
	mu         sync.Mutex // guards all of it; held for some nanoseconds per packet
	stated     netip.AddrPort
	signalling netip.Addr
	lock       source       // zero: open
	next       [2]candidate // one at the stated address and port, one elsewhere
	// moveUntil is until when any acceptable source may take the lock over, and
	// exactUntil until when the stated address and port may: somebody at the same
	// IP (a phone that lost the race to answer) may have been quicker.
	moveUntil, exactUntil time.Time

	budget int       // packets left of the second that began at filled
	filled time.Time // zero: never

	passed, strangers, junk uint64
}

// source is who sends.
type source struct {
	addr netip.AddrPort
	ssrc uint32
}

// candidate is a source that is not locked yet.
type candidate struct {
	source
	packets int
	since   time.Time // its first packet; only set while another source is locked
	passed  uint64    // the latch's count then
}

// set is called with a description of the party: stated is where it receives.
// It opens the latch for a move.
func (l *latch) set(stated netip.AddrPort, signalling netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if stated != l.stated && !stated.Addr().IsUnspecified() {
		l.lock = source{} // what we send goes to the new place at once
	}
	l.stated, l.signalling = stated, signalling
	l.next = [2]candidate{}
	l.moveUntil = time.Now().Add(openFor)
	l.exactUntil = l.moveUntil
}

// start begins the time in which the stated address takes precedence.
func (l *latch) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moveUntil = time.Time{}
	l.exactUntil = time.Now().Add(openFor)
}

// target is where the party's packets go; none while it is on hold by address.
func (l *latch) target() (netip.AddrPort, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stated.IsValid() || l.stated.Addr().IsUnspecified() || l.stated.Port() == 0 {
		return netip.AddrPort{}, false
	}
	if l.lock.addr.IsValid() {
		return l.lock.addr, true
	}
	return l.stated, true
}

// accept says whether a packet is the party's, and counts it.
func (l *latch) accept(addr netip.AddrPort, ssrc uint32, valid bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := source{addr, ssrc}
	switch {
	case !valid:
		l.junk++
		return false
	case from != l.lock && !l.admit(from), !l.afford():
		l.strangers++
		return false
	}
	l.passed++
	return true
}

// afford takes one packet from the second's budget.
func (l *latch) afford() bool {
	if l.budget == 0 {
		now := time.Now()
		if now.Sub(l.filled) < time.Second {
			return false
		}
		l.budget, l.filled = perSecond, now
	}
	l.budget--
	return true
}

// admit decides on a packet that is not of the locked source.
func (l *latch) admit(from source) bool {
	if ip := from.addr.Addr(); ip != l.stated.Addr() && ip != l.signalling {
		return false
	}
	n := &l.next[0]
	if from.addr != l.stated {
		n = &l.next[1]
	}
	locked := l.lock.addr.IsValid()
	if from != n.source {
		*n = candidate{source: from, passed: l.passed}
		if locked {
			n.since = time.Now()
		}
	}
	n.packets++
	if n.packets < lockAfter {
		return !locked
	}
	if locked && !l.mayReplace(n, time.Now()) {
		return false
	}
	if locked {
		l.moveUntil = time.Time{} // one move for one re-INVITE
	}
	l.lock, l.next = from, [2]candidate{}
	return true
}

// mayReplace says whether n may take the locked source's place.
func (l *latch) mayReplace(n *candidate, now time.Time) bool {
	if now.Before(l.moveUntil) {
		return true
	}
	if n.addr == l.stated && l.lock.addr != l.stated && now.Before(l.exactUntil) {
		return true
	}
	if l.passed != n.passed { // the locked source still sends: begin again
		n.since, n.passed = now, l.passed
		return false
	}
	return n.addr == l.lock.addr && now.Sub(n.since) >= silentFor
}

func (l *latch) counts() (passed, strangers, junk uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.passed, l.strangers, l.junk
}
