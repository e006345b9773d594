package record

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ringpath/ringpath/internal/phone"
)

func TestStoredWithin75ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		w := openWriter(t, s, Options{})
		time.Sleep(time.Second) // idle
		w.Opened(call(1, Initial))
		time.Sleep(storeWithin - time.Nanosecond)
		synctest.Wait()
		if got := s.count(); got != 0 {
			t.Errorf("before 75 ms: %d calls stored, want 0", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := s.count(); got != 1 {
			t.Errorf("at 75 ms: %d calls stored, want 1", got)
		}
	})
}

// Under a steady load, too, nothing waits longer than 100 ms.
func TestStoredInTimeUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		w := openWriter(t, s, Options{})
		const every, within = 3 * time.Millisecond, 99 * time.Millisecond
		for n := range 1000 {
			w.Opened(call(n, Initial))
			time.Sleep(every)
			if got, want := s.count(), n-int(within/every); got < want {
				t.Fatalf("after %d calls: %d stored, want at least %d", n+1, got, want)
			}
		}
		if got, most := len(s.batches), 1000*3/75+1; got > most {
			t.Errorf("%d batches in 3 s, want at most %d", got, most)
		}
	})
}

func TestStatesFallTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		w := openWriter(t, s, Options{})
		trace := json.RawMessage(`{"trace_version":1}`)
		w.Opened(call(1, Initial))
		c := call(1, Answered)
		c.Steps = []Note{{Kind: "ring_to_api", Detail: trace}}
		w.Changed(c)
		c = call(1, Done)
		c.Steps = []Note{{Kind: "ring_to_api"}, {Kind: "end"}}
		w.Ended(c)
		time.Sleep(storeWithin)
		synctest.Wait()

		if len(s.batches) != 1 || len(s.batches[0]) != 1 {
			t.Fatalf("got batches %v, want one with one entry", s.batches)
		}
		want := call(1, Done)
		want.Steps = []Note{{Kind: "ring_to_api", Detail: trace}, {Kind: "end"}}
		ignore := cmpopts.IgnoreFields(Call{}, "Version")
		if d := cmp.Diff(want, s.calls[want.ID], ignore); d != "" {
			t.Errorf("stored (-want +got):\n%s", d)
		}
	})
}

func TestFindsWhatHasJustEnded(t *testing.T) {
	q := Query{Outside: "+14155550123", Order: NewestFirst}
	found := func(t *testing.T, w *Writer, when string, want ...int) {
		t.Helper()
		calls, total, err := w.Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		wantIDs := []phone.CallID{}
		for _, n := range want {
			wantIDs = append(wantIDs, call(n, Done).ID)
		}
		if got := ids(calls); !slices.Equal(got, wantIDs) || total != len(want) {
			t.Errorf("%s: got %v, total %d, want %v", when, got, total, wantIDs)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		w := openWriter(t, s, Options{})
		w.Opened(call(1, Initial))
		found(t, w, "the call that is being routed")
		time.Sleep(time.Second)
		found(t, w, "stored as not ended")
		w.Ended(call(1, Done))
		w.Opened(call(2, Initial)) // "hang up and call again"
		found(t, w, "0 ms after the end", 1)

		s.set(func(s *fakeStore) { s.gate, s.committed = make(chan struct{}), make(chan struct{}) })
		time.Sleep(storeWithin)
		synctest.Wait()
		found(t, w, "on its way to the store", 1)
		close(s.gate)
		synctest.Wait()
		found(t, w, "stored, but the writer does not know yet", 1)
		w.Ended(call(2, Done))
		found(t, w, "the next one ended while a batch is on its way", 2, 1)
		close(s.committed)
		synctest.Wait()
		found(t, w, "stored", 2, 1)
		time.Sleep(time.Second)
		found(t, w, "all stored", 2, 1)

		s.set(func(s *fakeStore) { s.fail = errStore })
		w.Ended(call(3, Done))
		time.Sleep(time.Minute)
		found(t, w, "while the store fails", 3, 2, 1)
	})
}

