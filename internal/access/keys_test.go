package access

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringpath/ringpath/internal/phone"
)

// fakeStore keeps keys in memory; fail makes everything fail.
type fakeStore struct {
	mu   sync.Mutex
	keys []Hashed
	used []map[string]time.Time
	fail error
}

func (s *fakeStore) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *fakeStore) APIKeys(context.Context) ([]Hashed, error) { return s.keys, s.fail }

func (s *fakeStore) AddAPIKey(_ context.Context, k Hashed) error {
	if s.fail == nil {
		s.keys = append(s.keys, k)
	}
	return s.fail
}

func (s *fakeStore) RemoveAPIKey(_ context.Context, id string) error {
	if s.fail != nil {
		return s.fail
	}
	before := len(s.keys)
	s.keys = slices.DeleteFunc(s.keys, func(k Hashed) bool { return k.ID == id })
	if len(s.keys) == before {
		return &phone.Error{Kind: phone.NotFound, Text: "no such key"}
	}
	return nil
}

func (s *fakeStore) UsedAPIKeys(_ context.Context, at map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		s.used = append(s.used, at)
	}
	return s.fail
}

func openKeys(t *testing.T, s Store) *Keys {
	t.Helper()
	k, err := Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func create(t *testing.T, k *Keys, scopes ...Scope) (Key, string) {
	t.Helper()
	key, token, err := k.Create(t.Context(), "a key", scopes...)
	if err != nil {
		t.Fatal(err)
	}
	return key, token
}

var here = netip.MustParseAddr("192.0.2.1")

func TestScopes(t *testing.T) {
	for _, tt := range []struct {
		has  []Scope
		want []Scope // of all Scopes, those allowed
	}{
		{nil, []Scope{V1Read}},
		{[]Scope{V1Read}, []Scope{V1Read}},
		{[]Scope{V1Write}, []Scope{V1Read, V1Write}},
		{[]Scope{APIRead}, []Scope{APIRead}},
		{[]Scope{APIWrite}, []Scope{APIRead, APIWrite}},
		{[]Scope{V1Write, APIRead, V1Write}, []Scope{V1Read, V1Write, APIRead}},
	} {
		k := openKeys(t, &fakeStore{})
		key, token := create(t, k, tt.has...)
		var got []Scope
		for _, s := range Scopes {
			switch _, err := k.Check(here, key.ID, token, s); {
			case err == nil:
				got = append(got, s)
			case !errors.Is(err, ErrScope):
				t.Errorf("%v, asked for %s: got %v, want %v", tt.has, s, err, ErrScope)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("a key with %v may %v, want %v", tt.has, got, tt.want)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	k := openKeys(t, &fakeStore{})
	a, tokenA := create(t, k)
	_, tokenB := create(t, k)
	for _, tt := range []struct{ name, id, token string }{
		{"nothing", "", ""},
		{"no token", a.ID, ""},
		{"another key's token", a.ID, tokenB},
		{"unknown id", "0123456789abcdef0123", tokenA},
		{"upper case", a.ID, "A" + tokenA[1:]},
		{"shortened", a.ID, tokenA[:63]},
		{"the other way round", tokenA, a.ID},
	} {
		if _, err := k.Check(here, tt.id, tt.token, V1Read); !errors.Is(err, ErrWrong) {
			t.Errorf("%s: got %v, want %v", tt.name, err, ErrWrong)
		}
	}
	if _, err := k.Check(here, a.ID, tokenA, V1Read); err != nil {
		t.Errorf("the right one: %v", err)
	}
}

func TestKeysAreStoredHashed(t *testing.T) {
	s := &fakeStore{}
	key, token := create(t, openKeys(t, s))
	if len(key.ID) != 20 || len(token) != 64 {
		t.Errorf("id %q, token of %d digits: want 20 and 64 (256 bits)", key.ID, len(token))
	}
	if len(s.keys) != 1 || len(s.keys[0].Hash) != 32 || string(s.keys[0].Hash) == token {
		t.Errorf("stored %+v, want one SHA-256", s.keys)
	}
	again := openKeys(t, s) // a restart
	if _, err := again.Check(here, key.ID, token, V1Read); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if err := again.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Check(here, key.ID, token, V1Read); !errors.Is(err, ErrWrong) {
		t.Errorf("revoked: got %v, want %v", err, ErrWrong)
	}
	if err := again.Revoke(t.Context(), key.ID); phone.KindOf(err) != phone.NotFound {
		t.Errorf("revoked again: got %v, want kind %s", err, phone.NotFound)
	}
}

func TestCreateRefuses(t *testing.T) {
	s := &fakeStore{}
	k := openKeys(t, s)
	long := fmt.Sprintf("%101s", "x")
	for _, tt := range []struct {
		name  string
		scope Scope
	}{{"", V1Read}, {"  ", V1Read}, {"a\nb", V1Read}, {"x" + long, V1Read}, {"x", "v1:admin"}} {
		if _, _, err := k.Create(t.Context(), tt.name, tt.scope); phone.KindOf(err) != phone.Invalid {
			t.Errorf("Create(%q, %q): got %v, want kind %s", tt.name, tt.scope, err, phone.Invalid)
		}
	}
	s.fail = errors.New("disk full")
	if _, _, err := k.Create(t.Context(), "x"); err == nil || len(k.List()) != 0 {
		t.Errorf("Create with a failing store: %v, keys %v, want an error and none", err, k.List())
	}
	if _, err := Open(t.Context(), s); err == nil {
		t.Error("Open with a failing store gave no error")
	}
}

func TestWrongKeysAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
		k := openKeys(t, &fakeStore{})
		key, token := create(t, k)
		wrong := func(from string) error {
			var a netip.Addr
			if from != "" {
				a = netip.MustParseAddr(from)
			}
			_, err := k.Check(a, key.ID, "guess", V1Read)
			return err
		}
		for i := range 31 {
			want := error(ErrWrong)
			if i == 30 {
				want = ErrLimited
			}
			if err := wrong("192.0.2.1"); err != want {
				t.Fatalf("wrong key %d: got %v, want %v", i+1, err, want)
			}
		}
		for _, tt := range []struct {
			from string
			want error
		}{
			{"192.0.2.1", ErrLimited},
			{"::ffff:192.0.2.1", ErrLimited},
			{"192.0.2.2", ErrWrong},
			{"", ErrWrong},
		} {
			if err := wrong(tt.from); err != tt.want {
				t.Errorf("from %q: got %v, want %v", tt.from, err, tt.want)
			}
		}
		if _, err := k.Check(here, key.ID, token, V1Read); err != nil {
			t.Errorf("the right key from there: %v, want it to pass", err)
		}
		for i := range 40 { // one customer's /64
			wrong(fmt.Sprintf("2001:db8::%x", i))
		}
		if err := wrong("2001:db8::ffff"); err != ErrLimited {
			t.Errorf("the 41st of a /64: got %v, want %v", err, ErrLimited)
		}
		time.Sleep(time.Minute)
		if err := wrong("192.0.2.1"); err != ErrWrong {
			t.Errorf("a minute later: got %v, want %v", err, ErrWrong)
		}
	})
}

func TestAttemptsAreBounded(t *testing.T) {
	var a attempts
	now := time.Unix(600, 0)
	for i := range maxAddresses + 100 {
		a.allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if got := len(a.count); got > maxAddresses+1 {
		t.Errorf("%d addresses counted, want at most %d", got, maxAddresses+1)
	}
	if a.allow(netip.MustParseAddr("192.0.2.1"), now) {
		t.Error("a new address beyond the bound was not limited with the others")
	}
}

func TestLastUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		k := openKeys(t, s)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		key, token := create(t, k)
		use := func() time.Time {
			t.Helper()
			if _, err := k.Check(here, key.ID, token, V1Read); err != nil {
				t.Fatal(err)
			}
			return time.Now().UTC().Truncate(time.Second)
		}
		time.Sleep(10 * time.Second)
		first := use()
		if got := k.List()[0].LastUsedAt; got != first {
			t.Errorf("LastUsedAt %v, want %v", got, first)
		}
		s.failWith(errors.New("locked"))
		time.Sleep(time.Minute)
		s.failWith(nil)
		time.Sleep(3 * time.Minute)
		last := use()
		stop()
		<-done
		want := []map[string]time.Time{{key.ID: first}, {key.ID: last}}
		if d := cmp.Diff(want, s.used); d != "" {
			t.Errorf("stored uses (-want +got):\n%s", d)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	k, err := Open(b.Context(), &fakeStore{})
	if err != nil {
		b.Fatal(err)
	}
	key, token, err := k.Create(b.Context(), "bench")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Check(here, key.ID, token, V1Read); err != nil {
			b.Fatal(err)
		}
	}
}
