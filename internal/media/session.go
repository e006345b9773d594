package media

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Side is one of the two parties of a session.
type Side int

const (
	CallerSide Side = iota // who called
	PhoneSide              // who is rung: all branches of one ring step share it
)

func (s Side) other() Side { return 1 - s }

// Session is the media of one call. It is safe for concurrent use.
//
//	Open ──► Port, SetRemote … ──► Start ──► SetRemote (re-INVITE) … ──► Close
//
// Until Start everything that arrives is dropped.
type Session struct {
	relay *Relay

	mu      sync.Mutex // guards what follows
	sides   [2]side
	started bool
	closed  bool
	readers sync.WaitGroup
}

// side is our ports toward one party and what we know of it.
type side struct {
	pair      *pair // nil: not opened yet
	rtp, rtcp latch
}

// Stats counts the packets of a session, RTP and RTCP together.
type Stats struct {
	ToPhone, ToCaller uint64 // forwarded
	Strangers         uint64 // dropped: not from the party or its locked source, or beyond 1000 a second
	Junk              uint64 // dropped: not RTP, not RTCP, or too long
}

// Port is our RTP port on that side, always even; RTCP is the next one. The
// phone side's is opened at the first call: ErrNoPorts.
func (s *Session) Port(at Side) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	if s.sides[at].pair == nil {
		p, err := s.relay.openPair()
		if err != nil {
			return 0, err
		}
		s.sides[at].pair = p
	}
	return s.sides[at].pair.port, nil
}

// NewPhones begins another ring step: the phones of the one before may still
// send to its port, so that the next Port(PhoneSide) opens another. Nothing
// happens after Start.
func (s *Session) NewPhones() {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.sides[PhoneSide].pair
	if s.started || s.closed || old == nil {
		return
	}
	s.relay.rest(old)
	s.sides[PhoneSide] = side{}
}

// SetRemote says where a side's packets go and may come from: the address of its
// description d, or that of its signalling, for phones behind NAT. After Start
// it is a re-INVITE, and for 5 s the party may move to another source.
func (s *Session) SetRemote(at Side, d *Description, signalling netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	signalling = signalling.Unmap()
	s.sides[at].rtp.set(d.RTP, signalling)
	s.sides[at].rtcp.set(d.RTCP, signalling)
}

// Start joins the sides: from now on each hears the other, as far as SetRemote
// has said where they are. Nothing happens the second time. It fails only when
// the phone side has no port yet and there is none: ErrNoPorts.
func (s *Session) Start() error {
	if _, err := s.Port(PhoneSide); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.closed {
		return nil
	}
	s.started = true
	for at := range s.sides {
		s.sides[at].rtp.start()
		s.sides[at].rtcp.start()
	}
	for at := range s.sides {
		from, to := &s.sides[at], &s.sides[Side(at).other()]
		s.join(from.pair.rtp, &from.rtp, to.pair.rtp, &to.rtp, sourceRTP)
		s.join(from.pair.rtcp, &from.rtcp, to.pair.rtcp, &to.rtcp, sourceRTCP)
	}
	return nil
}

// Close ends the session; its ports go back to the relay. When it returns, no
// goroutine of the session is left. Safe to call twice.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	if s.started {
		for i := range s.sides {
			if p := s.sides[i].pair; p.deadline(aLongTimeAgo) != nil {
				p.close() // a network without deadlines
			}
		}
		s.readers.Wait()
	}
	s.relay.forget(s)
}

// aLongTimeAgo ends reading at once.
var aLongTimeAgo = time.Unix(1, 0)

// forget gives a closed session's ports back.
func (r *Relay) forget(s *Session) {
	for i := range s.sides {
		if p := s.sides[i].pair; p != nil {
			r.rest(p)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, s)
}

// Stats counts what was relayed so far.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sum Stats
	for at := range s.sides {
		for _, l := range []*latch{&s.sides[at].rtp, &s.sides[at].rtcp} {
			passed, strangers, junk := l.counts()
			sum.Strangers += strangers
			sum.Junk += junk
			if Side(at) == CallerSide {
				sum.ToPhone += passed
			} else {
				sum.ToCaller += passed
			}
		}
	}
	return sum
}
