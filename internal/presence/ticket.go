package presence

import (
	"slices"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// Ticket is a call's place at Presence during one ringing step: the users it
// waits for and the users it holds. Its methods may be called from any goroutine.
type Ticket struct {
	presence *Presence
	call     phone.CallID
	priority int
	arrived  time.Time
	changed  chan struct{}

	// Guarded by presence.mu:
	wanted []phone.UserID // waited for
	held   []phone.UserID // with a claim of this ticket
}

// Wait puts the ticket among the waiting callers, for these users. Each one
// that becomes free is reserved for the first ticket that wants them.
func (t *Ticket) Wait(users []phone.UserID) {
	p := t.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	t.wanted = slices.Clone(users)
	if !slices.Contains(p.waiting, t) {
		at, _ := slices.BinarySearchFunc(p.waiting, t, before)
		p.waiting = slices.Insert(p.waiting, at, t)
	}
}

// before orders waiting tickets: priority, arrival, call.
func before(a, b *Ticket) int {
	if a.priority != b.priority {
		return b.priority - a.priority
	}
	if c := a.arrived.Compare(b.arrived); c != 0 {
		return c
	}
	return int(a.call - b.call)
}

// Changed is signalled when a user that the ticket waits for has changed state.
func (t *Ticket) Changed() <-chan struct{} { return t.changed }

func (t *Ticket) wake() {
	select {
	case t.changed <- struct{}{}:
	default: // a wake-up is pending already
	}
}

// State is what the user is to this call; a user reserved for it is available.
func (t *Ticket) State(id phone.UserID) phone.Availability {
	t.presence.mu.Lock()
	defer t.presence.mu.Unlock()
	return t.presence.state(id, t)
}

// Claim takes the user for this call until lease, and says whether it could. A
// claimed user is ringing to every other call.
func (t *Ticket) Claim(id phone.UserID, lease time.Time) bool {
	p := t.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state(id, t) != phone.Available {
		return false
	}
	for other := range p.users[id].claims {
		if other != t { // its lease has ended by itself, or the user were not available
			other.drop(id)
		}
	}
	t.hold(id, claim{phase: ringing, until: lease})
	return true
}

// Talk turns the claim into an answered call: the user is busy until Release.
func (t *Ticket) Talk(id phone.UserID) {
	p := t.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	t.hold(id, claim{phase: talking})
	p.changed(id)
}

// Release gives the user back. Safe to call for a user that is not held.
func (t *Ticket) Release(id phone.UserID) {
	p := t.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	p.release(id, t)
}

// Leave takes the ticket out of the waiting callers and gives back the users
// that were reserved for it and not claimed.
func (t *Ticket) Leave() {
	p := t.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	t.leave()
	for _, id := range slices.Clone(t.held) {
		if p.users[id].claims[t].phase == reserved {
			p.release(id, t)
		}
	}
}

// Close leaves and gives back everything that the ticket still holds.
func (t *Ticket) Close() {
	p := t.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	t.leave()
	for _, id := range slices.Clone(t.held) {
		p.release(id, t)
	}
}

func (t *Ticket) leave() {
	p := t.presence
	if i := slices.Index(p.waiting, t); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	t.wanted = nil
}

func (t *Ticket) hold(id phone.UserID, c claim) {
	u := t.presence.user(id)
	if _, held := u.claims[t]; !held {
		t.held = append(t.held, id)
	}
	u.claims[t] = c
}

// drop forgets the ticket's claim on a user, and says whether there was one.
func (t *Ticket) drop(id phone.UserID) bool {
	i := slices.Index(t.held, id)
	if i < 0 {
		return false
	}
	t.held = slices.Delete(t.held, i, i+1)
	delete(t.presence.users[id].claims, t)
	return true
}

func (p *Presence) release(id phone.UserID, t *Ticket) {
	if t.drop(id) {
		p.changed(id)
	}
}
