package flow

import (
	"strings"

	"github.com/ringpath/ringpath/internal/document"
)

// ways checks where calls can go: round and round, nowhere, or never. A step
// has one successor, so the ways through a flow are a forest.
func (c *compiler) ways() {
	steps := c.flow.steps
	if len(steps) == 0 {
		c.fault("/steps", CodeNoWayOut, "the flow has no steps: add a ring_to or a hang_up")
		return
	}
	if c.cycles() {
		return
	}
	reached := make([]bool, len(steps))
	served := false // somebody was rung by a step, or the call was ended in so many words
	last := 0
	for i := 0; i < len(steps); i = steps[i].next {
		reached[i], last = true, i
		served = served || steps[i].kind != ringToAPI
		if steps[i].kind == hangUp {
			break
		}
	}
	if !served {
		c.fault(document.Join("/steps", last), CodeNoWayOut,
			"after this step the call ends with nobody rung when it leaves by %s: put a ring_to, redirect_to or hang_up behind it", strings.Join(c.openExits(last), ", "))
	}
	for i, ok := range reached {
		if !ok {
			c.warn(document.Join("/steps", i), CodeUnreachable, "no call ever reaches the step %q", steps[i].name)
		}
	}
}

// openExits are the exits of a ring_to_api step that nothing serves. Matched is
// one of them: whoever was found may be away.
func (c *compiler) openExits(i int) []string {
	exits := []string{"matched (whoever was found may be away)"}
	for _, e := range otherwiseExits {
		if c.flow.steps[i].otherwise[e].IsZero() {
			exits = append(exits, string(e))
		}
	}
	return exits
}

// cycles reports each circle once, at a step's next that closes it.
func (c *compiler) cycles() bool {
	steps := c.flow.steps
	found := false
	mark := make([]int, len(steps)) // the walk that came by first, from 1
	for start := range steps {
		for i := start; i < len(steps) && steps[i].kind != hangUp; i = steps[i].next {
			if mark[i] != 0 && mark[i] != start+1 {
				break // an earlier walk went on from here
			}
			mark[i] = start + 1
			if n := steps[i].next; n < len(steps) && mark[n] == start+1 {
				found = true
				c.fault(document.Join("/steps", i, "next"), CodeCycle, "from %q the call comes back to %q for ever: next may only lead on", steps[n].name, steps[n].name)
				break
			}
		}
	}
	return found
}
