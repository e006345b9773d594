package flow

import (
	"slices"

	"github.com/ringpath/ringpath/internal/phone"
)

// Targets are whom the flow's steps name: those of ring_to and redirect_to, and
// where otherwise sends a call. Each once, in the order of the steps. Whom a
// lookup will name nobody knows before the call.
func (f *Flow) Targets() []phone.Target {
	var all []phone.Target
	add := func(t phone.Target) {
		if !t.IsZero() && !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	for i := range f.steps {
		add(f.steps[i].target)
		for _, exit := range otherwiseExits {
			add(f.steps[i].otherwise[exit])
		}
	}
	return all
}
