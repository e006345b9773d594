package sip_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/simnet"
)

func TestTwoAnswersTogether(t *testing.T) {
	for gap := -3 * time.Millisecond; gap <= 3*time.Millisecond; gap += time.Millisecond {
		run(t, simnet.Options{Delay: 2 * time.Millisecond}, nil, func(w *world) {
			carrier, alice, bob := w.carrier(), w.phone("alice", "192.0.2.20:5060"), w.phone("bob", "192.0.2.21:5060")
			defer carrier.Close()
			defer alice.Close()
			defer bob.Close()
			carrier.Send("%s", inviteText(carrier, "c1"))
			carrier.Response(100)
			toAlice, toBob := alice.Request("INVITE"), bob.Request("INVITE")
			answer := func(p *phonetest.Phone, inv *gosip.Request, port int) {
				p.Reply(inv, 200, "x", phonetest.SDP(fmt.Sprintf("192.0.2.20:%d", port), "sendrecv"))
			}
			if gap < 0 {
				answer(bob, toBob, 6002)
				time.Sleep(-gap)
				answer(alice, toAlice, 6000)
			} else {
				answer(alice, toAlice, 6000)
				time.Sleep(gap)
				answer(bob, toBob, 6002)
			}
			ok := carrier.Response(200)
			follow(carrier, "ACK", "c1", tag(ok.To().Params), 1, "", "")
			// Both are acknowledged; the loser is hung up.
			alice.Request("ACK")
			bob.Request("ACK")
			winner, loser, inv := alice, bob, toAlice
			bye, lost := bob.Next(100 * time.Millisecond).(*gosip.Request)
			if !lost { // it is alice then
				winner, loser, inv, bye = bob, alice, toBob, alice.Request("BYE")
			}
			if gap != 0 && (gap < 0) != (winner == bob) {
				t.Errorf("gap %v: the later answer won", gap)
			}
			if got := bye.GetHeader("Reason").Value(); bye.Method != "BYE" || got != `SIP;cause=200;text="Call completed elsewhere"` {
				t.Errorf("gap %v: %s with Reason %q", gap, bye.Method, got)
			}
			loser.Reply(bye, 200, "", "")
			winner.Silence(time.Second)
			carrier.Silence(0)
			phoneSends(winner, inv, "BYE", "x", 1, "", "")
			winner.Response(200)
			carrier.Reply(carrier.Request("BYE"), 200, "", "")
		})
	}
}

func TestLosersAreCancelled(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice, bob := w.carrier(), w.phone("alice", "192.0.2.20:5060"), w.phone("bob", "192.0.2.21:5060")
		defer carrier.Close()
		defer alice.Close()
		defer bob.Close()
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		toAlice, toBob := alice.Request("INVITE"), bob.Request("INVITE")
		bob.Reply(toBob, 180, "b", "")
		carrier.Response(180)
		alice.Reply(toAlice, 200, "a", phonetest.SDP("192.0.2.20:6000", "sendrecv"))
		ok := carrier.Response(200)
		follow(carrier, "ACK", "c1", tag(ok.To().Params), 1, "", "")
		alice.Request("ACK")
		cancel := bob.Request("CANCEL")
		if got := cancel.GetHeader("Reason").Value(); got != `SIP;cause=200;text="Call completed elsewhere"` {
			t.Errorf("Reason %q", got)
		}
		if got, want := cancel.Via().Value(), toBob.Via().Value(); got != want {
			t.Errorf("CANCEL's Via %q, want the INVITE's %q", got, want)
		}
		bob.Reply(cancel, 200, "b", "")
		bob.Reply(toBob, 487, "b", "")
		bob.Request("ACK")
		follow(carrier, "BYE", "c1", tag(ok.To().Params), 2, "", "")
		carrier.Response(200)
		alice.Reply(alice.Request("BYE"), 200, "", "")
	})
}

// CANCEL waits for a provisional response (RFC 3261 §9.1), and a 200 that crosses
// it gets ACK and BYE.
func TestCancelWaitsForProvisional(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		inv := alice.Request("INVITE")
		cancelCall(carrier, "c1")
		carrier.Response(200)
		carrier.Response(487)
		ackRefusal(carrier, "c1")
		alice.Silence(400 * time.Millisecond)
		alice.Reply(inv, 100, "", "")
		cancel := alice.Request("CANCEL")
		alice.Reply(inv, 200, "a", phonetest.SDP("192.0.2.20:6000", "sendrecv"))
		alice.Reply(cancel, 200, "a", "")
		alice.Request("ACK")
		alice.Reply(alice.Request("BYE"), 200, "", "")
	})
}

func cancelCall(p *phonetest.Phone, callID string) {
	p.Send("CANCEL sip:+14155550100@192.0.2.10 SIP/2.0\nVia: %s\nMax-Forwards: 70\nFrom: <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:+14155550100@192.0.2.10>\nCall-ID: %s\nCSeq: 1 CANCEL\n",
		firstVia(p), callID)
}

