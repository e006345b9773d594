package e2e

import (
	"strings"
	"testing"
	"time"
)

// askCRM is a flow that asks the stand-in CRM and falls back to everybody. {TYPE}
// is the response's type and path.
const askCRM = `
	- name: ask the CRM
	  ring_to_api:
	    method: POST
	    url: "{CRM}/lookup"
	    credential: crm
	    body: '{"phone": "{{callerNumber}}"}'
	    response: {RESPONSE}
	    ringing: {ring_for: 20s}
	- name: everybody
	  ring_to: {team: Support, ringing: {ring_for: 20s}}
	- name: nobody
	  hang_up: {}
`

// office is a world of three agents, all in Support, whose main line asks the CRM.
type office struct {
	*world
	ada, bob, eve *user
}

func newOffice(t *testing.T, response string) office {
	t.Helper()
	w := newWorld(t)
	o := office{world: w, ada: w.user("ada"), bob: w.user("bob"), eve: w.user("eve")}
	w.team(7, "Support", o.ada, o.bob, o.eve)
	w.team(8, "Sales", o.ada, o.bob)
	w.flow("main", crmFlow(response))
	w.number(1, mainLine, "main")
	return o
}

func crmFlow(response string) string { return strings.ReplaceAll(askCRM, "{RESPONSE}", response) }

// Story 2: the CRM names a user by e-mail; that user rings, alone.
func TestStory2UserByEmail(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "{type: user, path: route.user}")
	o.crm.Answer(caller, `{"route":{"user":"Eve@Example.Test"}}`)
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
	if got := len(o.crm.Requests()); got != 1 {
		t.Errorf("%d requests reached the CRM, want 1", got)
	}
}
