package softphone

import (
	"fmt"
	"time"
)

// EventKind is what happened on a phone.
type EventKind string

const (
	Registered       EventKind = "registered"        // the server took the registration; told once
	RegistrationLost EventKind = "registration_lost" // a renewal failed: Err; it is tried again
	Ringing          EventKind = "ringing"           // a call comes in
	Answered         EventKind = "answered"          // a call is up, in or out
	Held             EventKind = "held"              // the other side put us on hold
	Resumed          EventKind = "resumed"
	Heard            EventKind = "heard" // a new tone: Tone; 0: silence after one
	Ended            EventKind = "ended" // a call is over: End
)

// End is how a call ended on a phone.
type End string

const (
	HungUpHere  End = "hung_up_here"
	HungUpThere End = "hung_up_there"
	Cancelled   End = "cancelled" // the caller gave up
	Elsewhere   End = "elsewhere" // another phone answered
	Rejected    End = "rejected"  // we refused it: Status
	Failed      End = "failed"    // the other side refused it: Status; or it vanished: Status 0
)

// Event is something that happened. Call, From and Name are empty where no call
// is meant.
type Event struct {
	Kind   EventKind
	At     time.Time
	Phone  string  // our user name, or our address where there is none
	Call   string  // SIP Call-ID
	From   string  // the caller's number or user name
	Name   string  // the caller's display name
	To     string  // whom the call was sent to: user part of the Request-URI
	Tone   float64 // Hz
	End    End
	Status int
	Err    error
}

// String tells the event in plain words.
func (e Event) String() string {
	from := e.From
	if e.Name != "" {
		from = fmt.Sprintf("%s (%s)", e.Name, e.From)
	}
	switch e.Kind {
	case Registered:
		return e.Phone + " is registered"
	case RegistrationLost:
		return fmt.Sprintf("%s has lost its registration: %v", e.Phone, e.Err)
	case Ringing:
		return fmt.Sprintf("%s rings: %s calls", e.Phone, from)
	case Answered:
		return e.Phone + " is in a call"
	case Held:
		return e.Phone + " is on hold"
	case Resumed:
		return e.Phone + " is no longer on hold"
	case Heard:
		if e.Tone == 0 {
			return e.Phone + " hears nothing any more"
		}
		return fmt.Sprintf("%s hears %.0f Hz", e.Phone, e.Tone)
	case Ended:
		return fmt.Sprintf("%s: the call is over: %s", e.Phone, e.end())
	}
	return fmt.Sprintf("%s: %s", e.Phone, e.Kind)
}

func (e Event) end() string {
	switch e.End {
	case HungUpHere:
		return "it hung up"
	case HungUpThere:
		return "the other side hung up"
	case Cancelled:
		return "the caller gave up"
	case Elsewhere:
		return "another phone answered"
	case Rejected:
		return fmt.Sprintf("it refused with %d", e.Status)
	}
	if e.Status == 0 {
		return "the other side is gone"
	}
	return fmt.Sprintf("refused with %d", e.Status)
}
