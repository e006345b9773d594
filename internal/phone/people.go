package phone

import (
	"net/netip"
	"time"
)

// User is a person who can be rung. Values are shared by readers of a directory
// snapshot: never change one.
type User struct {
	ID           UserID
	Name         string
	Email        string            // unique, compared without case
	WrapUp       time.Duration     // after each call; 0 none
	Phones       []string          // usernames of their phones, unique in the directory
	CallerNumber E164              // who they are when they dial one of our numbers; empty: withheld
	MayDial      bool              // outside numbers from their phones
	ExternalIDs  map[string]string // id space ("hubspot") → their id there
	CreatedAt    time.Time
}

// Team is an ordered group of users.
type Team struct {
	ID          TeamID
	Name        string
	Members     []UserID // in the document's order
	ExternalIDs map[string]string
	CreatedAt   time.Time
}

// Number is one of our own numbers, and the flow that its calls follow.
type Number struct {
	ID        NumberID
	Name      string
	Digits    E164
	Flow      string
	Priority  int  // waiting callers of a higher one come first
	KeepSIP   bool // keep the SIP messages of every call
	CreatedAt time.Time
}

// Availability is what a user is to routing at one moment.
type Availability string

const (
	Available   Availability = "available"
	RingingNow  Availability = "ringing" // claimed by another call's offer: busy for a moment
	InCall      Availability = "in_call"
	WrappingUp  Availability = "wrap_up"
	Unavailable Availability = "unavailable" // set so, outside working hours, auto-away
	Offline     Availability = "offline"     // no phone registered and no forwarding
)

// Busy says that the user will become free by itself: a caller may wait.
func (a Availability) Busy() bool {
	return a == RingingNow || a == InCall || a == WrappingUp
}

// Contact is one registered phone of a user (RFC 3261 §10): where it said it
// is, and where its REGISTER came from, which is where its calls are sent.
type Contact struct {
	User      UserID
	Username  string         // the AOR's user part
	URI       string         // the registered Contact URI, becomes the Request-URI
	Source    netip.AddrPort // the REGISTER's source
	Transport string         // "udp", "tcp"
	Instance  string         // RFC 5626 +sip.instance, if any
	ExpiresAt time.Time
}

// Destination is one thing to send an INVITE to: a user's contact, or an
// outside number by a trunk.
type Destination struct {
	Contact Contact // when Trunk is empty
	Trunk   string
	Number  E164 // dialled by Trunk
}

// User is whose phone it is, zero for an outside number.
func (d Destination) User() UserID {
	if d.Trunk != "" {
		return 0
	}
	return d.Contact.User
}
