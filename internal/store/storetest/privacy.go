package storetest

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

const day = 24 * time.Hour

// aged saves one call of each age in days, with a trace and a message.
func aged(t *testing.T, s record.Store, now time.Time, days ...int) []record.Call {
	t.Helper()
	var calls []record.Call
	for _, d := range days {
		c := answered(0)
		c.StartedAt = now.Add(-time.Duration(d) * day)
		c.ID = phone.CallID(c.StartedAt.UnixMicro())
		calls = append(calls, c)
		save(t, s, record.Entry{Call: &c},
			record.Entry{Message: &record.Message{Call: c.ID, Seq: 1, At: c.StartedAt, Raw: []byte("INVITE")}})
	}
	return calls
}

func sweep(t *testing.T, s record.Store) {
	now := Start.Add(1000 * day)
	aged(t, s, now, 6, 8, 89, 91, 364, 366)
	swept, err := s.Sweep(t.Context(), now, record.DefaultKeep())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "swept", swept, record.Swept{Calls: 1, Traces: 3, Answers: 2, Messages: 5})
	again, err := s.Sweep(t.Context(), now, record.DefaultKeep())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "swept again", again, record.Swept{})

	for _, want := range []struct {
		days     int
		call     bool
		trace    string
		messages int
	}{
		{6, true, `{"trace_version":1,"attempts":[{"status":200,"headers":{"x":"y"},"answer":"{}"}]}`, 1},
		{8, true, `{"attempts":[{"status":200,"truncated":true}],"trace_version":1}`, 0},
		{89, true, `{"attempts":[{"status":200,"truncated":true}],"trace_version":1}`, 0},
		{91, true, "", 0},
		{364, true, "", 0},
		{366, false, "", 0},
	} {
		id := phone.CallID(now.Add(-time.Duration(want.days) * day).UnixMicro())
		c, err := s.Call(t.Context(), id)
		if got := err == nil; got != want.call {
			t.Errorf("%d days: call is there: %v, want %v (%v)", want.days, got, want.call, err)
		}
		if c.Steps != nil && string(c.Steps[0].Detail) != want.trace {
			t.Errorf("%d days: trace %s, want %s", want.days, c.Steps[0].Detail, want.trace)
		}
		if list, err := s.Messages(t.Context(), id); len(list) != want.messages || err != nil {
			t.Errorf("%d days: %d messages, %v, want %d", want.days, len(list), err, want.messages)
		}
	}
}

func sweepAll(t *testing.T, s record.Store) {
	now := Start.Add(1000 * day)
	aged(t, s, now, 1, 2)
	swept, err := s.Sweep(t.Context(), now, record.Keep{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "swept", swept, record.Swept{Calls: 2, Traces: 2, Messages: 2})
	if _, total := find(t, s, record.Query{}); total != 0 {
		t.Errorf("%d calls are left, want none", total)
	}
}

func sweepRunning(t *testing.T, s record.Store) {
	now := Start.Add(1000 * day)
	c := aged(t, s, now, 400)[0]
	c.Version, c.Status = 2, record.Answered
	saveCalls(t, s, c)
	swept, err := s.Sweep(t.Context(), now, record.Keep{Answers: 1000 * day})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "swept", swept, record.Swept{})
	same(t, "the call", get(t, s, c.ID), c)
}

func sweepMany(t *testing.T, s record.Store) {
	const n = 450 // more than are deleted at a time
	var entries []record.Entry
	for i := range n {
		c := answered(i)
		entries = append(entries, record.Entry{Call: &c})
	}
	save(t, s, entries...)
	now := Start.Add(30 * day)
	keep := record.Keep{Calls: 60 * day, Traces: 60 * day, Answers: day}
	swept, err := s.Sweep(t.Context(), now, keep)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "answers", swept, record.Swept{Answers: n})
	swept, err = s.Sweep(t.Context(), now, record.Keep{Calls: day, Traces: 60 * day})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "calls and their traces", swept, record.Swept{Calls: n, Traces: n})
}

func personal(t *testing.T, s record.Store) {
	mine, other := answered(1), answered(2)
	other.Caller, other.External = "+14155550199", ""
	dialled := answered(3)
	dialled.Direction, dialled.Caller, dialled.Called = record.Outbound, dialled.Called, dialled.Caller
	saveCalls(t, s, dialled, other, mine)
	m := record.Message{Call: mine.ID, Seq: 1, At: Start, Raw: []byte("INVITE")}
	save(t, s, record.Entry{Message: &m})

	var got []record.Account
	err := s.Personal(t.Context(), mine.Caller, func(a record.Account) error { got = append(got, a); return nil })
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Personal", got, []record.Account{{Call: mine, Messages: []record.Message{m}}, {Call: dialled}})

	stop := errors.New("stop")
	if err := s.Personal(t.Context(), mine.Caller, func(record.Account) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Personal: got %v, want the error of each", err)
	}
}

func erase(t *testing.T, s record.Store) {
	c := answered(1)
	saveCalls(t, s, c)
	save(t, s, record.Entry{Message: &record.Message{Call: c.ID, Seq: 1, At: Start, Raw: []byte("INVITE")}})

	got, err := s.Erase(t.Context(), c.Caller)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Erase", got, record.Erased{Calls: 1})

	want := c
	want.Version++
	want.Erased, want.Caller, want.CallerName, want.SIPCallID = true, "", "", ""
	want.Steps = withoutDetail(c).Steps
	want.Steps[0].Value, want.Steps[0].Show = "", nil
	same(t, "the call", get(t, s, c.ID), want)
	if list, err := s.Messages(t.Context(), c.ID); len(list) != 0 || err != nil {
		t.Errorf("Messages: got %d, %v, want none", len(list), err)
	}
	if calls, _ := find(t, s, record.Query{Outside: c.Caller}); len(calls) != 0 {
		t.Error("the call is still found by its number")
	}
	if _, err := s.Erase(t.Context(), ""); phone.KindOf(err) != phone.Invalid {
		t.Errorf("Erase of no number: got %v, want kind %s: withheld callers are nobody", err, phone.Invalid)
	}
}

func eraseOthers(t *testing.T, s record.Store) {
	running, other := answered(1), answered(2)
	running.Status = record.Answered
	other.Caller = "+14155550199"
	saveCalls(t, s, running, other)
	got, err := s.Erase(t.Context(), running.Caller)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Erase", got, record.Erased{Running: 1})
	same(t, "the running call", get(t, s, running.ID), running)
	same(t, "somebody else's call", get(t, s, other.ID), other)
}

func eraseTarget(t *testing.T, s record.Store) {
	c := answered(1)
	colleague := phone.E164("+33123456789")
	target := phone.ExternalTarget(colleague)
	c.Steps[0].Target, c.Steps[0].Detail = &target, json.RawMessage(`{}`)
	c.Offers[0].External = colleague
	saveCalls(t, s, c)
	got, err := s.Erase(t.Context(), colleague)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Erase", got, record.Erased{Calls: 1})

	want := withoutDetail(c)
	want.Version++
	want.External = ""
	want.Steps[0].Value, want.Steps[0].Show, want.Steps[0].Target = "", nil, &phone.Target{Kind: phone.ToExternal}
	want.Offers = []record.Offer{c.Offers[0]}
	want.Offers[0].External = ""
	same(t, "the call, whose caller stays", get(t, s, c.ID), want)
}
