package ring_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/presence"
	"github.com/ringpath/ringpath/internal/ring"
)

// deskPhone is a phone that does what it is told, to the millisecond.
type deskPhone struct {
	rings, answers, refuses, gone time.Duration // after the INVITE; 0: never. gone: after Hangup
	cause                         phone.Cause   // of refuses
	fails                         bool          // the INVITE cannot be sent
}

// call is one leg to a deskPhone, as the phone saw it.
type call struct {
	user     phone.UserID
	at       time.Time
	answered bool
	hungup   phone.Cause
	hungupAt time.Time

	mu     sync.Mutex
	events chan phone.Event
	ended  bool
	phone  deskPhone
}

func (c *call) ID() phone.LegID            { return "" }
func (c *call) Events() <-chan phone.Event { return c.events }

func (c *call) say(e phone.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.answered && e.Kind == phone.LegAnswered {
		return
	}
	c.answered = c.answered || e.Kind == phone.LegAnswered
	c.events <- e
	if e.Kind == phone.LegEnded {
		c.ended = true
		close(c.events)
	}
}

func (c *call) Hangup(why phone.Cause) {
	c.mu.Lock()
	first := c.hungup == "" && !c.ended
	if first {
		c.hungup, c.hungupAt = why, time.Now()
	}
	c.mu.Unlock()
	if first {
		time.AfterFunc(c.phone.gone, func() { c.say(phone.Event{Kind: phone.LegEnded, Cause: why}) })
	}
}

// office has phones, and rings them.
type office struct {
	t        *testing.T
	phones   map[phone.UserID][]deskPhone
	presence *presence.Presence
	calls    []*call
	rang     int
	ends     sync.WaitGroup
}

func newOffice(t *testing.T, phones map[phone.UserID][]deskPhone) *office {
	o := &office{t: t, phones: phones, presence: presence.New()}
	for u, ps := range phones {
		o.presence.SetPhones(u, len(ps))
	}
	return o
}

func (o *office) Destinations(p ring.Party) (to []phone.Destination) {
	for i := range o.phones[p.User] {
		to = append(to, phone.Destination{Contact: phone.Contact{User: p.User, URI: string(rune('0' + i))}})
	}
	return to
}

func (o *office) Dial(d phone.Destination) (phone.Leg, error) {
	ph := o.phones[d.User()][d.Contact.URI[0]-'0']
	if ph.fails {
		return nil, errors.New("no route")
	}
	if got := o.presence.State(d.User()); got != phone.RingingNow {
		o.t.Errorf("user %d is %q when the INVITE goes out, want claimed", d.User(), got)
	}
	c := &call{user: d.User(), at: time.Now(), phone: ph, events: make(chan phone.Event, 8)}
	o.calls = append(o.calls, c)
	after := func(d time.Duration, e phone.Event) {
		if d > 0 {
			time.AfterFunc(d, func() { c.say(e) })
		}
	}
	after(ph.rings, phone.Event{Kind: phone.LegRinging})
	after(ph.answers, phone.Event{Kind: phone.LegAnswered})
	after(ph.refuses, phone.Event{Kind: phone.LegEnded, Cause: ph.cause, Status: 486})
	return c, nil
}

func (o *office) request(users ...phone.UserID) ring.Request {
	r := ring.Request{
		Settings: ring.Settings{RingFor: 20 * time.Second},
		Presence: o.presence.Enter(1, 0, time.Now()),
		Dialer:   o, Ends: &o.ends,
		Ringing: func() { o.rang++ },
	}
	for _, u := range users {
		r.Parties = append(r.Parties, ring.Party{User: u})
	}
	return r
}

func (o *office) results(r ring.Result) (out []ring.Outcome) {
	for _, a := range r.Offers {
		out = append(out, a.Result)
	}
	return out
}

const ms = time.Millisecond

