package presence

import (
	"slices"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// Presence knows who is free. The zero value is not usable: call New.
type Presence struct {
	mu      sync.Mutex
	users   map[phone.UserID]*user
	waiting []*Ticket // ordered: priority, then arrival
}

// user is what is known of one user. Users without phones and claims are forgotten.
type user struct {
	phones int // registered now
	claims map[*Ticket]claim
}

// claim is a ticket's lease on a user. It ends with Release, or by itself at
// until; a talking one only with Release.
type claim struct {
	phase phase
	until time.Time
}

// phase is what a claim is for: reserved → ringing → talking.
type phase int

const (
	reserved phase = iota // became free while the ticket waited for them
	ringing               // offered the call
	talking
)

// New returns a Presence in which everybody is offline.
func New() *Presence {
	return &Presence{users: make(map[phone.UserID]*user)}
}

// SetPhones says how many phones of the user are registered now.
func (p *Presence) SetPhones(id phone.UserID, registered int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.user(id).phones = registered
	p.changed(id)
}

// State is what the user is to routing now.
func (p *Presence) State(id phone.UserID) phone.Availability {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state(id, nil)
}

// Enter takes a ticket for one ringing step of a call. Of waiting calls the
// higher priority comes first, then the earlier arrival.
func (p *Presence) Enter(call phone.CallID, priority int, arrived time.Time) *Ticket {
	return &Ticket{
		presence: p, call: call, priority: priority, arrived: arrived,
		changed: make(chan struct{}, 1),
	}
}

// Occupy marks a user as in a call that they made themselves. The ticket's
// Close frees them.
func (p *Presence) Occupy(id phone.UserID, call phone.CallID) *Ticket {
	t := p.Enter(call, 0, time.Now())
	p.mu.Lock()
	defer p.mu.Unlock()
	t.hold(id, claim{phase: talking})
	p.changed(id)
	return t
}

func (p *Presence) user(id phone.UserID) *user {
	u := p.users[id]
	if u == nil {
		u = &user{claims: make(map[*Ticket]claim)}
		p.users[id] = u
	}
	return u
}

// state is the user's state as the holder of mine sees it: a user reserved for
// mine is available to it.
func (p *Presence) state(id phone.UserID, mine *Ticket) phone.Availability {
	u := p.users[id]
	if u == nil {
		return phone.Offline
	}
	state := phone.Available
	if u.phones == 0 {
		state = phone.Offline
	}
	now := time.Now()
	for t, c := range u.claims {
		switch {
		case c.phase == talking:
			return phone.InCall
		case t == mine || now.After(c.until):
		case state == phone.Available:
			state = phone.RingingNow
		}
	}
	return state
}

// changed matches a user whose state changed with the first ticket that waits
// for them, claims them for it, and wakes everybody who looks at them.
func (p *Presence) changed(id phone.UserID) {
	u := p.users[id]
	free := p.state(id, nil) == phone.Available
	for _, t := range p.waiting {
		if !slices.Contains(t.wanted, id) {
			continue
		}
		if free {
			t.hold(id, claim{phase: reserved, until: time.Now().Add(reserveLease)})
			free = false
		}
		t.wake()
	}
	if u.phones == 0 && len(u.claims) == 0 {
		delete(p.users, id)
	}
}

// reserveLease is how long a user stays reserved for a waiting call that has
// been woken but has not yet claimed them.
const reserveLease = 5 * time.Second
