package sip_test

import (
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/simnet"
)

// setUp rings one phone from the carrier and answers after a time; both ends are
// acknowledged.
func setUp(w *world, carrier, alice *phonetest.Phone, callID string, after time.Duration) (inv *gosip.Request, toTag string) {
	w.t.Helper()
	carrier.Send("%s", inviteText(carrier, callID))
	carrier.Response(100)
	inv = alice.Request("INVITE")
	alice.Reply(inv, 180, "at", "")
	carrier.Response(180)
	time.Sleep(after)
	alice.Reply(inv, 200, "at", phonetest.SDP("192.0.2.20:6000", "sendrecv"))
	ok := carrier.Response(200)
	alice.Request("ACK")
	toTag = tag(ok.To().Params)
	follow(carrier, "ACK", callID, toTag, 1, "", "")
	return inv, toTag
}

func TestCallTalksAndEnds(t *testing.T) {
	const delay = 10 * time.Millisecond
	run(t, simnet.Options{Delay: delay}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		start := time.Now()
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		if got := time.Since(start); got != 2*delay {
			t.Errorf("100 came after %v, want %v: at once", got, 2*delay)
		}
		inv := alice.Request("INVITE")
		if got := inv.Recipient.String(); got != "sip:alice@192.0.2.20:5060" {
			t.Errorf("Request-URI %q", got)
		}
		if got := inv.From().Value(); got[:len(`"Jane Doe" <sip:+12025550123@192.0.2.10>;tag=`)] != `"Jane Doe" <sip:+12025550123@192.0.2.10>;tag=` {
			t.Errorf("From %q", got)
		}
		if inv.MaxForwards().Val() != 69 {
			t.Errorf("Max-Forwards %d, want 69", inv.MaxForwards().Val())
		}
		alice.Reply(inv, 180, "at", "")
		ringing := carrier.Response(180)
		if got := time.Since(start); got != 4*delay {
			t.Errorf("180 came after %v, want %v", got, 4*delay)
		}
		time.Sleep(5 * time.Second)
		alice.Reply(inv, 200, "at", phonetest.SDP("192.0.2.20:6000", "sendrecv"))
		ok := carrier.Response(200)
		if got, want := time.Since(start), 5*time.Second+6*delay; got != want {
			t.Errorf("200 came after %v, want %v", got, want)
		}
		toTag := tag(ok.To().Params)
		if toTag == "" || toTag != tag(ringing.To().Params) {
			t.Errorf("To tags %q and %q", tag(ringing.To().Params), toTag)
		}
		alice.Request("ACK")
		follow(carrier, "ACK", "c1", toTag, 1, "", "")
		time.Sleep(time.Minute)
		if w.server.Calls() != 1 {
			t.Errorf("%d calls while talking, want 1", w.server.Calls())
		}
		follow(carrier, "BYE", "c1", toTag, 2, "", "")
		bye := alice.Request("BYE")
		alice.Reply(bye, 200, "", "")
		carrier.Response(200)
		carrier.Silence(time.Second)
		alice.Silence(time.Second)
	})
}

func TestCalleeHangsUp(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		inv, toTag := setUp(w, carrier, alice, "c1", 0)
		phoneSends(alice, inv, "BYE", "at", 0, "", "") // any number may be the first (RFC 3261 §8.1.1.5)
		bye := carrier.Request("BYE")
		if got := tag(bye.From().Params); got != toTag {
			t.Errorf("BYE with our tag %q, want %q", got, toTag)
		}
		if got := bye.GetHeader("Reason").Value(); got != "Q.850;cause=16" {
			t.Errorf("Reason %q", got)
		}
		carrier.Reply(bye, 200, "", "")
		alice.Response(200)
	})
}