func TestRun(t *testing.T) {
	type phones = map[phone.UserID][]deskPhone
	silent := deskPhone{rings: 100 * ms, gone: 50 * ms}
	for _, tt := range []struct {
		name    string
		phones  phones
		ring    []phone.UserID
		outcome ring.Outcome
		by      phone.UserID
		takes   time.Duration
		offers  []ring.Outcome
		after   map[phone.UserID]phone.Availability
	}{
		{
			name: "one answers", phones: phones{1: {{rings: 100 * ms, answers: 3000 * ms}}}, ring: []phone.UserID{1},
			outcome: ring.Answered, by: 1, takes: 3000 * ms, offers: []ring.Outcome{ring.Answered},
			after: map[phone.UserID]phone.Availability{1: phone.InCall},
		},
		{
			name: "ring time is exact", phones: phones{1: {silent}}, ring: []phone.UserID{1},
			outcome: ring.NoAnswer, takes: 20*time.Second + 50*ms, offers: []ring.Outcome{ring.NoAnswer},
			after: map[phone.UserID]phone.Availability{1: phone.Available},
		},
		{
			name:   "the first of a team wins, the others stop",
			phones: phones{1: {silent}, 2: {{rings: 90 * ms, answers: 2000 * ms}}, 3: {{rings: 90 * ms, answers: 2001 * ms, gone: ms}}},
			ring:   []phone.UserID{1, 2, 3}, outcome: ring.Answered, by: 2, takes: 2000 * ms,
			offers: []ring.Outcome{ring.Elsewhere, ring.Answered, ring.Elsewhere},
			after:  map[phone.UserID]phone.Availability{1: phone.Available, 2: phone.InCall, 3: phone.Available},
		},
		{
			name: "a user's phones ring together", phones: phones{1: {silent, {rings: ms, answers: 500 * ms}}}, ring: []phone.UserID{1},
			outcome: ring.Answered, by: 1, takes: 500 * ms, offers: []ring.Outcome{ring.Elsewhere, ring.Answered},
			after: map[phone.UserID]phone.Availability{1: phone.InCall},
		},
		{
			name: "one phone declining stops the user's others", phones: phones{1: {silent, {refuses: 800 * ms, cause: phone.CauseDeclined}}}, ring: []phone.UserID{1},
			outcome: ring.Declined, takes: 850 * ms, offers: []ring.Outcome{ring.Declined, ring.Declined},
			after: map[phone.UserID]phone.Availability{1: phone.Available},
		},
		{
			name: "one phone failing leaves the user's others", phones: phones{1: {{refuses: 10 * ms, cause: phone.CauseFailed}, {rings: ms, answers: 500 * ms}}}, ring: []phone.UserID{1},
			outcome: ring.Answered, by: 1, takes: 500 * ms, offers: []ring.Outcome{ring.Failed, ring.Answered},
		},
		{
			name: "busy is declined", phones: phones{1: {{refuses: 10 * ms, cause: phone.CauseBusy}}}, ring: []phone.UserID{1},
			outcome: ring.Declined, takes: 10 * ms, offers: []ring.Outcome{ring.Declined},
		},
		{
			name: "nobody registered", phones: phones{}, ring: []phone.UserID{1}, outcome: ring.Unavailable,
		},
		{
			name: "the INVITE cannot be sent", phones: phones{1: {{fails: true}}}, ring: []phone.UserID{1},
			outcome: ring.Failed, offers: []ring.Outcome{ring.Failed},
			after: map[phone.UserID]phone.Availability{1: phone.Available},
		},
		{
			name: "a phone that never ends is given up", phones: phones{1: {{rings: ms, gone: time.Hour}}}, ring: []phone.UserID{1},
			outcome: ring.NoAnswer, takes: 21 * time.Second, offers: []ring.Outcome{ring.NoAnswer},
			after: map[phone.UserID]phone.Availability{1: phone.RingingNow},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, tt.phones)
				start := time.Now()
				res := ring.Run(t.Context(), o.request(tt.ring...))
				if took := time.Since(start); took != tt.takes {
					t.Errorf("took %v, want %v", took, tt.takes)
				}
				if res.Outcome != tt.outcome || res.By.User != tt.by {
					t.Errorf("outcome %s by %d, want %s by %d", res.Outcome, res.By.User, tt.outcome, tt.by)
				}
				if got := o.results(res); !slices.Equal(got, tt.offers) {
					t.Errorf("offers %v, want %v", got, tt.offers)
				}
				synctest.Wait()
				if tt.takes < 20*time.Second {
					time.Sleep(100 * ms) // losers need a moment to end
				}
				for u, want := range tt.after {
					if got := o.presence.State(u); got != want {
						t.Errorf("user %d is %q afterwards, want %q", u, got, want)
					}
				}
				if res.Leg != nil {
					res.Leg.Hangup(phone.CauseNormal)
					for range res.Leg.Events() {
					}
				}
				o.ends.Wait()
			})
		})
	}
}

