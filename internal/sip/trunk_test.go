package sip_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/simnet"
	"github.com/ringpath/ringpath/internal/sip"
)

// dialTrunk serves a call by dialling a number by the trunk.
func (w *world) dialTrunk(in phone.IncomingLeg) {
	out, err := w.server.Dial(w.t.Context(), phone.Dial{
		Call: in.Facts().ID, Caller: in, To: phone.Destination{Trunk: "carrier", Number: "+33142685300"},
		From: in.Facts().Caller, Display: "Gold customer",
	})
	if err != nil {
		w.t.Errorf("dial: %v", err)
		in.Hangup(phone.CauseFailed)
		return
	}
	for e := range out.Events() {
		switch e.Kind {
		case phone.LegRinging:
			in.Ring()
		case phone.LegAnswered:
			if err := in.Join(out); err != nil {
				out.Hangup(phone.CauseFailed)
			}
		case phone.LegEnded:
			in.Hangup(e.Cause)
		}
	}
}

func TestTrunkCallerID(t *testing.T) {
	tests := []struct {
		name string
		id   directory.CallerID
		from string
		want string
	}{
		{"the number dialled", directory.CallerID{}, "+12025550123", "<sip:+14155550100@192.0.2.10>"},
		{"original", directory.CallerID{Original: true}, "+12025550123", "<sip:+12025550123@192.0.2.10>"},
		{"original, withheld", directory.CallerID{Original: true}, "anonymous", `"Anonymous" <sip:anonymous@anonymous.invalid>`},
		{"fixed", directory.CallerID{Fixed: "+14155550199"}, "+12025550123", "<sip:+14155550199@192.0.2.10>"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run(t, simnet.Options{}, nil, func(w *world) {
				w.office.trunk.CallerID = test.id
				w.serve = w.dialTrunk
				carrier := w.carrier()
				defer carrier.Close()
				carrier.Send("%s", strings.Replace(inviteText(carrier, "c1"), "+12025550123", test.from, 1))
				carrier.Response(100)
				inv := carrier.Request("INVITE")
				if got := inv.Recipient.String(); got != "sip:+33142685300@198.51.100.1" {
					t.Errorf("Request-URI %q", got)
				}
				from, _, _ := strings.Cut(inv.From().Value(), ";tag=")
				if from != test.want {
					t.Errorf("From %q, want %q", from, test.want)
				}
				if got := inv.GetHeader("Privacy") != nil; got != strings.Contains(test.want, "anonymous") {
					t.Errorf("Privacy header: %v", got)
				}
				carrier.Reply(inv, 486, "c", "")
				carrier.Request("ACK")
				carrier.Response(486)
				ackRefusal(carrier, "c1")
			})
		})
	}
}

// A trunk's host is looked up, and its dialog follows the route that it records.
func TestTrunkByNameAndRoute(t *testing.T) {
	run(t, simnet.Options{}, func(o *sip.Options) {
		o.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
			if host != "sip.carrier.example" {
				return nil, errors.New("no such host")
			}
			return []netip.Addr{netip.MustParseAddr("198.51.100.2")}, nil
		}
	}, func(w *world) {
		w.office.trunk.Hosts = []string{"sip.carrier.example:5070"}
		w.serve = w.dialTrunk
		caller, border, far := w.carrier(), w.endpoint("198.51.100.2:5070"), w.endpoint("198.51.100.3:5080")
		for _, p := range []*phonetest.Phone{caller, border, far} {
			defer p.Close()
		}
		caller.Send("%s", inviteText(caller, "c1"))
		caller.Response(100)
		inv := border.Request("INVITE")
		border.Reply(inv, 183, "b", phonetest.SDP("198.51.100.9:4000", "sendrecv"))
		if res := caller.Response(180); len(res.Body()) != 0 {
			t.Error("early media of the trunk reaches the caller")
		}
		border.Reply(inv, 200, "b", phonetest.SDP("198.51.100.9:4000", "sendrecv"), "Record-Route: <sip:198.51.100.3:5080;lr>")
		ack := far.Request("ACK")
		if got := ack.GetHeader("Route").Value(); got != "<sip:198.51.100.3:5080;lr>" || ack.Recipient.String() != "sip:198.51.100.2:5070" {
			t.Errorf("ACK for %s by route %s", ack.Recipient.String(), got)
		}
		ok := caller.Response(200)
		follow(caller, "ACK", "c1", tag(ok.To().Params), 1, "", "")
		w.served[0].Hangup(phone.CauseTooLong)
		caller.Reply(caller.Request("BYE"), 200, "", "")
		// The callee's leg is hung up by whoever owns it; here that is us.
		far.Silence(time.Second)
		phoneSends(far, inv, "BYE", "b", 1, "", "")
		far.Response(200)
	})
}

