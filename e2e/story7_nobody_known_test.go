package e2e

import (
	"testing"
	"time"
)

// Story 7: the CRM knows nobody; the fallback rings.
func TestStory7NobodyKnown(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "{type: user, path: route.user}")
	o.serve()

	eves := o.eve.phone("phone_answer", 100*time.Millisecond)
	call := o.call("carrier_talk", caller, mainLine, 300*time.Millisecond)
	call.done()
	eves.done()
	expect(t, "eve talked", eves.talked(), true)
	o.wantLookup(caller, "no_match", "path_null")
}

// A caller who withholds their number is not looked up by it, and still reaches
// somebody.
func TestStory7Withheld(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "{type: user, path: route.user}")
	o.serve()

	eves := o.eve.phone("phone_answer", 100*time.Millisecond)
	call := o.call("carrier_talk", "anonymous", mainLine, 300*time.Millisecond)
	call.done()
	eves.done()
	expect(t, "eve talked", eves.talked(), true)
	if got := len(o.crm.Requests()); got != 0 {
		t.Errorf("%d requests reached the CRM, want none", got)
	}
	o.wantLookup("", "no_match", "no_caller_number")
}
