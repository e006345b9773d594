package stack_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/simnet"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

const (
	ours   = "192.0.2.10:5060"
	theirs = "192.0.2.20:5060"
)

// pair makes a stack and an endpoint that talks to it, in a bubble.
func pair(t *testing.T, handle func(*stack.Incoming), test func(*testing.T, *stack.Stack, *phonetest.Phone)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{})
		if handle == nil {
			handle = func(*stack.Incoming) {}
		}
		s := stack.New(stack.Options{Handle: handle})
		if err := s.ServeUDP(n.Listen(ours)); err != nil {
			t.Fatal(err)
		}
		p := phonetest.NewPhone(t, n.Listen(theirs), netip.MustParseAddrPort(ours))
		t.Cleanup(func() { p.Close(); _ = s.Close() })
		test(t, s, p)
		time.Sleep(2 * stack.Lifetime)
		if got := s.Transactions(); got != 0 {
			t.Errorf("%d transactions are left", got)
		}
	})
}

func send(t *testing.T, s *stack.Stack, method string, on func(*sip.Response, error)) *stack.Client {
	t.Helper()
	f, err := s.Flow("udp", netip.AddrPort{}, netip.MustParseAddrPort(theirs))
	if err != nil {
		t.Fatal(err)
	}
	tx, err := s.Send(f, &stack.Request{
		Method: method, URI: "sip:them@" + theirs, Transport: "udp", SentBy: ours,
		From: "<sip:us@x>;tag=1", To: "<sip:them@x>", CallID: "c", CSeq: 1,
	}, 0, on)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func ms(all ...int) (d []time.Duration) {
	for _, n := range all {
		d = append(d, time.Duration(n)*time.Millisecond)
	}
	return d
}

// Timers A, B, E and F of RFC 3261 §17.1, to the millisecond.
func TestClientRepeatsAndGivesUp(t *testing.T) {
	tests := []struct {
		method string
		want   []time.Duration
	}{
		{"INVITE", ms(0, 500, 1500, 3500, 7500, 15500, 31500)},
		{"BYE", ms(0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500)},
	}
	for _, test := range tests {
		t.Run(test.method, func(t *testing.T) {
			pair(t, nil, func(t *testing.T, s *stack.Stack, p *phonetest.Phone) {
				start := time.Now()
				var failed time.Duration
				var reason error
				send(t, s, test.method, func(_ *sip.Response, err error) { failed, reason = time.Since(start), err })
				var got []time.Duration
				for p.Next(20*time.Second) != nil {
					got = append(got, time.Since(start))
				}
				if fmt.Sprint(got) != fmt.Sprint(test.want) {
					t.Errorf("sent at %v, want %v", got, test.want)
				}
				synctest.Wait()
				if failed != 32*time.Second || !errors.Is(reason, stack.ErrTimeout) {
					t.Errorf("failed after %v with %v, want 32s", failed, reason)
				}
			})
		})
	}
}

func TestProvisionalStopsRepeatingInvite(t *testing.T) {
	pair(t, nil, func(t *testing.T, s *stack.Stack, p *phonetest.Phone) {
		var statuses []int
		tx := send(t, s, "INVITE", func(r *sip.Response, err error) {
			if err != nil {
				statuses = append(statuses, -1)
				return
			}
			statuses = append(statuses, r.StatusCode)
		})
		inv := p.Request("INVITE")
		p.Reply(inv, 180, "t", "")
		p.Silence(10 * time.Minute)
		start := time.Now()
		tx.Cancel("")
		tx.Cancel("") // once is enough
		cancel := p.Request("CANCEL")
		p.Reply(cancel, 200, "t", "")
		p.Silence(31 * time.Second) // and no final response to the INVITE
		time.Sleep(stack.Lifetime - time.Since(start))
		synctest.Wait()
		if got := fmt.Sprint(statuses); got != "[180 -1]" {
			t.Errorf("heard %s", got)
		}
	})
}

// A refusal's ACK is repeated for 32 s, and nothing is kept after.
func TestRefusalIsAcknowledgedEachTime(t *testing.T) {
	pair(t, nil, func(t *testing.T, s *stack.Stack, p *phonetest.Phone) {
		heard := 0
		send(t, s, "INVITE", func(*sip.Response, error) { heard++ })
		inv := p.Request("INVITE")
		for range 3 {
			p.Reply(inv, 486, "t", "")
			ack := p.Request("ACK")
			if got := ack.To().Value(); !strings.HasSuffix(got, ";tag=t") || ack.Via().Value() != inv.Via().Value() {
				t.Errorf("ACK\n%s", ack)
			}
		}
		p.Reply(inv, 200, "t", "") // a contradiction
		p.Silence(31 * time.Second)
		time.Sleep(2 * time.Second)
		p.Reply(inv, 486, "t", "")
		p.Silence(time.Second)
		synctest.Wait()
		if heard != 1 {
			t.Errorf("heard %d finals, want 1", heard)
		}
	})
}

const inviteText = "INVITE sip:us@192.0.2.10 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKa%s\nFrom: <sip:them@x>;tag=1\nTo: <sip:us@x>%s\nCall-ID: c\nCSeq: 1 %s\n"

// Timers G and H, and that nothing but one final response is ever sent.
func TestServerRepeatsRefusalUntilACK(t *testing.T) {
	var tx *stack.Server
	var head *stack.Head
	handle := func(in *stack.Incoming) { tx, head = in.Begin(0), in.Head() }
	for _, acked := range []bool{false, true} {
		pair(t, handle, func(t *testing.T, s *stack.Stack, p *phonetest.Phone) {
			p.Send(inviteText, "", "", "INVITE")
			synctest.Wait()
			start := time.Now()
			for _, status := range []int{180, 487, 200, 180} {
				err := tx.Respond(status, head.Wire(stack.Response{Status: status, Tag: "t"}))
				if status == 200 && !errors.Is(err, stack.ErrFinal) {
					t.Errorf("%d after the final response: %v", status, err)
				}
			}
			p.Response(180)
			p.Response(487)
			if acked {
				p.Send(strings.Replace(inviteText, "INVITE sip", "ACK sip", 1), "", ";tag=t", "ACK")
				p.Silence(time.Minute)
				return
			}
			got := []time.Duration{0}
			for {
				r, ok := p.Next(20 * time.Second).(*sip.Response)
				if !ok {
					break
				}
				if r.StatusCode != 487 {
					t.Errorf("%d after 487", r.StatusCode)
				}
				got = append(got, time.Since(start))
			}
			if want := ms(0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("sent at %v, want %v", got, want)
			}
		})
	}
}

func TestResponsesGoWhereTheyShould(t *testing.T) {
	tests := []struct{ via, want, echo string }{
		{"192.0.2.20:5060;branch=z9hG4bK1", theirs, "192.0.2.20:5060;branch=z9hG4bK1"},
		{"192.0.2.20:6000;branch=z9hG4bK1", "192.0.2.20:6000", "192.0.2.20:6000;branch=z9hG4bK1"},
		{"10.0.0.1:6000;branch=z9hG4bK1;rport", theirs, "10.0.0.1:6000;branch=z9hG4bK1;rport=5060;received=192.0.2.20"},
		{"phone.example;branch=z9hG4bK1", theirs, "phone.example;branch=z9hG4bK1;received=192.0.2.20"},
		{"10.0.0.1:6000;branch=z9hG4bK1;maddr=203.0.113.9", "192.0.2.20:6000", "10.0.0.1:6000;branch=z9hG4bK1;maddr=203.0.113.9;received=192.0.2.20"},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			n := simnet.New(simnet.Options{})
			s := stack.New(stack.Options{Handle: func(in *stack.Incoming) { in.Reply(in.Head().Wire(stack.Response{Status: 200, Tag: "t"})) }})
			if err := s.ServeUDP(n.Listen(ours)); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			p := phonetest.NewPhone(t, n.Listen(theirs), netip.MustParseAddrPort(ours))
			defer p.Close()
			var to, echo string
			n.Watch(func(k simnet.Packet) {
				if k.From.String() == ours {
					to = k.To.String()
					msg, _ := sip.ParseMessage(k.Data)
					echo = msg.Via().Value()
				}
			})
			p.Send("OPTIONS sip:us@192.0.2.10 SIP/2.0\nVia: SIP/2.0/UDP %s\nFrom: <sip:them@x>;tag=1\nTo: <sip:us@x>\nCall-ID: c\nCSeq: 1 OPTIONS\n", test.via)
			synctest.Wait()
			n.Watch(nil)
			if to != test.want || echo != "SIP/2.0/UDP "+test.echo {
				t.Errorf("Via %s: answer to %s with Via %s, want %s", test.via, to, echo, test.want)
			}
		})
	}
}

func TestTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{})
		s := stack.New(stack.Options{
			Handle: func(in *stack.Incoming) { in.Reply(in.Head().Wire(stack.Response{Status: 200, Tag: "t"})) },
			Known:  func(netip.AddrPort) bool { return false },
		})
		if err := s.ServeTCP(n.ListenStream(ours)); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		conn, err := n.Dial(theirs, ours)
		if err != nil {
			t.Fatal(err)
		}
		read := func() string {
			b := make([]byte, 4096)
			k, _ := conn.Read(b)
			return string(b[:k])
		}
		write := func(text string) {
			t.Helper()
			if _, err := conn.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		write("\r\n\r\n")
		if got := read(); got != "\r\n" {
			t.Errorf("pong is %q", got)
		}
		request := "OPTIONS sip:us@x SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.20;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:us@x>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
		write(request[:40]) // in pieces, and two at once
		write(request[40:] + request)
		for range 2 {
			if got := read(); !strings.HasPrefix(got, "SIP/2.0 200 OK") {
				t.Errorf("answer %q", got)
			}
		}
		start := time.Now()
		if got := read(); got != "" || time.Since(start) != 32*time.Second {
			t.Errorf("a silent connection was closed after %v (%q), want 32s", time.Since(start), got)
		}
		if _, err := s.Flow("tcp", netip.AddrPort{}, netip.MustParseAddrPort(theirs)); !errors.Is(err, stack.ErrNoFlow) {
			t.Errorf("flow to a closed connection: %v", err)
		}
		// What is no message ends the connection.
		conn, _ = n.Dial(theirs, ours)
		write("GET / HTTP/1.1\r\n\r\n")
		if got := read(); got != "" {
			t.Errorf("answer to nonsense: %q", got)
		}
	})
}

