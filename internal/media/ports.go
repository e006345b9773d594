package media

import "time"

// idle is how long a port rests between two calls, so that the last packets of
// one never sound in the other.
const idle = 2 * time.Second

// maxOpen is how many resting ports keep their sockets: opening four sockets a
// call costs more than anything else that media does to set a call up. At 500
// calls a second, 2,000 pairs rest.
const maxOpen = 2048

// ports are the free even ports of the range. Those whose sockets are open are
// used first; of each kind the one that has rested longest.
type ports struct {
	open, closed fifo
}

// freePort is a port that no call uses.
type freePort struct {
	port  int
	pair  *pair     // its sockets, if they are open
	since time.Time // zero: never used
}

func newPorts(lowest, highest int) ports {
	var p ports
	first := lowest + lowest%2
	n := max(0, (highest-first+1)/2)
	p.closed.ring = make([]freePort, n)
	p.open.ring = make([]freePort, min(n, maxOpen))
	for port := first; port+1 <= highest; port += 2 {
		p.closed.push(freePort{port: port})
	}
	return p
}

// take is a port that has rested long enough.
func (p *ports) take(now time.Time) (freePort, bool) {
	for _, f := range []*fifo{&p.open, &p.closed} {
		if front, ok := f.front(); ok && (front.since.IsZero() || now.Sub(front.since) >= idle) {
			return f.pop(), true
		}
	}
	return freePort{}, false
}

// put gives a port back. False: its sockets are too many to be kept open, and the
// caller has to close them.
func (p *ports) put(f freePort) (kept bool) {
	if f.pair != nil && p.open.count < len(p.open.ring) {
		p.open.push(f)
		return true
	}
	p.closed.push(freePort{port: f.port, since: f.since})
	return f.pair == nil
}

// cool moves all ports with open sockets among the closed ones, and returns the
// sockets for the caller to close.
func (p *ports) cool() (pairs []*pair) {
	for p.open.count > 0 {
		f := p.open.pop()
		pairs = append(pairs, f.pair)
		p.closed.push(freePort{port: f.port, since: f.since})
	}
	return pairs
}

// fifo is a ring of free ports, longest unused first. It never holds more than
// its ring.
type fifo struct {
	ring         []freePort
	first, count int
}

func (q *fifo) front() (freePort, bool) {
	if q.count == 0 {
		return freePort{}, false
	}
	return q.ring[q.first], true
}

func (q *fifo) pop() freePort {
	f := q.ring[q.first]
	q.ring[q.first] = freePort{}
	q.first = (q.first + 1) % len(q.ring)
	q.count--
	return f
}

func (q *fifo) push(f freePort) {
	q.ring[(q.first+q.count)%len(q.ring)] = f
	q.count++
}
