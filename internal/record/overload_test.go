package record

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// "Database locked for 60 s loses nothing up to 10,000", without a spill file.
func TestStoreFailsForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		w := openWriter(t, s, Options{})
		s.set(func(s *fakeStore) { s.fail = errStore })
		const n = 10_000
		for i := range n - 1 {
			w.Ended(call(i, Done))
			if i%200 == 0 {
				time.Sleep(time.Second)
			}
		}
		if w.Full() {
			t.Error("Full with room for one more")
		}
		w.Ended(call(n-1, Done))
		if !w.Stats().Failing || w.Stats().Queued != n {
			t.Errorf("Stats %+v, want failing with %d queued", w.Stats(), n)
		}
		synctest.Wait()
		if !w.Full() {
			t.Error("not Full with 10,000 waiting and nowhere to spill")
		}
		time.Sleep(10 * time.Second)
		s.set(func(s *fakeStore) { s.fail = nil })
		time.Sleep(retryMost)
		synctest.Wait()
		if got := s.count(); got != n {
			t.Errorf("%d calls stored within 2 s of recovery, want %d", got, n)
		}
		if w.Full() || w.Stats() != (Stats{}) {
			t.Errorf("after recovery: Full %v, %+v, want all well", w.Full(), w.Stats())
		}
	})
}

func TestSpillsWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "spill")
		s := newFakeStore()
		w := openWriter(t, s, Options{Spill: path, Queue: 100})
		s.set(func(s *fakeStore) { s.fail = errStore })
		for i := range 1000 {
			w.Ended(call(i, Done))
			synctest.Wait()
			if w.Full() {
				t.Fatalf("Full after %d calls, with a spill file that works", i+1)
			}
		}
		st := w.Stats()
		if st.Queued >= 100 || st.Spilled == 0 || st.Dropped != 0 {
			t.Errorf("Stats %+v, want under 100 in memory, the rest spilled", st)
		}
		calls, _, err := w.Find(t.Context(), Query{Order: NewestFirst, Limit: 40})
		if err != nil || len(calls) != 40 || calls[0].ID != call(999, Done).ID || calls[39].ID != call(960, Done).ID {
			t.Errorf("Find: got %d calls, %v, want the newest 40", len(calls), err)
		}
		s.set(func(s *fakeStore) { s.fail = nil })
		time.Sleep(retryMost + time.Second)
		synctest.Wait()
		if got := s.count(); got != 1000 {
			t.Errorf("%d calls stored after recovery, want 1000", got)
		}
		if info, err := os.Stat(path); err != nil || info.Size() != 0 || info.Mode().Perm() != 0o600 {
			t.Errorf("spill file after recovery: %v, %v, want empty and 0600", info, err)
		}
	})
}

func TestFullWhenSpillFailsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		w := openWriter(t, s, Options{Spill: filepath.Join(t.TempDir(), "spill"), Queue: 100})
		w.spill.file.Close() // every write fails from now on
		s.set(func(s *fakeStore) { s.fail = errStore })
		for i := range 99 {
			w.Opened(call(i, Initial))
		}
		synctest.Wait()
		if w.Full() {
			t.Error("Full before 100")
		}
		w.Opened(call(99, Initial))
		synctest.Wait()
		if !w.Full() {
			t.Error("not Full at 100 with a spill file that fails")
		}
		for i := range 100 { // the running calls can still end
			w.Ended(call(i, Done))
		}
		s.set(func(s *fakeStore) { s.fail = nil })
		time.Sleep(retryMost)
		synctest.Wait()
		if w.Full() {
			t.Error("still Full when the store is well again")
		}
		for i := range 100 {
			if got := s.calls[call(i, Done).ID].Status; got != Done {
				t.Fatalf("call %d is stored as %q, want %q", i, got, Done)
			}
		}
	})
}

// A store that hangs must not stop the calls, nor let memory grow for ever.
func TestStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		w := openWriter(t, s, Options{Spill: filepath.Join(t.TempDir(), "spill"), Queue: 100})
		s.gate = make(chan struct{})
		w.Ended(call(0, Done))
		time.Sleep(time.Second) // the batch of one hangs
		before := time.Now()
		for i := range 500 {
			w.Ended(call(1+i, Done))
			if got, want := w.Full(), i+1 >= 150; got != want {
				t.Fatalf("%d waiting: Full %v, want %v", i+1, got, want)
			}
		}
		if took := time.Since(before); took != 0 {
			t.Errorf("500 ends took %v, want no time", took)
		}
		if st := w.Stats(); st.Queued != 200 || st.Dropped != 300 {
			t.Errorf("Stats %+v, want 200 queued and 300 dropped", st)
		}
		close(s.gate)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := s.count(); got != 201 {
			t.Errorf("%d calls stored, want 201", got)
		}
	})
}

