package sip_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/simnet"
	"github.com/ringpath/ringpath/internal/sip"
)

// Who sends what, and what they get. Nobody but the carrier's INVITE reaches a
// phone.
func TestMethodsBySender(t *testing.T) {
	tests := []struct {
		method                      string
		stranger, registered, trunk int // 0: no answer
	}{
		{"OPTIONS", 401, 200, 200},
		{"INVITE", 401, 401, 100},
		{"REGISTER", 401, 401, 401},
		{"MESSAGE", 401, 401, 405},
		{"SUBSCRIBE", 401, 401, 405},
		{"PUBLISH", 401, 401, 405},
		{"NOTIFY", 401, 401, 405},
		{"REFER", 401, 401, 405},
		{"INFO", 401, 401, 405},
		{"UPDATE", 401, 401, 405},
		{"PRACK", 401, 401, 405},
		{"FOO", 401, 401, 501},
		{"BYE", 481, 481, 481},
		{"CANCEL", 481, 481, 481},
		{"ACK", 0, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.method, func(t *testing.T) {
			run(t, simnet.Options{}, nil, func(w *world) {
				alice, bob := w.phone("alice", "192.0.2.20:5060"), w.phone("bob", "192.0.2.21:5060")
				stranger, carrier := w.endpoint("203.0.113.66:5060"), w.carrier()
				for _, p := range []*phonetest.Phone{alice, bob, stranger, carrier} {
					defer p.Close()
				}
				for _, sender := range []struct {
					who  *phonetest.Phone
					want int
				}{{stranger, test.stranger}, {bob, test.registered}, {carrier, test.trunk}} {
					text := inviteText(sender.who, "c-"+sender.who.Addr())
					text = strings.Replace(text, "INVITE sip:", test.method+" sip:", 1)
					sender.who.Send("%s", strings.Replace(text, "CSeq: 1 INVITE", "CSeq: 1 "+test.method, 1))
					if sender.want == 0 {
						sender.who.Silence(time.Second)
						continue
					}
					if sender.want != 100 {
						alice.Silence(time.Second)
					}
					sender.who.Response(sender.want)
					if sender.want != 100 {
						sender.who.Silence(time.Second) // one datagram for one, and no transaction
					}
				}
				if test.method == "INVITE" { // the carrier's rings them
					for _, p := range []*phonetest.Phone{alice, bob} {
						p.Reply(p.Request("INVITE"), 486, "x", "")
						p.Request("ACK")
					}
					carrier.Response(603)
					ackRefusal(carrier, "x")
				}
				alice.Silence(time.Second)
			})
		})
	}
}

// Sixteen requests in 2 s are answered, further ones dropped; whoever goes on
// like that for five windows is ignored for 300 s.
func TestStrangersAreHeldBack(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		stranger, alice := w.endpoint("203.0.113.66:5060"), w.phone("alice", "192.0.2.20:5060")
		defer stranger.Close()
		defer alice.Close()
		options := func(p *phonetest.Phone) {
			p.Send("OPTIONS sip:192.0.2.10 SIP/2.0\nFrom: <sip:x@y>;tag=1\nTo: <sip:x@y>\nCall-ID: o\nCSeq: 1 OPTIONS\n")
		}
		for range 5 {
			for range 16 {
				options(stranger)
				stranger.Response(401)
			}
			for range 50 {
				options(stranger)
			}
			stranger.Silence(2 * time.Second)
		}
		options(stranger)
		stranger.Silence(297 * time.Second)
		options(alice)
		alice.Response(200)
		time.Sleep(2 * time.Second)
		options(stranger)
		stranger.Response(401)
	})
}

func TestBanAfterWrongPasswords(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		p := w.endpoint("203.0.113.66:5060")
		defer p.Close()
		for range 10 {
			register(t, p, "alice", "alice", "wrong password 123", "MD5", 3600, 401)
			time.Sleep(time.Second)
		}
		p.Send("OPTIONS sip:192.0.2.10 SIP/2.0\nFrom: <sip:x@y>;tag=1\nTo: <sip:x@y>\nCall-ID: o\nCSeq: 1 OPTIONS\n")
		p.Silence(298 * time.Second)
		time.Sleep(2 * time.Second)
		register(t, p, "alice", "alice", password, "MD5", 3600, 200)
		// A phone that is registered is not locked out by wrong passwords from its address.
		for range 20 {
			register(t, p, "alice", "bob", "wrong password 123", "MD5", 3600, 401)
		}
		register(t, p, "alice", "alice", password, "SHA-256", 0, 500) // the Call-ID's CSeq is not higher
	})
}

