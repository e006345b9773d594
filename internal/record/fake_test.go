package record

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

var errStore = errors.New("database is locked")

// fakeStore keeps calls in memory. Its knobs make it fail or wait.
type fakeStore struct {
	mu         sync.Mutex
	fail       error         // Save and Interrupt give it
	gate       chan struct{} // not nil: Save waits until it is closed
	committed  chan struct{} // not nil: Save waits here when it has stored
	calls      map[phone.CallID]Call
	dialogs    map[phone.LegID]Dialog
	messages   []Message
	batches    [][]Entry
	alive      []time.Time
	sweeps     []time.Time
	interrupts int
	erased     []phone.E164
}

func newFakeStore() *fakeStore {
	return &fakeStore{calls: map[phone.CallID]Call{}, dialogs: map[phone.LegID]Dialog{}}
}

func (s *fakeStore) set(change func(*fakeStore)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *fakeStore) Save(_ context.Context, now time.Time, batch []Entry) error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	s.mu.Lock()
	committed, err := s.committed, s.fail
	if err == nil {
		s.store(now, batch)
	}
	s.mu.Unlock()
	if committed != nil {
		<-committed
	}
	return err
}

func (s *fakeStore) store(now time.Time, batch []Entry) {
	s.alive = append(s.alive, now)
	s.batches = append(s.batches, slices.Clone(batch))
	for _, e := range batch {
		switch {
		case e.Call != nil:
			c := *e.Call
			old, ok := s.calls[c.ID]
			if ok && old.Version >= c.Version {
				continue
			}
			c.Steps = slices.Clone(c.Steps)
			c.takeDetails(&old)
			s.calls[c.ID] = c
		case e.Dialog != nil:
			s.dialogs[e.Dialog.Leg] = *e.Dialog
		case e.Closed != "":
			delete(s.dialogs, e.Closed)
		case e.Message != nil:
			s.messages = append(s.messages, *e.Message)
		}
	}
}

func (s *fakeStore) Find(_ context.Context, q Query, except []phone.CallID) ([]Call, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Call
	for _, c := range s.calls {
		if q.Match(&c) && !slices.Contains(except, c.ID) {
			all = append(all, q.shown(c))
		}
	}
	slices.SortFunc(all, q.compare)
	from := min(q.Offset, len(all))
	return all[from:min(from+q.Limit, len(all))], len(all), nil
}

func (s *fakeStore) Call(_ context.Context, id phone.CallID) (Call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.calls[id]
	if !ok {
		return Call{}, &phone.Error{Kind: phone.NotFound, Text: "no such call"}
	}
	return c, nil
}

func (s *fakeStore) Messages(_ context.Context, id phone.CallID) (list []Message, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if m.Call == id {
			list = append(list, m)
		}
	}
	return list, nil
}

func (s *fakeStore) Interrupt(context.Context) (list []Dialog, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interrupts++
	for _, d := range s.dialogs {
		list = append(list, d)
	}
	return list, s.fail
}

func (s *fakeStore) Sweep(_ context.Context, now time.Time, _ Keep) (Swept, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweeps = append(s.sweeps, now)
	return Swept{}, s.fail
}

func (s *fakeStore) Personal(_ context.Context, number phone.E164, each func(Account) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.Outside() == number {
			if err := each(Account{Call: c}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *fakeStore) Erase(_ context.Context, number phone.E164) (Erased, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erased = append(s.erased, number)
	return Erased{Calls: len(s.calls)}, nil
}

// count is how many calls are stored.
func (s *fakeStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// openWriter opens a Writer that is closed at the test's end, if it still is open.
func openWriter(t *testing.T, s Store, opts Options) *Writer {
	t.Helper()
	w, err := Open(s, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.Close(ctx) // what a failing store loses is the test's business
	})
	return w
}

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// call is the nth call in a state, each second one.
func call(n int, status Status) Call {
	at := start.Add(time.Duration(n) * time.Second)
	c := Call{ID: phone.CallID(at.UnixMicro()), Direction: Inbound, Status: status,
		Caller: "+14155550123", Called: "+14155550100", StartedAt: at}
	if status != Initial {
		c.AnsweredAt, c.User = at.Add(time.Second), 456
	}
	if status == Done {
		c.EndedAt = at.Add(2 * time.Second)
	}
	return c
}

func ids(calls []Call) []phone.CallID {
	list := []phone.CallID{}
	for _, c := range calls {
		list = append(list, c.ID)
	}
	return list
}
