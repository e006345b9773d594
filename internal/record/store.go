package record

import (
	"context"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// Store is what a Writer needs of a database. Its methods may block; only the
// Writer's own goroutines and readers (the APIs) call them.
type Store interface {
	// Save stores a batch in one transaction, whole or not at all, and notes
	// that the program was alive at now. Saving an entry again changes nothing,
	// and an older state of a call never replaces a newer one (Call.Version), so
	// batches may come again and in any order. Archived is left as it is.
	Save(ctx context.Context, now time.Time, batch []Entry) error

	// Find returns the calls that a normal query asks for, less those in except,
	// and how many there are on all pages. Notes come without Detail, and not at
	// all, as offers, when the query is Bare.
	Find(ctx context.Context, q Query, except []phone.CallID) (calls []Call, total int, err error)

	// Call returns one call with its notes' Detail; phone.NotFound if there is none.
	Call(ctx context.Context, id phone.CallID) (Call, error)

	// Messages returns the SIP messages kept of a call, in order.
	Messages(ctx context.Context, id phone.CallID) ([]Message, error)

	// Interrupt closes every open call as interrupted, ended when the program
	// was last known to be alive, forgets all dialogs of ended calls, and
	// returns those of the calls it closed.
	Interrupt(ctx context.Context) ([]Dialog, error)

	// Sweep deletes what is older than keep allows at now, a little at a time.
	Sweep(ctx context.Context, now time.Time, keep Keep) (Swept, error)

	// Personal returns all that is kept about an outside number, oldest call
	// first; it stops at the first error of each.
	Personal(ctx context.Context, number phone.E164, each func(Account) error) error

	// Erase takes an outside number out of every ended call: times and outcome
	// stay, the number, names, traces, shown facts and SIP messages go.
	Erase(ctx context.Context, number phone.E164) (Erased, error)
}

// Entry is one thing to be stored. Exactly one field is set.
type Entry struct {
	Call    *Call       `json:"call,omitempty"`
	Dialog  *Dialog     `json:"dialog,omitempty"`
	Closed  phone.LegID `json:"closed,omitempty"` // the leg's dialog is over
	Message *Message    `json:"message,omitempty"`
}

// Keep is how long things are kept (company.keep). Zero: not kept.
type Keep struct {
	Calls   time.Duration
	Traces  time.Duration // of lookups, without the API's answers
	Answers time.Duration // the APIs' answers inside traces
	SIP     time.Duration // SIP messages
}

// DefaultKeep is what is kept unless the directory says otherwise.
func DefaultKeep() Keep {
	const day = 24 * time.Hour
	return Keep{Calls: 365 * day, Traces: 90 * day, Answers: 7 * day, SIP: 7 * day}
}

// Swept counts what a sweep took away.
type Swept struct{ Calls, Traces, Answers, Messages int }

// Account is all that is kept of one call.
type Account struct {
	Call     Call // with its notes' Detail
	Messages []Message
}

// Erased counts what erasing a number touched.
type Erased struct {
	Calls   int // taken out of
	Running int // still going on and left alone: erase again when they have ended
}