// Any split of calls between store and queue gives the same pages.
func TestFindPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(200) {
			r := rand.New(rand.NewPCG(seed, 0))
			s := newFakeStore()
			w := openWriter(t, s, Options{})
			var want []phone.CallID
			for n := range 12 {
				switch r.IntN(4) {
				case 0: // not ended
					w.Opened(call(n, Initial))
					continue
				case 1: // ended, its opening stored
					c := call(n, Initial)
					s.store(start, []Entry{{Call: &c}})
					w.Ended(call(n, Done))
				case 2: // ended, in the queue only
					w.Opened(call(n, Initial))
					w.Ended(call(n, Done))
				default: // stored
					c := call(n, Done)
					s.store(start, []Entry{{Call: &c}})
				}
				want = append(want, call(n, Done).ID)
			}
			order := OldestFirst
			if r.IntN(2) == 0 {
				order = NewestFirst
				slices.Reverse(want)
			}
			offset, limit := r.IntN(13), 1+r.IntN(13)
			calls, total, err := w.Find(t.Context(), Query{Order: order, Offset: offset, Limit: limit})
			if err != nil {
				t.Fatal(err)
			}
			if total != len(want) {
				t.Errorf("seed %d: total %d, want %d", seed, total, len(want))
			}
			from := min(offset, len(want))
			page := want[from:min(from+limit, len(want))]
			if got := ids(calls); !slices.Equal(got, page) {
				t.Errorf("seed %d: offset %d limit %d: got %v, want %v", seed, offset, limit, got, page)
			}
		}
	})
}

func TestCallMergesTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		w := openWriter(t, s, Options{})
		if _, err := w.Call(t.Context(), 1); phone.KindOf(err) != phone.NotFound {
			t.Errorf("unknown call: got %v, want kind %s", err, phone.NotFound)
		}
		c := call(1, Answered)
		c.Steps = []Note{{Kind: "ring_to_api", Detail: json.RawMessage(`1`)}}
		w.Opened(c)
		time.Sleep(time.Second)
		c = call(1, Done)
		c.Steps = []Note{{Kind: "ring_to_api"}, {Kind: "ring_to_api", Detail: json.RawMessage(`2`)}}
		w.Ended(c)
		got, err := w.Call(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != Done || string(got.Steps[0].Detail) != "1" || string(got.Steps[1].Detail) != "2" {
			t.Errorf("got %+v, want the ended call with both traces", got)
		}
	})
}

// The call's goroutine goes on changing what it handed over; -race watches.
func TestTakesACopy(t *testing.T) {
	s := newFakeStore()
	w := openWriter(t, s, Options{})
	c := call(1, Answered)
	c.Steps, c.Offers, c.Teams = []Note{{Kind: "ring_to"}}, []Offer{{User: 1}}, []phone.TeamID{7}
	local := time.FixedZone("somewhere", 3600)
	c.StartedAt = c.StartedAt.In(local).Add(123 * time.Nanosecond)
	w.Opened(c)
	c.Steps[0].Kind, c.Offers[0].User, c.Teams[0] = "other", 2, 8
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := s.calls[c.ID]
	if got.Steps[0].Kind != "ring_to" || got.Offers[0].User != 1 || got.Teams[0] != 7 {
		t.Errorf("the caller's changes reached the record: %+v", got)
	}
	if want := call(1, Done).StartedAt; got.StartedAt != want {
		t.Errorf("StartedAt %v, want %v in UTC and microseconds", got.StartedAt, want)
	}
}

func TestAliveWhileCallsAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		w := openWriter(t, s, Options{})
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(s.alive) != 0 {
			t.Errorf("no calls: stored %d times, want never", len(s.alive))
		}
		w.Opened(call(1, Initial))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, want := len(s.alive), 1+6; got != want {
			t.Errorf("a minute's call: stored %d times, want %d", got, want)
		}
		w.Ended(call(1, Done))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, want := len(s.alive), 1+6+1; got != want {
			t.Errorf("a minute after its end: stored %d times, want %d", got, want)
		}
	})
}

func TestSweepsEveryHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := newFakeStore()
		w := openWriter(t, s, Options{})
		time.Sleep(sweepFirst + 2*sweepEvery + time.Second)
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []time.Time{began.Add(time.Minute), began.Add(61 * time.Minute), began.Add(121 * time.Minute)}
		if d := cmp.Diff(want, s.sweeps); d != "" {
			t.Errorf("sweeps (-want +got):\n%s", d)
		}
	})
}

func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "spill")
		left, err := openSpill(path)
		if err != nil {
			t.Fatal(err)
		}
		c := call(1, Done)
		if err := left.append([]Entry{{Call: &c}}); err != nil {
			t.Fatal(err)
		}
		left.close()

		s := newFakeStore()
		s.dialogs["1.1"] = Dialog{Leg: "1.1"}
		w := openWriter(t, s, Options{Spill: path})
		got, err := w.Interrupted(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Leg != "1.1" {
			t.Errorf("got dialogs %v, want the stored one", got)
		}
		if s.count() != 1 || s.interrupts != 1 {
			t.Errorf("%d calls stored, %d interrupts, want 1 and 1: ends in the spill file come first", s.count(), s.interrupts)
		}
	})
}

func TestEraseStoresFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		w := openWriter(t, s, Options{})
		w.Ended(call(1, Done))
		got, err := w.Erase(t.Context(), "+14155550123")
		if err != nil || got.Calls != 1 {
			t.Errorf("Erase: got %+v, %v, want the call that was still in the queue", got, err)
		}
		n := 0
		w.Ended(call(2, Done))
		err = w.Personal(t.Context(), "+14155550123", func(Account) error { n++; return nil })
		if err != nil || n != 2 {
			t.Errorf("Personal: got %d calls, %v, want 2", n, err)
		}
		s.set(func(s *fakeStore) { s.fail = errStore })
		w.Ended(call(3, Done))
		if _, err := w.Erase(t.Context(), "+14155550123"); err == nil {
			t.Error("Erase said yes while a call of that number could not be stored")
		}
	})
}

func TestKeepsNothingUnwanted(t *testing.T) {
	trace := json.RawMessage(`{"attempts":[{"answer":"x","answer_offset":7,"headers":{"A":"b"},"status":200}],"exit":"matched","show":{"name":"Ada"}}`)
	for _, tt := range []struct {
		name string
		keep Keep
		want string
	}{
		{"all", DefaultKeep(), string(trace)},
		{"no answers", Keep{Calls: time.Hour, Traces: time.Hour}, `{"attempts":[{"status":200,"truncated":true}],"exit":"matched"}`},
		{"no traces", Keep{Calls: time.Hour, Answers: time.Hour}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newFakeStore()
			w := openWriter(t, s, Options{Keep: func() Keep { return tt.keep }})
			c := call(1, Done)
			c.Steps = []Note{{Detail: trace}}
			w.Ended(c)
			if err := w.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := string(s.calls[c.ID].Steps[0].Detail); got != tt.want {
				t.Errorf("stored trace %s, want %s", got, tt.want)
			}
		})
	}
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		w := openWriter(t, s, Options{})
		w.Opened(call(1, Initial))
		before := time.Now()
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(before); took != 0 || s.count() != 1 {
			t.Errorf("Close took %v and stored %d calls, want 0 s and 1", took, s.count())
		}
		if err := w.Flush(context.Background()); err != error(errClosed) {
			t.Errorf("Flush after Close: got %v, want %v", err, errClosed)
		}
		if err := w.Close(t.Context()); err != nil {
			t.Errorf("Close again: %v", err)
		}
	})
}
