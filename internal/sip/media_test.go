package sip_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/media"
	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/simnet"
)

// audioAt is where a message's session description wants audio.
func audioAt(t *testing.T, body []byte) netip.AddrPort {
	t.Helper()
	d, err := media.Parse(body)
	if err != nil {
		t.Fatalf("session description: %v\n%s", err, body)
	}
	return d.RTP
}

func origin(body []byte) string {
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "o=") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func rtp(seq byte) []byte {
	return append([]byte{0x80, 0, 0, seq, 0, 0, 0, 0, 1, 2, 3, 4}, make([]byte, 160)...)
}

func TestAudioBothWays(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		callerAudio, aliceAudio := w.net.Listen("198.51.100.1:4000"), w.net.Listen("192.0.2.20:6000")
		for _, c := range []interface{ Close() }{carrier, alice} {
			defer c.Close()
		}
		defer func() { _ = callerAudio.Close(); _ = aliceAudio.Close() }()
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		inv := alice.Request("INVITE")
		toPhone := audioAt(t, inv.Body())
		alice.Reply(inv, 200, "at", phonetest.SDP("192.0.2.20:6000", "sendrecv"))
		ok := carrier.Response(200)
		toCaller := audioAt(t, ok.Body())
		if toPhone == toCaller || toPhone.Addr().String() != "192.0.2.10" || toCaller.Addr().String() != "192.0.2.10" {
			t.Errorf("audio goes to %v and %v", toPhone, toCaller)
		}
		alice.Request("ACK")
		follow(carrier, "ACK", "c1", tag(ok.To().Params), 1, "", "")
		hears := func(from *simnet.Conn, to netip.AddrPort, at *simnet.Conn) {
			t.Helper()
			_, _ = from.WriteToUDPAddrPort(rtp(1), to)
			_ = at.SetReadDeadline(time.Now().Add(time.Second))
			if n, _, err := at.ReadFrom(make([]byte, 2000)); err != nil || n != 172 {
				t.Errorf("audio from %v: %d bytes, %v", from.AddrPort(), n, err)
			}
		}
		hears(callerAudio, toCaller, aliceAudio)
		hears(aliceAudio, toPhone, callerAudio)
		follow(carrier, "BYE", "c1", tag(ok.To().Params), 2, "", "")
		carrier.Response(200)
		alice.Reply(alice.Request("BYE"), 200, "", "")
		time.Sleep(time.Millisecond)
		if w.media.Sessions() != 0 {
			t.Error("the media session outlives the call")
		}
	})
}

func TestHoldAndResume(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		inv, toTag := setUp(w, carrier, alice, "c1", 0)
		first := origin(inv.Body())
		// Alice holds, then resumes; each time the caller is asked.
		for i, step := range []struct{ asks, answers string }{{"sendonly", "recvonly"}, {"sendrecv", "sendrecv"}} {
			phoneSends(alice, inv, "INVITE", "at", i+1, "", phonetest.SDP("192.0.2.20:6000", step.asks))
			alice.Response(100)
			re := carrier.Request("INVITE")
			if got := string(re.Body()); !strings.Contains(got, "a="+step.asks) {
				t.Errorf("the caller is offered\n%s", got)
			}
			if got := tag(re.To().Params); got != "ft" {
				t.Errorf("the re-INVITE is for tag %q", got)
			}
			carrier.Reply(re, 200, "", phonetest.SDP("198.51.100.1:4000", step.answers))
			carrier.Request("ACK")
			ok := alice.Response(200)
			if got := string(ok.Body()); !strings.Contains(got, "a="+step.answers) {
				t.Errorf("the answer is\n%s", got)
			}
			if now := origin(ok.Body()); i == 0 && now == first {
				t.Errorf("o= is %q as before", now)
			}
			phoneSends(alice, inv, "ACK", "at", i+1, "", "")
		}
		alice.Silence(time.Second)
		// The caller asks; alice refuses, and the call goes on.
		follow(carrier, "INVITE", "c1", toTag, 2, "", phonetest.SDP("198.51.100.1:4002", "sendrecv"))
		carrier.Response(100)
		alice.Reply(alice.Request("INVITE"), 488, "", "")
		alice.Request("ACK")
		carrier.Response(488)
		follow(carrier, "ACK", "c1", toTag, 2, "", "")
		// A re-INVITE without session description is refused until offers of ours are built.
		time.Sleep(33 * time.Second)
		follow(carrier, "INVITE", "c1", toTag, 3, "", "")
		carrier.Response(488)
		drain(carrier)
		follow(carrier, "BYE", "c1", toTag, 4, "", "")
		carrier.Response(200)
		alice.Reply(alice.Request("BYE"), 200, "", "")
	})
}

