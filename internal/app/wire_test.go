package app_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/simnet"
)

// answers is a lookup that names a user after a time.
func answers(user int, after time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(after)
		fmt.Fprintf(w, `{"user":%d}`, user)
	}
}

// A phone rings for ring_for to the millisecond, counted from its INVITE.
func TestWireRingTime(t *testing.T) {
	onTheWire(t, simnet.Options{}, func(w *wire) {
		ann := w.phone("ann", "192.0.2.20:5060")
		start := time.Now()
		w.call(toAnn)
		w.carrier.Response(100)
		inv := ann.Request("INVITE")
		ann.Reply(inv, 180, "p", "")
		w.carrier.Response(180)
		cancel := stopsRinging(ann, inv)
		if got := cancel.GetHeader("Reason").Value(); got != "Q.850;cause=19" {
			t.Errorf("CANCEL with Reason %q", got)
		}
		w.refused(480, toAnn)
		w.want(ann, "INVITE", start, 0)
		w.want(ann, "CANCEL", start, 20*time.Second)
		w.want(w.carrier, "480 INVITE", start, 20*time.Second)
		r := w.record()
		if r.Missed != record.MissedDidNotAnswer || len(r.Offers) != 1 || r.Offers[0].EndedAt.Sub(start) != 20*time.Second {
			t.Errorf("record: %q, %+v", r.Missed, r.Offers)
		}
	})
}

// The lookup's time is not the phone's: it rings for its 20 s after it, and the
// caller hears ringing after one second.
func TestWireRingTimeAfterLookup(t *testing.T) {
	onTheWire(t, simnet.Options{}, func(w *wire) {
		w.answer = answers(1, 1500*time.Millisecond)
		ann := w.phone("ann", "192.0.2.20:5060")
		start := time.Now()
		w.call(toLookup)
		w.carrier.Response(100)
		w.carrier.Response(180)
		inv := ann.Request("INVITE")
		ann.Reply(inv, 180, "p", "")
		w.carrier.Response(180)
		stopsRinging(ann, inv)
		w.refused(480, toLookup)
		w.want(w.carrier, "180 INVITE", start, time.Second)
		w.want(ann, "INVITE", start, 1500*time.Millisecond)
		w.want(ann, "CANCEL", start, 21500*time.Millisecond)
	})
}

// Of two answers one wins; the other gets ACK and BYE.
func TestWireTwoAnswers(t *testing.T) {
	for gap := range 3 {
		onTheWire(t, simnet.Options{Delay: 5 * time.Millisecond}, func(w *wire) {
			ann, bob := w.phone("ann", "192.0.2.20:5060"), w.phone("bob", "192.0.2.21:5060")
			w.call(toTeam)
			w.carrier.Response(100)
			toAnn, toBob := ann.Request("INVITE"), bob.Request("INVITE")
			picksUp(ann, toAnn, "192.0.2.20:6000")
			time.Sleep(time.Duration(gap) * time.Millisecond)
			picksUp(bob, toBob, "192.0.2.21:6000")
			ok := w.carrier.Response(200)
			w.within("ACK", toTeam, toTag(ok), 1)
			ann.Request("ACK")
			bob.Request("ACK")
			time.Sleep(time.Second)
			winner, loser := ann, bob
			if w.count(ann, "BYE") > 0 {
				winner, loser = bob, ann
			}
			if gap > 0 && winner != ann {
				t.Errorf("gap %d ms: the later answer won", gap)
			}
			bye := loser.Request("BYE")
			if got := bye.GetHeader("Reason").Value(); got != `SIP;cause=200;text="Call completed elsewhere"` {
				t.Errorf("the loser's BYE has Reason %q", got)
			}
			loser.Reply(bye, 200, "", "")
			winner.Silence(0)
			w.within("BYE", toTeam, toTag(ok), 2)
			w.carrier.Response(200)
			winner.Reply(winner.Request("BYE"), 200, "", "")
			if r := w.record(); r.User != 1 && winner == ann || r.User != 2 && winner == bob || r.EndedBy != "caller" {
				t.Errorf("record: answered by %d, ended by %s", r.User, r.EndedBy)
			}
		})
	}
}