func ackRefusal(p *phonetest.Phone, callID string) {
	p.Send("ACK sip:+14155550100@192.0.2.10 SIP/2.0\nVia: %s\nMax-Forwards: 70\nFrom: <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:+14155550100@192.0.2.10>;tag=x\nCall-ID: %s\nCSeq: 1 ACK\n",
		firstVia(p), callID)
}

// firstVia is the Via that an endpoint's first request got.
func firstVia(p *phonetest.Phone) string {
	return fmt.Sprintf("SIP/2.0/UDP %s;rport;branch=z9hG4bK%s-1", p.Addr(), strings.ReplaceAll(p.Addr(), ":", "-"))
}

// The phone's 200 and the caller's CANCEL meet in our server in every order: there
// is exactly one final response, and nobody is left talking alone.
func TestCancelAgainstAnswer(t *testing.T) {
	for gap := -20 * time.Millisecond; gap <= 20*time.Millisecond; gap += time.Millisecond {
		run(t, simnet.Options{Delay: 3 * time.Millisecond}, nil, func(w *world) {
			carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
			defer carrier.Close()
			defer alice.Close()
			carrier.Send("%s", inviteText(carrier, "c1"))
			carrier.Response(100)
			inv := alice.Request("INVITE")
			alice.Reply(inv, 180, "a", "")
			carrier.Response(180)
			answer := func() { alice.Reply(inv, 200, "a", phonetest.SDP("192.0.2.20:6000", "sendrecv")) }
			if gap < 0 {
				cancelCall(carrier, "c1")
				time.Sleep(-gap)
				answer()
			} else {
				answer()
				time.Sleep(gap)
				cancelCall(carrier, "c1")
			}
			finals := map[int]int{}
			cancelOK := false
			for range 2 {
				res, ok := carrier.Next(time.Second).(*gosip.Response)
				if !ok {
					t.Fatalf("gap %v: a response is missing", gap)
				}
				if res.CSeq().MethodName == "CANCEL" {
					cancelOK = res.StatusCode == 200
					continue
				}
				finals[res.StatusCode]++
				if res.StatusCode == 487 {
					ackRefusal(carrier, "c1")
				} else {
					toTag := tag(res.To().Params)
					follow(carrier, "ACK", "c1", toTag, 1, "", "")
					follow(carrier, "BYE", "c1", toTag, 2, "", "")
				}
			}
			if !cancelOK || finals[200]+finals[487] != 1 {
				t.Fatalf("gap %v: finals %v, CANCEL answered %v", gap, finals, cancelOK)
			}
			if finals[200] == 1 {
				carrier.Response(200) // to BYE
			}
			carrier.Silence(time.Second)
			endQuietly(alice, inv)
		})
	}
}

// endQuietly answers what a phone is sent until nothing comes any more; the last
// must leave it without a call.
func endQuietly(p *phonetest.Phone, inv *gosip.Request) (got []string) {
	for {
		req, ok := p.Next(3 * time.Second).(*gosip.Request)
		if !ok {
			return got
		}
		got = append(got, string(req.Method))
		switch req.Method {
		case gosip.CANCEL:
			p.Reply(req, 200, "a", "")
		case gosip.BYE:
			p.Reply(req, 200, "", "")
		}
	}
}

// A caller that never acknowledges is ended after 32 s, and with it the callee.
func TestLostACK(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		inv := alice.Request("INVITE")
		alice.Reply(inv, 200, "a", phonetest.SDP("192.0.2.20:6000", "sendrecv"))
		start := time.Now()
		alice.Request("ACK")
		var at []time.Duration
		var bye *gosip.Request
		for bye == nil {
			switch m := carrier.Next(time.Minute).(type) {
			case *gosip.Response:
				at = append(at, time.Since(start))
			case *gosip.Request:
				bye = m
			}
		}
		want := []time.Duration{0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if fmt.Sprint(at) != fmt.Sprint(want) {
			t.Errorf("200 was sent at %v, want %v", at, want)
		}
		if got := time.Since(start); bye.Method != "BYE" || got != 32*time.Second {
			t.Errorf("%s at %v, want BYE at 32s", bye.Method, got)
		}
		carrier.Reply(bye, 200, "", "")
		bye = alice.Request("BYE")
		if got := time.Since(start); got != 32*time.Second {
			t.Errorf("the callee's BYE at %v, want 32s", got)
		}
		alice.Reply(bye, 200, "", "")
		leg := w.served[0]
		if leg.Facts().Number != 1 {
			t.Error("facts are gone")
		}
	})
}

func TestRetransmittedInviteIsOneCall(t *testing.T) {
	run(t, simnet.Options{Delay: time.Millisecond}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		first := inviteText(carrier, "c1")
		carrier.Send("%s", first)
		carrier.Response(100)
		withVia := strings.Replace(first, "SIP/2.0\n", "SIP/2.0\nVia: "+firstVia(carrier)+"\n", 1)
		for range 3 {
			carrier.Send("%s", withVia)
			carrier.Response(100) // the last provisional response, again
		}
		// A copy that took another way (RFC 3261 §8.2.2.2).
		carrier.Send("%s", first)
		carrier.Response(482)
		inv := alice.Request("INVITE")
		alice.Reply(inv, 486, "a", "")
		alice.Request("ACK")
		carrier.Response(603)
		ackRefusal(carrier, "c1")
		if w.calls() != 1 {
			t.Errorf("%d calls, want 1", w.calls())
		}
	})
}

