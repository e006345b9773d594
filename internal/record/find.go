package record

import (
	"context"
	"slices"

	"github.com/ringpath/ringpath/internal/phone"
)

// Find returns the calls that q asks for, and how many there are on all pages:
// the store's and those that wait in memory, each once and in its newest state.
// Notes come without Detail. The calls are shared: change nothing in them.
func (w *Writer) Find(ctx context.Context, q Query) (calls []Call, total int, err error) {
	q = q.Normal()
	// First the queue, then the store: a batch stored in between is then seen
	// twice, never not at all, and except takes care of the second time.
	fresh, except := w.pending(q)
	if len(fresh) == 0 {
		return w.store.Find(ctx, q, except)
	}
	// What stands at [Offset, Offset+Limit) of the merged list comes from the
	// store's [Offset-len(fresh), Offset+Limit).
	sub := q
	sub.Offset = max(0, q.Offset-len(fresh))
	sub.Limit = q.Limit + q.Offset - sub.Offset
	stored, total, err := w.store.Find(ctx, sub, except)
	if err != nil {
		return nil, 0, err
	}
	merged := append(stored, fresh...)
	slices.SortFunc(merged, q.compare)
	from := min(q.Offset-sub.Offset, len(merged))
	to := min(from+q.Limit, len(merged))
	return merged[from:to], total + len(fresh), nil
}

// pending returns the waiting calls that q asks for, and all whose older state
// in the store q might ask for.
func (w *Writer) pending(q Query) (fresh []Call, except []phone.CallID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, p := range w.queue.calls {
		if !q.fixed(&p.call) {
			continue
		}
		// Known to the store or not: it may be stored between here and there.
		except = append(except, id)
		if q.Match(&p.call) {
			fresh = append(fresh, q.shown(p.call))
		}
	}
	return fresh, except
}

// Call returns one call in its newest state with all its notes' Detail;
// phone.NotFound if there is none.
func (w *Writer) Call(ctx context.Context, id phone.CallID) (Call, error) {
	w.mu.Lock()
	p, ok := w.queue.calls[id]
	var c Call
	if ok {
		c = p.call
		c.Steps = slices.Clone(c.Steps)
	}
	w.mu.Unlock()
	older, err := w.store.Call(ctx, id)
	if !ok {
		return older, err
	}
	if err == nil {
		c.takeDetails(&older)
		c.Archived = older.Archived
	}
	return c, nil
}

// Messages returns the SIP messages kept of a call, in order. Those of a call
// not yet answered, and those that wait for a failing store, are not among them.
func (w *Writer) Messages(ctx context.Context, id phone.CallID) ([]Message, error) {
	if err := w.Flush(ctx); ctx.Err() != nil {
		return nil, err
	}
	return w.store.Messages(ctx, id)
}

// Personal hands over all that is kept about an outside number, oldest call
// first; it stops at the first error of each.
func (w *Writer) Personal(ctx context.Context, number phone.E164, each func(Account) error) error {
	if err := w.Flush(ctx); err != nil {
		return err
	}
	return w.store.Personal(ctx, number, each)
}

// Erase takes an outside number out of every ended call: times and outcome
// stay, everything about the person goes.
func (w *Writer) Erase(ctx context.Context, number phone.E164) (Erased, error) {
	// Nothing older may come after the erasing. The goroutine itself stays free:
	// a large database is erased slowly.
	if err := w.Flush(ctx); err != nil {
		return Erased{}, err
	}
	return w.store.Erase(ctx, number)
}

// Interrupted closes the calls that an earlier process left open and returns
// their dialogs, so that each can be sent a BYE and then closed with
// DialogClosed. To be called once, before the first call.
func (w *Writer) Interrupted(ctx context.Context) ([]Dialog, error) {
	var dialogs []Dialog
	err := w.ask(ctx, func() error {
		if err := w.storeAll(); err != nil { // a call's end may stand in the spill file
			return err
		}
		var err error
		dialogs, err = w.store.Interrupt(ctx)
		return err
	})
	return dialogs, err
}

// Flush stores all that waits now.
func (w *Writer) Flush(ctx context.Context) error { return w.ask(ctx, w.storeAll) }

// shown is c as the store's Find gives it.
func (q Query) shown(c Call) Call {
	if q.Bare {
		c.Steps, c.Offers = nil, nil
		return c
	}
	return c.withoutDetails()
}

// withoutDetails is c with notes that have no Detail.
func (c Call) withoutDetails() Call {
	c.Steps = slices.Clone(c.Steps)
	for i := range c.Steps {
		c.Steps[i].Detail = nil
	}
	return c
}