// A CANCEL against a 200: either the call is up and ends with BYE, or the phone's
// answer gets ACK and BYE.
func TestWireCancelAgainstAnswer(t *testing.T) {
	for gap := -2; gap <= 2; gap++ {
		onTheWire(t, simnet.Options{Delay: 5 * time.Millisecond}, func(w *wire) {
			ann := w.phone("ann", "192.0.2.20:5060")
			w.call(toAnn)
			w.carrier.Response(100)
			inv := ann.Request("INVITE")
			ann.Reply(inv, 180, "p", "")
			w.carrier.Response(180)
			time.Sleep(3 * time.Second)
			cancel := func() { w.carrier.Send("%s", hop("CANCEL", toAnn, "")) }
			pickUp := func() { picksUp(ann, inv, "192.0.2.20:6000") }
			first, second := cancel, pickUp
			if gap > 0 {
				first, second = pickUp, cancel
			}
			first()
			time.Sleep(max(time.Duration(gap), time.Duration(-gap)) * time.Millisecond)
			second()
			time.Sleep(100 * time.Millisecond)
			up := w.count(w.carrier, "200 INVITE") > 0
			if gap != 0 && up != (gap > 0) {
				t.Errorf("gap %d ms: the call is up: %v", gap, up)
			}
			if up != (w.count(w.carrier, "487 INVITE") == 0) || w.count(w.carrier, "200 CANCEL") != 1 {
				t.Errorf("gap %d ms: sent %v", gap, w.log())
			}
			if up {
				tag := ""
				for tag == "" { // the 200s to INVITE and CANCEL come in either order
					if res := w.carrier.Response(200); res.CSeq().MethodName == gosip.INVITE {
						tag = toTag(res)
					}
				}
				w.within("ACK", toAnn, tag, 1)
				w.within("BYE", toAnn, tag, 2)
			} else {
				w.carrier.Send("%s", hop("ACK", toAnn, "x"))
			}
			time.Sleep(100 * time.Millisecond)
			if w.count(ann, "ACK") != 1 || w.count(ann, "BYE") != 1 {
				t.Errorf("gap %d ms: the phone got %d ACK and %d BYE, want one each", gap, w.count(ann, "ACK"), w.count(ann, "BYE"))
			}
			for m := ann.Next(0); m != nil; m = ann.Next(0) {
				if req, ok := m.(*gosip.Request); ok && (req.Method == "BYE" || req.Method == "CANCEL") {
					ann.Reply(req, 200, "p", "")
				}
			}
		})
	}
}

// A caller who leaves during the lookup takes it along, and nobody rings.
func TestWireCallerLeavesDuringLookup(t *testing.T) {
	onTheWire(t, simnet.Options{}, func(w *wire) {
		stopped := make(chan time.Time, 1)
		w.answer = func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			stopped <- time.Now()
		}
		cleo := w.phone("cleo", "192.0.2.22:5060")
		start := time.Now()
		w.call(toLookup)
		w.carrier.Response(100)
		w.carrier.Response(180)
		time.Sleep(700 * time.Millisecond)
		w.carrier.Send("%s", hop("CANCEL", toLookup, ""))
		w.carrier.Response(200)
		w.refused(487, toLookup)
		w.want(w.carrier, "487 INVITE", start, 1700*time.Millisecond)
		cleo.Silence(time.Minute)
		if got := (<-stopped).Sub(start); got != 1700*time.Millisecond {
			t.Errorf("the API's request was cancelled after %v, want 1.7s", got)
		}
		if r := w.record(); r.EndedBy != "caller" || r.Missed != record.MissedShortAbandoned {
			t.Errorf("record: ended by %s, missed %q", r.EndedBy, r.Missed)
		}
	})
}

