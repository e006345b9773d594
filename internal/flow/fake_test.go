package flow

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/outbound"
	"github.com/ringpath/ringpath/internal/phone"
)

// fake is a directory: ann 1, bob 2 and cleo 3; the teams Support (ann, bob) and
// Empty; the numbers 1 (flow main), 2 (flow second) and 3 (flow round). +33 may
// be dialled, +3389 may not.
type fake struct {
	flows map[string]*Flow
	keep  Keep
}

var (
	fakeUsers = []phone.User{
		{ID: 1, Name: "Ann", Email: "ann@example.com", ExternalIDs: map[string]string{"crm": "77"}},
		{ID: 2, Name: "Bob", Email: "bob@example.com"},
		{ID: 3, Name: "Cleo", Email: "cleo@example.com"},
	}
	fakeTeams = []phone.Team{
		{ID: 7, Name: "Support", Members: []phone.UserID{1, 2}, ExternalIDs: map[string]string{"crm": "s"}},
		{ID: 8, Name: "Empty"},
	}
	fakeNumbers = []phone.Number{
		{ID: 1, Name: "Main", Digits: "+14155550100", Flow: "main"},
		{ID: 2, Name: "Second", Digits: "+14155550102", Flow: "second"},
		{ID: 3, Name: "Round", Digits: "+14155550103", Flow: "round"},
	}
)

func find[V any](all []V, is func(V) bool) (V, bool) {
	for _, v := range all {
		if is(v) {
			return v, true
		}
	}
	var none V
	return none, false
}

func (f *fake) Rev() int64     { return 5 }
func (f *fake) Region() string { return "US" }
func (f *fake) Keep() Keep     { return f.keep }
func (f *fake) Flow(name string) (*Flow, bool) {
	x, ok := f.flows[name]
	return x, ok
}
func (f *fake) User(id phone.UserID) (phone.User, bool) {
	return find(fakeUsers, func(u phone.User) bool { return u.ID == id })
}
func (f *fake) UserByEmail(email string) (phone.User, bool) {
	return find(fakeUsers, func(u phone.User) bool { return strings.EqualFold(u.Email, email) })
}
func (f *fake) UserByExternal(space, id string) (phone.User, bool) {
	return find(fakeUsers, func(u phone.User) bool { return u.ExternalIDs[space] == id })
}
func (f *fake) Team(id phone.TeamID) (phone.Team, bool) {
	return find(fakeTeams, func(t phone.Team) bool { return t.ID == id })
}
func (f *fake) TeamByName(name string) (phone.Team, bool) {
	return find(fakeTeams, func(t phone.Team) bool { return strings.EqualFold(t.Name, name) })
}
func (f *fake) TeamByExternal(space, id string) (phone.Team, bool) {
	return find(fakeTeams, func(t phone.Team) bool { return t.ExternalIDs[space] == id })
}
func (f *fake) Number(id phone.NumberID) (phone.Number, bool) {
	return find(fakeNumbers, func(n phone.Number) bool { return n.ID == id })
}
func (f *fake) NumberByDigits(d phone.E164) (phone.Number, bool) {
	return find(fakeNumbers, func(n phone.Number) bool { return n.Digits == d })
}
func (f *fake) Route(n phone.E164) (string, bool) {
	return "carrier", strings.HasPrefix(string(n), "+33") && !strings.HasPrefix(string(n), "+3389")
}

// compile reads a flow's steps.
func compile(t testing.TB, f *fake, name, steps string) (*Flow, document.Faults) {
	t.Helper()
	n, faults := document.Parse("f", []byte("name: "+name+"\nsteps:\n"+steps))
	if faults != nil {
		t.Fatal(faults)
	}
	var spec Spec
	var d document.Decoder
	d.Decode(n, "", &spec)
	flow, faults := Compile(spec, Env{People: f})
	return flow, append(d.Faults, faults...)
}

// bench is a machine over flows, with an API that answers what body says.
type bench struct {
	t       testing.TB
	machine Machine
	status  int
	body    string
	asked   int
	now     time.Time
	state   State
	notes   []string
}

func newBench(t testing.TB, flows map[string]string) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b.asked++
		w.WriteHeader(cmp.Or(b.status, http.StatusOK))
		_, _ = w.Write([]byte(b.body))
	}))
	t.Cleanup(api.Close)
	f := &fake{flows: map[string]*Flow{}, keep: Keep{Trace: true, Answers: lookup.AnswersFull}}
	for name, steps := range flows {
		flow, faults := compile(t, f, name, strings.ReplaceAll(steps, "API", api.URL))
		if faults.Fatal() {
			t.Fatal(faults)
		}
		f.flows[name] = flow
	}
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b.machine = Machine{Directory: f, Lookups: lookup.NewEngine(client), Now: func() time.Time { return b.now }}
	b.state = Start(phone.CallFacts{ID: 1, Caller: "+14155550123", Called: "+14155550100", Number: 1, StartedAt: b.now})
	return b
}

// next sends an event, and checks what holds at every step of every flow: the
// State goes through JSON unchanged, the one given is left as it is, and the
// event repeated changes nothing.
func (b *bench) next(e Event) Action {
	b.t.Helper()
	before, err := json.Marshal(b.state)
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := DecodeState(before)
	if err != nil || !reflect.DeepEqual(normal(s), normal(b.state)) {
		b.t.Fatalf("state through JSON: got %+v, %v, want %+v", s, err, b.state)
	}
	e.Seq = b.state.Seq
	res, err := b.machine.Next(b.t.Context(), s, e)
	if err != nil {
		b.t.Fatalf("%s: %v", e.Kind, err)
	}
	if after, _ := json.Marshal(s); string(after) != string(before) {
		b.t.Errorf("Next changed the state that it was given: %s, was %s", after, before)
	}
	asked := b.asked
	if _, err := b.machine.Next(b.t.Context(), res.State, e); e.Kind != CallerLeft && err == nil || b.asked != asked {
		b.t.Errorf("%s repeated: got %v, %d more questions, want ErrStale and none", e.Kind, err, b.asked-asked)
	}
	for _, n := range res.Notes {
		text := strings.Join([]string{n.Step, n.Kind, n.Exit, n.Reason, n.Value}, " ")
		if n.Target != nil {
			text += " " + n.Target.String()
		}
		b.notes = append(b.notes, strings.Join(strings.Fields(text), " "))
	}
	b.state = res.State
	return res.Do
}

// normal makes nil and empty the same, as JSON does.
func normal(s State) State {
	if len(s.Hops) == 0 {
		s.Hops = nil
	}
	if len(s.Declined) == 0 {
		s.Declined = nil
	}
	return s
}

// done is a RingDone that nobody answered.
func done(o Outcome, declined ...phone.UserID) Event {
	return Event{Kind: RingDone, Outcome: o, Declined: declined}
}
