package e2e

import (
	"strings"
	"testing"
	"time"
)

// Story 9: the tutorial's trap. The newest call was missed, so calls[0] has no
// user; calls[*] finds the newest call that somebody took.
func TestStory9MissedCall(t *testing.T) {
	t.Parallel()
	const trapLine, cureLine = "+14155550108", "+14155550109"
	w := newWorld(t)
	ada, bob := w.user("ada"), w.user("bob")
	w.team(7, "Support", ada, bob)
	w.flow("trap", lastAgent)
	w.flow("cure", strings.ReplaceAll(lastAgent, "calls[0].user.id", "calls[*].user.id"))
	w.number(1, trapLine, "trap")
	w.number(2, cureLine, "cure")
	w.serve()

	// Bob takes a call, and then one is missed.
	bobs := bob.phone("phone_answer", 0)
	w.call("carrier_talk", caller, trapLine, 200*time.Millisecond).done()
	bobs.done()
	bobs = bob.phone("phone_ring", 0)
	w.call("carrier_cancel", caller, trapLine, 300*time.Millisecond).done()
	bobs.done()

	adas, bobs := ada.phone("phone_answer", 300*time.Millisecond), bob.phone("phone_ring", 0)
	w.call("carrier_talk", caller, trapLine, 200*time.Millisecond).done()
	adas.done()
	bobs.done()
	expect(t, "calls[0]: the whole team rang, ada too", adas.rang(), true)
	w.wantLookup(caller, "no_match", "path_null")

	// Ada has talked last now; one more missed call, and calls[*] still finds her.
	adas, bobs = ada.phone("phone_ring", 0), bob.phone("phone_ring", 0)
	w.call("carrier_cancel", caller, trapLine, 300*time.Millisecond).done()
	adas.done()
	expect(t, "bob rang when ada was the last agent", bobs.rang(), false)

	adas = ada.phone("phone_answer", 100*time.Millisecond)
	w.call("carrier_talk", caller, cureLine, 200*time.Millisecond).done()
	adas.done()
	expect(t, "calls[*]: ada talked", adas.talked(), true)
	expect(t, "calls[*]: bob rang", bobs.rang(), false)
	w.wantLookup(caller, "matched", "")
}
