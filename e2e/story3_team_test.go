package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/standin"
)

// Story 3: the CRM names a team; its free members ring, the first to answer wins,
// the others stop and are told why.
func TestStory3Team(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "{type: team, path: route.team}")
	o.crm.Answer(caller, standin.Team("Sales"))
	o.serve()

	adas, bobs, eves := o.ada.phone("phone_answer", 300*time.Millisecond), o.bob.phone("phone_ring", 0), o.eve.phone("phone_ring", 0)
	call := o.call("carrier_talk", caller, mainLine, 1200*time.Millisecond)
	if got := audio(t, o.world, call, adas); got != "both" {
		t.Errorf("audio %s, want both", got)
	}
	call.done()
	adas.done()
	bobs.done()
	expect(t, "ada talked", adas.talked(), true)
	expect(t, "bob was taken back", bobs.cancelled(), true)
	expect(t, "eve, who is not in Sales, rang", eves.rang(), false)
	cancel, _ := bobs.find(false, "CANCEL", 0)
	if got := cancel.header("Reason"); !strings.HasPrefix(got, "SIP") || !strings.Contains(got, "cause=200") {
		t.Errorf("CANCEL's Reason is %q, want cause=200 (RFC 3326)", got)
	}
	o.wantLookup(caller, "matched", "")
}

// A team without anybody free is the next step at once.
func TestStory3DeclinedByAll(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "{type: team, path: route.team}")
	o.crm.Answer(caller, standin.Team("Sales"))
	o.serve()

	adas, bobs := o.ada.phone("phone_busy", 50*time.Millisecond), o.bob.phone("phone_decline", 50*time.Millisecond)
	eves := o.eve.phone("phone_answer", 100*time.Millisecond)
	call := o.call("carrier_talk", caller, mainLine, 300*time.Millisecond)
	call.done()
	adas.done()
	bobs.done()
	eves.done()
	expect(t, "eve talked after both had declined", eves.talked(), true)
}
