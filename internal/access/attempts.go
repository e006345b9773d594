package access

import (
	"net/netip"
	"sync"
	"time"
)

const (
	maxWrong     = 30     // wrong keys a minute from one address
	maxAddresses = 10_000 // counted apart; beyond that they share one count
)

// attempts counts wrong keys by address, from one full minute to the next.
// An IPv6 address counts as its /64, which is what one customer is given.
type attempts struct {
	mu     sync.Mutex
	minute int64
	count  map[netip.Addr]int
}

// allow counts one wrong key and says that it is not too many.
func (a *attempts) allow(from netip.Addr, now time.Time) bool {
	if !from.IsValid() {
		return true
	}
	from = from.Unmap().WithZone("")
	if from.Is6() {
		p, _ := from.Prefix(64) // 64 bits always fit
		from = p.Addr()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if m := now.Unix() / 60; m != a.minute || a.count == nil {
		a.minute, a.count = m, map[netip.Addr]int{}
	}
	if _, ok := a.count[from]; !ok && len(a.count) >= maxAddresses {
		from = netip.Addr{}
	}
	a.count[from]++
	return a.count[from] <= maxWrong
}
