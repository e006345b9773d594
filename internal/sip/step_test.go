package sip_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/simnet"
	"github.com/ringpath/ringpath/internal/sip"
)

// ringInTurn rings a user after the other, two seconds each.
func (w *world) ringInTurn(in phone.IncomingLeg) {
	for _, u := range []phone.UserID{1, 2} {
		l, err := w.server.Dial(w.t.Context(), phone.Dial{Call: in.Facts().ID, Caller: in, To: phone.Destination{Contact: w.server.Contacts(u)[0]}, From: in.Facts().Caller})
		if err != nil {
			w.t.Error(err)
			return
		}
		time.AfterFunc(2*time.Second, func() { l.Hangup(phone.CauseNoAnswer) })
		for range l.Events() { // until it has ended
		}
	}
	in.Hangup(phone.CauseNoAnswer)
}

// Each ring step has a port of its own toward the phones, and its phones are told
// why they stop ringing (ARCHITECTURE, media rule 7).
func TestStepsHaveTheirOwnPort(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		w.serve = w.ringInTurn
		carrier, alice, bob := w.carrier(), w.phone("alice", "192.0.2.20:5060"), w.phone("bob", "192.0.2.21:5060")
		for _, p := range []*phonetest.Phone{carrier, alice, bob} {
			defer p.Close()
		}
		start := time.Now()
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		var ports []uint16
		for i, p := range []*phonetest.Phone{alice, bob} {
			inv := p.Request("INVITE")
			if got, want := time.Since(start), time.Duration(i)*2*time.Second; got != want {
				t.Errorf("phone %d rings after %v, want %v", i, got, want)
			}
			ports = append(ports, audioAt(t, inv.Body()).Port())
			p.Reply(inv, 180, "x", "")
			cancel := p.Request("CANCEL")
			if got := cancel.GetHeader("Reason").Value(); got != "Q.850;cause=19" {
				t.Errorf("Reason %q", got)
			}
			p.Reply(cancel, 200, "x", "")
			p.Reply(inv, 487, "x", "")
			p.Request("ACK")
		}
		carrier.Response(480)
		ackRefusal(carrier, "c1")
		if ports[0] == ports[1] {
			t.Errorf("both steps use port %d", ports[0])
		}
	})
}

// A phone is rung from the socket that it registered with, and keeps being
// reached when its NAT gives it another port.
func TestPhoneBehindNAT(t *testing.T) {
	const second = "192.0.2.11:5080"
	run(t, simnet.Options{}, func(o *sip.Options) {
		n := o.Listen[0].Packet.(*simnet.Conn).Net()
		o.Listen = append(o.Listen, sip.Listener{Packet: n.Listen(second)})
	}, func(w *world) {
		carrier := w.carrier()
		alice := phonetest.NewPhone(t, w.net.Listen("192.0.2.20:1024"), netip.MustParseAddrPort(second))
		defer carrier.Close()
		register(t, alice, "alice", "alice", password, "MD5", 600, 200)
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		inv := alice.Request("INVITE") // it came from second, or the phone would not have it
		if got := inv.Via().SentBy(); got != second {
			t.Errorf("the INVITE says it comes from %s, want %s", got, second)
		}
		alice.Reply(inv, 200, "at", phonetest.SDP("192.0.2.20:6000", "sendrecv"))
		ok := carrier.Response(200)
		alice.Request("ACK")
		follow(carrier, "ACK", "c1", tag(ok.To().Params), 1, "", "")
		// The NAT moves it.
		alice.Close()
		alice = phonetest.NewPhone(t, w.net.Listen("192.0.2.20:2048"), netip.MustParseAddrPort(second))
		defer alice.Close()
		phoneSends(alice, inv, "OPTIONS", "at", 1, "", "")
		alice.Response(200)
		follow(carrier, "BYE", "c1", tag(ok.To().Params), 2, "", "")
		carrier.Response(200)
		alice.Reply(alice.Request("BYE"), 200, "", "")
	})
}

// A CANCEL from somewhere else cancels nothing.
func TestCancelOfAStranger(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice, stranger := w.carrier(), w.phone("alice", "192.0.2.20:5060"), w.endpoint("203.0.113.66:5060")
		for _, p := range []*phonetest.Phone{carrier, alice, stranger} {
			defer p.Close()
		}
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		inv := alice.Request("INVITE")
		alice.Reply(inv, 180, "a", "")
		carrier.Response(180)
		stranger.Send("CANCEL sip:+14155550100@192.0.2.10 SIP/2.0\nVia: %s\nFrom: <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:+14155550100@192.0.2.10>\nCall-ID: c1\nCSeq: 1 CANCEL\n",
			strings.Replace(firstVia(carrier), ";rport", ";rport=1", 1))
		carrier.Silence(time.Second)
		alice.Reply(inv, 486, "a", "")
		alice.Request("ACK")
		carrier.Response(603)
		ackRefusal(carrier, "c1")
	})
}
