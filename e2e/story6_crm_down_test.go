package e2e

import (
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/standin"
)

// Story 6: a CRM that is down, in both ways of being down, costs the caller at
// most 3.3 s: then the fallback rings.
func TestStory6CRMDown(t *testing.T) {
	for _, tt := range []struct {
		mode   standin.Mode
		reason string
		least  time.Duration // how long the fallback must at least have waited
	}{
		{standin.Down, "refused", 0},
		{standin.Hang, "timeout", 2500 * time.Millisecond},
	} {
		t.Run(string(tt.mode), func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, "{type: user, path: route.user}")
			o.crm.Answer(caller, standin.User("ada@example.test"))
			o.serve()
			if err := o.crm.SetMode(tt.mode); err != nil {
				t.Fatal(err)
			}

			eves := o.eve.phone("phone_answer", 100*time.Millisecond)
			call := o.call("carrier_talk", caller, mainLine, 300*time.Millisecond)
			call.done()
			eves.done()
			expect(t, "eve talked", eves.talked(), true)
			waited := eves.invitedAt().Sub(call.invitedAt())
			if waited < tt.least || waited > 3300*time.Millisecond {
				t.Errorf("the fallback rang after %s, want %s to 3.3s", waited, tt.least)
			}
			o.wantLookup(caller, "failed", tt.reason)
		})
	}
}
