package phonetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// Act is one thing that a fake phone does, a time after its INVITE.
type Act struct {
	After time.Duration
	Event phone.Event // At is filled in
}

// Script is what a fake phone does when it is rung, in order of time. An empty
// one never answers anything.
type Script []Act

// Rings rings after a time and goes on ringing.
func Rings(after time.Duration) Script {
	return Script{{after, phone.Event{Kind: phone.LegRinging}}}
}

// Answers rings, then answers; both counted from the INVITE.
func Answers(ring, answer time.Duration) Script {
	return append(Rings(ring), Act{answer, phone.Event{Kind: phone.LegAnswered}})
}

// Ends rings, then ends with a cause and a status; both counted from the INVITE.
func Ends(ring, end time.Duration, cause phone.Cause, status int) Script {
	return append(Rings(ring), Act{end, phone.Event{Kind: phone.LegEnded, Cause: cause, Status: status}})
}

// Declines rings, then its user declines (603).
func Declines(ring, decline time.Duration) Script {
	return Ends(ring, decline, phone.CauseDeclined, 603)
}

// Fails ends without ringing.
func Fails(after time.Duration, cause phone.Cause, status int) Script {
	return Script{{after, phone.Event{Kind: phone.LegEnded, Cause: cause, Status: status}}}
}

// HangsUp adds a BYE to a script, a time after the INVITE.
func (s Script) HangsUp(after time.Duration) Script {
	return append(s[:len(s):len(s)], Act{after, phone.Event{Kind: phone.LegEnded, Cause: phone.CauseNormal}})
}

// Network is a phone.Network whose phones do what their scripts say.
type Network struct {
	// OnChange, if set, hears the number of a user's contacts at each change.
	OnChange func(user phone.UserID, contacts int)
	// DialError, if set, is asked before each Dial; an error is returned as is.
	DialError func(phone.Dial) error

	mu       sync.Mutex
	contacts []phone.Contact
	scripts  map[string]Script // by username or "trunk:NAME"
	legs     []*Leg
}

// NewNetwork makes a network without phones.
func NewNetwork() *Network {
	return &Network{scripts: map[string]Script{}}
}

// Register adds a phone of a user, or gives it a new script.
func (n *Network) Register(user phone.UserID, username string, s Script) phone.Contact {
	n.mu.Lock()
	c := phone.Contact{User: user, Username: username, URI: "sip:" + username + "@192.0.2.7:5060", Transport: "udp"}
	known := false
	for _, k := range n.contacts {
		known = known || k.Username == username
	}
	if !known {
		n.contacts = append(n.contacts, c)
	}
	n.scripts[username] = s
	count := n.count(user)
	n.mu.Unlock()
	if n.OnChange != nil {
		n.OnChange(user, count)
	}
	return c
}

// Unregister takes a phone away.
func (n *Network) Unregister(username string) {
	n.mu.Lock()
	var user phone.UserID
	for i, c := range n.contacts {
		if c.Username == username {
			user = c.User
			n.contacts = append(n.contacts[:i:i], n.contacts[i+1:]...)
			break
		}
	}
	count := n.count(user)
	n.mu.Unlock()
	if user != 0 && n.OnChange != nil {
		n.OnChange(user, count)
	}
}

// Trunk says what everybody reached by a trunk does.
func (n *Network) Trunk(name string, s Script) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.scripts["trunk:"+name] = s
}

// count is called with n.mu held.
func (n *Network) count(user phone.UserID) (k int) {
	for _, c := range n.contacts {
		if c.User == user {
			k++
		}
	}
	return k
}

// Contacts are the phones of a user, in order of registration.
func (n *Network) Contacts(user phone.UserID) (of []phone.Contact) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.contacts {
		if c.User == user {
			of = append(of, c)
		}
	}
	return of
}

// Dial makes a Leg that follows its phone's script. A phone that is not
// registered (any more), or a trunk without script, is unreachable at once.
func (n *Network) Dial(ctx context.Context, d phone.Dial) (phone.Leg, error) {
	if n.DialError != nil {
		if err := n.DialError(d); err != nil {
			return nil, err
		}
	}
	n.mu.Lock()
	key := d.To.Contact.Username
	if d.To.Trunk != "" {
		key = "trunk:" + d.To.Trunk
	}
	s, ok := n.scripts[key]
	if !ok {
		s = Fails(0, phone.CauseUnreachable, 0)
	}
	l := newLeg(phone.LegID(fmt.Sprintf("%d.%d", d.Call, len(n.legs)+2)), d)
	n.legs = append(n.legs, l)
	n.mu.Unlock()
	l.run(ctx, s)
	return l, nil
}

// Legs are all that were dialled, in order.
func (n *Network) Legs() []*Leg {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*Leg(nil), n.legs...)
}

// Live are the legs that have not ended: none after a test.
func (n *Network) Live() (live []*Leg) {
	for _, l := range n.Legs() {
		if !l.Ended() {
			live = append(live, l)
		}
	}
	return live
}
