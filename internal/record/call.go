package record

import (
	"encoding/json"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// Direction of a call, seen from the company.
type Direction string

const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// Status is how far a call is, in the words of the /v1 API.
type Status string

const (
	Initial  Status = "initial"  // nobody has answered yet
	Answered Status = "answered" // a person talks
	Done     Status = "done"     // over
)

// MissedReason is why nobody answered, in the words of the /v1 API.
type MissedReason string

const (
	MissedShortAbandoned MissedReason = "short_abandoned"       // left before any phone rang, or under 10 s after the first INVITE
	MissedDidNotAnswer   MissedReason = "agents_did_not_answer" // left at 10 s or later, or the flow ended after ringing
	MissedNoAgent        MissedReason = "no_available_agent"    // the flow ended with nobody rung
	MissedClosed         MissedReason = "out_of_opening_hours"  // not yet: opening hours
	MissedInIVR          MissedReason = "abandoned_in_ivr"      // later
)

// Call is the account of one call. One call is one record, whatever it passes
// through. Zero times and ids mean "not (yet)".
type Call struct {
	ID         phone.CallID
	Direction  Direction
	Status     Status
	Caller     phone.E164     // calling party; empty: withheld
	CallerName string         // as the trunk said; never trusted
	CallerUser phone.UserID   // the user who dialled, when a phone of ours did
	Called     phone.E164     // the number dialled first
	Number     phone.NumberID // the number of ours dialled first
	Trunk      string         // the trunk it came by, or went by when outbound
	SIPCallID  string         // Call-ID of the caller's leg (RFC 3261 §8.1.1.4); the /v1 "sid"

	StartedAt   time.Time
	ConnectedAt time.Time // our media answered the caller (not yet)
	AnsweredAt  time.Time // a person answered
	EndedAt     time.Time

	User     phone.UserID // who answered; outbound: who dialled
	External phone.E164   // the outside number that answered
	Cause    phone.Cause  // how it ended
	EndedBy  string       // caller, callee, system
	Missed   MissedReason // empty when answered
	Teams    []phone.TeamID
	Steps    []Note  // what was decided, in order, with reasons
	Offers   []Offer // who was rung
	Erased   bool    // privacy: the outside number is gone

	// Edited by people, never by the call: comments, tags, archive.
	Archived bool

	// Version grows with every state handed to the Writer, which sets it
	// (microseconds since 1970); a store keeps the state with the highest.
	Version int64
}

// Note is one thing that was decided in a call and why.
type Note struct {
	At     time.Time     `json:"at"`
	Flow   string        `json:"flow,omitempty"`
	Step   string        `json:"step,omitempty"`
	Kind   string        `json:"kind"`             // the step's kind: ring_to_api, ring_to, redirect_to, hang_up; or "end"
	Exit   string        `json:"exit,omitempty"`   // matched, no_match, …; of a ringing step: answered, no_answer, busy, …
	Reason string        `json:"reason,omitempty"` // lookup.md section 5, or why a ringing step ended
	Value  string        `json:"value,omitempty"`  // what the lookup's path found
	Target *phone.Target `json:"target,omitempty"`
	Dur    time.Duration `json:"dur,omitempty"` // how long the step took
	// Show are facts for whoever is rung (response.show).
	Show map[string]string `json:"show,omitempty"`
	// Detail is the lookup's trace (lookup.md section 7), already cut to what
	// privacy.md lets a call keep. The store keeps it in a table of its own.
	Detail json.RawMessage `json:"detail,omitempty"`
}

// Offer is one user or outside number that was rung, on one destination.
type Offer struct {
	Step     string       `json:"step,omitempty"`
	User     phone.UserID `json:"user,omitempty"`
	External phone.E164   `json:"external,omitempty"`
	Phone    string       `json:"phone,omitempty"` // username of the phone, or the trunk
	At       time.Time    `json:"at"`              // the INVITE
	RangAt   time.Time    `json:"rang_at,omitzero"`
	EndedAt  time.Time    `json:"ended_at,omitzero"`
	Result   string       `json:"result"`           // answered, no_answer, declined, busy, elsewhere, cancelled, failed, …
	Status   int          `json:"status,omitempty"` // the phone's final SIP status
}

// Outside is the party that is not ours: the caller of an inbound call, the
// dialled number of an outbound one.
func (c *Call) Outside() phone.E164 {
	if c.Direction == Outbound {
		return c.Called
	}
	return c.Caller
}

// Message is one SIP message of a call as it went over the wire, with
// credentials masked. One without Raw stands where a call's limit was reached
// and later messages were left out.
type Message struct {
	Call phone.CallID
	Seq  int // 1, 2, … within the call; the Writer sets it
	At   time.Time
	Sent bool   // by us
	From string // address:port/transport
	To   string
	Raw  []byte
}

// Dialog is one answered leg, kept while it lives, so that after a crash it can
// be sent a BYE (RFC 3261 §12, §15.1.1).
type Dialog struct {
	Leg       phone.LegID
	Call      phone.CallID
	CallID    string // SIP Call-ID
	LocalURI  string // with its tag: <sip:…>;tag=…
	RemoteURI string
	Target    string   // remote target URI
	Routes    []string // route set, in order
	CSeq      uint32   // last one we used
	Transport string
	Addr      string // where requests go: ip:port
}