func TestTrunkNotReached(t *testing.T) {
	run(t, simnet.Options{}, func(o *sip.Options) {
		o.Resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
	}, func(w *world) {
		w.office.trunk.Hosts = []string{"sip.carrier.example"}
		w.serve = w.dialTrunk
		carrier := w.carrier()
		defer carrier.Close()
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		carrier.Response(480)
		ackRefusal(carrier, "c1")
	})
}

// A phone on TCP is rung on the connection that it registered on, and only there.
func TestPhoneOnTCP(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier := w.carrier()
		defer carrier.Close()
		conn, err := w.net.Dial("192.0.2.20:40000", serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		alice := phonetest.NewPhone(t, &streamConn{Conn: conn}, netip.MustParseAddrPort(serverAddr))
		register(t, alice, "alice", "alice", password, "SHA-256", 3600, 200)
		inv, toTag := setUp(w, carrier, alice, "c1", 0)
		if got := inv.Via().Transport; got != "TCP" {
			t.Errorf("Via says %s", got)
		}
		if got := inv.Contact().Address.String(); got != "sip:192.0.2.10:5060;transport=tcp" {
			t.Errorf("Contact %s", got)
		}
		follow(carrier, "BYE", "c1", toTag, 2, "", "")
		carrier.Response(200)
		alice.Reply(alice.Request("BYE"), 200, "", "")
		// Without the connection there is no way to the phone.
		alice.Close()
		time.Sleep(time.Second)
		carrier.Send("%s", inviteText(carrier, "c2"))
		carrier.Response(100)
		carrier.Response(480)
		carrier.Send("ACK sip:+14155550100@192.0.2.10 SIP/2.0\nVia: %s\nFrom: <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:+14155550100@192.0.2.10>;tag=x\nCall-ID: c2\nCSeq: 1 ACK\n",
			strings.Replace(firstVia(carrier), "-1", "-4", 1))
	})
}

// A party that has lost its connection is told of the end on a new one.
func TestByeAfterLostConnection(t *testing.T) {
	var w *world
	run(t, simnet.Options{}, func(o *sip.Options) {
		o.Connect = func(_ context.Context, to netip.AddrPort) (net.Conn, error) {
			return w.net.Dial("192.0.2.10:0", to.String())
		}
	}, func(world *world) {
		w = world
		carrier := w.carrier()
		defer carrier.Close()
		conn, err := w.net.Dial("192.0.2.20:40000", serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		alice := phonetest.NewPhone(t, &streamConn{Conn: conn}, netip.MustParseAddrPort(serverAddr))
		register(t, alice, "alice", "alice", password, "SHA-256", 3600, 200)
		_, toTag := setUp(w, carrier, alice, "c1", 0)
		alice.Close()
		time.Sleep(time.Second)
		l := w.net.ListenStream("192.0.2.20:40000")
		defer func() { _ = l.Close() }()
		follow(carrier, "BYE", "c1", toTag, 2, "", "")
		carrier.Response(200)
		if conn, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		alice = phonetest.NewPhone(t, &streamConn{Conn: conn}, netip.MustParseAddrPort(serverAddr))
		defer alice.Close()
		bye := alice.Request("BYE")
		if got := bye.Recipient.String(); got != "sip:192.0.2.20:40000" {
			t.Errorf("BYE to %s", got)
		}
		alice.Reply(bye, 200, "", "")
	})
}

// streamConn lets a phone of packets talk over a stream: each message is read
// whole, since each is written whole.
type streamConn struct{ net.Conn }

func (s *streamConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := s.Read(b)
	return n, s.RemoteAddr(), err
}
func (s *streamConn) WriteTo(b []byte, _ net.Addr) (int, error) { return s.Write(b) }

// After a crash a stored dialog is ended with BYE.
func TestCloseDialog(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier := w.carrier()
		defer carrier.Close()
		done := make(chan error, 1)
		d := record.Dialog{
			Leg: "1.1", Call: 1, CallID: "before", LocalURI: "<sip:us@192.0.2.10>;tag=l", RemoteURI: "<sip:them@198.51.100.1>;tag=r",
			Target: "sip:them@198.51.100.1", Routes: []string{"<sip:198.51.100.1;lr>"}, CSeq: 3, Transport: "udp", Addr: "198.51.100.1:5060",
		}
		go func() { done <- w.server.CloseDialog(w.t.Context(), d) }()
		bye := carrier.Request("BYE")
		if bye.CSeq().SeqNo <= 3 || bye.CallID().Value() != "before" || tag(bye.To().Params) != "r" || tag(bye.From().Params) != "l" {
			t.Errorf("BYE is\n%s", bye)
		}
		carrier.Reply(bye, 481, "", "")
		if err := <-done; err != nil {
			t.Errorf("close: %v", err)
		}
		go func() {
			ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
			defer cancel()
			done <- w.server.CloseDialog(ctx, d)
		}()
		if err := <-done; phone.KindOf(err) != phone.Unreachable {
			t.Errorf("without an answer: %v", err)
		}
		for carrier.Next(40*time.Second) != nil {
		}
	})
}

