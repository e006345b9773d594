package e2e

import (
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/standin"
)

// Story 5: the CRM names one of our own numbers, whose own flow takes over.
func TestStory5InternalNumber(t *testing.T) {
	t.Parallel()
	const second = "+14155550102"
	o := newOffice(t, "{type: number, path: route.number}")
	o.flow("second", `
	- name: eve's own line
	  ring_to: {user: eve@example.test, ringing: {ring_for: 20s}}
	- name: nobody
	  hang_up: {}
	`)
	o.number(2, second, "second")
	o.crm.Answer(caller, standin.Number(second))
	o.serve()

	adas, eves := o.ada.phone("phone_ring", 0), o.eve.phone("phone_answer", 200*time.Millisecond)
	call := o.call("carrier_talk", caller, mainLine, 1200*time.Millisecond)
	if got := audio(t, o.world, call, eves); got != "both" {
		t.Errorf("audio %s, want both", got)
	}
	call.done()
	eves.done()
	expect(t, "eve talked", eves.talked(), true)
	expect(t, "ada rang", adas.rang(), false)
	o.wantLookup(caller, "matched", "")
}
