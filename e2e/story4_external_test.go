package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/standin"
)

const (
	outside = "+33140000000"
	denied  = "+33890000000"
)

// Story 4: the CRM names an outside number, which is reached through the carrier.
func TestStory4External(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "{type: auto, path: route, allow_external: true}")
	o.crm.Answer(caller, standin.External(outside))
	o.serve()

	adas := o.ada.phone("phone_ring", 0)
	theirs := o.play("phone_answer", o.outside, "-d", "200")
	call := o.call("carrier_talk", caller, mainLine, 1200*time.Millisecond)
	if got := audio(t, o.world, call, theirs); got != "both" {
		t.Errorf("audio %s, want both", got)
	}
	call.done()
	theirs.done()
	expect(t, "the outside number talked", theirs.talked(), true)
	expect(t, "ada rang", adas.rang(), false)
	invite, _ := theirs.find(false, "INVITE", 0)
	if line, _, _ := strings.Cut(invite.raw, "\r\n"); !strings.Contains(line, "sip:"+outside+"@") {
		t.Errorf("the carrier was asked for %q, want %s", line, outside)
	}
	o.wantLookup(caller, "matched", "")
}

// A prefix that the trunk denies is not dialled: unknown target, fallback.
func TestStory4ExternalDenied(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "{type: external, path: route.external}")
	o.crm.Answer(caller, standin.External(denied))
	o.serve()

	theirs := o.play("phone_answer", o.outside, "-d", "0")
	eves := o.eve.phone("phone_answer", 100*time.Millisecond)
	call := o.call("carrier_talk", caller, mainLine, 300*time.Millisecond)
	call.done()
	eves.done()
	expect(t, "eve talked", eves.talked(), true)
	expect(t, "the denied number rang", theirs.rang(), false)
	o.wantLookup(caller, "unknown_target", "not_allowed")
}
