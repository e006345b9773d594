package ring

import "time"

// Rule is the order in which the users of a team, or several candidates, ring.
type Rule string

// The rules that this version carries out.
const (
	Simultaneous Rule = "simultaneous" // everybody free at once; the first answer wins
)

// LaterRules are rules of the specification that this version refuses with
// `not_in_this_version` rather than accept and ignore.
var LaterRules = []Rule{"random", "longest_idle", "round_robin", "in_order", "least_calls"}

// Bounds and default of Settings.RingFor.
const (
	MinRingFor     = 5 * time.Second
	MaxRingFor     = time.Hour
	DefaultRingFor = 30 * time.Second
)

// Settings say how somebody is rung. The zero value is simultaneous, for 30 s.
type Settings struct {
	Rule    Rule          // empty: simultaneous
	RingFor time.Duration // of the whole step, 5s–3600s; 0: 30s. Then the next step
}

// Limit is how long the step may ring.
func (s Settings) Limit() time.Duration {
	if s.RingFor == 0 {
		return DefaultRingFor
	}
	return s.RingFor
}