func TestDigestAttacks(t *testing.T) {
	const uri = "sip:192.0.2.10"
	text := "REGISTER sip:192.0.2.10 SIP/2.0\nFrom: <sip:%[1]s@192.0.2.10>;tag=r\nTo: <sip:%[1]s@192.0.2.10>\nCall-ID: reg\nCSeq: %[2]d REGISTER\nContact: <sip:%[1]s@192.0.2.20:5060>\nUser-Agent: " + longName + "\n%[3]s"
	tests := []struct {
		name   string
		answer func(c challenge) string
		aor    string
		wait   time.Duration
		status int
		stale  bool
	}{
		{name: "right", status: 200},
		{name: "MD5", status: 200, answer: func(c challenge) string {
			c.algorithm = "MD5"
			return c.answer("REGISTER", uri, "alice", password, 1)
		}},
		{name: "wrong password", status: 401, answer: func(c challenge) string { return c.answer("REGISTER", uri, "alice", "x", 1) }},
		{name: "unknown user", status: 401, aor: "mallory", answer: func(c challenge) string { return c.answer("REGISTER", uri, "mallory", "x", 1) }},
		{name: "wrong realm", status: 401, answer: func(c challenge) string {
			c.realm = "other"
			return c.answer("REGISTER", uri, "alice", password, 1)
		}},
		{name: "made-up nonce", status: 401, answer: func(c challenge) string {
			c.nonce = strings.Repeat("A", len(c.nonce))
			return c.answer("REGISTER", uri, "alice", password, 1)
		}},
		{name: "old nonce", status: 401, stale: true, wait: 61 * time.Second},
		{name: "nonce of 59 s", status: 200, wait: 59 * time.Second},
		{name: "for another method", status: 401, answer: func(c challenge) string { return c.answer("INVITE", uri, "alice", password, 1) }},
		{name: "for another address", status: 401, answer: func(c challenge) string { return c.answer("REGISTER", "sip:bob@192.0.2.10", "alice", password, 1) }},
		{name: "without qop", status: 401, answer: func(c challenge) string {
			return strings.Replace(c.answer("REGISTER", uri, "alice", password, 1), "qop=auth,", "", 1)
		}},
		{name: "somebody else's address", status: 403, aor: "bob"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run(t, simnet.Options{}, nil, func(w *world) {
				p := w.endpoint("192.0.2.20:5060")
				defer p.Close()
				aor := test.aor
				if aor == "" {
					aor = "alice"
				}
				p.Send(text, aor, 1, "")
				c := challengeOf(t, p.Response(401), "SHA-256")
				if len(c.nonce) < 22 {
					t.Errorf("nonce %q has less than 128 bits", c.nonce)
				}
				time.Sleep(test.wait)
				answer := c.answer("REGISTER", uri, "alice", password, 1)
				if test.answer != nil {
					answer = test.answer(c)
				}
				p.Send(text, aor, 2, answer)
				res := p.Response(test.status)
				if test.status == 401 {
					if got := strings.Contains(res.String(), "stale=true"); got != test.stale {
						t.Errorf("stale %v, want %v", got, test.stale)
					}
				}
				if got := len(w.phones.Contacts(1)); (got == 1) != (test.status == 200) {
					t.Errorf("%d contacts", got)
				}
				if test.status == 200 { // the same credentials again, in a new request
					p.Send(text, aor, 3, answer)
					if res := p.Response(401); !strings.Contains(res.String(), "stale=true") {
						t.Error("a replay is not told to be stale")
					}
				}
			})
		})
	}
}

