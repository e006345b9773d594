package exchange_test

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/exchange"
	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/outbound"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/presence"
	"github.com/ringpath/ringpath/internal/record"
)

const (
	ann  phone.UserID = 1
	bob  phone.UserID = 2
	cleo phone.UserID = 3

	ms  = time.Millisecond
	sec = time.Second
)

const company = `
version: 1
company: {name: Example, default_region: US}
users:
  - {id: 1, name: Ann, email: ann@example.test, phones: [{username: ann, password: {stored: true}}], caller_number: "+14155550301"}
  - {id: 2, name: Bob, email: bob@example.test, phones: [{username: bob, password: {stored: true}}]}
  - {id: 3, name: Cleo, email: cleo@example.test, phones: [{username: cleo, password: {stored: true}}]}
teams:
  - {id: 7, name: Support, members: [ann@example.test, bob@example.test]}
trunks:
  - {name: carrier, networks: ["198.51.100.0/24"]}
  - {name: hasty, networks: ["203.0.113.0/24"], max_unanswered: 20s}
  - {name: outside, networks: ["192.0.2.0/24"], hosts: [carrier.example], outbound: {prefixes: ["+33"], max_concurrent: 1, max_per_minute: 30}}
numbers:
  - {id: 1, name: Ann, digits: "+14155550101", flow: ann}
  - {id: 2, name: Support, digits: "+14155550102", flow: support}
  - {id: 3, name: Lookup, digits: "+14155550103", flow: lookup}
  - {id: 4, name: Outside, digits: "+14155550104", flow: outside}
credentials:
  - {name: own, type: basic, username: id, password: {stored: true}, hosts: ["127.0.0.1:8080"]}
flows:
  - name: ann
    steps:
      - {name: ann, ring_to: {user: ann@example.test, ringing: {ring_for: 20s}}}
      - {name: cleo, ring_to: {user: cleo@example.test, ringing: {ring_for: 10s}}}
      - {name: bye, hang_up: {}}
  - name: support
    steps:
      - {name: team, ring_to: {team: Support, ringing: {ring_for: 90s}}}
      - {name: bye, hang_up: {cause: busy}}
  - name: lookup
    steps:
      - name: ask
        ring_to_api:
          url: "http://127.0.0.1:8080/v1/who"
          response: {type: user, path: user}
          timeout: 10s
          otherwise: {user: cleo@example.test}
      - {name: bye, hang_up: {}}
  - name: outside
    steps:
      - {name: out, ring_to: {external: "+33123456789", ringing: {ring_for: 20s}}}
      - {name: bye, hang_up: {}}
`

// office is an exchange with phones, a directory, and a lookup that is answered
// in process.
type office struct {
	*testing.T
	*exchange.Exchange
	phones   *phonetest.Network
	presence *presence.Presence
	records  *records
	answer   http.HandlerFunc // of the lookup
	nextID   phone.CallID
	serving  sync.WaitGroup
}

func open(t *testing.T) *office {
	doc, faults := directory.Parse("company", []byte(company), nil)
	if faults.Fatal() {
		t.Fatal(faults)
	}
	snapshot, faults := doc.Check(directory.Options{})
	if faults.Fatal() {
		t.Fatal(faults)
	}
	client, err := outbound.New(outbound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := &office{T: t, phones: phonetest.NewNetwork(), presence: presence.New(), records: &records{}}
	if err := client.SetOwn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.answer(w, r) }), nil, "http://127.0.0.1:8080"); err != nil {
		t.Fatal(err)
	}
	engine := lookup.NewEngine(client)
	o.phones.OnChange = o.presence.SetPhones
	o.Exchange = exchange.New(exchange.Options{
		Network: o.phones, Presence: o.presence, Records: o.records,
		Directory: func() *directory.Snapshot { return snapshot },
		Machine: func(s *directory.Snapshot) *flow.Machine {
			return &flow.Machine{Directory: s, Lookups: engine, Availability: o.presence.State}
		},
		Logger: slog.New(slog.DiscardHandler), Number: phone.E164.Masked,
	})
	t.Cleanup(func() {
		o.serving.Wait()
		client.Close()
		if n := o.Active(); n != 0 {
			t.Errorf("%d calls left", n)
		}
		for _, leg := range o.phones.Live() {
			t.Errorf("leg %s left", leg.ID())
		}
		for _, u := range []phone.UserID{ann, bob, cleo} {
			if got := o.presence.State(u); got != phone.Available && got != phone.Offline {
				t.Errorf("user %d is %q after all calls", u, got)
			}
		}
	})
	return o
}