func TestCloseSpills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "spill")
		s := newFakeStore()
		w := openWriter(t, s, Options{Spill: path})
		s.set(func(s *fakeStore) { s.fail = errStore })
		w.Ended(call(1, Done))
		w.Dialog(Dialog{Leg: "1.1", Routes: []string{"a"}})
		w.DialogClosed("9.9")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		before := time.Now()
		if err := w.Close(ctx); err != nil {
			t.Errorf("Close: %v, want all of it in the spill file", err)
		}
		if took := time.Since(before); took != 3*time.Second {
			t.Errorf("Close took %v, want its whole 3 s", took)
		}

		next := newFakeStore()
		openWriter(t, next, Options{Spill: path})
		time.Sleep(storeWithin)
		synctest.Wait()
		if next.count() != 1 || len(next.dialogs) != 1 {
			t.Errorf("the next process stored %d calls, %d dialogs, want 1 and 1", next.count(), len(next.dialogs))
		}
	})
}

func TestCloseLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		w := openWriter(t, s, Options{})
		s.set(func(s *fakeStore) { s.fail = errStore })
		w.Ended(call(1, Done))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Close(ctx); phone.KindOf(err) != phone.Internal || err == nil {
			t.Errorf("Close: got %v, want an error of kind %s", err, phone.Internal)
		}
	})
}

func TestSpillSurvivesACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spill")
	s, err := openSpill(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := call(1, Done), call(2, Done)
	a.Steps = []Note{{Detail: []byte("no JSON")}}
	if err := s.append([]Entry{{Call: &a}}); err != nil {
		t.Fatal(err)
	}
	s.close()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"call":{"ID":5,"Stat`); err != nil { // the crash
		t.Fatal(err)
	}
	f.Close()

	if s, err = openSpill(path); err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.append([]Entry{{Call: &b}, {Closed: "1.1"}}); err != nil {
		t.Fatal(err)
	}
	var got []Entry
	for s.pending() {
		batch, end, err := s.next(1)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, batch...)
		if err := s.stored(end); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 3 || got[0].Call.ID != a.ID || got[1].Call.ID != b.ID || got[2].Closed != "1.1" {
		t.Errorf("got %+v, want both calls and the closing", got)
	}
	if got[0].Call.Steps[0].Detail != nil {
		t.Error("a trace that is no JSON came back")
	}
}

func TestOpenSpillFails(t *testing.T) {
	if _, err := Open(newFakeStore(), Options{Spill: t.TempDir()}); err == nil {
		t.Error("Open took a directory as spill file")
	}
}

// Whatever stands in the file, reading it ends, and reads what is whole.
func FuzzSpill(f *testing.F) {
	f.Add([]byte(`{"call":{"ID":5}}`))
	f.Add([]byte("{\"closed\":\"1.1\"}\n\n{"))
	f.Add([]byte(strings.Repeat("\n", 70_000)))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "spill")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openSpill(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		if err := s.append([]Entry{{Closed: "last"}}); err != nil {
			t.Fatal(err)
		}
		var last Entry
		for rounds := 0; s.pending(); rounds++ {
			if rounds > len(content)+2 {
				t.Fatal("reading does not come forward")
			}
			batch, end, err := s.next(2)
			if err != nil {
				t.Fatal(err)
			}
			if len(batch) > 0 {
				last = batch[len(batch)-1]
			}
			if err := s.stored(end); err != nil {
				t.Fatal(err)
			}
		}
		if last.Closed != "last" {
			t.Errorf("the entry appended last came back as %+v", last)
		}
	})
}

func FuzzStripAnswers(f *testing.F) {
	f.Add([]byte(`{"attempts":[{"answer":"secret","status":200}],"exit":"matched"}`))
	f.Add([]byte(`{"attempts":[{"answer":1,"answer":"secret"}],"attempts":{}}`))
	f.Add([]byte(`{"Attempts":[{"answer":"secret"}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, trace []byte) {
		once := StripAnswers(trace)
		if twice := StripAnswers(once); !bytes.Equal(once, twice) {
			t.Errorf("stripping %q again changed it to %q", once, twice)
		}
	})
}
