package app_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/exchange"
	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/media"
	"github.com/ringpath/ringpath/internal/outbound"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/presence"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/registrar"
	"github.com/ringpath/ringpath/internal/secret"
	"github.com/ringpath/ringpath/internal/simnet"
	"github.com/ringpath/ringpath/internal/sip"
)

const (
	wireServer  = "192.0.2.10:5060"
	wireCarrier = "198.51.100.1:5060"
	wireSecret  = "correct horse battery"
)

// Numbers of the wire's company, by what they do.
const (
	toAnn    = "+14155550101" // rings Ann for 20 s
	toTeam   = "+14155550102" // rings Ann and Bob
	toLookup = "+14155550103" // asks whom to ring; Cleo otherwise
	toTwo    = "+14155550104" // rings Ann, then Bob
)

const wireCompany = `
version: 1
company: {name: Example, default_region: US}
users:
  - {id: 1, name: Ann, email: ann@example.test, phones: [{username: ann, password: {stored: true}}]}
  - {id: 2, name: Bob, email: bob@example.test, phones: [{username: bob, password: {stored: true}}]}
  - {id: 3, name: Cleo, email: cleo@example.test, phones: [{username: cleo, password: {stored: true}}]}
teams:
  - {id: 7, name: Support, members: [ann@example.test, bob@example.test]}
trunks:
  - {name: carrier, networks: ["198.51.100.0/24"], hosts: ["198.51.100.1"]}
numbers:
  - {id: 1, name: Ann, digits: "+14155550101", flow: ann}
  - {id: 2, name: Support, digits: "+14155550102", flow: support}
  - {id: 3, name: Lookup, digits: "+14155550103", flow: lookup}
  - {id: 4, name: Two, digits: "+14155550104", flow: two}
flows:
  - name: ann
    steps:
      - {name: ann, ring_to: {user: ann@example.test, ringing: {ring_for: 20s}}}
  - name: support
    steps:
      - {name: team, ring_to: {team: Support, ringing: {ring_for: 20s}}}
  - name: lookup
    steps:
      - name: ask
        ring_to_api:
          url: "http://127.0.0.1:8080/v1/who?caller={{callerNumber}}"
          response: {type: user, path: user}
          timeout: 10s
          otherwise: {user: cleo@example.test}
          ringing: {ring_for: 20s}
      - {name: bye, hang_up: {}}
  - name: two
    steps:
      - {name: ann, ring_to: {user: ann@example.test, ringing: {ring_for: 20s}}}
      - {name: bob, ring_to: {user: bob@example.test, ringing: {ring_for: 20s}}}
`

// wire is the program's whole call path, as Open puts it together, on a simulated
// network: everything but sockets, database and web server is the real thing.
type wire struct {
	*testing.T
	net      *simnet.Net
	sip      *sip.Server
	relay    *media.Relay
	phones   *registrar.Registrar
	presence *presence.Presence
	exchange *exchange.Exchange
	outbound *outbound.Client
	carrier  *phonetest.Phone
	ends     []*phonetest.Phone // carrier and phones

	mu      sync.Mutex
	answer  http.HandlerFunc // of the lookup
	asked   int
	records sink
	sent    []sentMessage // by the server, in order
	finals  map[string]string
}

// sentMessage is one message that the server sent.
type sentMessage struct {
	at   time.Time
	to   string
	what string // "INVITE", "180 INVITE"
}

// sink is a record writer that keeps what is closed.
type sink struct {
	mu      sync.Mutex
	opened  int
	ended   []record.Call
	dialogs map[phone.LegID]bool
}

func (s *sink) Opened(record.Call)  { s.mu.Lock(); defer s.mu.Unlock(); s.opened++ }
func (s *sink) Changed(record.Call) {}
func (s *sink) Full() bool          { return false }
func (s *sink) Ended(c record.Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, c)
}
func (s *sink) Dialog(d record.Dialog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialogs[d.Leg] = true
}
func (s *sink) DialogClosed(l phone.LegID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.dialogs, l)
}