// What an INVITE says about caller and number.
func TestFacts(t *testing.T) {
	tests := []struct {
		name   string
		edit   func(string) string
		trunk  func(*directory.Trunk)
		want   phone.CallFacts // Number 0: 404
		header string
	}{
		{name: "plain", want: phone.CallFacts{Caller: "+12025550123", CallerName: "Jane Doe", Number: 1}},
		{name: "national", edit: replace("sip:+14155550100@", "sip:4155550100@"), want: phone.CallFacts{Caller: "+12025550123", CallerName: "Jane Doe", Number: 1}},
		{name: "tel", edit: replace("INVITE sip:+14155550100@192.0.2.10", "INVITE tel:+1-415-555-0100"), want: phone.CallFacts{Caller: "+12025550123", CallerName: "Jane Doe", Number: 1}},
		{name: "not ours", edit: replace("+14155550100", "+14155550101")},
		{name: "number in To", edit: replace("INVITE sip:+14155550100@", "INVITE sip:trunk-7@"), want: phone.CallFacts{Caller: "+12025550123", CallerName: "Jane Doe", Number: 1}},
		{name: "default number", edit: replace("+14155550100", "+14155550101"), trunk: func(t *directory.Trunk) { t.DefaultNumber = 1 },
			want: phone.CallFacts{Caller: "+12025550123", CallerName: "Jane Doe", Number: 1}},
		{name: "called party header", edit: func(s string) string {
			return replace("Max-Forwards", "P-Called-Party-ID: <sip:+14155550100@x>\nMax-Forwards")(replace("+14155550100", "x")(s))
		}, trunk: func(t *directory.Trunk) { t.NumberFrom = []string{"p_called_party_id"} },
			want: phone.CallFacts{Caller: "+12025550123", CallerName: "Jane Doe", Number: 1}},
		{name: "header by name", edit: func(s string) string {
			return replace("Max-Forwards", "X-DID: 4155550100\nMax-Forwards")(replace("+14155550100", "x")(s))
		}, trunk: func(t *directory.Trunk) { t.NumberFrom = []string{"header:x-did"} },
			want: phone.CallFacts{Caller: "+12025550123", CallerName: "Jane Doe", Number: 1}},
		{name: "anonymous", edit: replace(`"Jane Doe" <sip:+12025550123@carrier.example>`, `"Anonymous" <sip:anonymous@anonymous.invalid>`), want: phone.CallFacts{Number: 1}},
		{name: "privacy", edit: replace("Max-Forwards", "Privacy: id\nMax-Forwards"), want: phone.CallFacts{Number: 1}},
		{name: "no number", edit: replace("sip:+12025550123@", "sip:jane@"), want: phone.CallFacts{CallerName: "Jane Doe", Number: 1}},
		{name: "hostile name", edit: replace(`"Jane Doe"`, "\"a\u202eb\u0000 \\\"<script>\\\"\""), want: phone.CallFacts{}},
		{name: "name that turns text", edit: replace(`"Jane Doe"`, "\"a\u202eb \\\"<script>\\\"\""), want: phone.CallFacts{Caller: "+12025550123", CallerName: `ab "<script>"`, Number: 1}},
		{name: "name is the number", edit: replace(`"Jane Doe"`, `"+12025550123"`), want: phone.CallFacts{Caller: "+12025550123", Number: 1}},
		{name: "header passed", edit: replace("Max-Forwards", "X-Ticket: 77\nX-Other: 1\nMax-Forwards"), header: "77", want: phone.CallFacts{Caller: "+12025550123", CallerName: "Jane Doe", Number: 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run(t, simnet.Options{}, func(o *sip.Options) { o.PassHeaders = []string{"X-Ticket"} }, func(w *world) {
				if test.trunk != nil {
					test.trunk(&w.office.trunk)
				}
				w.serve = func(in phone.IncomingLeg) { in.Hangup(phone.CauseBusy) }
				carrier := w.carrier()
				defer carrier.Close()
				text := inviteText(carrier, "c1")
				if test.edit != nil {
					text = test.edit(text)
				}
				carrier.Send("%s", text)
				if test.want.Number == 0 {
					if res, ok := carrier.Next(time.Second).(*gosip.Response); ok && res.StatusCode != 404 {
						t.Errorf("got %d, want 404 or nothing", res.StatusCode)
					}
					return
				}
				carrier.Response(100)
				carrier.Response(486)
				ackRefusal(carrier, "c1")
				got := w.served[0].Facts()
				if got.Caller != test.want.Caller || got.CallerName != test.want.CallerName || got.Number != 1 || got.Called != mainNumber || got.Trunk != "carrier" {
					t.Errorf("facts %+v, want %+v", got, test.want)
				}
				if got.Headers["x-ticket"] != test.header || len(got.Headers) > 1 {
					t.Errorf("headers %v", got.Headers)
				}
			})
		})
	}
}