// Known and unknown users get the same answer but for tags, nonces and their own
// names.
func TestUnknownUserLooksKnown(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		p := w.endpoint("192.0.2.20:5060")
		defer p.Close()
		var answers []string
		for _, user := range []string{"alice", "malic"} {
			text := "REGISTER sip:192.0.2.10 SIP/2.0\nFrom: <sip:%[1]s@192.0.2.10>;tag=r\nTo: <sip:%[1]s@192.0.2.10>\nCall-ID: %[1]s\nCSeq: 1 REGISTER\nContact: <sip:%[1]s@192.0.2.20:5060>\n%[2]s"
			p.Send(text, user, "")
			c := challengeOf(t, p.Response(401), "MD5")
			p.Send(text, user, c.answer("REGISTER", "sip:192.0.2.10", user, "guess", 1))
			res := p.Response(401)
			again := challengeOf(t, res, "MD5")
			answer := strings.NewReplacer(again.nonce, "NONCE", user, "USER", tag(res.To().Params), "TAG", res.Via().Value(), "VIA").Replace(res.String())
			answers = append(answers, answer)
		}
		if answers[0] != answers[1] {
			t.Errorf("answers differ:\n%s\n%s", answers[0], answers[1])
		}
	})
}

func TestCallFromAPhone(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		alice, bob := w.phone("alice", "192.0.2.20:5060"), w.phone("bob", "192.0.2.21:5060")
		defer alice.Close()
		defer bob.Close()
		dial := func(number, callID string, cseq int, auth string) {
			alice.Send("INVITE sip:%s@192.0.2.10 SIP/2.0\nMax-Forwards: 70\nFrom: <sip:boss@192.0.2.10>;tag=ft\nTo: <sip:%s@192.0.2.10>\nCall-ID: %s\nCSeq: %d INVITE\nContact: <sip:%s>\n%sContent-Type: application/sdp\n\n%s",
				number, number, callID, cseq, alice.Addr(), auth, phonetest.SDP("192.0.2.20:6000", "sendrecv"))
		}
		call := func(number, callID string) {
			dial(number, callID, 1, "")
			c := challengeOf(t, alice.Response(401), "SHA-256")
			dial(number, callID, 2, c.answer("INVITE", "sip:"+number+"@192.0.2.10", "alice", password, 1)+"\n")
		}
		call("4155550199", "c0") // not ours
		alice.Response(404)
		drain(alice)
		w.serve = func(in phone.IncomingLeg) {
			f := in.Facts()
			if f.CallerUser != 1 || f.Caller != "+14155550171" || f.Called != mainNumber || f.Number != 1 || f.Trunk != "" {
				t.Errorf("facts %+v", f)
			}
			in.Hangup(phone.CauseBusy)
		}
		call("(415)555-0100", "c1")
		alice.Response(100)
		alice.Response(486)
		drain(alice)
	})
}

// The torture messages of RFC 4475 from a trunk: none gets a 2xx that should not,
// and nothing breaks.
func TestTorture(t *testing.T) {
	want := map[string]int{ // 0: no answer
		"badaspec": 0, "badbranch": 200, "baddn": 400, "badvers": 505, "bext01": 420, "clerr": 400, "escruri": 400,
		"insuf": 400, "intmeth": 0, "inv2543": 404, "invut": 415, "ltgtruri": 400, "lwsruri": 400, "lwsstart": 400,
		"mcl01": 400, "mismatch01": 400, "mismatch02": 400, "multi01": 400, "ncl": 400, "novelsc": 416, "regbadct": 401,
		"scalar02": 0, "trws": 400, "unkscm": 416, "unksm2": 401, "zeromf": 200,
		"dblreq": 401, "esc01": 404, "lwsdisp": 200, "semiuri": 200, "transports": 200, "unreason": 0, "wsinv": 481,
	}
	dir := filepath.Join(moduleDir(t, "github.com/emiago/sipgo"), "sip", "testdata", "torture")
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.dat"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no torture messages in %s", dir)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".dat")
		t.Run(name, func(t *testing.T) {
			run(t, simnet.Options{}, nil, func(w *world) {
				w.serve = func(in phone.IncomingLeg) { in.Hangup(phone.CauseUnknown) }
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var got []int
				w.net.Watch(func(p simnet.Packet) {
					if msg, err := gosip.ParseMessage(p.Data); err == nil && p.From.String() == serverAddr {
						w.mu.Lock()
						defer w.mu.Unlock()
						got = append(got, msg.(*gosip.Response).StatusCode)
					}
				})
				carrier := w.carrier()
				defer carrier.Close()
				carrier.SendRaw(data)
				time.Sleep(time.Second)
				w.mu.Lock()
				defer w.mu.Unlock()
				status := 0
				if len(got) > 0 {
					status = got[len(got)-1]
				}
				t.Logf("%s: %v", name, got)
				if s, listed := want[name]; listed && s != status {
					t.Errorf("%s: got %d, want %d", name, status, s)
				}
			})
		})
	}
}

