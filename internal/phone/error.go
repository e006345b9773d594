package phone

import "errors"

// Kind classes errors by what the one who asked can do about them. One table in
// internal/api turns a kind into an HTTP status.
type Kind string

const (
	Invalid     Kind = "invalid"     // the request is wrong: change it
	NotFound    Kind = "not_found"   // no such thing
	Denied      Kind = "denied"      // not allowed
	Conflict    Kind = "conflict"    // the thing has changed meanwhile
	Busy        Kind = "busy"        // a limit is reached: later
	Unreachable Kind = "unreachable" // another system does not answer
	Timeout     Kind = "timeout"
	Internal    Kind = "internal" // our fault
)

// Error has a text that a stranger may read and a cause that only the operator
// sees (in logs). Wrap it at package boundaries with fmt.Errorf and %w.
type Error struct {
	Kind Kind
	Text string
	Err  error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Text + ": " + e.Err.Error()
	}
	return e.Text
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the first *Error in err's chain, Internal if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// TextOf is what a stranger may read of err.
func TextOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Text
	}
	return "internal error"
}

// ErrLegEnded says that the leg was over before the act.
var ErrLegEnded = errors.New("the leg has ended")