// call lets a caller of a trunk dial one of our numbers.
func (o *office) call(number phone.NumberID, trunk string) *phonetest.Incoming {
	o.nextID++
	in := phonetest.NewIncoming(phone.CallFacts{
		ID: o.nextID, Caller: "+14155550201", Called: "+14155550100", Number: number, Trunk: trunk, StartedAt: time.Now(),
	})
	o.serve(in)
	return in
}

func (o *office) serve(in *phonetest.Incoming) { o.serving.Go(func() { o.Serve(in) }) }

// settle waits until the calls have nothing to do now.
func (o *office) settle() { synctest.Wait() }

// records keeps what the exchange hands over.
type records struct {
	mu                     sync.Mutex
	opened, changed, ended []record.Call
	dialogs                []record.Dialog
	closed                 []phone.LegID
	full                   bool
}

func (r *records) add(to *[]record.Call, c record.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*to = append(*to, c)
}
func (r *records) Opened(c record.Call)  { r.add(&r.opened, c) }
func (r *records) Changed(c record.Call) { r.add(&r.changed, c) }
func (r *records) Ended(c record.Call)   { r.add(&r.ended, c) }
func (r *records) Full() bool            { return r.full }
func (r *records) Dialog(d record.Dialog) {
	r.mu.Lock()
	r.dialogs = append(r.dialogs, d)
	r.mu.Unlock()
}
func (r *records) DialogClosed(id phone.LegID) {
	r.mu.Lock()
	r.closed = append(r.closed, id)
	r.mu.Unlock()
}

// only is the one record of the one call.
func (o *office) only() record.Call {
	o.Helper()
	o.serving.Wait()
	if len(o.records.opened) != 1 || len(o.records.ended) != 1 {
		o.Fatalf("%d records opened, %d ended, want one of each", len(o.records.opened), len(o.records.ended))
	}
	return o.records.ended[0]
}

func results(c record.Call) (out []string) {
	for _, offer := range c.Offers {
		out = append(out, offer.User.String()+" "+offer.Result)
	}
	return out
}

func check[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestAnswered(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(in *phonetest.Incoming, o *office)
		by   string
	}{
		{"the caller hangs up", func(in *phonetest.Incoming, _ *office) { in.Leave() }, "caller"},
		{"the agent hangs up", func(_ *phonetest.Incoming, o *office) {
			o.phones.Legs()[0].Do(phone.Event{Kind: phone.LegEnded, Cause: phone.CauseNormal})
		}, "callee"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := open(t)
				o.phones.Register(ann, "ann", phonetest.Answers(100*ms, 3*sec))
				start := time.Now()
				in := o.call(1, "carrier")
				time.Sleep(3 * sec)
				o.settle()
				callee, at := in.Callee()
				if callee == nil || at.Sub(start) != 3*sec {
					t.Fatalf("joined %v after %v, want after 3s", callee, at.Sub(start))
				}
				check(t, "state while talking", o.presence.State(ann), phone.InCall)
				if live := o.Live(); len(live) != 1 || live[0].Status != record.Answered || live[0].User != ann {
					t.Errorf("live: %+v", live)
				}
				time.Sleep(7 * sec)
				tt.end(in, o)
				o.settle()
				check(t, "state afterwards", o.presence.State(ann), phone.Available)
				r := o.only()
				check(t, "ended by", r.EndedBy, tt.by)
				check(t, "cause", r.Cause, phone.CauseNormal)
				check(t, "missed", r.Missed, "")
				check(t, "answered after", r.AnsweredAt.Sub(r.StartedAt), 3*sec)
				check(t, "lasted", r.EndedAt.Sub(r.StartedAt), 10*sec)
				check(t, "user", r.User, ann)
				check(t, "offer's status", r.Offers[0].Status, 200)
				check(t, "offer lasted", r.Offers[0].EndedAt.Sub(r.Offers[0].At), 10*sec)
				if rings := in.Rings(); len(rings) != 1 || rings[0].Sub(start) != 100*ms {
					t.Errorf("180 at %v, want once, when the phone rang", rings)
				}
				if len(o.records.dialogs) != 2 || len(o.records.closed) != 2 {
					t.Errorf("%d dialogs kept, %d closed, want two", len(o.records.dialogs), len(o.records.closed))
				}
			})
		})
	}
}

