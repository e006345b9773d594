package record

import (
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// The collector's bounds (spec privacy.md, "SIP messages").
const (
	maxCallBytes = 64 << 10 // of a call's set-up, and again of what follows it
	maxHeldBytes = 64 << 20 // of all calls being set up
	busyRate     = 20       // calls a second: from here on only marked numbers' calls are kept
	rateSeconds  = 10       // over which the rate is taken
	maxFailures  = 20       // failed calls a second whose messages are stored

	strangerFor = 10 * time.Second // messages of a call that never opens are held
	endedFor    = 5 * time.Second  // a call is remembered after its end, for its last messages
)

// tap holds the SIP messages of calls until it is known whether they are wanted.
type tap struct {
	emit func([]Message) // where wanted messages go; called under mu, must not block

	mu       sync.Mutex
	calls    map[phone.CallID]*tapped
	leave    []leaving // when calls are looked at again; ordered by time
	held     int       // bytes
	began    perSecond // calls
	failures perSecond // failed calls stored
}

// tapped is what the tap knows of one call.
type tapped struct {
	state  tapState
	opened bool
	marked bool
	over   bool // ended: only late messages come
	cut    bool // the limit was reached
	seq    int
	bytes  int // since the beginning, or since the decision
	held   []Message
}

type tapState int

const (
	tapHold tapState = iota // undecided: held in memory
	tapKeep                 // messages go straight to the writer
	tapDrop
)

type leaving struct {
	id   phone.CallID
	at   time.Time
	over bool // it has ended; else it goes only if it never opened
}

func newTap(emit func([]Message)) *tap {
	return &tap{emit: emit, calls: map[phone.CallID]*tapped{}}
}

// message takes one message of a call, and its bytes with it.
func (t *tap) message(m Message) {
	now := time.Now()
	if m.At.IsZero() {
		m.At = now
	}
	m.At = micros(m.At)
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.call(m.Call, now)
	if c.state == tapDrop || c.cut {
		return
	}
	hold := c.state == tapHold
	if c.bytes+len(m.Raw) > maxCallBytes || hold && t.held+len(m.Raw) > maxHeldBytes {
		c.cut = true
		m.Raw = nil
	}
	c.seq++
	m.Seq = c.seq
	c.bytes += len(m.Raw)
	if hold {
		c.held = append(c.held, m)
		t.held += len(m.Raw)
		return
	}
	t.emit([]Message{m})
}

// opened says that the call has a record, and whether its number is marked.
func (t *tap) opened(id phone.CallID, marked bool) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began.add(now)
	c := t.call(id, now)
	c.opened, c.marked = true, marked
}

// answered decides for a call that is still held.
func (t *tap) answered(id phone.CallID) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.calls[id]; ok && c.state == tapHold {
		t.decide(c, c.marked || t.began.last(now, rateSeconds) < busyRate*rateSeconds)
	}
}

// ended decides for a call that is still held, and forgets the call soon after.
func (t *tap) ended(id phone.CallID, wasAnswered bool) {
	if wasAnswered {
		t.answered(id)
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.calls[id]
	if !ok || c.over {
		return
	}
	if c.state == tapHold {
		keep := c.marked || t.failures.last(now, 1) < maxFailures
		if keep {
			t.failures.add(now)
		}
		t.decide(c, keep)
	}
	c.over = true
	t.leave = append(t.leave, leaving{id, now.Add(endedFor), true})
}

func (t *tap) decide(c *tapped, keep bool) {
	held := c.held
	t.release(c)
	c.bytes, c.cut = 0, false
	c.state = tapDrop
	if keep {
		c.state = tapKeep
		if len(held) > 0 {
			t.emit(held)
		}
	}
}

// call finds or makes the entry of a call, and first lets go of those whose
// time has come.
func (t *tap) call(id phone.CallID, now time.Time) *tapped {
	t.forget(now)
	c, ok := t.calls[id]
	if !ok {
		c = &tapped{}
		t.calls[id] = c
		t.leave = append(t.leave, leaving{id, now.Add(strangerFor), false})
	}
	return c
}

// forget lets go of calls that ended, and of those that never opened: answered
// by the stack alone, they have no record.
func (t *tap) forget(now time.Time) {
	n := 0
	for n < len(t.leave) && !now.Before(t.leave[n].at) {
		l := t.leave[n]
		if c, ok := t.calls[l.id]; ok && (l.over || !c.opened) {
			t.release(c)
			delete(t.calls, l.id)
		}
		n++
	}
	t.leave = t.leave[n:]
}

func (t *tap) release(c *tapped) {
	for i := range c.held {
		t.held -= len(c.held[i].Raw)
	}
	c.held = nil
}

// perSecond counts events in whole seconds, as far back as rateSeconds.
type perSecond struct {
	second [rateSeconds]int64 // since 1970
	count  [rateSeconds]int
}

func (p *perSecond) add(now time.Time) {
	s := now.Unix()
	i := s % rateSeconds
	if p.second[i] != s {
		p.second[i], p.count[i] = s, 0
	}
	p.count[i]++
}

// last counts the events of the current second and the n−1 before it.
func (p *perSecond) last(now time.Time, n int64) int {
	sum := 0
	for i, s := range p.second {
		if s > now.Unix()-n {
			sum += p.count[i]
		}
	}
	return sum
}
