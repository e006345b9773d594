package registrar_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/registrar"
)

func request(cseq uint32, uris ...string) registrar.Request {
	q := registrar.Request{
		User: 1, Username: "alice", CallID: "c", CSeq: cseq, Expires: registrar.Unset,
		Source: netip.MustParseAddrPort("192.0.2.20:5060"), Transport: "udp",
	}
	for _, u := range uris {
		q.Contacts = append(q.Contacts, registrar.Contact{URI: u, Expires: registrar.Unset})
	}
	return q
}

// changes records OnChange.
type changes []string

func (c *changes) note(u phone.UserID, n int) { *c = append(*c, fmt.Sprintf("%d:%d", u, n)) }

func TestExpiryIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen changes
		r := registrar.New(registrar.Options{OnChange: seen.note})
		q := request(1, "sip:a@1")
		q.Expires = 90 * time.Second
		if _, err := r.Register(q); err != nil {
			t.Fatal(err)
		}
		time.Sleep(90*time.Second - 1)
		synctest.Wait()
		if got := len(r.Contacts(1)); got != 1 || !r.Holds(q.Source.Addr()) {
			t.Errorf("%d contacts just before the end", got)
		}
		time.Sleep(1 * time.Nanosecond)
		synctest.Wait()
		if got := len(r.Contacts(1)); got != 0 || r.Holds(q.Source.Addr()) || r.Count() != 0 {
			t.Errorf("%d contacts at the end", got)
		}
		if got := fmt.Sprint(seen); got != "[1:1 1:0]" {
			t.Errorf("changes %s", got)
		}
	})
}

func TestRegister(t *testing.T) {
	expires := func(q registrar.Request, d time.Duration) registrar.Request { q.Expires = d; return q }
	star := func(q registrar.Request, d time.Duration) registrar.Request { q.Star, q.Expires = true, d; return q }
	other := func(q registrar.Request) registrar.Request { q.CallID = "other"; return q }
	many := make([]string, registrar.MaxContacts+1)
	for i := range many {
		many[i] = fmt.Sprint("sip:a@", i)
	}
	tests := []struct {
		name  string
		steps []registrar.Request
		err   error // of the last
		left  string
	}{
		{"default", []registrar.Request{request(1, "sip:a@1")}, nil, "sip:a@1 1h0m0s"},
		{"too long is cut", []registrar.Request{expires(request(1, "sip:a@1"), 24*time.Hour)}, nil, "sip:a@1 1h0m0s"},
		{"too short is refused", []registrar.Request{expires(request(1, "sip:a@1"), 59*time.Second)}, registrar.ErrBrief, ""},
		{"refresh", []registrar.Request{request(1, "sip:a@1"), expires(request(2, "sip:a@1"), time.Minute)}, nil, "sip:a@1 1m0s"},
		{"late copy changes nothing", []registrar.Request{request(2, "sip:a@1"), expires(request(1, "sip:a@1"), 0)}, registrar.ErrOrder, "sip:a@1 1h0m0s"},
		{"another Call-ID starts anew", []registrar.Request{request(9, "sip:a@1"), other(expires(request(1, "sip:a@1"), 0))}, nil, ""},
		{"query", []registrar.Request{request(1, "sip:a@1"), request(2)}, nil, "sip:a@1 1h0m0s"},
		{"star", []registrar.Request{request(1, "sip:a@1", "sip:a@2"), star(request(2), 0)}, nil, ""},
		{"star without Expires: 0", []registrar.Request{request(1, "sip:a@1"), star(request(2), registrar.Unset)}, registrar.ErrStar, "sip:a@1 1h0m0s"},
		{"star with a contact", []registrar.Request{request(1, "sip:a@1"), star(request(2, "sip:a@1"), 0)}, registrar.ErrStar, "sip:a@1 1h0m0s"},
		{"late star", []registrar.Request{request(2, "sip:a@1"), star(request(1), 0)}, registrar.ErrOrder, "sip:a@1 1h0m0s"},
		{"too many at once", []registrar.Request{request(1, many...)}, registrar.ErrContacts, ""},
		{"whole or not at all", []registrar.Request{request(5, "sip:a@1"), request(4, "sip:a@2", "sip:a@1")}, registrar.ErrOrder, "sip:a@1 1h0m0s"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := registrar.New(registrar.Options{})
				defer r.Close()
				var err error
				for _, q := range test.steps {
					_, err = r.Register(q)
				}
				if !errors.Is(err, test.err) {
					t.Errorf("error %v, want %v", err, test.err)
				}
				left := ""
				for _, c := range r.Contacts(1) {
					left += fmt.Sprint(c.URI, " ", time.Until(c.ExpiresAt))
				}
				if left != test.left {
					t.Errorf("left %q, want %q", left, test.left)
				}
			})
		})
	}
}

func TestTheOldestContactMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registrar.New(registrar.Options{})
		defer r.Close()
		for i := range registrar.MaxContacts + 3 {
			if _, err := r.Register(request(uint32(i+1), fmt.Sprint("sip:a@", i))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		got := r.Contacts(1)
		if len(got) != registrar.MaxContacts || got[0].URI != "sip:a@3" {
			t.Errorf("%d contacts, the first %s", len(got), got[0].URI)
		}
	})
}

func TestInstanceReplacesItsOldContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registrar.New(registrar.Options{})
		defer r.Close()
		for i, uri := range []string{"sip:a@1", "sip:a@2"} {
			q := request(uint32(i+1), uri)
			q.Contacts[0].Instance = "<urn:uuid:1>"
			if _, err := r.Register(q); err != nil {
				t.Fatal(err)
			}
		}
		if got := r.Contacts(1); len(got) != 1 || got[0].URI != "sip:a@2" {
			t.Errorf("contacts %v", got)
		}
	})
}

func TestPhonesOfOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen changes
		r := registrar.New(registrar.Options{OnChange: seen.note})
		defer r.Close()
		for _, name := range []string{"desk", "mobile"} {
			q := request(1, "sip:"+name+"@1")
			q.Username = name
			if _, err := r.Register(q); err != nil {
				t.Fatal(err)
			}
		}
		if got := r.Contacts(1); len(got) != 2 || got[0].Username != "desk" || got[1].Username != "mobile" {
			t.Errorf("contacts %v", got)
		}
		if got := fmt.Sprint(seen); got != "[1:1 1:2]" {
			t.Errorf("changes %s", got)
		}
	})
}
