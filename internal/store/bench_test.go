package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/store"
)

// BenchmarkCalls is what storing a routed call costs, as the Writer does it at
// 500 calls a second that talk one second each: three states of the call, of
// which the first two mostly fall together, a lookup's trace with 2 KiB of
// answer, two dialogs opened and closed. ns/op is a call; cpu-s/1000calls is
// the process's user and system time, the database's checkpoints included.
func BenchmarkCalls(b *testing.B) {
	ctx := context.Background()
	db, err := store.Open(ctx, filepath.Join(b.TempDir(), "b.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const calls = 37 // that begin within 75 ms at 500 a second
	b.ReportAllocs()
	before := cpu(b)
	b.ResetTimer()
	n := 0
	var ending []record.Call
	for n < b.N {
		var batch []record.Entry
		for range calls {
			n++
			c := routed(start, n)
			batch = append(batch, record.Entry{Call: &c},
				record.Entry{Dialog: dialog(c.ID, 1)}, record.Entry{Dialog: dialog(c.ID, 2)})
		}
		for i := range ending {
			c := &ending[i]
			batch = append(batch, record.Entry{Call: c},
				record.Entry{Closed: dialog(c.ID, 1).Leg}, record.Entry{Closed: dialog(c.ID, 2).Leg})
		}
		ending = ending[:0]
		for _, e := range batch {
			if e.Call != nil && e.Call.Status == record.Answered {
				ending = append(ending, ended(*e.Call))
			}
		}
		if err := db.Save(ctx, start, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric((cpu(b)-before).Seconds()*1000/float64(n), "cpu-s/1000calls")
}

// BenchmarkWriter is the same with the Writer before it, at 500 calls a second in
// real time: b.N calls, opened, answered, and ended a second later, with 15 SIP
// messages of 700 bytes each. Ask for -benchtime 5000x, which is ten seconds.
func BenchmarkWriter(b *testing.B) {
	ctx := context.Background()
	db, err := store.Open(ctx, filepath.Join(b.TempDir(), "b.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	w, err := record.Open(db, record.Options{})
	if err != nil {
		b.Fatal(err)
	}
	const every = 5 // calls each 10 ms
	raw := []byte(strings.Repeat("x", 700))
	var talking []record.Call
	before := cpu(b)
	b.ResetTimer()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n < b.N || len(talking) > 0; {
		<-tick.C
		for range min(every, b.N-n) {
			n++
			c := routed(start, n)
			opened := c
			opened.Status, opened.AnsweredAt, opened.Steps, opened.Offers = record.Initial, time.Time{}, nil, nil
			w.Opened(opened)
			for range 12 {
				w.Message(record.Message{Call: c.ID, Raw: raw})
			}
			w.Changed(c)
			w.Dialog(*dialog(c.ID, 1))
			w.Dialog(*dialog(c.ID, 2))
			talking = append(talking, c)
		}
		due := len(talking) - 500 // what 500 a second have that talk one second
		if n >= b.N {
			due = len(talking)
		}
		for _, c := range talking[:min(every, max(due, 0))] {
			over(w, c, raw)
		}
		talking = talking[min(every, max(due, 0)):]
	}
	if err := w.Close(ctx); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric((cpu(b)-before).Seconds()*1000/float64(b.N), "cpu-s/1000calls")
}

func over(w *record.Writer, c record.Call, raw []byte) {
	for range 3 {
		w.Message(record.Message{Call: c.ID, Raw: raw})
	}
	w.DialogClosed(dialog(c.ID, 1).Leg)
	w.DialogClosed(dialog(c.ID, 2).Leg)
	w.Ended(ended(c))
}

// BenchmarkFind is the question of the last agent among 50,000 calls.
func BenchmarkFind(b *testing.B) {
	ctx := context.Background()
	db, err := store.Open(ctx, filepath.Join(b.TempDir(), "b.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for n := 0; n < 50_000; {
		var batch []record.Entry
		for range 1000 {
			n++
			c := ended(routed(start, n))
			batch = append(batch, record.Entry{Call: &c})
		}
		if err := db.Save(ctx, start, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		q := record.Query{Outside: caller(i), Order: record.NewestFirst}.Normal()
		calls, _, err := db.Find(ctx, q, nil)
		if err != nil || len(calls) == 0 {
			b.Fatal(calls, err)
		}
	}
}

func caller(n int) phone.E164 { return phone.E164(fmt.Sprintf("+1415%07d", n%20_000)) }

var answer = json.RawMessage(`{"trace_version":1,"exit":"matched","attempts":[{"status":200,"answer":"` +
	strings.Repeat("a", 2048) + `"}]}`)

// routed is an answered call with its trace.
func routed(start time.Time, n int) record.Call {
	at := start.Add(time.Duration(n) * 2 * time.Millisecond)
	target := phone.UserTarget(456)
	return record.Call{
		ID: phone.CallID(at.UnixMicro()), Version: at.UnixMicro(),
		Direction: record.Inbound, Status: record.Answered,
		Caller: caller(n), CallerName: "A Caller", Called: "+14155550100", Number: 1, Trunk: "carrier",
		SIPCallID: fmt.Sprintf("%d-3c2f9a@198.51.100.7", n), StartedAt: at,
		AnsweredAt: at.Add(60 * time.Millisecond), User: phone.UserID(1 + n%50), Teams: []phone.TeamID{7},
		Steps: []record.Note{{At: at, Flow: "main", Step: "last agent", Kind: "ring_to_api", Exit: "matched",
			Value: "456", Target: &target, Dur: 20 * time.Millisecond, Detail: answer}},
		Offers: []record.Offer{{Step: "last agent", User: 456, Phone: "agent", At: at,
			RangAt: at.Add(time.Millisecond), EndedAt: at.Add(2 * time.Millisecond), Result: "answered", Status: 200}},
	}
}

// ended is the same call when it is over; its trace was handed over before.
func ended(c record.Call) record.Call {
	c.Version++
	c.Status, c.Cause, c.EndedBy = record.Done, phone.CauseNormal, "caller"
	c.EndedAt = c.AnsweredAt.Add(time.Second)
	steps := append([]record.Note(nil), c.Steps...)
	steps[0].Detail = nil
	c.Steps = append(steps, record.Note{At: c.EndedAt, Kind: "end", Reason: "normal"})
	return c
}

func dialog(id phone.CallID, leg int) *record.Dialog {
	return &record.Dialog{
		Leg: phone.LegID(fmt.Sprintf("%d.%d", id, leg)), Call: id, CallID: "3c2f9a@198.51.100.7",
		LocalURI: "<sip:+14155550100@192.0.2.1>;tag=a1b2c3", RemoteURI: "<sip:+14155550123@198.51.100.7>;tag=d4e5",
		Target: "sip:+14155550123@198.51.100.7:5060", CSeq: 1, Transport: "udp", Addr: "198.51.100.7:5060",
	}
}

func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