// Ring time is exact; then the next step rings, and after the last one the call
// ends as missed.
func TestNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Register(ann, "ann", phonetest.Rings(50*ms))
		o.phones.Register(cleo, "cleo", phonetest.Rings(50*ms))
		start := time.Now()
		in := o.call(1, "carrier")
		r := o.only()
		legs := o.phones.Legs()
		if len(legs) != 2 {
			t.Fatalf("%d INVITEs, want 2", len(legs))
		}
		check(t, "Ann hung up after", legs[0].Hangups()[0].At.Sub(start), 20*sec)
		check(t, "Cleo's INVITE after", legs[1].StartedAt.Sub(start), 20*sec)
		check(t, "Cleo hung up after", legs[1].Hangups()[0].At.Sub(start), 30*sec)
		check(t, "caller told", in.Hangups()[0].Cause, phone.CauseUnavailable)
		check(t, "missed", r.Missed, record.MissedDidNotAnswer)
		if got := results(r); !slices.Equal(got, []string{"1 no_answer", "3 no_answer"}) {
			t.Errorf("offers %v", got)
		}
	})
}

func TestNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		start := time.Now()
		in := o.call(1, "carrier")
		r := o.only()
		check(t, "took", time.Since(start), 0)
		check(t, "caller told", in.Hangups()[0].Cause, phone.CauseUnavailable)
		check(t, "missed", r.Missed, record.MissedNoAgent)
	})
}

// A trunk that gives up early: ringing ends 5 s before, counted from the INVITE.
func TestMaxUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Register(ann, "ann", phonetest.Rings(0))
		start := time.Now()
		o.call(2, "hasty")
		o.only()
		check(t, "the step ended after", time.Since(start), 15*sec)
	})
}

func TestRingingIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Register(ann, "ann", phonetest.Rings(100*ms))
		start := time.Now()
		in := o.call(2, "carrier")
		o.only()
		var at []time.Duration
		for _, r := range in.Rings() {
			at = append(at, r.Sub(start))
		}
		if !slices.Equal(at, []time.Duration{100 * ms, 60*sec + 100*ms}) {
			t.Errorf("180 at %v", at)
		}
	})
}

func TestCallerLeaves(t *testing.T) {
	for _, tt := range []struct {
		name   string
		after  time.Duration
		missed record.MissedReason
	}{
		{"soon", 9999 * ms, record.MissedShortAbandoned},
		{"late", 10 * sec, record.MissedDidNotAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := open(t)
				o.phones.Register(ann, "ann", phonetest.Rings(100*ms))
				in := o.call(1, "carrier")
				time.Sleep(tt.after)
				in.Leave()
				r := o.only()
				check(t, "missed", r.Missed, tt.missed)
				check(t, "cause", r.Cause, phone.CauseCancelled)
				check(t, "INVITEs", len(o.phones.Legs()), 1)
				check(t, "phone told", o.phones.Legs()[0].Hangups()[0].Cause, phone.CauseCancelled)
			})
		})
	}
}

