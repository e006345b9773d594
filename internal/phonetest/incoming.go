package phonetest

import (
	"errors"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// Incoming is a fake caller.
type Incoming struct {
	// ConfirmAfter is how long the ACK takes after Join; negative: it never
	// comes, and after 32 s the leg ends with CauseLost.
	ConfirmAfter time.Duration
	// JoinError, if set, is what Join returns, with nothing joined.
	JoinError error
	// BeforeJoin, if set, runs as Join begins: for things that cross it.
	BeforeJoin func()

	facts  phone.CallFacts
	events chan phone.Event // sent by this leg alone, closed after LegEnded

	mu      sync.Mutex
	rings   []time.Time
	callee  *Leg
	at      time.Time
	ended   bool
	end     phone.Event
	hangups []Hangup
	timers  []*time.Timer
}

// NewIncoming makes a caller. A zero ID becomes 1, a zero StartedAt now.
func NewIncoming(facts phone.CallFacts) *Incoming {
	if facts.ID == 0 {
		facts.ID = 1
	}
	if facts.StartedAt.IsZero() {
		facts.StartedAt = time.Now()
	}
	return &Incoming{facts: facts, events: make(chan phone.Event, 64)}
}

// ID is "call.1".
func (i *Incoming) ID() phone.LegID { return phone.LegID(i.facts.ID.String() + ".1") }

// Events are what the caller does.
func (i *Incoming) Events() <-chan phone.Event { return i.events }

// Facts are those that it was made with.
func (i *Incoming) Facts() phone.CallFacts { return i.facts }

// SIPCallID is a made-up Call-ID.
func (i *Incoming) SIPCallID() string { return i.facts.ID.String() + "@phonetest" }

// MaxForwards is 70.
func (i *Incoming) MaxForwards() int { return 70 }

// Dialog is a made-up dialog of the leg.
func (i *Incoming) Dialog() record.Dialog {
	return record.Dialog{Leg: i.ID(), Call: i.facts.ID, CallID: i.SIPCallID(), Transport: "udp", Addr: "192.0.2.1:5060"}
}

// Ring is recorded.
func (i *Incoming) Ring() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.ended && i.callee == nil {
		i.rings = append(i.rings, time.Now())
	}
}

// Join joins a Leg of this package that has answered and not ended.
func (i *Incoming) Join(callee phone.Leg) error {
	if i.BeforeJoin != nil {
		i.BeforeJoin()
	}
	if i.JoinError != nil {
		return i.JoinError
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	l, ok := callee.(*Leg)
	switch {
	case i.ended:
		return phone.ErrLegEnded
	case i.callee != nil:
		return errors.New("joined twice")
	case !ok || !l.Answered() || l.Ended():
		return errors.New("joined with a leg that has not answered")
	}
	l.mu.Lock()
	l.joined = true
	l.mu.Unlock()
	i.callee, i.at = l, time.Now()
	wait, event := i.ConfirmAfter, phone.Event{Kind: phone.LegConfirmed}
	if wait < 0 {
		wait, event = 32*time.Second, phone.Event{Kind: phone.LegEnded, Cause: phone.CauseLost}
	}
	if wait == 0 {
		i.emit(event)
		return nil
	}
	i.timers = append(i.timers, time.AfterFunc(wait, func() { i.Do(event) }))
	return nil
}

// Leave is the caller hanging up: a CANCEL before Join, a BYE after it.
func (i *Incoming) Leave() {
	i.mu.Lock()
	defer i.mu.Unlock()
	cause := phone.CauseCancelled
	if i.callee != nil {
		cause = phone.CauseNormal
	}
	i.emit(phone.Event{Kind: phone.LegEnded, Cause: cause})
}

// Do makes the caller do something now.
func (i *Incoming) Do(e phone.Event) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.emit(e)
}

// emit is called with i.mu held.
func (i *Incoming) emit(e phone.Event) {
	if i.ended {
		return
	}
	e.At = time.Now()
	i.events <- e
	if e.Kind != phone.LegEnded {
		return
	}
	i.ended, i.end = true, e
	for _, t := range i.timers {
		t.Stop()
	}
	close(i.events)
}

// Hangup is recorded; the first one ends the leg with its cause.
func (i *Incoming) Hangup(cause phone.Cause) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.hangups = append(i.hangups, Hangup{cause, time.Now()})
	i.emit(phone.Event{Kind: phone.LegEnded, Cause: cause})
}

// Rings are the times at which the caller was told that somebody rings.
func (i *Incoming) Rings() []time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]time.Time(nil), i.rings...)
}

// Callee is the leg that was joined, and when; nil before.
func (i *Incoming) Callee() (*Leg, time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.callee, i.at
}

// Hangups are all that were done, the first one having counted.
func (i *Incoming) Hangups() []Hangup {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]Hangup(nil), i.hangups...)
}

// End is the LegEnded event, zero while the leg lives.
func (i *Incoming) End() phone.Event { i.mu.Lock(); defer i.mu.Unlock(); return i.end }
