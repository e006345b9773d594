package record

import (
	"slices"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// Order is how a list of calls is sorted: by creation, which is by id.
type Order int

const (
	OldestFirst Order = iota // the zero value
	NewestFirst
)

// Limits of a Query.
const (
	DefaultLimit = 20
	MaxLimit     = 200
)

// Query asks for calls. All conditions that are set must hold; the zero Query
// asks for every ended call.
//
// A call's id is its start in microseconds (phone.CallID): From and To rely on
// it to find their range quickly.
type Query struct {
	Statuses  []Status     // empty: done only
	Direction Direction    // empty: both
	From      time.Time    // StartedAt not before; zero: no bound
	To        time.Time    // StartedAt before (exclusive); zero: no bound
	User      phone.UserID // who answered, or dialled when outbound; zero: anybody
	Outside   phone.E164   // the whole number of the outside party; empty: any
	Order     Order
	Offset    int  // calls to pass over; negative counts as zero
	Limit     int  // 1–200; 0: 20; more counts as 200
	Bare      bool // Steps and Offers are not wanted: reading them is half of the work
}

// Normal is q with its defaults and bounds put in. Stores are given only normal
// queries.
func (q Query) Normal() Query {
	if len(q.Statuses) == 0 {
		q.Statuses = []Status{Done}
	}
	if q.Limit <= 0 {
		q.Limit = DefaultLimit
	}
	q.Limit = min(q.Limit, MaxLimit)
	q.Offset = max(q.Offset, 0)
	return q
}

// Match says that a normal query asks for c.
func (q Query) Match(c *Call) bool {
	return slices.Contains(q.Statuses, c.Status) &&
		(q.User == 0 || q.User == c.User) && q.fixed(c)
}

// fixed tests only what never changes in the life of a call.
func (q Query) fixed(c *Call) bool {
	switch {
	case q.Direction != "" && q.Direction != c.Direction,
		q.Outside != "" && q.Outside != c.Outside(),
		!q.From.IsZero() && c.StartedAt.Before(q.From),
		!q.To.IsZero() && !c.StartedAt.Before(q.To):
		return false
	}
	return true
}

// compare sorts calls in the query's order.
func (q Query) compare(a, b Call) int {
	n := 0
	switch {
	case a.ID < b.ID:
		n = -1
	case a.ID > b.ID:
		n = 1
	}
	if q.Order == NewestFirst {
		return -n
	}
	return n
}