// A connection that goes takes its transactions with it.
func TestLostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{})
		s := stack.New(stack.Options{Handle: func(*stack.Incoming) {}})
		if err := s.ServeTCP(n.ListenStream(ours)); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		conn, _ := n.Dial(theirs, ours)
		synctest.Wait()
		f, err := s.Flow("tcp", netip.AddrPort{}, netip.MustParseAddrPort(theirs))
		if err != nil {
			t.Fatal(err)
		}
		var failed error
		if _, err := s.Send(f, &stack.Request{Method: "INVITE", URI: "sip:x", Transport: "tcp", SentBy: ours, From: "<sip:a@x>;tag=1", To: "<sip:b@x>", CallID: "c", CSeq: 1}, 0,
			func(_ *sip.Response, err error) { failed = err }); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		synctest.Wait()
		if !errors.Is(failed, stack.ErrNoFlow) || s.Transactions() != 0 {
			t.Errorf("failed with %v, %d transactions left", failed, s.Transactions())
		}
	})
}

// failing is a socket whose first reads fail.
type failing struct {
	net.PacketConn
	errors int
}

func (f *failing) ReadFrom(b []byte) (int, net.Addr, error) {
	if f.errors > 0 {
		f.errors--
		return 0, nil, errors.New("connection refused")
	}
	return f.PacketConn.ReadFrom(b)
}

func TestReadErrorsDoNotEndTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{})
		s := stack.New(stack.Options{Handle: func(in *stack.Incoming) { in.Reply(in.Head().Wire(stack.Response{Status: 200})) }})
		if err := s.ServeUDP(&failing{n.Listen(ours), 50}); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		p := phonetest.NewPhone(t, n.Listen(theirs), netip.MustParseAddrPort(ours))
		defer p.Close()
		p.Send("OPTIONS sip:us@x SIP/2.0\nFrom: <sip:a@x>;tag=1\nTo: <sip:us@x>\nCall-ID: c\nCSeq: 1 OPTIONS\n")
		p.Response(200)
	})
}
