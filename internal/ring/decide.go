package ring

import (
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// Party is one that a call can be offered to: a user, or an outside number.
type Party struct {
	User     phone.UserID `json:"user,omitempty"`
	External phone.E164   `json:"external,omitempty"`
}

// Candidate is a party as it is at this moment. An outside number is always
// available.
type Candidate struct {
	Party
	State phone.Availability
}

// Outcome is how an offer, or a whole ringing step, ended.
type Outcome string

const (
	Open        Outcome = "" // still ringing
	Answered    Outcome = "answered"
	NoAnswer    Outcome = "no_answer"   // rang out
	Busy        Outcome = "busy"        // everybody is in a call
	Unavailable Outcome = "unavailable" // nobody is there
	Declined    Outcome = "declined"    // a person said no
	Failed      Outcome = "failed"      // the phone or the network did
	Cancelled   Outcome = "cancelled"   // the caller left first
	Elsewhere   Outcome = "elsewhere"   // another phone answered (of an offer only)
)

// Progress is what a ringing step has been through. It survives JSON.
type Progress struct {
	Deadline time.Time `json:"deadline"` // when the step ends
	Tries    []Try     `json:"tries,omitempty"`
}

// Try is a party that was offered the call in this step, and how that ended.
type Try struct {
	Party  Party   `json:"party"`
	Result Outcome `json:"result,omitempty"`
}

// Begin is the progress of a step that begins now and ends at latest at the
// latest (zero: no such limit).
func Begin(now time.Time, s Settings, latest time.Time) Progress {
	p := Progress{Deadline: now.Add(s.Limit())}
	if !latest.IsZero() && latest.Before(p.Deadline) {
		p.Deadline = latest
	}
	return p
}

// Act is what a Decision asks for.
type Act int

const (
	Offer Act = iota + 1 // ring Parties now; then ask again
	Wait                 // for an event, until Until; then ask again
	Done                 // the step is over with Outcome
)

// Decision is what to do now.
type Decision struct {
	Act     Act
	Parties []Party   // Offer
	Until   time.Time // Offer, Wait
	Outcome Outcome   // Done
}

// Decide says what to do now, given who is how and what was tried. It is a pure
// function, asked again at every event; the Progress it returns has the parties
// of an Offer among its tries.
//
// Everybody free is offered the call at once. Somebody who is ringing for
// another call is waited for within the step; somebody who is in a call or away
// is not (spec ringing.md).
func Decide(now time.Time, s Settings, candidates []Candidate, p Progress) (Decision, Progress) {
	if p.has(Answered) {
		return Decision{Act: Done, Outcome: Answered}, p
	}
	if !now.Before(p.Deadline) {
		return Decision{Act: Done, Outcome: rangOut(candidates, p)}, p
	}
	var free []Party
	var wait, busy bool
	for _, c := range candidates {
		switch {
		case p.tried(c.Party):
		case c.External != "", c.State == phone.Available:
			free = append(free, c.Party)
		case c.State == phone.RingingNow:
			wait = true
		case c.State.Busy():
			busy = true
		}
	}
	switch {
	case len(free) > 0:
		tries := make([]Try, len(p.Tries), len(p.Tries)+len(free))
		copy(tries, p.Tries)
		for _, party := range free {
			tries = append(tries, Try{Party: party})
		}
		p.Tries = tries
		return Decision{Act: Offer, Parties: free, Until: p.Deadline}, p
	case wait || p.has(Open):
		return Decision{Act: Wait, Until: p.Deadline}, p
	}
	return Decision{Act: Done, Outcome: exhausted(p, busy)}, p
}

// exhausted is the outcome when nobody is left to ring before the time is over.
func exhausted(p Progress, busy bool) Outcome {
	for _, o := range []Outcome{Declined, Busy, Failed, Unavailable} {
		if p.has(o) {
			return o
		}
	}
	if busy {
		return Busy
	}
	return Unavailable
}

// rangOut is the outcome when the time is over.
func rangOut(candidates []Candidate, p Progress) Outcome {
	if len(p.Tries) > 0 {
		if p.has(Open) || p.has(NoAnswer) {
			return NoAnswer
		}
		return exhausted(p, false)
	}
	for _, c := range candidates {
		if c.State.Busy() {
			return Busy
		}
	}
	return NoAnswer
}

func (p Progress) has(o Outcome) bool {
	for _, t := range p.Tries {
		if t.Result == o {
			return true
		}
	}
	return false
}

func (p Progress) tried(party Party) bool {
	for _, t := range p.Tries {
		if t.Party == party {
			return true
		}
	}
	return false
}

// ended notes how the offer to a party ended. The first word counts.
func (p *Progress) ended(party Party, o Outcome) {
	for i := range p.Tries {
		if t := &p.Tries[i]; t.Party == party && t.Result == Open {
			t.Result = o
		}
	}
}

// untry takes back an offer that could not be made because another call was
// faster to claim the user.
func (p *Progress) untry(party Party) {
	for i, t := range p.Tries {
		if t.Party == party {
			p.Tries = append(p.Tries[:i:i], p.Tries[i+1:]...)
			return
		}
	}
}