// drain reads until nothing has come for ten seconds.
func drain(p *phonetest.Phone) {
	for p.Next(10*time.Second) != nil {
	}
}

func TestGlare(t *testing.T) {
	run(t, simnet.Options{Delay: 5 * time.Millisecond}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		inv, toTag := setUp(w, carrier, alice, "c1", 0)
		time.Sleep(time.Second)
		phoneSends(alice, inv, "INVITE", "at", 1, "", phonetest.SDP("192.0.2.20:6000", "sendonly"))
		follow(carrier, "INVITE", "c1", toTag, 2, "", phonetest.SDP("198.51.100.1:4000", "sendonly"))
		// Alice's was first: the caller's gets 491, hers is put to the caller.
		re := carrier.Request("INVITE")
		carrier.Response(491)
		alice.Response(100)
		carrier.Reply(re, 491, "", "") // and the caller sees glare as well
		carrier.Request("ACK")
		alice.Response(491)
		drain(carrier)
		drain(alice)
		// BYE while a re-INVITE is under way ends both.
		phoneSends(alice, inv, "INVITE", "at", 2, "", phonetest.SDP("192.0.2.20:6000", "sendonly"))
		alice.Response(100)
		re = carrier.Request("INVITE")
		phoneSends(alice, inv, "BYE", "at", 3, "", "")
		got := map[int]bool{}
		for range 2 {
			got[alice.Next(time.Second).(*gosip.Response).StatusCode] = true
		}
		if !got[200] || !got[487] {
			t.Errorf("alice got %v, want 200 and 487", got)
		}
		carrier.Reply(re, 200, "", phonetest.SDP("198.51.100.1:4000", "recvonly"))
		for range 2 { // ACK and BYE
			if req, ok := carrier.Next(time.Second).(*gosip.Request); ok && req.Method == "BYE" {
				carrier.Reply(req, 200, "", "")
			}
		}
		drain(alice)
		drain(carrier)
	})
}

func TestWithinADialog(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		stranger := w.endpoint("203.0.113.66:5060")
		for _, p := range []*phonetest.Phone{carrier, alice, stranger} {
			defer p.Close()
		}
		inv, toTag := setUp(w, carrier, alice, "c1", 0)
		// Somebody who knows the tags, but is somewhere else.
		follow(stranger, "BYE", "c1", toTag, 2, "", "")
		stranger.Response(481)
		follow(carrier, "BYE", "c1", toTag+"x", 2, "", "")
		carrier.Response(481)
		follow(carrier, "BYE", "c2", toTag, 2, "", "")
		carrier.Response(481)
		for cseq, test := range []struct {
			method string
			status int
		}{{"OPTIONS", 200}, {"UPDATE", 405}, {"INFO", 405}, {"REFER", 405}, {"PRACK", 405}, {"FOO", 501}} {
			follow(carrier, test.method, "c1", toTag, 10+cseq, "", "")
			carrier.Response(test.status)
		}
		follow(carrier, "OPTIONS", "c1", toTag, 5, "", "") // out of order
		carrier.Response(500)
		alice.Silence(time.Second)
		phoneSends(alice, inv, "BYE", "at", 1, "", "")
		alice.Response(200)
		carrier.Reply(carrier.Request("BYE"), 200, "", "")
	})
}

