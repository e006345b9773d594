package lookup

import (
	"bytes"
	"encoding/json"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// Limits of an answer.
const (
	maxBody  = 256 << 10 // bytes after decompression
	maxDepth = 64        // of nested JSON objects and lists
	maxHits  = 10        // values that one path may give
	maxPaths = 64        // read in one pass: one bit each
)

// step is one segment of a path that can be read in a stream.
type step struct {
	kind  stepKind
	name  string
	index int // negative: from the end
}

type stepKind int

const (
	stepName stepKind = iota
	stepIndex
	stepAny // every member or element
)

// hit is a node that a path led to.
type hit struct {
	pointer    string // RFC 6901
	start, end int    // in the answer
}

// found is what one path gave.
type found struct {
	hits  []hit // that hold a value, in order, maxHits at most
	empty int   // nodes without a value
	null  bool  // null stood before the path's end
	list  bool  // an empty list stood there, or at its end
}

// scanner reads an answer once: it checks all of it and notes the nodes that the
// paths lead to. All paths that are still alive at a node have the same length
// behind them, the node's depth, so a set of bits says which they are.
type scanner struct {
	data  []byte
	pos   int
	paths []streamed
	found []found
	at    []location
	fail  Reason
}

// streamed is a path that can be read in a stream.
type streamed struct {
	steps []step
	holds func(raw []byte) bool // whether a node holds a value
}

// location is one level of where the scanner stands.
type location struct {
	key   []byte // raw, with quotes; nil in a list
	index int
}

// scan checks that data is one JSON value and finds what paths lead to.
func scan(data []byte, paths []streamed) ([]found, Reason) {
	if !utf8.Valid(data) {
		return nil, ReasonNotJSON // RFC 8259 §8.1
	}
	s := scanner{data: data, paths: paths,
		found: make([]found, len(paths)), at: make([]location, 0, 8)}
	s.space()
	if s.value(0, 1<<len(paths)-1) {
		if s.space(); s.pos < len(data) {
			s.fail = ReasonNotJSON
		}
	}
	return s.found, s.fail
}

func (s *scanner) bad(reason Reason) bool {
	s.fail = reason
	return false
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// next is the byte at the position, 0 at the end.
func (s *scanner) next() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// value reads one value at a depth; alive are the paths that lead here.
func (s *scanner) value(depth int, alive uint64) bool {
	var ends uint64
	for m := alive; m != 0; m &= m - 1 {
		if p := bits.TrailingZeros64(m); len(s.paths[p].steps) == depth {
			ends |= 1 << p
		}
	}
	start := s.pos
	ok, empty := true, false
	switch c := s.next(); {
	case c == '{':
		ok = s.object(depth, alive&^ends)
	case c == '[':
		ok, empty = s.list(depth, alive&^ends)
	case c == '"':
		ok = s.text()
	case c == 't':
		ok = s.word("true")
	case c == 'f':
		ok = s.word("false")
	case c == 'n':
		ok = s.word("null")
	default:
		ok = s.number()
	}
	if ok && alive != 0 {
		s.note(alive, ends, s.data[start:s.pos], start, empty)
	}
	return ok
}

// note records what a value is to the paths that lead to it.
func (s *scanner) note(alive, ends uint64, raw []byte, start int, empty bool) {
	for m := alive; m != 0; m &= m - 1 {
		p := bits.TrailingZeros64(m)
		f := &s.found[p]
		switch {
		case empty:
			f.list = true
		case ends&(1<<p) == 0:
			f.null = f.null || raw[0] == 'n'
		case !s.paths[p].holds(raw):
			f.empty++
		case len(f.hits) < maxHits:
			f.hits = append(f.hits, hit{pointer: s.pointer(), start: start, end: start + len(raw)})
		}
	}
}

// object reads an object. A name that stands in it twice counts as it last stood,
// as most readers have it.
func (s *scanner) object(depth int, alive uint64) bool {
	if depth >= maxDepth {
		return s.bad(ReasonTooDeep)
	}
	begin := s.pos
	s.pos++
	s.at = append(s.at, location{})
	if s.space(); s.next() == '}' {
		s.pos++
		s.at = s.at[:len(s.at)-1]
		return true
	}
	for {
		key := s.pos
		if s.next() != '"' || !s.text() {
			return s.bad(ReasonNotJSON)
		}
		raw := s.data[key:s.pos]
		if s.space(); s.next() != ':' {
			return s.bad(ReasonNotJSON)
		}
		s.pos++
		s.space()
		s.at[len(s.at)-1].key = raw
		if !s.value(depth+1, s.named(depth, alive, raw, begin)) {
			return false
		}
		switch s.space(); s.next() {
		case ',':
			s.pos++
			s.space()
		case '}':
			s.pos++
			s.at = s.at[:len(s.at)-1]
			return true
		default:
			return s.bad(ReasonNotJSON)
		}
	}
}

// named are the paths whose next step goes to a member.
func (s *scanner) named(depth int, alive uint64, raw []byte, begin int) (to uint64) {
	for m := alive; m != 0; m &= m - 1 {
		p := bits.TrailingZeros64(m)
		switch st := &s.paths[p].steps[depth]; {
		case st.kind == stepAny:
			to |= 1 << p
		case st.kind == stepName && isName(raw, st.name):
			to |= 1 << p
			s.found[p].forget(begin)
		}
	}
	return to
}

// forget drops what the same name gave before, in the object that begins at begin.
func (f *found) forget(begin int) {
	n := len(f.hits)
	for n > 0 && f.hits[n-1].start > begin {
		n--
	}
	if f.hits = f.hits[:n]; n == 0 {
		f.null, f.list, f.empty = false, false, 0
	}
}

func (s *scanner) list(depth int, alive uint64) (ok, empty bool) {
	if depth >= maxDepth {
		return s.bad(ReasonTooDeep), false
	}
	size := 0
	if s.fromEnd(depth, alive) {
		// Count first, then read again: nothing is kept but the number.
		begin := s.pos
		if size, ok = s.elements(depth, 0, 0); !ok {
			return false, false
		}
		s.pos = begin
	}
	n, ok := s.elements(depth, alive, size)
	return ok, n == 0
}

// fromEnd says that a path counts from the list's end.
func (s *scanner) fromEnd(depth int, alive uint64) bool {
	for m := alive; m != 0; m &= m - 1 {
		if st := s.paths[bits.TrailingZeros64(m)].steps[depth]; st.kind == stepIndex && st.index < 0 {
			return true
		}
	}
	return false
}

func (s *scanner) elements(depth int, alive uint64, size int) (n int, ok bool) {
	s.pos++
	if s.space(); s.next() == ']' {
		s.pos++
		return 0, true
	}
	s.at = append(s.at, location{})
	for ; ; n++ {
		s.at[len(s.at)-1].index = n
		if !s.value(depth+1, s.indexed(depth, alive, n, size)) {
			return n, false
		}
		switch s.space(); s.next() {
		case ',':
			s.pos++
			s.space()
		case ']':
			s.pos++
			s.at = s.at[:len(s.at)-1]
			return n + 1, true
		default:
			return n, s.bad(ReasonNotJSON)
		}
	}
}

// indexed are the paths whose next step goes to element n.
func (s *scanner) indexed(depth int, alive uint64, n, size int) (to uint64) {
	for m := alive; m != 0; m &= m - 1 {
		p := bits.TrailingZeros64(m)
		st := &s.paths[p].steps[depth]
		if st.kind == stepAny || st.kind == stepIndex && (st.index == n || st.index < 0 && st.index+size == n) {
			to |= 1 << p
		}
	}
	return to
}

// text reads a string (RFC 8259 §7).
func (s *scanner) text() bool {
	for s.pos++; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return true
		case c < ' ':
			return s.bad(ReasonNotJSON)
		case c == '\\':
			if !s.escape() {
				return s.bad(ReasonNotJSON)
			}
		}
	}
	return s.bad(ReasonNotJSON)
}

