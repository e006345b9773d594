package softphone

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// registrar is a server with one account, "ada" and "correct horse". It stands
// on a phone's stack.
type registrar struct {
	algorithms []string // it offers, in this order
	expires    int      // it grants, in seconds; 0: as asked
	stale      int      // how many good nonces it calls too old

	mu   sync.Mutex
	seen []string // "algorithm expires" of each registration that it took
}

func (r *registrar) start(t *testing.T, transport string) string {
	t.Helper()
	p, err := New(Options{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	p.stack.server.OnRegister(r.onRegister)
	p.stack.server.OnInvite(func(req *sip.Request, tx sip.ServerTransaction) {
		if req.GetHeader("Authorization") != nil {
			p.onInvite(req, tx) // who it is, REGISTER has shown
			return
		}
		reply(tx, req, 100, "", nil)
		r.challenge(req, tx, false)
	})
	p.stack.serve()
	t.Cleanup(func() { p.Close() })
	return p.Addr().String()
}

func (r *registrar) onRegister(req *sip.Request, tx sip.ServerTransaction) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := req.GetHeader("Authorization")
	if h == nil {
		r.challenge(req, tx, false)
		return
	}
	cred, err := digest.ParseCredentials(h.Value())
	if err != nil {
		reply(tx, req, 400, "", nil)
		return
	}
	chal := &digest.Challenge{Realm: "ringpath", Nonce: cred.Nonce, Algorithm: cred.Algorithm, QOP: []string{"auth"}}
	want, err := digest.Digest(chal, digest.Options{
		Method: "REGISTER", URI: req.Recipient.String(), Username: "ada", Password: "correct horse",
		Count: cred.Nc, Cnonce: cred.Cnonce,
	})
	if err != nil || cred.Response != want.Response || cred.Username != "ada" {
		r.challenge(req, tx, false)
		return
	}
	if r.stale > 0 {
		r.stale--
		r.challenge(req, tx, true)
		return
	}
	expires := req.GetHeader("Expires").Value()
	r.seen = append(r.seen, cred.Algorithm+" "+expires)
	if r.expires > 0 && expires != "0" {
		expires = strconv.Itoa(r.expires)
	}
	reply(tx, req, 200, "", func(res *sip.Response) {
		contact := req.GetHeader("Contact").Value()
		res.AppendHeader(sip.NewHeader("Contact", "<sip:else@192.0.2.1>;expires=7, "+contact+";expires="+expires))
	})
}

func (r *registrar) challenge(req *sip.Request, tx sip.ServerTransaction, stale bool) {
	reply(tx, req, 401, "", func(res *sip.Response) {
		for _, a := range r.algorithms {
			res.AppendHeader(sip.NewHeader("WWW-Authenticate", fmt.Sprintf(
				`Digest realm="ringpath", nonce="n%d", qop="auth", algorithm=%s, stale=%t`, len(r.seen), a, stale)))
		}
	})
}

func (r *registrar) registrations() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.seen, ", ")
}

// TestRegister: with the strongest algorithm, renewed at half of what was
// granted, and removed at the end.
func TestRegister(t *testing.T) {
	tests := []struct {
		name      string
		registrar *registrar
		transport string
		renews    bool
		want      string
	}{
		{"MD5", &registrar{algorithms: []string{"MD5"}}, "udp", false, "MD5 300, MD5 0"},
		{"SHA-256 over TCP", &registrar{algorithms: []string{"SHA-256"}}, "tcp", false, "SHA-256 300, SHA-256 0"},
		{"the stronger one", &registrar{algorithms: []string{"MD5", "SHA-256"}}, "udp", false, "SHA-256 300, SHA-256 0"},
		{"a stale nonce", &registrar{algorithms: []string{"MD5"}, stale: 1}, "udp", false, "MD5 300, MD5 0"},
		{"renewal", &registrar{algorithms: []string{"MD5"}, expires: 1}, "udp", true, "MD5 300, MD5 300"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := test.registrar.start(t, test.transport)
			t.Run("phone", func(t *testing.T) { // it ends, and un-registers, with this
				p, in := run(t, Options{
					Account: "ada@example.com", Server: server, Transport: test.transport, Password: secret.New("correct horse"),
				})
				<-p.Registered()
				in.want(t, Registered)
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				for test.renews && !strings.HasPrefix(test.registrar.registrations(), test.want) {
					select {
					case <-tick.C:
					case <-t.Context().Done():
						return
					}
				}
			})
			if got := test.registrar.registrations(); !strings.HasPrefix(got, test.want) || !strings.HasSuffix(got, " 0") {
				t.Errorf("got %q, want %q, the last one to remove it", got, test.want)
			}
		})
	}
}

func TestRegisterRefused(t *testing.T) {
	tests := []struct {
		name      string
		registrar *registrar
		password  string
		kind      phone.Kind
		want      string
	}{
		{"wrong password", &registrar{algorithms: []string{"SHA-256", "MD5"}}, "battery", phone.Denied, "the server refused the password"},
		{"nonces always stale", &registrar{algorithms: []string{"MD5"}, stale: 99}, "correct horse", phone.Denied, "the server refused the password"},
		{"no digest", &registrar{}, "correct horse", phone.Invalid, "asks for a login that this phone does not know"},
		{"unknown algorithm", &registrar{algorithms: []string{"ROT13"}}, "correct horse", phone.Invalid, "asks for a login that this phone does not know"},
	}
	for _, test := range tests {
		p, err := New(Options{Account: "ada@" + test.registrar.start(t, "udp"), Password: secret.New(test.password)})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Run(t.Context())
		wantError(t, err, test.kind, test.want)
		if err != nil && strings.Contains(err.Error(), test.password) {
			t.Errorf("%s: the error tells the password: %v", test.name, err)
		}
	}
}

// TestCallWithLogin: a phone answers the challenge of its INVITE with the
// account's password, and a caller without one is told.
func TestCallWithLogin(t *testing.T) {
	server := (&registrar{algorithms: []string{"SHA-256"}}).start(t, "udp")
	p, _ := run(t, Options{Account: "ada@" + server, Password: secret.New("correct horse")})
	<-p.Registered()
	got, err := p.Call(t.Context(), CallOptions{To: "+14155550100", Hold: 10 * time.Millisecond})
	if err != nil || got.Status != 200 {
		t.Errorf("got %d %v, want 200", got.Status, err)
	}
	got, err = Call(t.Context(), CallOptions{To: "+14155550100", Server: server})
	if err != nil || got.Status != 401 {
		t.Errorf("without a login: got %d %v, want 401", got.Status, err)
	}
}
