package sip_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/media"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/registrar"
	"github.com/ringpath/ringpath/internal/secret"
	"github.com/ringpath/ringpath/internal/simnet"
	"github.com/ringpath/ringpath/internal/sip"
)

const (
	serverAddr = "192.0.2.10:5060"
	mainNumber = phone.E164("+14155550100")
	password   = "correct horse battery"

	// longName makes a REGISTER as long as real ones are: both challenges fit.
	longName = "Some Phone 1.2.3 (some platform 4.5.6; some library 7.8.9; build 2026-01-01; x86_64-linux-gnu)"
)

// office is a directory of three users with a phone each, and one trunk.
type office struct{ trunk directory.Trunk }

var users = map[string]phone.User{
	"alice": {ID: 1, Name: "Alice", Phones: []string{"alice"}, CallerNumber: "+14155550171"},
	"bob":   {ID: 2, Name: "Bob", Phones: []string{"bob"}},
	"carol": {ID: 3, Name: "Carol", Phones: []string{"carol"}},
}

func (o *office) Region() string { return "US" }
func (o *office) NumberByDigits(n phone.E164) (phone.Number, bool) {
	if n != mainNumber {
		return phone.Number{}, false
	}
	return phone.Number{ID: 1, Name: "Main", Digits: mainNumber}, true
}
func (o *office) Number(id phone.NumberID) (phone.Number, bool) {
	if id != 1 {
		return phone.Number{}, false
	}
	return o.NumberByDigits(mainNumber)
}
func (o *office) User(id phone.UserID) (phone.User, bool) {
	for _, u := range users {
		if u.ID == id {
			return u, true
		}
	}
	return phone.User{}, false
}
func (o *office) Account(name string) (directory.Account, bool) {
	u, ok := users[name]
	return directory.Account{User: u.ID, Username: name, Password: secret.New(password)}, ok
}
func (o *office) Trunk(name string) (*directory.Trunk, bool) { return &o.trunk, name == o.trunk.Name }
func (o *office) TrunkFor(a netip.AddrPort) (*directory.Trunk, bool) {
	return &o.trunk, netip.MustParsePrefix("198.51.100.0/24").Contains(a.Addr())
}

// world is a server on a simulated network, with whoever talks to it.
type world struct {
	t      *testing.T
	net    *simnet.Net
	server *sip.Server
	office *office
	media  *media.Relay
	phones *registrar.Registrar
	serve  func(phone.IncomingLeg)

	mu     sync.Mutex
	served []phone.IncomingLeg
	counts map[string]int
}

// Serve is the world's Handler.
func (w *world) Serve(leg phone.IncomingLeg) {
	w.mu.Lock()
	w.served = append(w.served, leg)
	w.mu.Unlock()
	w.serve(leg)
}

func (w *world) calls() int { w.mu.Lock(); defer w.mu.Unlock(); return len(w.served) }

// run makes a world in a bubble and looks afterwards that nothing is left of it.
func run(t *testing.T, net simnet.Options, change func(*sip.Options), test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: simnet.New(net), counts: map[string]int{}}
		w.office = &office{trunk: directory.Trunk{ID: 1, Name: "carrier", Hosts: []string{"198.51.100.1"}}}
		w.serve = w.ringEverybody
		w.phones = registrar.New(registrar.Options{})
		w.media = media.NewRelay(media.Options{ListenPacket: w.net.ListenPacket, Addr: netip.MustParseAddr("192.0.2.10")})
		o := sip.Options{
			Listen:    []sip.Listener{{Packet: w.net.Listen(serverAddr)}, {Stream: w.net.ListenStream(serverAddr)}},
			Handler:   w,
			Directory: func() sip.Directory { return w.office },
			Registrar: w.phones,
			Media:     w.media,
			Count: func(method string, status int) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.counts[fmt.Sprint(method, " ", status)]++
			},
		}
		if change != nil {
			change(&o)
		}
		server, err := sip.Listen(o)
		if err != nil {
			t.Fatal(err)
		}
		w.server = server
		t.Cleanup(w.close) // also when the test has failed: a bubble must not be left running
		test(w)
		w.leaveNothing()
	})
}

