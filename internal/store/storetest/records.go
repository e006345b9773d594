package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// Start is when the suites' calls begin.
var Start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// TestRecords runs the suite of record.Store.
func TestRecords(t *testing.T, open func(*testing.T) record.Store) {
	for name, test := range map[string]func(*testing.T, record.Store){
		"a call comes back whole":                      callComesBack,
		"the newest state wins":                        newestWins,
		"a call that is not there":                     noCall,
		"find asks like Query.Match":                   findLikeMatch,
		"find with a whole queue to leave out":         manyExceptions,
		"messages come back in order and once":         messages,
		"interrupted calls are closed":                 interrupted,
		"dialogs of calls that ended are forgotten":    dialogsOfEnded,
		"a sweep takes what is too old":                sweep,
		"nothing is kept with zero":                    sweepAll,
		"a sweep leaves running calls alone":           sweepRunning,
		"a sweep of many":                              sweepMany,
		"personal data is found":                       personal,
		"erasing leaves times and outcome":             erase,
		"erasing leaves running calls and others":      eraseOthers,
		"erasing a number that was an external target": eraseTarget,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// answered is an ended call with everything set, as a store gives it back.
func answered(n int) record.Call {
	at := Start.Add(time.Duration(n) * time.Minute)
	target := phone.UserTarget(456)
	return record.Call{
		ID: phone.CallID(at.UnixMicro()), Version: 1,
		Direction: record.Inbound, Status: record.Done,
		Caller: "+14155550123", CallerName: "Zoë <b>\"Q\"</b>", CallerUser: 9,
		Called: "+14155550100", Number: 1, Trunk: "carrier", SIPCallID: "abc@198.51.100.7",
		StartedAt: at, ConnectedAt: at.Add(time.Second), AnsweredAt: at.Add(2 * time.Second),
		EndedAt: at.Add(90 * time.Second),
		User:    456, External: "+33123456789", Cause: phone.CauseNormal, EndedBy: "caller",
		Missed: record.MissedDidNotAnswer, Teams: []phone.TeamID{7, 3},
		Steps: []record.Note{
			{At: at, Flow: "main", Step: "last agent", Kind: "ring_to_api", Exit: "matched", Value: "456",
				Target: &target, Dur: 20 * time.Millisecond, Show: map[string]string{"name": "Zoë"},
				Detail: json.RawMessage(`{"trace_version":1,"attempts":[{"status":200,"headers":{"x":"y"},"answer":"{}"}]}`)},
			{At: at.Add(time.Second), Kind: "end", Reason: "normal"},
		},
		Offers: []record.Offer{{Step: "last agent", User: 456, Phone: "agent", At: at, RangAt: at.Add(time.Millisecond),
			EndedAt: at.Add(2 * time.Second), Result: "answered", Status: 200}},
	}
}

func withoutDetail(c record.Call) record.Call {
	c.Steps = slices.Clone(c.Steps)
	for i := range c.Steps {
		c.Steps[i].Detail = nil
	}
	return c
}

func save(t *testing.T, s record.Store, entries ...record.Entry) {
	t.Helper()
	if err := s.Save(t.Context(), Start, entries); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

func saveCalls(t *testing.T, s record.Store, calls ...record.Call) {
	t.Helper()
	var entries []record.Entry
	for i := range calls {
		entries = append(entries, record.Entry{Call: &calls[i]})
	}
	save(t, s, entries...)
}

func get(t *testing.T, s record.Store, id phone.CallID) record.Call {
	t.Helper()
	c, err := s.Call(t.Context(), id)
	if err != nil {
		t.Fatalf("Call(%d): %v", id, err)
	}
	return c
}

func find(t *testing.T, s record.Store, q record.Query, except ...phone.CallID) ([]record.Call, int) {
	t.Helper()
	calls, total, err := s.Find(t.Context(), q.Normal(), except)
	if err != nil {
		t.Fatalf("Find(%+v): %v", q, err)
	}
	return calls, total
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func callComesBack(t *testing.T, s record.Store) {
	full := answered(1)
	bare := record.Call{ID: full.ID + 1, Version: 1, Direction: record.Outbound, Status: record.Initial, StartedAt: Start}
	saveCalls(t, s, full, bare)
	same(t, "Call", get(t, s, full.ID), full)
	same(t, "bare Call", get(t, s, bare.ID), bare)
	calls, total := find(t, s, record.Query{})
	if total != 1 {
		t.Errorf("Find: total %d, want 1: the bare call has not ended", total)
	}
	same(t, "Find", calls, []record.Call{withoutDetail(full)})
	calls, _ = find(t, s, record.Query{Bare: true})
	full.Steps, full.Offers = nil, nil
	same(t, "bare Find", calls, []record.Call{full})
}

func newestWins(t *testing.T, s record.Store) {
	opened := answered(1)
	opened.Status, opened.AnsweredAt, opened.EndedAt, opened.Cause = record.Initial, time.Time{}, time.Time{}, ""
	opened.Steps = nil
	changed := answered(1)
	changed.Version, changed.Status, changed.EndedAt = 2, record.Answered, time.Time{}
	ended := answered(1)
	ended.Version, ended.Steps = 3, withoutDetail(ended).Steps
	want := answered(1) // with the trace that came with the second state
	want.Version = 3

	saveCalls(t, s, opened, changed, ended)
	same(t, "in order", get(t, s, want.ID), want)
	saveCalls(t, s, changed, opened)
	saveCalls(t, s, ended)
	same(t, "older and same states again", get(t, s, want.ID), want)
}

func noCall(t *testing.T, s record.Store) {
	if _, err := s.Call(t.Context(), 1); phone.KindOf(err) != phone.NotFound {
		t.Errorf("Call: got %v, want kind %s", err, phone.NotFound)
	}
	if list, err := s.Messages(t.Context(), 1); len(list) != 0 || err != nil {
		t.Errorf("Messages: got %v, %v, want none", list, err)
	}
	calls, total := find(t, s, record.Query{Outside: "+14155550123"})
	if len(calls) != 0 || total != 0 {
		t.Errorf("Find: got %d calls, total %d, want none", len(calls), total)
	}
}

func messages(t *testing.T, s record.Store) {
	var want []record.Message
	var entries []record.Entry
	for i := range 3 {
		m := record.Message{Call: 5, Seq: i + 1, At: Start.Add(time.Duration(i) * time.Millisecond), Sent: i == 1,
			From: "192.0.2.1:5060/udp", To: "198.51.100.7:5060/udp", Raw: []byte{'S', 0, 0xff, byte(i)}}
		want = append(want, m)
	}
	want = append(want, record.Message{Call: 5, Seq: 4, At: Start.Add(time.Second)}) // the limit was reached
	for i := range want {
		entries = append(entries, record.Entry{Message: &want[len(want)-1-i]})
	}
	other := record.Message{Call: 6, Seq: 1, At: Start}
	save(t, s, append(entries, record.Entry{Message: &other})...)
	save(t, s, entries...)
	got, err := s.Messages(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Messages", got, want)
}

func dialog(id phone.CallID, leg int) record.Dialog {
	return record.Dialog{
		Leg: phone.LegID(fmt.Sprintf("%d.%d", id, leg)), Call: id, CallID: "abc@198.51.100.7",
		LocalURI: "<sip:a@b>;tag=1", RemoteURI: "<sip:c@d>;tag=2", Target: "sip:c@198.51.100.7",
		Routes: []string{"<sip:p1;lr>", "<sip:p2;lr>"}, CSeq: 4294967295, Transport: "udp", Addr: "198.51.100.7:5060",
	}
}

func interrupted(t *testing.T, s record.Store) {
	over, talking, late, ringing := answered(1), answered(2), answered(3), answered(4)
	alive := talking.AnsweredAt.Add(10 * time.Second) // and so before late and ringing began
	for _, c := range []*record.Call{&talking, &late, &ringing} {
		c.Status, c.EndedAt, c.Cause, c.EndedBy = record.Answered, time.Time{}, "", ""
	}
	ringing.Status, ringing.AnsweredAt = record.Initial, time.Time{}
	saveCalls(t, s, over, late, ringing)
	d1, d2, d3 := dialog(talking.ID, 1), dialog(talking.ID, 2), dialog(talking.ID, 3)
	if err := s.Save(t.Context(), alive, []record.Entry{{Call: &talking}, {Dialog: &d1}, {Dialog: &d2},
		{Dialog: &d3}, {Closed: d3.Leg}, {Closed: "unknown"}}); err != nil {
		t.Fatal(err)
	}

	for _, round := range []string{"first", "after another crash"} {
		got, err := s.Interrupt(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, round+": dialogs", got, []record.Dialog{d1, d2})
	}
	same(t, "the ended call", get(t, s, over.ID), over)
	for _, c := range []struct {
		name string
		call record.Call
		end  time.Time
	}{
		{"talking: when the program was last alive", talking, alive},
		{"answered after that: then", late, late.AnsweredAt},
		{"began after that: then", ringing, ringing.StartedAt},
	} {
		want := c.call
		want.Version, want.Status, want.EndedAt = 2, record.Done, c.end
		want.Cause, want.EndedBy = phone.CauseInterrupted, "system"
		same(t, c.name, get(t, s, want.ID), want)
	}
	save(t, s, record.Entry{Closed: d1.Leg}, record.Entry{Closed: d2.Leg})
	if got, err := s.Interrupt(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("after both BYEs: got %v, %v, want no dialogs", got, err)
	}
}

func dialogsOfEnded(t *testing.T, s record.Store) {
	c := answered(1)
	d := dialog(c.ID, 1)
	stray := dialog(c.ID+1, 1) // its call's row was never stored
	save(t, s, record.Entry{Dialog: &d}, record.Entry{Dialog: &stray}, record.Entry{Call: &c})
	if got, err := s.Interrupt(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Interrupt: got %v, %v, want none", got, err)
	}
}
