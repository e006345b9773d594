package phone

import "strconv"

// Identities are small integers that stay what they are for the life of an
// installation; they are what the REST APIs show. Zero means "none".
type (
	UserID   int64
	TeamID   int64
	NumberID int64
	// CallID is the start of the call in microseconds since 1970, moved on by
	// one where two calls would share it: unique, ordered by time, and below
	// 2^53, so that JSON readers which use floats keep it exact.
	CallID int64
	// LegID names one leg in logs: the call and a counter, "1789.2".
	LegID string
)

func (id UserID) String() string   { return strconv.FormatInt(int64(id), 10) }
func (id TeamID) String() string   { return strconv.FormatInt(int64(id), 10) }
func (id NumberID) String() string { return strconv.FormatInt(int64(id), 10) }
func (id CallID) String() string   { return strconv.FormatInt(int64(id), 10) }
