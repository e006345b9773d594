package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// findLikeMatch asks random questions about random calls, and compares with
// asking each call.
func findLikeMatch(t *testing.T, s record.Store) {
	calls := Calls(60)
	saveCalls(t, s, calls...)
	rapid.Check(t, func(r *rapid.T) {
		q := Queries().Draw(r, "query").Normal()
		except := rapid.SliceOfN(rapid.SampledFrom(calls), 0, 5).Draw(r, "except")
		var ids []phone.CallID
		for _, c := range except {
			ids = append(ids, c.ID)
		}
		got, total, err := s.Find(t.Context(), q, ids)
		if err != nil {
			r.Fatal(err)
		}
		want, wantTotal := Answer(calls, q, ids)
		if total != wantTotal {
			r.Errorf("total %d, want %d", total, wantTotal)
		}
		if g, w := IDs(got), IDs(want); !slices.Equal(g, w) {
			r.Errorf("got calls %v, want %v", g, w)
		}
	})
}

// manyExceptions is what a Writer asks while its whole queue waits.
func manyExceptions(t *testing.T, s record.Store) {
	calls := Calls(60)
	saveCalls(t, s, calls...)
	q := record.Query{Limit: record.MaxLimit}
	except := IDs(calls[:30])
	for i := range 20_000 {
		except = append(except, phone.CallID(Start.Add(time.Hour).UnixMicro()+int64(i)))
	}
	got, total := find(t, s, q, except...)
	want, wantTotal := Answer(calls[30:], q.Normal(), nil)
	if !slices.Equal(IDs(got), IDs(want)) || total != wantTotal {
		t.Errorf("got calls %v, total %d, want %v, total %d", IDs(got), total, IDs(want), wantTotal)
	}
}

// Calls are n different calls in all states, in order, with shared numbers and users.
func Calls(n int) []record.Call {
	var calls []record.Call
	for i := range n {
		at := Start.Add(time.Duration(i) * 700 * time.Millisecond)
		c := record.Call{
			ID: phone.CallID(at.UnixMicro()), Version: 1, StartedAt: at,
			Direction: record.Inbound, Status: record.Done,
			Caller: number(i), Called: "+14155550100", User: phone.UserID(i % 4),
		}
		if i%5 == 0 {
			c.Direction, c.Caller, c.Called = record.Outbound, c.Called, c.Caller
		}
		if i%7 == 0 {
			c.Status = record.Answered
		}
		if i%11 == 0 {
			c.Status = record.Initial
		}
		calls = append(calls, c)
	}
	return calls
}

func number(i int) phone.E164 {
	if i%3 == 0 {
		return "" // withheld
	}
	return phone.E164(fmt.Sprintf("+3312345678%d", i%3))
}

// Queries draws questions about Calls.
func Queries() *rapid.Generator[record.Query] {
	return rapid.Custom(func(r *rapid.T) record.Query {
		moment := rapid.Custom(func(r *rapid.T) time.Time {
			if rapid.Bool().Draw(r, "open") {
				return time.Time{}
			}
			return Start.Add(time.Duration(rapid.IntRange(-1, 50).Draw(r, "second")) * time.Second)
		})
		return record.Query{
			Statuses: rapid.SampledFrom([][]record.Status{nil, {record.Done}, {record.Answered, record.Done},
				{record.Initial, record.Answered, record.Done}, {record.Initial}}).Draw(r, "statuses"),
			Direction: rapid.SampledFrom([]record.Direction{"", record.Inbound, record.Outbound}).Draw(r, "direction"),
			From:      moment.Draw(r, "from"),
			To:        moment.Draw(r, "to"),
			User:      phone.UserID(rapid.IntRange(0, 3).Draw(r, "user")),
			Outside:   rapid.SampledFrom([]phone.E164{"", number(1), number(2), "+33123456789"}).Draw(r, "outside"),
			Order:     rapid.SampledFrom([]record.Order{record.OldestFirst, record.NewestFirst}).Draw(r, "order"),
			Offset:    rapid.IntRange(0, 40).Draw(r, "offset"),
			Limit:     rapid.IntRange(0, 30).Draw(r, "limit"),
		}
	})
}

// Answer is what a normal query asks for, by asking each call.
func Answer(calls []record.Call, q record.Query, except []phone.CallID) (page []record.Call, total int) {
	var all []record.Call
	for _, c := range calls {
		if q.Match(&c) && !slices.Contains(except, c.ID) {
			all = append(all, c)
		}
	}
	if q.Order == record.NewestFirst {
		slices.Reverse(all)
	}
	from := min(q.Offset, len(all))
	return all[from:min(from+q.Limit, len(all))], len(all)
}

// IDs are the ids of calls.
func IDs(calls []record.Call) []phone.CallID {
	ids := []phone.CallID{}
	for _, c := range calls {
		ids = append(ids, c.ID)
	}
	return ids
}