// Two answers, from 0 to 50 ms apart in 1 ms steps: always exactly one winner,
// and the other is hung up at that very moment.
func TestTwoAnswersOneWinner(t *testing.T) {
	for gap := -50; gap <= 50; gap++ {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, map[phone.UserID][]deskPhone{
				1: {{rings: ms, answers: 1000 * ms, gone: 20 * ms}},
				2: {{rings: ms, answers: time.Duration(1000+gap) * ms, gone: 20 * ms}},
			})
			res := ring.Run(t.Context(), o.request(1, 2))
			if res.Outcome != ring.Answered {
				t.Fatalf("gap %d ms: %s", gap, res.Outcome)
			}
			lost := 0
			for _, c := range o.calls {
				if c != res.Leg {
					lost++
					if c.hungup != phone.CauseElsewhere || !c.hungupAt.Equal(time.Now()) {
						t.Errorf("gap %d ms: the loser was hung up with %q", gap, c.hungup)
					}
				} else if c.hungup != "" {
					t.Errorf("gap %d ms: the winner was hung up", gap)
				}
			}
			if lost != 1 {
				t.Errorf("gap %d ms: %d losers", gap, lost)
			}
			res.Leg.Hangup(phone.CauseNormal)
			for range res.Leg.Events() {
			}
			o.ends.Wait()
		})
	}
}

func TestCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, map[phone.UserID][]deskPhone{1: {{rings: ms, gone: 30 * ms}}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(4*time.Second, cancel)
		start := time.Now()
		res := ring.Run(ctx, o.request(1))
		if res.Outcome != ring.Cancelled || o.calls[0].hungup != phone.CauseCancelled {
			t.Errorf("outcome %s, phone told %q", res.Outcome, o.calls[0].hungup)
		}
		if got := o.calls[0].hungupAt.Sub(start); got != 4*time.Second {
			t.Errorf("phone told after %v", got)
		}
		o.ends.Wait()
		if got := o.presence.State(1); got != phone.Available {
			t.Errorf("user is %q afterwards", got)
		}
	})
}

func TestCallerGoneBeforeTheInvite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, map[phone.UserID][]deskPhone{1: {{rings: ms}}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if res := ring.Run(ctx, o.request(1)); res.Outcome != ring.Cancelled || len(o.calls) != 0 {
			t.Errorf("outcome %s after %d INVITEs, want cancelled after none", res.Outcome, len(o.calls))
		}
		o.ends.Wait()
	})
}

// A user who rings for another call is waited for: offered at the very moment
// that call lets go, or given up at once when they answer it.
func TestWaitsForARingingUser(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers bool
		outcome ring.Outcome
		takes   time.Duration
	}{
		{"let go", false, ring.Answered, 7500 * ms},
		{"answered the other call", true, ring.Busy, 7000 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, map[phone.UserID][]deskPhone{1: {{rings: ms, answers: 500 * ms}}})
				other := o.presence.Enter(9, 0, time.Now())
				other.Claim(1, time.Now().Add(time.Minute))
				time.AfterFunc(7*time.Second, func() {
					if tt.answers {
						other.Talk(1)
					} else {
						other.Close()
					}
				})
				start := time.Now()
				res := ring.Run(t.Context(), o.request(1))
				if took := time.Since(start); res.Outcome != tt.outcome || took != tt.takes {
					t.Errorf("%s after %v, want %s after %v", res.Outcome, took, tt.outcome, tt.takes)
				}
				if res.Leg != nil {
					res.Leg.Hangup(phone.CauseNormal)
					for range res.Leg.Events() {
					}
				}
				o.ends.Wait()
			})
		})
	}
}