func moduleDir(t *testing.T, module string) string {
	t.Helper()
	root := os.Getenv("GOMODCACHE")
	if root == "" {
		root = filepath.Join(os.Getenv("HOME"), "go", "pkg", "mod")
	}
	found, _ := filepath.Glob(filepath.Join(root, module+"@*"))
	if len(found) == 0 {
		t.Skip("the module cache is not where it usually is")
	}
	return found[len(found)-1]
}

// Values of a stranger are never written into an answer as lines of their own.
func TestNothingHostileIsReflected(t *testing.T) {
	for _, header := range []string{"Call-ID", "From", "To", "Via", "Require"} {
		run(t, simnet.Options{}, nil, func(w *world) {
			carrier := w.carrier()
			defer carrier.Close()
			values := map[string]string{
				"Via": "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKx", "From": "<sip:a@b>;tag=1", "To": "<sip:a@b>", "Call-ID": "c", "Require": "x",
			}
			values[header] += "\nInjected: yes"
			raw := "OPTIONS sip:192.0.2.10 SIP/2.0\r\nCSeq: 1 OPTIONS\r\n"
			for k, v := range values {
				raw += fmt.Sprintf("%s: %s\r\n", k, v)
			}
			carrier.SendRaw([]byte(raw + "\r\n"))
			carrier.Silence(time.Second)
		})
	}
}

func TestDrainingAndLimits(t *testing.T) {
	draining := false
	run(t, simnet.Options{}, func(o *sip.Options) {
		o.Draining = func() bool { return draining }
		o.MaxCalls = 1
	}, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		inv, _ := setUp(w, carrier, alice, "c1", 0)
		for range 2 {
			carrier.Send("%s", inviteText(carrier, "c2"))
			res := carrier.Response(503)
			if res.GetHeader("Retry-After") == nil {
				t.Error("503 without Retry-After")
			}
			draining = true
		}
		carrier.Send("OPTIONS sip:192.0.2.10 SIP/2.0\nFrom: <sip:x@y>;tag=1\nTo: <sip:x@y>\nCall-ID: o\nCSeq: 1 OPTIONS\n")
		carrier.Response(503)
		phoneSends(alice, inv, "BYE", "at", 1, "", "")
		alice.Response(200)
		carrier.Reply(carrier.Request("BYE"), 200, "", "")
	})
}

// Closing does not wait for phones that were told to stop and say nothing.
func TestCloseWhileRinging(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(100)
		alice.Reply(alice.Request("INVITE"), 180, "a", "")
		carrier.Response(180)
		start := time.Now()
		if err := w.server.Close(); err != nil {
			t.Error(err)
		}
		if got := time.Since(start); got != 0 {
			t.Errorf("closed after %v, want at once", got)
		}
		alice.Request("CANCEL")
		carrier.Response(503)
	})
}

// Shutting down repeats a BYE that was lost, and waits for nothing else.
func TestShutdown(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier, alice := w.carrier(), w.phone("alice", "192.0.2.20:5060")
		defer carrier.Close()
		defer alice.Close()
		setUp(w, carrier, alice, "c1", 0)
		time.Sleep(time.Second)
		lost := false
		w.net.Drop(func(p simnet.Packet) bool {
			first := !lost && strings.HasPrefix(string(p.Data), "BYE ") && p.To.String() == alice.Addr()
			lost = lost || first
			return first
		})
		start, took := time.Now(), make(chan time.Duration, 1)
		go func() {
			ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
			defer cancel()
			if err := w.server.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			took <- time.Since(start)
		}()
		carrier.Reply(carrier.Request("BYE"), 200, "", "")
		alice.Reply(alice.Request("BYE"), 200, "", "")
		if got := <-took; got < 500*time.Millisecond || got > 600*time.Millisecond {
			t.Errorf("took %v, want the repetition's 500ms", got)
		}
	})
}

// A CANCEL that overtook its INVITE is not forgotten.
func TestCancelBeforeInvite(t *testing.T) {
	run(t, simnet.Options{}, nil, func(w *world) {
		carrier := w.carrier()
		defer carrier.Close()
		cancelCall(carrier, "c1")
		carrier.Response(481)
		carrier.Send("%s", inviteText(carrier, "c1"))
		carrier.Response(487)
		if w.calls() != 0 {
			t.Error("a cancelled call was served")
		}
	})
}
