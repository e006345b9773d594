package e2e

import (
	"testing"
	"time"
)

const (
	mainLine = "+14155550100"
	caller   = "+14155550123"
)

// lastAgent is the tutorial's flow, unchanged but for the host.
const lastAgent = `
	- name: last agent
	  ring_to_api:
	    method: GET
	    url: "{OWN}/v1/calls/search?order=des&phone_number={{callerNumber}}"
	    credential: own-api
	    response: {type: user, path: "calls[0].user.id"}
	    ringing: {ring_for: 20s}
	- name: everybody
	  ring_to: {team: Support, ringing: {rule: simultaneous, ring_for: 30s}}
	- name: nobody
	  hang_up: {}
`

// Story 1: a first-time caller rings the team; calling again, they reach the agent
// they talked with, alone.
func TestStory1LastAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, bob := w.user("ada"), w.user("bob")
	w.team(7, "Support", ada, bob)
	w.flow("main", lastAgent)
	w.number(1, mainLine, "main")
	w.serve()

	adas, bobs := ada.phone("phone_ring", 0), bob.phone("phone_answer", 400*time.Millisecond)
	call := w.call("carrier_talk", caller, mainLine, 1500*time.Millisecond)
	if got := audio(t, w, call, bobs); got != "both" {
		t.Errorf("first call: audio %s, want both", got)
	}
	call.done()
	bobs.done()
	adas.done()
	expect(t, "first call: ada was taken back", adas.cancelled(), true)
	expect(t, "first call: bob talked", bobs.talked(), true)
	w.wantLookup(caller, "no_match", "empty_list")

	adas, bobs = ada.phone("phone_ring", 0), bob.phone("phone_answer", 200*time.Millisecond)
	call = w.call("carrier_talk", caller, mainLine, 500*time.Millisecond)
	call.done()
	bobs.done()
	expect(t, "second call: bob talked", bobs.talked(), true)
	expect(t, "second call: ada rang", adas.rang(), false)
	w.wantLookup(caller, "matched", "")
}
