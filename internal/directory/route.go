package directory

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/nyaruka/phonenumbers"

	"github.com/ringpath/ringpath/internal/phone"
)

// rules are a trunk's outbound entries: prefix → whether it may be dialled.
type rules map[string]bool

func newRules(o Outbound) rules {
	r := make(rules, len(o.Prefixes)+len(o.Deny))
	for _, p := range o.Prefixes {
		r[p] = true
	}
	for _, p := range o.Deny { // after the prefixes: of equal length deny wins
		r[p] = false
	}
	return r
}

// match is the length of the longest entry that n begins with, 0 if there is
// none or it denies.
func (r rules) match(n phone.E164) int {
	for l := min(len(n), longestPrefix); l > 0; l-- {
		if allowed, found := r[string(n[:l])]; found {
			if allowed {
				return l
			}
			return 0
		}
	}
	return 0
}

const longestPrefix = 16 // "+" and 15 digits

// Route is the trunk by which an outside number may be rung. Within a trunk the
// longest of prefixes and deny decides (of equal length deny); among the trunks
// that may, the longest prefix, then the document's order. Emergency and short
// numbers never.
func (s *Snapshot) Route(n phone.E164) (trunk string, ok bool) {
	if _, err := phone.ParseE164(string(n)); err != nil || isShort(n) {
		return "", false
	}
	best := 0
	for i := range s.trunks {
		if l := s.rules[i].match(n); l > best {
			best, trunk = l, s.trunks[i].Name
		}
	}
	return trunk, best > 0
}

// sourceIndex finds the most specific network entry of an address by trying
// each prefix length that occurs, longest first: a handful of map reads.
type sourceIndex struct {
	exact   map[netip.AddrPort]int // entries with a port
	byBits  map[netip.Prefix]int
	lengths []prefixLength // that occur, longest first
}

type prefixLength struct {
	v4   bool
	bits int
}

func (x sourceIndex) find(source netip.AddrPort) (int, bool) {
	source = netip.AddrPortFrom(source.Addr().Unmap().WithZone(""), source.Port())
	if i, ok := x.exact[source]; ok {
		return i, true
	}
	for _, l := range x.lengths {
		if l.v4 != source.Addr().Is4() {
			continue
		}
		p, err := source.Addr().Prefix(l.bits)
		if err != nil {
			continue
		}
		if i, ok := x.byBits[p]; ok {
			return i, true
		}
	}
	return 0, false
}

// isShort says that n is a short number (an emergency number, a service code)
// behind a country code, and no subscriber's.
func isShort(n phone.E164) bool {
	p, err := phonenumbers.Parse(string(n), "")
	return err != nil || phonenumbers.IsValidShortNumber(p) && !phonenumbers.IsValidNumber(p)
}

func newSourceIndex() sourceIndex {
	return sourceIndex{exact: map[netip.AddrPort]int{}, byBits: map[netip.Prefix]int{}}
}

// add enters a network, or says which trunk has the very same already.
func (x *sourceIndex) add(n Network, trunk int) (other int, added bool) {
	if n.Port != 0 {
		key := netip.AddrPortFrom(n.Prefix.Addr(), n.Port)
		if other, taken := x.exact[key]; taken {
			return other, false
		}
		x.exact[key] = trunk
		return trunk, true
	}
	if other, taken := x.byBits[n.Prefix]; taken {
		return other, false
	}
	x.byBits[n.Prefix] = trunk
	return trunk, true
}

// sort makes the list of lengths, once all are entered.
func (x *sourceIndex) sort() {
	x.lengths = nil
	for p := range x.byBits {
		l := prefixLength{v4: p.Addr().Is4(), bits: p.Bits()}
		if !slices.Contains(x.lengths, l) {
			x.lengths = append(x.lengths, l)
		}
	}
	slices.SortFunc(x.lengths, func(a, b prefixLength) int { return cmp.Compare(b.bits, a.bits) })
}