func replace(old, new string) func(string) string {
	return func(s string) string { return strings.ReplaceAll(s, old, new) }
}

// The tap sees a call's messages in both directions, without credentials.
func TestTap(t *testing.T) {
	var seen []record.Message
	run(t, simnet.Options{}, func(o *sip.Options) { o.Tap = func(m record.Message) { seen = append(seen, m) } }, func(w *world) {
		w.serve = func(in phone.IncomingLeg) { in.Hangup(phone.CauseBusy) }
		carrier := w.carrier()
		defer carrier.Close()
		carrier.Send("%s", inviteText(carrier, "c1", "Authorization: Digest response=\"secret\",", " more=\"secret\""))
		carrier.Response(100)
		carrier.Response(486)
		ackRefusal(carrier, "c1")
		synctest.Wait()
		var lines []string
		for _, m := range seen {
			first, _, _ := strings.Cut(string(m.Raw), "\r\n")
			arrow := "<"
			if m.Sent {
				arrow = ">"
			}
			lines = append(lines, arrow+first)
			if strings.Contains(string(m.Raw), "secret") {
				t.Errorf("a credential is kept:\n%s", m.Raw)
			}
			if m.Call != w.served[0].Facts().ID {
				t.Errorf("of call %d", m.Call)
			}
		}
		want := "<INVITE sip:+14155550100@192.0.2.10 SIP/2.0|>SIP/2.0 100 Trying|>SIP/2.0 486 Busy Here|<ACK sip:+14155550100@192.0.2.10 SIP/2.0"
		if got := strings.Join(lines, "|"); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		if seen[0].From != "198.51.100.1:5060/udp" || seen[0].To != "192.0.2.10:5060/udp" || !strings.HasSuffix(string(seen[0].Raw), "a=sendrecv\r\n") {
			t.Errorf("the INVITE was kept as %+v\n%s", seen[0], seen[0].Raw)
		}
	})
}

// A trunk over TCP is connected to, once for several calls.
func TestTrunkOverTCP(t *testing.T) {
	var w *world
	connected := 0
	run(t, simnet.Options{}, func(o *sip.Options) {
		o.Connect = func(_ context.Context, to netip.AddrPort) (net.Conn, error) {
			connected++
			return w.net.Dial("192.0.2.10:0", to.String())
		}
	}, func(world *world) {
		w = world
		w.office.trunk.Transport = "tcp"
		w.serve = w.dialTrunk
		caller := w.carrier()
		defer caller.Close()
		l := w.net.ListenStream("198.51.100.1:5060")
		defer func() { _ = l.Close() }()
		var border *phonetest.Phone
		for i, id := range []string{"c1", "c2"} {
			caller.Send("%s", inviteText(caller, id))
			caller.Response(100)
			if border == nil {
				conn, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				border = phonetest.NewPhone(t, &streamConn{Conn: conn}, netip.MustParseAddrPort(serverAddr))
				defer border.Close()
			}
			inv := border.Request("INVITE")
			if got := inv.Recipient.String(); got != "sip:+33142685300@198.51.100.1;transport=tcp" {
				t.Errorf("call %d: Request-URI %s", i, got)
			}
			border.Reply(inv, 600, "b", "")
			border.Request("ACK")
			caller.Response(486)
			caller.Send("ACK sip:+14155550100@192.0.2.10 SIP/2.0\nVia: %s\nFrom: <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:+14155550100@192.0.2.10>;tag=x\nCall-ID: %s\nCSeq: 1 ACK\n",
				strings.Replace(firstVia(caller), "-1", fmt.Sprint("-", i+1), 1), id)
		}
		if connected != 1 {
			t.Errorf("connected %d times, want 1", connected)
		}
	})
}