// A caller who leaves at the moment in which the lookup is answered: no INVITE
// goes out after the 487, and one that went out before is taken back.
func TestWireCallerLeavesBeforeInvite(t *testing.T) {
	for gap := -1; gap <= 1; gap++ {
		onTheWire(t, simnet.Options{}, func(w *wire) {
			w.answer = answers(1, time.Second)
			ann := w.phone("ann", "192.0.2.20:5060")
			start := time.Now()
			w.call(toLookup)
			w.carrier.Response(100)
			time.Sleep(time.Second + time.Duration(gap))
			w.carrier.Send("%s", hop("CANCEL", toLookup, ""))
			time.Sleep(10 * time.Millisecond)
			rung, refused := -1, -1
			for i, m := range w.log() {
				switch {
				case m.to == ann.Addr() && m.what == "INVITE":
					rung = i
				case m.what == "487 INVITE" && refused < 0:
					refused = i
				}
			}
			if refused < 0 || rung > refused || gap < 0 && rung >= 0 {
				t.Errorf("gap %d ns: %v", gap, w.log())
			}
			w.want(w.carrier, "487 INVITE", start, time.Second+time.Duration(gap))
			w.carrier.Send("%s", hop("ACK", toLookup, "x"))
			if rung >= 0 {
				inv := ann.Request("INVITE")
				ann.Reply(inv, 180, "p", "")
				stopsRinging(ann, inv)
			}
			ann.Silence(time.Minute)
		})
	}
}

// Without the caller's ACK the call ends on both sides 32 s after the answer.
func TestWireLostACK(t *testing.T) {
	onTheWire(t, simnet.Options{}, func(w *wire) {
		ann := w.phone("ann", "192.0.2.20:5060")
		w.call(toAnn)
		w.carrier.Response(100)
		inv := ann.Request("INVITE")
		ann.Reply(inv, 180, "p", "")
		w.carrier.Response(180)
		time.Sleep(2 * time.Second)
		start := time.Now()
		picksUp(ann, inv, "192.0.2.20:6000")
		ann.Request("ACK")
		ann.Reply(ann.Request("BYE"), 200, "", "")
		for { // the repeated 200s, then BYE
			if bye, ok := w.carrier.Next(time.Minute).(*gosip.Request); ok {
				w.carrier.Reply(bye, 200, "", "")
				break
			}
		}
		w.want(w.carrier, "BYE", start, 32*time.Second)
		w.want(ann, "BYE", start, 32*time.Second)
		if n := w.count(w.carrier, "200 INVITE"); n != 11 {
			t.Errorf("the 200 was sent %d times, want 11 (RFC 3261 §13.3.1.4)", n)
		}
	})
}

// However often the network repeats an INVITE, the API is asked once.
func TestWireRepeatedInvite(t *testing.T) {
	onTheWire(t, simnet.Options{Delay: 20 * time.Millisecond, Duplicate: 1}, func(w *wire) {
		w.answer = answers(1, 2*time.Second)
		w.net.Set(simnet.Options{})
		ann := w.phone("ann", "192.0.2.20:5060")
		w.net.Set(simnet.Options{Delay: 20 * time.Millisecond, Duplicate: 1})
		for _, pause := range []time.Duration{500, 1000, 2000} {
			w.call(toLookup)
			time.Sleep(pause * time.Millisecond)
		}
		w.net.Set(simnet.Options{})
		if got := w.count(ann, "INVITE"); w.lookups() != 1 || got > 3 {
			t.Errorf("%d lookups, %d INVITEs to the phone", w.lookups(), got)
		}
		inv := ann.Request("INVITE")
		picksUp(ann, inv, "192.0.2.20:6000")
		time.Sleep(10 * time.Millisecond)
		var ok *gosip.Response
		for ok == nil {
			if res, is := w.carrier.Next(time.Second).(*gosip.Response); is && res.StatusCode == 200 {
				ok = res
			}
		}
		w.within("ACK", toLookup, toTag(ok), 1)
		w.call(toLookup) // once more, late
		time.Sleep(100 * time.Millisecond)
		if w.lookups() != 1 || w.exchange.Active() != 1 {
			t.Errorf("%d lookups, %d calls, want one of each", w.lookups(), w.exchange.Active())
		}
		w.within("BYE", toLookup, toTag(ok), 2)
		for m := ann.Next(time.Second); m != nil; m = ann.Next(time.Second) {
			if req, is := m.(*gosip.Request); is && req.Method == "BYE" {
				ann.Reply(req, 200, "", "")
			}
		}
	})
}

// With nobody registered the call ends at once, in the flow's words.
func TestWireNobodyRegistered(t *testing.T) {
	onTheWire(t, simnet.Options{}, func(w *wire) {
		start := time.Now()
		w.call(toTwo)
		w.carrier.Response(100)
		w.refused(480, toTwo)
		w.want(w.carrier, "480 INVITE", start, 0)
		if r := w.record(); r.Missed != record.MissedNoAgent || len(r.Offers) != 0 {
			t.Errorf("record: missed %q, offers %v", r.Missed, r.Offers)
		}
	})
}

