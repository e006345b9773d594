package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
)

// Flow is a checked flow, ready to be walked. It never changes.
type Flow struct {
	ID   int64
	Name string
}

// Machine walks flows. It keeps nothing of a call and may serve any number of
// calls at once.
type Machine struct {
	Directory Directory
	Lookups   *lookup.Engine
	// Availability of a user at this moment, for the lookup's trace. Nil: unknown.
	Availability func(phone.UserID) phone.Availability
	Now          func() time.Time // nil: time.Now
}

// Next takes what happened and says what to do. It may block in a lookup, until
// ctx ends at the latest. Errors: ErrState, ErrStale, ErrUnexpected; then
// nothing was asked and nothing has changed.
func (m *Machine) Next(_ context.Context, s State, e Event) (Result, error) {
	if err := s.check(); err != nil {
		return Result{}, err
	}
	return Result{}, fmt.Errorf("%w: %s", ErrUnexpected, e.Kind)
}
