package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// What Next refuses. On any of them nothing was asked and nothing has changed.
var (
	ErrState      = errors.New("flow: the state cannot be read")
	ErrStale      = errors.New("flow: the event answers an earlier action")
	ErrUnexpected = errors.New("flow: the event was not awaited")
)

// Limits of one call.
const (
	MaxSteps = 50 // steps run, over all flows
	MaxHops  = 5  // redirections to our own numbers
)

const (
	stateVersion = 1
	maxState     = 64 << 10 // bytes; the headers of an INVITE are the largest part
)

// State is what a call has been through: never what is live. It is small and
// goes through JSON unchanged. Whoever keeps it gives it back with the next
// event; only this package looks inside.
type State struct {
	V         int               `json:"v"`
	Seq       int64             `json:"seq"`
	Rev       int64             `json:"rev"` // the directory's revision that the call began with
	Call      phone.CallFacts   `json:"call"`
	At        Cursor            `json:"at"`
	Hops      []phone.NumberID  `json:"hops,omitempty"`     // numbers that the call was redirected to, MaxHops at most
	Vars      map[string]string `json:"vars,omitempty"`     // input.*, saved.*
	Declined  []phone.UserID    `json:"declined,omitempty"` // out for the whole call
	Connected bool              `json:"connected,omitempty"`
	Steps     int               `json:"steps"`            // run so far, MaxSteps at most
	Since     time.Time         `json:"since"`            // when the action that is awaited was asked for
	Ringing   phone.Target      `json:"ringing,omitzero"` // the first target of that action
	Awaiting  ActionKind        `json:"awaiting,omitempty"`
}

// Cursor is where in which flow a call is.
type Cursor struct {
	Flow   string `json:"flow,omitempty"`
	Step   string `json:"step,omitempty"`
	Branch string `json:"branch,omitempty"` // the lookup's exit whose target rings
}

// Start is the state of a call that came in: give it to Next with Begin.
func Start(facts phone.CallFacts) State {
	return State{V: stateVersion, Call: facts}
}

// DecodeState reads what State's JSON encoding wrote. Error: ErrState.
func DecodeState(text []byte) (State, error) {
	var s State
	if len(text) > maxState {
		return State{}, fmt.Errorf("%w: %d bytes", ErrState, len(text))
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	if err := s.check(); err != nil {
		return State{}, err
	}
	return s, nil
}

// check refuses what this package never wrote.
func (s *State) check() error {
	switch {
	case s.V != stateVersion:
		return fmt.Errorf("%w: version %d", ErrState, s.V)
	case s.Seq < 0, s.Steps < 0, s.Steps > MaxSteps, len(s.Hops) > MaxHops:
		return fmt.Errorf("%w: out of range", ErrState)
	case (s.Seq == 0) != (s.Awaiting == ""):
		return fmt.Errorf("%w: nothing awaited", ErrState)
	case s.Awaiting == Ring && s.At.Flow == "":
		return fmt.Errorf("%w: rings nowhere", ErrState)
	}
	switch s.Awaiting {
	case "", Ring, Talk, End:
		return nil
	}
	return fmt.Errorf("%w: awaits %q", ErrState, s.Awaiting)
}