// The caller of a slow lookup hears ringing after a second; when they leave, the
// HTTP request is aborted and nobody rings.
func TestCallerLeavesDuringTheLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Register(cleo, "cleo", phonetest.Rings(0))
		var aborted time.Time
		o.answer = func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			aborted = time.Now()
		}
		start := time.Now()
		in := o.call(3, "carrier")
		time.Sleep(1500 * ms)
		if rings := in.Rings(); len(rings) != 1 || rings[0].Sub(start) != sec {
			t.Errorf("180 at %v, want after 1s", rings)
		}
		in.Leave()
		r := o.only()
		o.settle()
		check(t, "request aborted after", aborted.Sub(start), 1500*ms)
		check(t, "INVITEs", len(o.phones.Legs()), 0)
		check(t, "missed", r.Missed, record.MissedShortAbandoned)
	})
}

// The caller leaves in the very moment that the lookup answers: no INVITE.
func TestCallerLeavesRightBeforeTheInvite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Register(ann, "ann", phonetest.Rings(0))
		var in *phonetest.Incoming
		o.answer = func(w http.ResponseWriter, _ *http.Request) {
			in.Leave()
			_, _ = w.Write([]byte(`{"user": 1}`))
		}
		in = phonetest.NewIncoming(phone.CallFacts{ID: 1, Number: 3, Trunk: "carrier", Caller: "+14155550201"})
		o.serve(in)
		o.only()
		for _, leg := range o.phones.Legs() {
			if len(leg.Hangups()) == 0 {
				t.Error("a phone rang for a caller who had left")
			}
		}
	})
}

func TestFailedLookupRingsTheFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Register(cleo, "cleo", phonetest.Answers(0, sec))
		o.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
		in := o.call(3, "carrier")
		time.Sleep(5 * sec)
		in.Leave()
		r := o.only()
		check(t, "answered by", r.User, cleo)
		check(t, "exit", r.Steps[0].Exit, "failed")
		check(t, "reason", r.Steps[0].Reason, "http_5xx")
		if len(o.records.changed) == 0 || o.records.changed[0].Steps[0].Detail == nil {
			t.Error("the trace was not handed over with the answer")
		}
		if r.Steps[0].Detail != nil {
			t.Error("a talking call kept its trace")
		}
	})
}

// An answer that cannot be used (no common codec) is hung up, and the next step
// rings.
func TestUnusableAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Register(ann, "ann", phonetest.Answers(0, sec))
		in := phonetest.NewIncoming(phone.CallFacts{ID: 1, Number: 1, Trunk: "carrier"})
		in.JoinError = &phone.Error{Kind: phone.Invalid, Text: "no common codec"}
		o.serve(in)
		r := o.only()
		check(t, "phone told", o.phones.Legs()[0].Hangups()[0].Cause, phone.CauseNoCodec)
		check(t, "answered", r.AnsweredAt.IsZero(), true)
		check(t, "missed", r.Missed, record.MissedDidNotAnswer)
		if got := results(r); !slices.Equal(got, []string{"1 failed"}) {
			t.Errorf("offers %v", got)
		}
	})
}

// The answer crosses the caller's CANCEL: whoever answered is hung up, and the
// call is missed.
func TestAnswerCrossesCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Register(ann, "ann", phonetest.Answers(0, sec))
		in := phonetest.NewIncoming(phone.CallFacts{ID: 1, Number: 1, Trunk: "carrier"})
		in.BeforeJoin = in.Leave
		o.serve(in)
		r := o.only()
		check(t, "phone hung up", len(o.phones.Legs()[0].Hangups()), 1)
		check(t, "user", r.User, 0)
		check(t, "cause", r.Cause, phone.CauseCancelled)
	})
}

// Two calls want the same agent: the second waits, and rings when the first has
// left.
func TestNobodyRingsForTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Register(ann, "ann", phonetest.Rings(10*ms))
		start := time.Now()
		first := o.call(1, "carrier")
		o.settle()
		second := o.call(2, "carrier")
		time.Sleep(5 * sec)
		check(t, "INVITEs after 5s", len(o.phones.Legs()), 1)
		o.phones.Register(ann, "ann", phonetest.Answers(0, sec))
		first.Leave()
		o.settle()
		second.Leave()
		o.serving.Wait()
		legs := o.phones.Legs()
		if len(legs) != 2 {
			t.Fatalf("%d INVITEs, want 2", len(legs))
		}
		check(t, "second INVITE after", legs[1].StartedAt.Sub(start), 5*sec)
	})
}