// onTheWire runs a test in a bubble and looks afterwards that nothing is left.
func onTheWire(t *testing.T, o simnet.Options, test func(*wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{T: t, net: simnet.New(o), finals: map[string]string{}}
		w.records.dialogs = map[phone.LegID]bool{}
		w.open()
		w.net.Watch(w.see)
		w.carrier = w.endpoint(wireCarrier)
		test(w)
		w.leaveNothing()
	})
}

func (w *wire) open() {
	doc, faults := directory.Parse("company", []byte(wireCompany), nil)
	snapshot, more := doc.Check(directory.Options{})
	if faults.Fatal() || more.Fatal() {
		w.Fatal(faults, more)
	}
	var err error
	if w.outbound, err = outbound.New(outbound.Options{}); err != nil {
		w.Fatal(err)
	}
	if err := w.outbound.SetOwn(http.HandlerFunc(w.serveLookup), nil, "http://127.0.0.1:8080"); err != nil {
		w.Fatal(err)
	}
	engine := lookup.NewEngine(w.outbound)
	w.presence = presence.New()
	w.phones = registrar.New(registrar.Options{OnChange: w.presence.SetPhones})
	w.relay = media.NewRelay(media.Options{ListenPacket: w.net.ListenPacket, Addr: netip.MustParseAddr("192.0.2.10")})
	w.exchange = exchange.New(exchange.Options{
		Network: wireNetwork{w}, Presence: w.presence, Records: &w.records,
		Directory: func() *directory.Snapshot { return snapshot },
		Machine: func(s *directory.Snapshot) *flow.Machine {
			return &flow.Machine{Directory: s, Lookups: engine, Availability: w.presence.State}
		},
		Logger: slog.New(slog.DiscardHandler), Number: phone.E164.Masked,
	})
	w.sip, err = sip.Listen(sip.Options{
		Listen:    []sip.Listener{{Packet: w.net.Listen(wireServer)}},
		Handler:   w.exchange,
		Directory: func() sip.Directory { return wireDirectory{snapshot} },
		Registrar: w.phones, Media: w.relay, Draining: w.exchange.Draining,
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(w.close) // also when the test has failed: a bubble must not be left running
}

// wireDirectory knows the passwords, which a document that was only checked does
// not have.
type wireDirectory struct{ *directory.Snapshot }

func (d wireDirectory) Account(username string) (directory.Account, bool) {
	a, ok := d.Snapshot.Account(username)
	a.Password = secret.New(wireSecret)
	return a, ok
}

// wireNetwork is the SIP server to the exchange, which is made first.
type wireNetwork struct{ w *wire }

func (n wireNetwork) Contacts(u phone.UserID) []phone.Contact { return n.w.phones.Contacts(u) }
func (n wireNetwork) Dial(ctx context.Context, d phone.Dial) (phone.Leg, error) {
	return n.w.sip.Dial(ctx, d)
}

func (w *wire) close() {
	_ = w.sip.Close()
	w.phones.Close()
	_ = w.relay.Close()
	w.outbound.Close()
	for _, p := range w.ends {
		p.Close()
	}
}

// leaveNothing lets all timers run out and looks for what is left.
func (w *wire) leaveNothing() {
	w.Helper()
	time.Sleep(66 * time.Second)
	if !w.sip.Idle() || w.sip.Calls() != 0 || w.exchange.Active() != 0 {
		w.Errorf("transactions or calls are left: %d, %d", w.sip.Calls(), w.exchange.Active())
	}
	if n := w.relay.Sessions(); n != 0 {
		w.Errorf("%d media sessions are left", n)
	}
	for _, u := range []phone.UserID{1, 2, 3} {
		want := phone.Offline
		if len(w.phones.Contacts(u)) > 0 {
			want = phone.Available
		}
		if got := w.presence.State(u); got != want {
			w.Errorf("user %d is %q after the call, want %q", u, got, want)
		}
	}
	w.records.mu.Lock()
	if w.records.opened != len(w.records.ended) || len(w.records.dialogs) != 0 {
		w.Errorf("%d records opened, %d ended, dialogs still open: %v", w.records.opened, len(w.records.ended), w.records.dialogs)
	}
	w.records.mu.Unlock()
	w.close()
	if n := w.net.Open(); n != 0 {
		w.Errorf("%d sockets are left", n)
	}
}

// see notes what the server sends. An INVITE that comes in gets one final
// answer, however often it is said (spec ringing.md, I1).
func (w *wire) see(p simnet.Packet) {
	if p.From.String() != wireServer {
		return
	}
	msg, err := gosip.ParseMessage(bytes.Clone(p.Data))
	if err != nil {
		w.Errorf("the server sent what cannot be read: %v", err)
		return
	}
	what := ""
	switch m := msg.(type) {
	case *gosip.Request:
		what = string(m.Method)
	case *gosip.Response:
		what = strconv.Itoa(m.StatusCode) + " " + string(m.CSeq().MethodName)
		if m.StatusCode >= 200 && m.CSeq().MethodName == gosip.INVITE {
			key := m.CallID().Value() + m.CSeq().Value()
			w.mu.Lock()
			if before := w.finals[key]; before != "" && before != what {
				w.Errorf("an INVITE got both %s and %s", before, what)
			}
			w.finals[key] = what
			w.mu.Unlock()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, sentMessage{p.At, p.To.String(), what})
}

// log is what the server has sent so far.
func (w *wire) log() []sentMessage { w.mu.Lock(); defer w.mu.Unlock(); return slices.Clone(w.sent) }

// when is the first time that the server sent something to an endpoint; zero if
// it never did.
func (w *wire) when(to *phonetest.Phone, what string) time.Time {
	for _, m := range w.log() {
		if m.to == to.Addr() && m.what == what {
			return m.at
		}
	}
	return time.Time{}
}

// count is how often the server sent something to an endpoint.
func (w *wire) count(to *phonetest.Phone, what string) (n int) {
	for _, m := range w.log() {
		if m.to == to.Addr() && m.what == what {
			n++
		}
	}
	return n
}

// want fails unless the server sent something to an endpoint exactly after d.
func (w *wire) want(to *phonetest.Phone, what string, since time.Time, d time.Duration) {
	w.Helper()
	at := w.when(to, what)
	if got := at.Sub(since); at.IsZero() || got != d {
		w.Errorf("%s to %s after %v, want %v", what, to.Addr(), got, d)
	}
}

func (w *wire) serveLookup(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.asked++
	answer := w.answer
	w.mu.Unlock()
	answer(rw, r)
}

// lookups is how often the API was asked.
func (w *wire) lookups() int { w.mu.Lock(); defer w.mu.Unlock(); return w.asked }

// record is the one record there is.
func (w *wire) record() record.Call {
	w.Helper()
	synctest.Wait()
	w.records.mu.Lock()
	defer w.records.mu.Unlock()
	if len(w.records.ended) != 1 {
		w.Fatalf("%d calls have ended, want 1", len(w.records.ended))
	}
	return w.records.ended[0]
}

// endpoint makes a scripted endpoint.
func (w *wire) endpoint(addr string) *phonetest.Phone {
	p := phonetest.NewPhone(w, w.net.Listen(addr), netip.MustParseAddrPort(wireServer))
	w.ends = append(w.ends, p)
	return p
}

// phone is a phone of a user that has registered.
func (w *wire) phone(user, addr string) *phonetest.Phone {
	w.Helper()
	p := w.endpoint(addr)
	const text = "REGISTER sip:192.0.2.10 SIP/2.0\nFrom: <sip:%[1]s@192.0.2.10>;tag=r\nTo: <sip:%[1]s@192.0.2.10>\nCall-ID: reg-%[1]s\nCSeq: %[2]d REGISTER\nContact: <sip:%[1]s@%[3]s>\nExpires: 3600\nMax-Forwards: 70\nUser-Agent: Some Phone 1.2.3 (some platform 4.5.6; some library 7.8.9; build 2026-01-01; x86_64-linux-gnu)\n%[4]s"
	p.Send(text, user, 1, p.Addr(), "")
	nonce := ""
	for _, h := range p.Response(401).GetHeaders("WWW-Authenticate") {
		if strings.Contains(h.Value(), "SHA-256") {
			_, rest, _ := strings.Cut(h.Value(), `nonce="`)
			nonce, _, _ = strings.Cut(rest, `"`)
		}
	}
	h := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	response := h(h(user+":ringpath:"+wireSecret) + ":" + nonce + ":00000001:cn:auth:" + h("REGISTER:sip:192.0.2.10"))
	p.Send(text, user, 2, p.Addr(), fmt.Sprintf(
		`Authorization: Digest username="%s",realm="ringpath",nonce="%s",uri="sip:192.0.2.10",algorithm=SHA-256,cnonce="cn",nc=00000001,qop=auth,response="%s"`,
		user, nonce, response))
	p.Response(200)
	return p
}

// invite is the carrier's INVITE for a number, as it is sent; the same each time.
func invite(number string) string {
	return fmt.Sprintf("INVITE sip:%[1]s@192.0.2.10 SIP/2.0\nVia: SIP/2.0/UDP %[2]s;rport;branch=z9hG4bKinvite\nMax-Forwards: 70\nFrom: \"Jane\" <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:%[1]s@192.0.2.10>\nCall-ID: call\nCSeq: 1 INVITE\nContact: <sip:%[2]s>\nContent-Type: application/sdp\n\n%[3]s",
		number, wireCarrier, phonetest.SDP("198.51.100.1:4000", "sendrecv"))
}

// call sends the INVITE.
func (w *wire) call(number string) { w.Helper(); w.carrier.Send("%s", invite(number)) }

// hop is what the carrier sends to take it back, or to acknowledge a refusal.
func hop(method, number, toTag string) string {
	if toTag != "" {
		toTag = ";tag=" + toTag
	}
	return fmt.Sprintf("%[1]s sip:%[2]s@192.0.2.10 SIP/2.0\nVia: SIP/2.0/UDP %[3]s;rport;branch=z9hG4bKinvite\nMax-Forwards: 70\nFrom: \"Jane\" <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:%[2]s@192.0.2.10>%[4]s\nCall-ID: call\nCSeq: 1 %[1]s\n\n",
		method, number, wireCarrier, toTag)
}

// within is a request of the carrier's within the dialog.
func (w *wire) within(method, number, toTag string, cseq int) {
	w.Helper()
	w.carrier.Send("%[1]s sip:192.0.2.10:5060 SIP/2.0\nMax-Forwards: 70\nFrom: <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:%[2]s@192.0.2.10>;tag=%[3]s\nCall-ID: call\nCSeq: %[4]d %[1]s\nContact: <sip:%[5]s>\n\n",
		method, number, toTag, cseq, wireCarrier)
}

// refused waits for the caller's refusal and acknowledges it.
func (w *wire) refused(status int, number string) {
	w.Helper()
	res := w.carrier.Response(status)
	w.carrier.Send("%s", hop("ACK", number, toTag(res)))
}

func toTag(res *gosip.Response) string { v, _ := res.To().Params.Get("tag"); return v }

// stopsRinging plays a phone that is told to stop.
func stopsRinging(p *phonetest.Phone, inv *gosip.Request) (cancel *gosip.Request) {
	cancel = p.Request("CANCEL")
	p.Reply(cancel, 200, "p", "")
	p.Reply(inv, 487, "p", "")
	p.Request("ACK")
	return cancel
}

// picksUp plays a phone that answers.
func picksUp(p *phonetest.Phone, inv *gosip.Request, audio string) {
	p.Reply(inv, 200, "p", phonetest.SDP(audio, "sendrecv"))
}
