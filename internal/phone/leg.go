package phone

import (
	"context"
	"time"
)

// CallFacts is what is known of a call when it comes in. It never changes and
// holds only what a trunk or a phone told us: nothing in it is trusted.
type CallFacts struct {
	ID           CallID            `json:"id"`
	Caller       E164              `json:"caller,omitempty"` // empty: withheld or unreadable
	CallerName   string            `json:"caller_name,omitempty"`
	Verification string            `json:"verification,omitempty"` // A, B, C, failed, none (STIR/SHAKEN)
	CallerUser   UserID            `json:"caller_user,omitempty"`  // calls from a phone of ours
	Called       E164              `json:"called,omitempty"`
	Number       NumberID          `json:"number,omitempty"` // the number of ours that was dialled; 0: an outside number
	Trunk        string            `json:"trunk,omitempty"`
	Headers      map[string]string `json:"headers,omitempty"` // allowed ones, lower-case names
	StartedAt    time.Time         `json:"started_at"`
}

// EventKind is what happened on a leg. The language is small on purpose: no leg
// ever sees another's protocol.
type EventKind int

const (
	_            EventKind = iota
	LegRinging             // an outgoing leg's phone rings (180, 183)
	LegAnswered            // an outgoing leg was answered (2xx). At most once
	LegConfirmed           // an answered incoming leg's ACK came. At most once
	LegUpdated             // the other party changed its media (hold, resume), already carried out
	LegEnded               // the leg is over; always the last event, exactly once
)

// Event is something that happened on a leg.
type Event struct {
	Kind   EventKind
	At     time.Time
	Cause  Cause  // LegEnded: why
	Status int    // LegEnded: the protocol's final status, 486; 0 if there was none
	Detail string // LegEnded, LegUpdated: "hold", "resume", or a short reason for the record
}

// Leg is one party's half of a call.
//
// Events delivers what the other party does, in order, buffered so that the leg
// never blocks; the channel is closed after LegEnded. Whoever holds the leg must
// read it until then.
type Leg interface {
	ID() LegID
	Events() <-chan Event
	// Hangup ends the leg as its state demands: a final response to an incoming
	// INVITE, CANCEL to a ringing one, ACK and BYE to an answer that crossed, BYE
	// to a talking one. Safe to call at any time and twice; only the first cause
	// counts. It does not wait for the other party; LegEnded follows.
	Hangup(cause Cause)
}

// IncomingLeg is the caller's leg. Its network has sent 100 before handing it over.
type IncomingLeg interface {
	Leg
	Facts() CallFacts
	// Ring tells the caller that somebody rings (180). Repeated calls send it again.
	Ring()
	// Join answers the caller with the media of the answered leg callee, and
	// carries media between them until either ends. ErrLegEnded: the caller left
	// first; then nothing was answered and callee is as it was. Other errors
	// (no common codec) leave both legs as they were.
	Join(callee Leg) error
}

// Dial says how an outgoing leg is to be made.
type Dial struct {
	Call    CallID
	Caller  IncomingLeg // whose media it will carry
	To      Destination
	From    E164   // empty: anonymous
	Display string // display name for whoever is rung; ≤ 64 characters, no control characters
	// MaxForwards is what the caller's INVITE had, less one (RFC 3261 §16.6).
	MaxForwards int
}

// Network is a way to reach phones: our SIP stack, later others.
type Network interface {
	// Contacts are the registered phones of a user, none when offline.
	Contacts(UserID) []Contact
	// Dial sends the INVITE and returns at once; the leg reports what happens.
	// Cancelling ctx is Hangup(CauseCancelled).
	Dial(ctx context.Context, d Dial) (Leg, error)
}

// Handler takes the incoming legs of a network and returns when the call is over.
type Handler interface {
	Serve(leg IncomingLeg)
}
