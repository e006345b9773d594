package phonetest

import (
	"context"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// Hangup is what somebody did to a leg.
type Hangup struct {
	Cause phone.Cause
	At    time.Time
}

// Leg is a fake outgoing leg.
type Leg struct {
	// Dialled is how it was made, and StartedAt when.
	Dialled   phone.Dial
	StartedAt time.Time

	id     phone.LegID
	events chan phone.Event // sent by this leg alone, closed after LegEnded; room for every event a script may hold

	mu       sync.Mutex
	answered bool
	joined   bool
	ended    bool
	end      phone.Event
	hangups  []Hangup
	timers   []*time.Timer
	stop     func() bool // the context's
}

func newLeg(id phone.LegID, d phone.Dial) *Leg {
	return &Leg{id: id, Dialled: d, StartedAt: time.Now(), events: make(chan phone.Event, 64)}
}

func (l *Leg) run(ctx context.Context, s Script) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, act := range s {
		if act.After == 0 {
			l.emit(act.Event)
			continue
		}
		l.timers = append(l.timers, time.AfterFunc(act.After, func() { l.Do(act.Event) }))
	}
	if !l.ended {
		l.stop = context.AfterFunc(ctx, func() { l.Hangup(phone.CauseCancelled) })
	}
}

// Do makes the phone do something now.
func (l *Leg) Do(e phone.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.emit(e)
}

// emit is called with l.mu held.
func (l *Leg) emit(e phone.Event) {
	if l.ended {
		return
	}
	e.At = time.Now()
	l.answered = l.answered || e.Kind == phone.LegAnswered
	l.events <- e
	if e.Kind != phone.LegEnded {
		return
	}
	l.ended, l.end = true, e
	for _, t := range l.timers {
		t.Stop()
	}
	if l.stop != nil {
		l.stop()
	}
	close(l.events)
}

// ID is "call.number".
func (l *Leg) ID() phone.LegID { return l.id }

// Events are what the script does.
func (l *Leg) Events() <-chan phone.Event { return l.events }

// Hangup is recorded; the first one ends the leg with its cause.
func (l *Leg) Hangup(cause phone.Cause) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hangups = append(l.hangups, Hangup{cause, time.Now()})
	l.emit(phone.Event{Kind: phone.LegEnded, Cause: cause})
}

// Hangups are all that were done, the first one having counted.
func (l *Leg) Hangups() []Hangup {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Hangup(nil), l.hangups...)
}

// Answered says that the phone answered, whether or not somebody joined it.
func (l *Leg) Answered() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.answered }

// Joined says that a caller was joined with this leg.
func (l *Leg) Joined() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.joined }

// Ended says that LegEnded was sent.
func (l *Leg) Ended() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.ended }

// End is the LegEnded event, zero while the leg lives.
func (l *Leg) End() phone.Event { l.mu.Lock(); defer l.mu.Unlock(); return l.end }

// Dialog is a made-up dialog of the leg.
func (l *Leg) Dialog() record.Dialog {
	return record.Dialog{Leg: l.id, Call: l.Dialled.Call, CallID: string(l.id), Transport: "udp", Addr: "192.0.2.7:5060"}
}