// escape steps over an escape but for its last byte.
func (s *scanner) escape() bool {
	s.pos++
	switch s.next() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if s.pos++; !isHex(s.next()) {
				return false
			}
		}
		return true
	}
	return false
}

func (s *scanner) word(w string) bool {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(w)) {
		return s.bad(ReasonNotJSON)
	}
	s.pos += len(w)
	return true
}

func (s *scanner) number() bool {
	i := s.pos
	for i < len(s.data) && (s.data[i] >= '0' && s.data[i] <= '9' || bytes.IndexByte([]byte("+-.eE"), s.data[i]) >= 0) {
		i++
	}
	if !isNumber(string(s.data[s.pos:i])) {
		return s.bad(ReasonNotJSON)
	}
	s.pos = i
	return true
}

// isName compares a raw key with a name.
func isName(raw []byte, name string) bool {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1:len(raw)-1]) == name
	}
	return unquote(raw) == name
}

// unquote is the content of a valid raw string.
func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

// pointer is where the scanner stands (RFC 6901).
func (s *scanner) pointer() string {
	var b []byte
	for _, l := range s.at {
		b = append(b, '/')
		if l.key == nil {
			b = strconv.AppendInt(b, int64(l.index), 10)
		} else {
			b = append(b, pointerEscape.Replace(unquote(l.key))...)
		}
	}
	return string(b)
}