func TestPhoneRefuses(t *testing.T) {
	tests := []struct{ status, caller int }{
		{486, 603},
		{600, 603},
		{603, 603},
		{302, 480},
		{480, 480},
		{404, 404},
		{408, 480},
		{401, 500},
		{488, 488},
		{500, 500},
		{503, 480},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status), func(t *testing.T) {
			run(t, simnet.Options{}, nil, func(w *world) {
				carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
				defer carrier.Close()
				defer alice.Close()
				carrier.Send("%s", inviteText(carrier, "c1"))
				carrier.Response(100)
				inv := alice.Request("INVITE")
				alice.Reply(inv, test.status, "a", "")
				ack := alice.Request("ACK")
				if got, want := ack.Via().Value(), inv.Via().Value(); got != want {
					t.Errorf("ACK's Via %q, want %q", got, want)
				}
				carrier.Response(test.caller)
				ackRefusal(carrier, "c1")
				// A repeated refusal gets its ACK again.
				alice.Reply(inv, test.status, "a", "")
				alice.Request("ACK")
			})
		})
	}
}

func TestSilentPhone(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		start := time.Now()
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		carrier.Response(480)
		if got := time.Since(start); got != 32*time.Second {
			t.Errorf("a phone that is not there ended the call after %v, want 32s", got)
		}
		ackRefusal(carrier, "c1")
	})
}

// The second answer of a fork behind a phone gets ACK and BYE.
func TestForkedAnswers(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		inv, toTag := setUp(w, carrier, alice, "c1", 0)
		alice.Reply(inv, 200, "other", phonetest.SDP("192.0.2.20:7000", "sendrecv"))
		ack := alice.Request("ACK")
		bye := alice.Request("BYE")
		if got := tag(ack.To().Params) + tag(bye.To().Params); got != "otherother" {
			t.Errorf("ACK and BYE to %q", got)
		}
		alice.Reply(bye, 200, "", "")
		alice.Reply(inv, 200, "at", phonetest.SDP("192.0.2.20:6000", "sendrecv")) // repeated
		alice.Request("ACK")
		follow(carrier, "BYE", "c1", toTag, 2, "", "")
		carrier.Response(200)
		alice.Reply(alice.Request("BYE"), 200, "", "")
	})
}

// Over a bad network every call still ends for everybody.
func TestBadNetwork(t *testing.T) {
	bad := simnet.Options{Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: .15, Duplicate: .1, Reorder: .2}
	for seed := range uint64(10) {
		run(t, simnet.Options{}, nil, func(w *world) {
			carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
			defer carrier.Close()
			defer alice.Close()
			bad.Seed = seed
			w.net.Set(bad)
			text := inviteText(carrier, "c1")
			withVia := strings.Replace(text, "SIP/2.0\n", "SIP/2.0\nVia: "+firstVia(carrier)+"\n", 1)
			done := make(chan struct{})
			go func() { defer close(done); obedient(alice) }()
			var final *gosip.Response
			for i := 0; final == nil && i < 20; i++ {
				carrier.Send("%s", withVia)
				for {
					res, ok := carrier.Next(500 * time.Millisecond).(*gosip.Response)
					if !ok {
						break
					}
					if res.StatusCode >= 200 {
						final = res
						break
					}
				}
			}
			if final == nil || final.StatusCode != 200 {
				t.Fatalf("seed %d: no 200", seed)
			}
			over := time.Now().Add(20 * time.Second)
			toTag := tag(final.To().Params)
			for time.Now().Before(over) {
				follow(carrier, "ACK", "c1", toTag, 1, "", "")
				carrier.Next(time.Second)
			}
			for i := 0; ; i++ {
				carrier.Send("BYE sip:192.0.2.10:5060 SIP/2.0\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bKbye\nFrom: <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:+14155550100@192.0.2.10>;tag=%s\nCall-ID: c1\nCSeq: 2 BYE\n", carrier.Addr(), toTag)
				res, ok := carrier.Next(500 * time.Millisecond).(*gosip.Response)
				if ok && res.CSeq().MethodName == "BYE" {
					break
				}
				if i == 60 {
					t.Fatalf("seed %d: BYE was never answered", seed)
				}
			}
			<-done
			w.net.Set(simnet.Options{})
		})
	}
}

// obedient is a phone that answers everything, over a bad network, until it has
// heard nothing for a while.
func obedient(p *phonetest.Phone) {
	for {
		switch m := p.Next(40 * time.Second).(type) {
		case nil:
			return
		case *gosip.Request:
			switch m.Method {
			case gosip.INVITE:
				p.Reply(m, 180, "a", "")
				p.Reply(m, 200, "a", phonetest.SDP("192.0.2.20:6000", "sendrecv"))
			case gosip.BYE:
				p.Reply(m, 200, "", "")
			}
		}
	}
}
