package api

import (
	"cmp"
	"sync"

	"github.com/ringpath/ringpath/internal/phone"
)

// maxSpellings bounds what spellings remembers.
const maxSpellings = 10_000

// spelled is how people write a number, and the country it belongs to.
type spelled struct {
	international string // "+1 415-555-0123"
	region        string // ISO 3166; empty: none
}

// spellings remembers how our own numbers are written: they stand in every call
// of every answer, and to spell one takes as long as to make the rest of a call.
// Callers' numbers are not kept.
type spellings struct {
	mu    sync.RWMutex
	known map[phone.E164]spelled
}

func (s *spellings) of(n phone.E164) spelled {
	s.mu.RLock()
	known, ok := s.known[n]
	s.mu.RUnlock()
	if ok {
		return known
	}
	made := spelled{international: spell(n), region: n.Region()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxSpellings {
		s.known = map[phone.E164]spelled{}
	}
	s.known[n] = made
	return made
}

// spell is the spaced form, or the digits where nobody knows one.
func spell(n phone.E164) string { return cmp.Or(n.International(), string(n)) }
