package record

import (
	"slices"

	"github.com/ringpath/ringpath/internal/phone"
)

// Erase takes a number, and with it a person, out of a call: times, outcome and
// our own people stay. What a lookup found or showed goes whole, because it was
// about the caller.
func (c *Call) Erase(number phone.E164) {
	if c.Outside() == number {
		c.Erased = true
		c.CallerName = ""
		c.SIPCallID = "" // made by their side, may name them
	}
	for _, n := range []*phone.E164{&c.Caller, &c.Called, &c.External} {
		if *n == number {
			*n = ""
		}
	}
	c.Steps = slices.Clone(c.Steps)
	for i := range c.Steps {
		n := &c.Steps[i]
		n.Value, n.Show, n.Detail = "", nil, nil
		if n.Target != nil && n.Target.External == number {
			n.Target = &phone.Target{Kind: phone.ToExternal}
		}
	}
	c.Offers = slices.Clone(c.Offers)
	for i := range c.Offers {
		if c.Offers[i].External == number {
			c.Offers[i].External = ""
		}
	}
}
