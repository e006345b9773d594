package media

import "time"

// idle is how long a port rests between two calls, so that the last packets of
// one never sound in the other.
const idle = 2 * time.Second

// ports is the range: a ring of the free even ports, longest unused first.
type ports struct {
	free  []freePort
	first int // index of the one that rests longest
	count int
}

type freePort struct {
	port  int
	since time.Time // zero: never used
}

func newPorts(lowest, highest int) ports {
	var p ports
	for port := lowest + lowest%2; port+1 <= highest; port += 2 {
		p.free = append(p.free, freePort{port: port})
	}
	p.count = len(p.free)
	return p
}

// take is the port that has rested longest, if that is long enough.
func (p *ports) take(now time.Time) (int, bool) {
	if p.count == 0 {
		return 0, false
	}
	f := p.free[p.first]
	if !f.since.IsZero() && now.Sub(f.since) < idle {
		return 0, false
	}
	p.first = (p.first + 1) % len(p.free)
	p.count--
	return f.port, true
}

// put gives a port back.
func (p *ports) put(port int, now time.Time) {
	p.free[(p.first+p.count)%len(p.free)] = freePort{port: port, since: now}
	p.count++
}
