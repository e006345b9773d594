package flow

import (
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/ring"
)

// ActionKind is what is to be done with the call.
type ActionKind string

const (
	// Ring: ring Action.Targets by Action.Settings. Answered by RingDone; also by
	// PeerLeft when the answered party has hung up meanwhile.
	Ring ActionKind = "ring"
	// Talk: somebody has answered, leave them talking. Answered by PeerLeft.
	Talk ActionKind = "talk"
	// End: end the call with Action.Cause. Nothing answers it.
	End ActionKind = "end"
)

// Action is what to do next. The fields that its kind does not name are zero.
type Action struct {
	Kind ActionKind `json:"kind"`
	Seq  int64      `json:"seq"` // what the Event that answers it must carry
	Flow string     `json:"flow,omitempty"`
	Step string     `json:"step,omitempty"`
	// Targets of Ring, in order: users and teams (not taken apart; users who
	// declined are in State.Declined), or exactly one outside number.
	Targets  []phone.Target    `json:"targets,omitempty"`
	Settings ring.Settings     `json:"settings,omitzero"`
	Show     map[string]string `json:"show,omitempty"` // facts for whoever is rung
	Cause    phone.Cause       `json:"cause,omitempty"`
}

// Outcome is how a Ring went, in the words of spec/ringing.md.
type Outcome string

const (
	Answered    Outcome = "answered"
	NoAnswer    Outcome = "no_answer"
	Busy        Outcome = "busy"
	Unavailable Outcome = "unavailable" // nobody there: offline, unavailable, no members
	Declined    Outcome = "declined"
	Failed      Outcome = "failed"
	Overflow    Outcome = "overflow" // a limit was reached
)

// EventKind is what happened.
type EventKind string

const (
	Begin      EventKind = "begin"       // the call came in; Seq 0
	RingDone   EventKind = "ring_done"   // a Ring is over: Outcome, By, Declined
	PeerLeft   EventKind = "peer_left"   // the party that answered hung up
	CallerLeft EventKind = "caller_left" // always accepted, whatever its Seq
)

// Event is what happened to the call since the last Action.
type Event struct {
	Kind     EventKind      `json:"kind"`
	Seq      int64          `json:"seq"` // of the Action that it answers; Begin: 0
	Outcome  Outcome        `json:"outcome,omitempty"`
	By       phone.Target   `json:"by,omitzero"`        // RingDone, answered: the user or outside number
	Declined []phone.UserID `json:"declined,omitempty"` // RingDone: who declined; they are out for the whole call
}

// Result is what Next answers.
type Result struct {
	Do    Action        `json:"do"`
	State State         `json:"state"`
	Notes []record.Note `json:"notes,omitempty"` // what was decided, for the call's account
}