// A caller without a codec of ours to offer never rings anybody.
func TestOffersRefused(t *testing.T) {
	sdp := phonetest.SDP("198.51.100.1:4000", "sendrecv")
	tests := []struct {
		name, body string
		status     int
	}{
		{"none", "", 488},
		{"no audio", strings.Replace(sdp, "m=audio", "m=video", 1), 488},
		{"unreadable", "hello\n", 400},
		{"srtp keys over plain transport", sdp + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\n", 488},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run(t, simnet.Options{}, nil, func(w *world) {
				carrier := w.carrier()
				defer carrier.Close()
				head, _, _ := strings.Cut(inviteText(carrier, "c1"), "\n\n")
				carrier.Send("%s\n\n%s", head, test.body)
				carrier.Response(test.status)
				if w.calls() != 0 {
					t.Error("the call was served")
				}
			})
		})
	}
}

// An answer without audio ends the phone's leg, not the caller's.
func TestAnswerWithoutAudio(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		inv := alice.Request("INVITE")
		alice.Reply(inv, 200, "a", "")
		alice.Request("ACK")
		alice.Reply(alice.Request("BYE"), 200, "", "")
		carrier.Response(488)
		ackRefusal(carrier, "c1")
	})
}

var _ net.PacketConn = (*simnet.Conn)(nil)

// A re-INVITE can be cancelled, and one whose answer is never acknowledged ends
// the call (RFC 3261 §14.2).
func TestReinviteCancelledAndLost(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		_, toTag := setUp(w, carrier, alice, "c1", 0)
		via := "Via: SIP/2.0/UDP 198.51.100.1:5060;rport;branch=z9hG4bKre\n"
		follow(carrier, "INVITE", "c1", toTag, 2, via, phonetest.SDP("198.51.100.1:4000", "sendonly"))
		carrier.Response(100)
		re := alice.Request("INVITE")
		alice.Reply(re, 100, "", "")
		follow(carrier, "CANCEL", "c1", toTag, 2, via, "")
		carrier.Response(200)
		carrier.Response(487)
		follow(carrier, "ACK", "c1", toTag, 2, via, "")
		alice.Reply(alice.Request("CANCEL"), 200, "", "")
		alice.Reply(re, 200, "", phonetest.SDP("192.0.2.20:6000", "recvonly")) // crossed it
		alice.Request("ACK")
		alice.Silence(time.Second)
		// Now one that is agreed, and whose ACK is lost.
		follow(carrier, "INVITE", "c1", toTag, 3, "", phonetest.SDP("198.51.100.1:4000", "sendonly"))
		start := time.Now()
		carrier.Response(100)
		alice.Reply(alice.Request("INVITE"), 200, "", phonetest.SDP("192.0.2.20:6000", "recvonly"))
		alice.Request("ACK")
		for {
			if req, ok := carrier.Next(time.Minute).(*gosip.Request); ok {
				if got := time.Since(start); req.Method != "BYE" || got != 32*time.Second {
					t.Errorf("%s after %v, want BYE after 32s", req.Method, got)
				}
				carrier.Reply(req, 200, "", "")
				break
			}
		}
		alice.Reply(alice.Request("BYE"), 200, "", "")
	})
}

// Messages that overtake each other: a 180 after the 200, a BYE before the ACK.
func TestOutOfOrder(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		inv := alice.Request("INVITE")
		alice.Reply(inv, 200, "a", phonetest.SDP("192.0.2.20:6000", "sendrecv"))
		alice.Reply(inv, 180, "a", "")
		ok := carrier.Response(200)
		alice.Request("ACK")
		follow(carrier, "BYE", "c1", tag(ok.To().Params), 2, "", "")
		carrier.Response(200)
		follow(carrier, "ACK", "c1", tag(ok.To().Params), 1, "", "")
		alice.Reply(alice.Request("BYE"), 200, "", "")
		carrier.Silence(time.Minute) // the 200 is not repeated: who says BYE has had it
	})
}
