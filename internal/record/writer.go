package record

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// Options of a Writer. The zero value works, without a spill file.
type Options struct {
	// Spill is the path of the file that takes entries when the queue is full.
	// Empty: none, and a full queue is Full at once.
	Spill string
	// Queue is how many entries wait in memory. Default 10,000.
	Queue int
	// Keep is how long things are kept; asked with every batch. Nil: DefaultKeep.
	Keep func() Keep
	// Marked says that all SIP messages of calls to this number are wanted
	// (numbers[].keep_sip). Nil: of none.
	Marked func(phone.NumberID) bool
	// Logger hears of trouble with the store. Nil: nobody does.
	Logger *slog.Logger
}

// Writer stores calls behind their back. Opened, Changed, Ended, Dialog,
// DialogClosed and Message never block and touch no disk: they put the news
// into a bounded queue in memory, from which one goroutine stores batches. News
// is stored within 100 ms while the store is well; a crash loses at most the
// last 200 ms. While the store fails (locked, disk full) the queue grows; when
// it is full its older half moves to the spill file, which is stored once the
// store is well again, or at the next start.
//
// Find and Call know what still waits in memory: a call that ended a moment ago
// is found, with right totals.
type Writer struct {
	store Store
	opts  Options
	tap   *tap

	mu       sync.Mutex
	queue    queue
	live     int   // calls opened and not ended
	version  int64 // the last Call.Version given out
	noSpill  bool  // the last try to spill failed
	failures int   // of the store in a row

	spill      *spill    // the goroutine's own
	spillAgain time.Time // the goroutine's own: not before, after a failure

	wake  chan struct{}        // buffered 1: there is news, or the queue is full
	asks  chan func()          // acts for the goroutine to do between batches
	quit  chan context.Context // Close's deadline, sent once
	gone  chan struct{}        // closed when the goroutines have ended
	sweep context.CancelFunc   // stops the sweeping goroutine
}

// Open starts a Writer and its goroutines; Close ends them. What a spill file
// still holds is stored in the background.
func Open(store Store, opts Options) (*Writer, error) {
	opts.Queue = cmp.Or(opts.Queue, 10_000)
	if opts.Keep == nil {
		opts.Keep = DefaultKeep
	}
	if opts.Marked == nil {
		opts.Marked = func(phone.NumberID) bool { return false }
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	spill, err := openSpill(opts.Spill)
	if err != nil {
		return nil, err
	}
	w := &Writer{
		store: store,
		opts:  opts,
		queue: queue{limit: opts.Queue, calls: map[phone.CallID]*waiting{}},
		spill: spill,
		wake:  make(chan struct{}, 1),
		asks:  make(chan func()),
		quit:  make(chan context.Context, 1),
		gone:  make(chan struct{}),
	}
	w.tap = newTap(w.keepMessage)
	w.start()
	return w, nil
}

// Opened takes the first state of a call.
func (w *Writer) Opened(c Call) {
	w.tap.opened(c.ID, w.opts.Marked(c.Number))
	w.put(c, 1)
}

// Changed takes a later state of a call. A note's Detail has to be handed over
// once only; what the Writer has of it stays.
func (w *Writer) Changed(c Call) {
	if !c.AnsweredAt.IsZero() {
		w.tap.answered(c.ID)
	}
	w.put(c, 0)
}

// Ended takes the last state of a call. From the moment it returns, Find has
// the call among the ended ones.
func (w *Writer) Ended(c Call) {
	w.tap.ended(c.ID, !c.AnsweredAt.IsZero())
	w.put(c, -1)
}

// Dialog keeps an answered leg's dialog until DialogClosed or the call's end.
func (w *Writer) Dialog(d Dialog) {
	d.Routes = slices.Clone(d.Routes)
	w.add(Entry{Dialog: &d})
}

// DialogClosed forgets the dialog of a leg that is over.
func (w *Writer) DialogClosed(leg phone.LegID) { w.add(Entry{Closed: leg}) }

// Message takes a SIP message of a call as it passes, the first before Opened
// perhaps; m.Raw is the Writer's from then on. It is held in memory until the call is answered or
// fails, and then stored or forgotten by the rules of spec privacy.md.
func (w *Writer) Message(m Message) {
	if w.opts.Keep().SIP <= 0 {
		return
	}
	w.tap.message(m)
}

// Full says that nothing more can be kept safe: the queue is full, and the
// spill file takes nothing either. New calls are to be refused; running ones
// still have room.
func (w *Writer) Full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.full() && w.noSpill || w.queue.len() >= w.queue.limit*3/2
}

// Stats is how a Writer is doing, for metrics.
type Stats struct {
	Queued  int   // entries in memory
	Spilled int64 // bytes in the spill file
	Failing bool  // the store refused the last batch
	Dropped int   // entries lost since the start; more than zero is an alarm
}

// Stats reports how the Writer is doing.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Stats{
		Queued:  w.queue.len(),
		Spilled: w.spill.size.Load(),
		Failing: w.failures > 0,
		Dropped: w.queue.dropped,
	}
}

// Close stores what waits and ends the goroutines. What the store does not take
// before ctx ends goes to the spill file; an error says what was lost. Nothing
// may be handed over any more once Close is called.
func (w *Writer) Close(ctx context.Context) error {
	select {
	case w.quit <- ctx:
	default:
	}
	<-w.gone
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.queue.len(); n > 0 {
		return &phone.Error{Kind: phone.Internal, Text: "call records were lost at the end",
			Err: fmt.Errorf("%d entries: neither the database nor the spill file took them", n)}
	}
	return nil
}

func (w *Writer) put(c Call, live int) {
	c = snapshot(c)
	w.mu.Lock()
	w.version = max(w.version+1, time.Now().UnixMicro())
	c.Version = w.version
	w.live = max(w.live+live, 0)
	news := w.queue.len() == 0
	w.queue.put(c)
	news = news || w.queue.full()
	w.mu.Unlock()
	if news {
		w.poke()
	}
}

func (w *Writer) add(entries ...Entry) {
	w.mu.Lock()
	news := w.queue.len() == 0
	for _, e := range entries {
		w.queue.add(e)
	}
	news = news || w.queue.full()
	w.mu.Unlock()
	if news {
		w.poke()
	}
}

// keepMessage is where the tap sends messages that are to be stored.
func (w *Writer) keepMessage(list []Message) {
	entries := make([]Entry, len(list))
	for i := range list {
		entries[i].Message = &list[i]
	}
	w.add(entries...)
}

func (w *Writer) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