// A user who calls one of our numbers from their own phone is not rung by it.
func TestOwnCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Register(ann, "ann", phonetest.Rings(0))
		o.phones.Register(bob, "bob", phonetest.Answers(0, sec))
		in := phonetest.NewIncoming(phone.CallFacts{ID: 1, Number: 2, CallerUser: ann, Caller: "+14155550301"})
		o.serve(in)
		time.Sleep(2 * sec)
		check(t, "caller's state", o.presence.State(ann), phone.InCall)
		in.Leave()
		r := o.only()
		check(t, "answered by", r.User, bob)
		check(t, "INVITEs", len(o.phones.Legs()), 1)
	})
}

// One call at a time may go out by the trunk; the next one goes on to its next
// step.
func TestTrunkLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Trunk("outside", phonetest.Answers(0, sec))
		first := o.call(4, "carrier")
		time.Sleep(2 * sec)
		second := o.call(4, "carrier")
		o.settle()
		check(t, "calls by the trunk", len(o.phones.Legs()), 1)
		check(t, "second caller told", second.Hangups()[0].Cause, phone.CauseUnavailable)
		first.Leave()
		o.settle()
		third := o.call(4, "carrier")
		time.Sleep(2 * sec)
		if callee, _ := third.Callee(); callee == nil {
			t.Error("the trunk's place was not given back")
		}
		third.Leave()
		o.serving.Wait()
		r := o.records.ended[len(o.records.ended)-1]
		check(t, "answered by", r.External, "+33123456789")
		check(t, "user", r.User, 0)
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Register(ann, "ann", phonetest.Answers(0, sec))
		running := o.call(1, "carrier")
		time.Sleep(2 * sec)
		ctx, cancel := context.WithTimeout(t.Context(), 30*sec)
		defer cancel()
		drained := make(chan time.Time, 1)
		start := time.Now()
		go func() { o.Drain(ctx); drained <- time.Now() }()
		o.settle()
		late := o.call(1, "carrier")
		o.settle()
		check(t, "new call", late.Hangups()[0].Cause, phone.CauseDraining)
		if _, ok := running.Callee(); ok.IsZero() || len(running.Hangups()) > 0 {
			t.Error("the running call did not go on")
		}
		check(t, "drained after", (<-drained).Sub(start), 30*sec)
		check(t, "running call's end", running.Hangups()[0].Cause, phone.CauseNormal)
	})
}

func TestFullRecordsRefuseCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.records.full = true
		in := o.call(1, "carrier")
		o.serving.Wait()
		check(t, "caller told", in.Hangups()[0].Cause, phone.CauseOverload)
		check(t, "records", len(o.records.opened), 0)
	})
}

// A panic in a call ends that call, with a record.
func TestPanicEndsOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.answer = func(http.ResponseWriter, *http.Request) {}
		o.Exchange.Options.Machine = func(*directory.Snapshot) *flow.Machine { return &flow.Machine{} }
		in := o.call(1, "carrier")
		r := o.only()
		check(t, "caller told", in.Hangups()[0].Cause, phone.CauseFailed)
		check(t, "cause", r.Cause, phone.CauseFailed)
	})
}

// panicky is a network that panics when Bob is rung.
type panicky struct{ *phonetest.Network }

func (n panicky) Dial(ctx context.Context, d phone.Dial) (phone.Leg, error) {
	if d.To.User() == bob {
		panic("a fault of ours")
	}
	return n.Network.Dial(ctx, d)
}

// A panic while a phone rings stops that phone, too.
func TestPanicWhileRinging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.phones.Register(ann, "ann", phonetest.Rings(0))
		o.phones.Register(bob, "bob", phonetest.Rings(0))
		o.Exchange.Options.Network = panicky{o.phones}
		in := o.call(2, "carrier") // rings Ann, then Bob
		r := o.only()
		check(t, "caller told", in.Hangups()[0].Cause, phone.CauseFailed)
		check(t, "cause", r.Cause, phone.CauseFailed)
		check(t, "Ann's phone told", len(o.phones.Legs()[0].Hangups()), 1)
	})
}