// leaveNothing lets all timers run out and looks for what is left.
func (w *world) leaveNothing() {
	w.t.Helper()
	time.Sleep(33*time.Second + 33*time.Second)
	if !w.server.Idle() || w.server.Calls() != 0 {
		w.t.Errorf("transactions or legs are left: %d calls", w.server.Calls())
	}
	if n := w.media.Sessions(); n != 0 {
		w.t.Errorf("%d media sessions are left", n)
	}
	w.close()
	if n := w.net.Open(); n != 0 {
		w.t.Errorf("%d sockets are left", n)
	}
}

func (w *world) close() {
	if err := w.server.Close(); err != nil {
		w.t.Errorf("close: %v", err)
	}
	w.phones.Close()
	_ = w.media.Close()
}

// endpoint makes a scripted endpoint; it is gone when the test function returns.
func (w *world) endpoint(addr string) *phonetest.Phone {
	p := phonetest.NewPhone(w.t, w.net.Listen(addr), netip.MustParseAddrPort(serverAddr))
	return p
}

// carrier is the trunk's endpoint.
func (w *world) carrier() *phonetest.Phone { return w.endpoint("198.51.100.1:5060") }

// phone is a registered phone of a user.
func (w *world) phone(user, addr string) *phonetest.Phone {
	w.t.Helper()
	p := w.endpoint(addr)
	register(w.t, p, user, user, password, "SHA-256", 3600, 200)
	return p
}

// register sends a REGISTER, answers the challenge, and expects status.
func register(t *testing.T, p *phonetest.Phone, aor, user, password, algorithm string, expires, status int) {
	t.Helper()
	text := "REGISTER sip:192.0.2.10 SIP/2.0\nFrom: <sip:%[1]s@192.0.2.10>;tag=r\nTo: <sip:%[1]s@192.0.2.10>\nCall-ID: reg-%[2]s\nCSeq: %[3]d REGISTER\nContact: <sip:%[1]s@%[2]s>\nExpires: %[4]d\nMax-Forwards: 70\nUser-Agent: " + longName + "\n%[5]s"
	p.Send(text, aor, p.Addr(), 1, expires, "")
	res := p.Response(401)
	c := challengeOf(t, res, algorithm)
	p.Send(text, aor, p.Addr(), 2, expires, c.answer("REGISTER", "sip:192.0.2.10", user, password, 1))
	p.Response(status)
}

// challenge is what a 401 asks for.
type challenge struct{ realm, nonce, algorithm string }

func challengeOf(t *testing.T, res *gosip.Response, algorithm string) challenge {
	t.Helper()
	for _, h := range res.GetHeaders("WWW-Authenticate") {
		c := challenge{algorithm: algorithm}
		for _, part := range strings.Split(strings.TrimPrefix(h.Value(), "Digest "), ",") {
			k, v, _ := strings.Cut(part, "=")
			switch k {
			case "realm":
				c.realm = strings.Trim(v, `"`)
			case "nonce":
				c.nonce = strings.Trim(v, `"`)
			}
		}
		if strings.Contains(h.Value(), "algorithm="+algorithm) {
			return c
		}
	}
	t.Fatalf("no challenge for %s in %v", algorithm, res)
	return challenge{}
}

