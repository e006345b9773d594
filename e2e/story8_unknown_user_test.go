package e2e

import (
	"testing"
	"time"
)

// Story 8: the CRM names somebody who does not exist; the fallback rings, and the
// record says why.
func TestStory8UnknownUser(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "{type: user, path: owner.id}")
	o.crm.Answer(caller, `{"owner":{"id":4242424242424242424}}`)
	o.serve()

	eves := o.eve.phone("phone_answer", 100*time.Millisecond)
	call := o.call("carrier_talk", caller, mainLine, 300*time.Millisecond)
	call.done()
	eves.done()
	expect(t, "eve talked", eves.talked(), true)
	o.wantLookup(caller, "unknown_target", "unknown_user")
}