// A phone that refuses ends its step at once; the next rings, for its whole time.
func TestWirePhoneRefuses(t *testing.T) {
	for _, c := range []struct {
		status int
		result string
	}{{486, "declined"}, {600, "declined"}, {603, "declined"}, {302, "failed"}, {404, "failed"}, {480, "unavailable"}, {500, "failed"}, {503, "failed"}} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			onTheWire(t, simnet.Options{}, func(w *wire) {
				ann, bob := w.phone("ann", "192.0.2.20:5060"), w.phone("bob", "192.0.2.21:5060")
				w.call(toTwo)
				w.carrier.Response(100)
				inv := ann.Request("INVITE")
				ann.Reply(inv, 180, "p", "")
				w.carrier.Response(180)
				time.Sleep(3 * time.Second)
				start := time.Now()
				ann.Reply(inv, c.status, "p", "", "Contact: <sip:elsewhere@203.0.113.9>")
				ann.Request("ACK")
				next := bob.Request("INVITE")
				w.want(bob, "INVITE", start, 0)
				bob.Reply(next, 180, "p", "")
				w.carrier.Response(180)
				stopsRinging(bob, next)
				w.want(bob, "CANCEL", start, 20*time.Second)
				w.refused(480, toTwo)
				ann.Silence(0)
				r := w.record()
				if len(r.Offers) != 2 || r.Offers[0].Result != c.result || r.Offers[0].Status != c.status || r.Offers[1].Result != "no_answer" {
					t.Errorf("offers %+v", r.Offers)
				}
			})
		})
	}
}

// A phone that is silent is unreachable after 32 s at most, and rings nobody
// twice meanwhile: the step is over before, without a CANCEL (RFC 3261 §9.1).
func TestWireSilentPhone(t *testing.T) {
	onTheWire(t, simnet.Options{}, func(w *wire) {
		ann := w.phone("ann", "192.0.2.20:5060")
		start := time.Now()
		w.call(toAnn)
		w.carrier.Response(100)
		w.carrier.Response(180) // a caller hears ringing after 1 s, whatever the phone says
		w.refused(480, toAnn)
		w.want(w.carrier, "480 INVITE", start, 21*time.Second) // the step waits a second for the phone's last word
		time.Sleep(15 * time.Second)
		if a, b := w.count(ann, "INVITE"), w.count(ann, "CANCEL"); a != 7 || b != 0 {
			t.Errorf("%d INVITEs and %d CANCELs, want 7 and 0", a, b)
		}
	})
}

// A second caller does not make a talking agent ring (I3).
func TestWireBusyAgent(t *testing.T) {
	onTheWire(t, simnet.Options{}, func(w *wire) {
		ann := w.phone("ann", "192.0.2.20:5060")
		w.call(toAnn)
		w.carrier.Response(100)
		inv := ann.Request("INVITE")
		picksUp(ann, inv, "192.0.2.20:6000")
		ok := w.carrier.Response(200)
		w.within("ACK", toAnn, toTag(ok), 1)
		ann.Request("ACK")
		synctest.Wait()
		other := w.endpoint("198.51.100.2:5060")
		other.Send("INVITE sip:%[1]s@192.0.2.10 SIP/2.0\nMax-Forwards: 70\nFrom: <sip:+12025550199@carrier.example>;tag=o\nTo: <sip:%[1]s@192.0.2.10>\nCall-ID: other\nCSeq: 1 INVITE\nContact: <sip:198.51.100.2:5060>\nContent-Type: application/sdp\n\n%[2]s",
			toAnn, phonetest.SDP("198.51.100.2:4000", "sendrecv"))
		other.Response(100)
		other.Response(480)
		ann.Silence(time.Second)
		// The callee hangs up.
		ann.Send("BYE %s SIP/2.0\nMax-Forwards: 70\nFrom: %s;tag=p\nTo: %s\nCall-ID: %s\nCSeq: 1 BYE\n\n",
			inv.Contact().Address.String(), inv.To().Value(), inv.From().Value(), inv.CallID().Value())
		ann.Response(200)
		w.carrier.Reply(w.carrier.Request("BYE"), 200, "", "")
	})
}