// answer is the Authorization line.
func (c challenge) answer(method, uri, user, password string, nc int) string {
	h := func(s string) string {
		if c.algorithm == "MD5" {
			sum := md5.Sum([]byte(s))
			return hex.EncodeToString(sum[:])
		}
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	count := fmt.Sprintf("%08x", nc)
	response := h(h(user+":"+c.realm+":"+password) + ":" + c.nonce + ":" + count + ":cn:auth:" + h(method+":"+uri))
	return fmt.Sprintf(`Authorization: Digest username="%s",realm="%s",nonce="%s",uri="%s",algorithm=%s,cnonce="cn",nc=%s,qop=auth,response="%s"`,
		user, c.realm, c.nonce, uri, c.algorithm, count, response)
}

// inviteText is a carrier's INVITE.
func inviteText(p *phonetest.Phone, callID string, extra ...string) string {
	return fmt.Sprintf("INVITE sip:+14155550100@192.0.2.10 SIP/2.0\nMax-Forwards: 70\nFrom: \"Jane Doe\" <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:+14155550100@192.0.2.10>\nCall-ID: %s\nCSeq: 1 INVITE\nContact: <sip:%s>\nContent-Type: application/sdp\n%s\n%s",
		callID, p.Addr(), strings.Join(append(extra, ""), "\n"), phonetest.SDP("198.51.100.1:4000", "sendrecv"))
}

// follow sends a request within the carrier's dialog.
func follow(p *phonetest.Phone, method, callID, toTag string, cseq int, extra, body string) {
	if body != "" {
		extra += "Content-Type: application/sdp\n"
	}
	p.Send("%s sip:192.0.2.10:5060 SIP/2.0\nMax-Forwards: 70\nFrom: <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:+14155550100@192.0.2.10>;tag=%s\nCall-ID: %s\nCSeq: %d %s\nContact: <sip:%s>\n%s\n%s",
		method, toTag, callID, cseq, method, p.Addr(), extra, body)
}

// phoneSends sends a request within the dialog that inv made at a phone.
func phoneSends(p *phonetest.Phone, inv *gosip.Request, method, tag string, cseq int, extra, body string) {
	if body != "" {
		extra += "Content-Type: application/sdp\n"
	}
	p.Send("%s %s SIP/2.0\nMax-Forwards: 70\nFrom: %s;tag=%s\nTo: %s\nCall-ID: %s\nCSeq: %d %s\nContact: <sip:%s>\n%s\n%s",
		method, inv.Contact().Address.String(), inv.To().Value(), tag, inv.From().Value(), inv.CallID().Value(), cseq, method, p.Addr(), extra, body)
}

func tag(ps gosip.HeaderParams) string { v, _ := ps.Get("tag"); return v }

// ringEverybody is a small exchange: all registered phones ring, the first answer
// wins, and whoever hangs up ends the call.
func (w *world) ringEverybody(in phone.IncomingLeg) {
	type event struct {
		leg phone.Leg
		phone.Event
	}
	events := make(chan event, 100)
	var all sync.WaitGroup
	listen := func(l phone.Leg) {
		all.Go(func() {
			for e := range l.Events() {
				events <- event{l, e}
			}
		})
	}
	listen(in)
	ringing := map[phone.Leg]bool{}
	for _, u := range []phone.UserID{1, 2, 3} {
		for _, c := range w.server.Contacts(u) {
			l, err := w.server.Dial(w.t.Context(), phone.Dial{
				Call: in.Facts().ID, Caller: in, To: phone.Destination{Contact: c},
				From: in.Facts().Caller, Display: in.Facts().CallerName,
			})
			if err != nil {
				w.t.Errorf("dial: %v", err)
				continue
			}
			ringing[l] = true
			listen(l)
		}
	}
	var talking phone.Leg
	callerGone := false
	if len(ringing) == 0 {
		in.Hangup(phone.CauseUnavailable)
	}
	go func() { all.Wait(); close(events) }()
	for e := range events {
		switch {
		case e.Kind == phone.LegRinging:
			in.Ring()
		case e.Kind == phone.LegAnswered && talking == nil && in.Join(e.leg) == nil:
			talking = e.leg
			for l := range ringing {
				if l != talking {
					l.Hangup(phone.CauseElsewhere)
				}
			}
		case e.Kind == phone.LegAnswered:
			e.leg.Hangup(phone.CauseElsewhere)
		case e.Kind == phone.LegEnded && e.leg == phone.Leg(in):
			callerGone = true
			for l := range ringing {
				l.Hangup(e.Cause)
			}
		case e.Kind == phone.LegEnded:
			delete(ringing, e.leg)
			if e.leg == talking || len(ringing) == 0 && !callerGone {
				in.Hangup(e.Cause)
			}
		}
	}
}
