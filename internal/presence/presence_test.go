package presence_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/presence"
)

const (
	ann phone.UserID = 1
	bob phone.UserID = 2
)

func wantState(t *testing.T, got, want phone.Availability) {
	t.Helper()
	if got != want {
		t.Errorf("state %q, want %q", got, want)
	}
}

func woken(t *presence.Ticket) bool {
	select {
	case <-t.Changed():
		return true
	default:
		return false
	}
}

func TestStates(t *testing.T) {
	p := presence.New()
	wantState(t, p.State(ann), phone.Offline)
	p.SetPhones(ann, 2)
	wantState(t, p.State(ann), phone.Available)

	a, b := p.Enter(1, 0, time.Now()), p.Enter(2, 0, time.Now())
	if !a.Claim(ann, time.Now().Add(time.Minute)) {
		t.Fatal("a free user could not be claimed")
	}
	wantState(t, p.State(ann), phone.RingingNow)
	wantState(t, a.State(ann), phone.Available)
	if b.Claim(ann, time.Now().Add(time.Minute)) {
		t.Fatal("a user was claimed by two calls")
	}
	a.Talk(ann)
	wantState(t, b.State(ann), phone.InCall)
	p.SetPhones(ann, 0)
	wantState(t, b.State(ann), phone.InCall)
	a.Close()
	wantState(t, b.State(ann), phone.Offline)
	if b.Claim(ann, time.Now().Add(time.Minute)) {
		t.Fatal("a user who is offline was claimed")
	}
}

func TestOccupy(t *testing.T) {
	p := presence.New()
	p.SetPhones(ann, 1)
	own := p.Occupy(ann, 1)
	wantState(t, p.State(ann), phone.InCall)
	wantState(t, own.State(ann), phone.InCall)
	own.Close()
	wantState(t, p.State(ann), phone.Available)
}

// A freed user goes to the waiting call of the highest priority, then to the
// one that came first, whatever order they began to wait in.
func TestFreedUserGoesToTheFirstOfTheOrderedSet(t *testing.T) {
	p := presence.New()
	p.SetPhones(ann, 1)
	t0 := time.Now()
	holder := p.Enter(1, 0, t0)
	holder.Claim(ann, t0.Add(time.Hour))

	late := p.Enter(4, 0, t0.Add(2*time.Second))
	early := p.Enter(2, 0, t0.Add(time.Second))
	vip := p.Enter(5, 1, t0.Add(3*time.Second))
	other := p.Enter(6, 9, t0)
	for _, w := range []*presence.Ticket{late, early, vip} {
		w.Wait([]phone.UserID{ann, bob})
	}
	other.Wait([]phone.UserID{bob})

	holder.Release(ann)
	for _, next := range []*presence.Ticket{vip, early, late} {
		if !woken(next) {
			t.Fatal("a waiting call was not told")
		}
		wantState(t, next.State(ann), phone.Available)
		wantState(t, p.State(ann), phone.RingingNow)
		for _, w := range []*presence.Ticket{vip, early, late} {
			if w != next && w.Claim(ann, t0.Add(time.Hour)) {
				t.Fatal("a reserved user was claimed by another call")
			}
		}
		if !next.Claim(ann, t0.Add(time.Hour)) {
			t.Fatal("the reserved user could not be claimed")
		}
		next.Leave() // keeps what it claimed
		wantState(t, p.State(ann), phone.RingingNow)
		next.Close()
	}
	wantState(t, p.State(ann), phone.Available)
	if woken(other) {
		t.Error("a call that does not want the user was woken")
	}
}

func TestLeaveGivesReservedUsersToTheNext(t *testing.T) {
	p := presence.New()
	p.SetPhones(ann, 1)
	t0 := time.Now()
	holder, first, second := p.Enter(1, 0, t0), p.Enter(2, 0, t0), p.Enter(3, 0, t0)
	holder.Claim(ann, t0.Add(time.Hour))
	first.Wait([]phone.UserID{ann})
	second.Wait([]phone.UserID{ann})
	holder.Release(ann)
	first.Leave() // gave up between being woken and claiming
	if !second.Claim(ann, t0.Add(time.Hour)) {
		t.Fatal("the user stayed reserved for a call that left")
	}
}

func TestWaitersHearThatTheUserAnswered(t *testing.T) {
	p := presence.New()
	p.SetPhones(ann, 1)
	a, b := p.Enter(1, 0, time.Now()), p.Enter(2, 0, time.Now())
	a.Claim(ann, time.Now().Add(time.Hour))
	b.Wait([]phone.UserID{ann})
	a.Talk(ann)
	if !woken(b) {
		t.Fatal("the waiting call was not told")
	}
	wantState(t, b.State(ann), phone.InCall)
}

func TestLeaseEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := presence.New()
		p.SetPhones(ann, 1)
		crashed := p.Enter(1, 0, time.Now())
		crashed.Claim(ann, time.Now().Add(30*time.Second))
		next := p.Enter(2, 0, time.Now())
		time.Sleep(30 * time.Second)
		if next.Claim(ann, time.Now().Add(time.Second)) {
			t.Fatal("claimed within another's lease")
		}
		time.Sleep(time.Millisecond)
		if !next.Claim(ann, time.Now().Add(time.Second)) {
			t.Fatal("the lease did not end by itself")
		}
		crashed.Close() // must not free what is another's now
		wantState(t, p.State(ann), phone.RingingNow)
	})
}

// Many calls that all want the same users: never two holders at once.
func TestNoUserIsHeldTwice(t *testing.T) {
	p := presence.New()
	users := []phone.UserID{1, 2, 3}
	for _, u := range users {
		p.SetPhones(u, 1)
	}
	holders := make([]chan struct{}, 4)
	for i := range holders {
		holders[i] = make(chan struct{}, 1)
	}
	done := make(chan struct{})
	for call := range phone.CallID(8) {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 200 {
				tick := p.Enter(call, int(call)%2, time.Now())
				tick.Wait(users)
				for _, u := range users {
					if !tick.Claim(u, time.Now().Add(time.Hour)) {
						continue
					}
					select {
					case holders[u] <- struct{}{}:
					default:
						t.Error("two calls hold one user")
					}
					<-holders[u]
					tick.Release(u)
				}
				tick.Close()
			}
		}()
	}
	for range 8 {
		<-done
	}
	if got := slices.IndexFunc(users, func(u phone.UserID) bool { return p.State(u) != phone.Available }); got >= 0 {
		t.Errorf("user %d is not free after all calls ended", users[got])
	}
}
