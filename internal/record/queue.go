package record

import (
	"slices"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// maxQueuedBytes bounds the traces and SIP messages that wait in memory; with
// that much the queue counts as full.
const maxQueuedBytes = 64 << 20

// queue holds what waits to be stored, one entry per call however often the
// call changed. The Writer's lock guards it.
type queue struct {
	limit   int // entries; from here on the queue is full
	calls   map[phone.CallID]*waiting
	order   []*waiting // the calls not yet handed to the store, oldest first
	rest    []Entry    // everything else, oldest first
	bytes   int        // of traces and messages in order and rest
	dropped int        // entries refused at twice the limit
}

// waiting is a call whose newest state the store does not have.
type waiting struct {
	call   Call
	size   int  // bytes of its traces
	queued bool // in order; else its last state is with the store right now
}

func (q *queue) len() int { return len(q.order) + len(q.rest) }

func (q *queue) full() bool { return q.len() >= q.limit || q.bytes >= maxQueuedBytes }

// put takes the newest state of a call. Detail that only the waiting state has
// is kept: a call hands over each trace once.
func (q *queue) put(c Call) {
	w, ok := q.calls[c.ID]
	if !ok {
		if q.len() >= 2*q.limit {
			q.dropped++
			return
		}
		w = &waiting{}
		q.calls[c.ID] = w
	} else {
		c.takeDetails(&w.call)
	}
	size := detailBytes(&c)
	if w.queued {
		q.bytes -= w.size
	} else {
		q.order = append(q.order, w)
		w.queued = true
	}
	w.call, w.size = c, size
	q.bytes += size
}

// add takes anything that is not a call.
func (q *queue) add(e Entry) {
	if q.len() >= 2*q.limit {
		q.dropped++
		return
	}
	q.rest = append(q.rest, e)
	q.bytes += e.size()
}

// take removes up to n of the oldest entries for the store. Their calls stay
// findable until done.
func (q *queue) take(n int) []Entry {
	batch := make([]Entry, 0, min(n, q.len()))
	k := min(n, len(q.order))
	for _, w := range q.order[:k] {
		w.queued = false
		q.bytes -= w.size
		c := w.call
		batch = append(batch, Entry{Call: &c})
	}
	q.order = slices.Delete(q.order, 0, k)
	k = min(n-k, len(q.rest))
	for _, e := range q.rest[:k] {
		q.bytes -= e.size()
		batch = append(batch, e)
	}
	q.rest = slices.Delete(q.rest, 0, k)
	return batch
}

// finish forgets a batch that is safe elsewhere.
func (q *queue) finish(batch []Entry) {
	for _, e := range batch {
		if e.Call == nil {
			continue
		}
		if w := q.calls[e.Call.ID]; w != nil && !w.queued {
			delete(q.calls, e.Call.ID)
		}
	}
}

// back puts a batch that was not stored to the front again.
func (q *queue) back(batch []Entry) {
	var order []*waiting
	var rest []Entry
	for _, e := range batch {
		if e.Call == nil {
			rest = append(rest, e)
			q.bytes += e.size()
			continue
		}
		if w := q.calls[e.Call.ID]; w != nil && !w.queued { // else a newer state waits already
			w.queued = true
			q.bytes += w.size
			order = append(order, w)
		}
	}
	q.order = append(order, q.order...)
	q.rest = append(rest, q.rest...)
}

// size is the entry's share of queue.bytes.
func (e Entry) size() int {
	switch {
	case e.Message != nil:
		return len(e.Message.Raw)
	case e.Call != nil:
		return detailBytes(e.Call)
	}
	return 0
}

func detailBytes(c *Call) int {
	n := 0
	for i := range c.Steps {
		n += len(c.Steps[i].Detail)
	}
	return n
}

// takeDetails fills in each note's Detail that c lacks and older has.
func (c *Call) takeDetails(older *Call) {
	for i := range c.Steps[:min(len(c.Steps), len(older.Steps))] {
		if len(c.Steps[i].Detail) == 0 {
			c.Steps[i].Detail = older.Steps[i].Detail
		}
	}
}

// snapshot copies what the call's goroutine goes on changing, with every time
// in UTC and whole microseconds, as a store gives it back.
func snapshot(c Call) Call {
	for _, t := range []*time.Time{&c.StartedAt, &c.ConnectedAt, &c.AnsweredAt, &c.EndedAt} {
		*t = micros(*t)
	}
	c.Teams = slices.Clone(c.Teams)
	c.Steps = slices.Clone(c.Steps)
	for i := range c.Steps {
		c.Steps[i].At = micros(c.Steps[i].At)
	}
	c.Offers = slices.Clone(c.Offers)
	for i := range c.Offers {
		o := &c.Offers[i]
		o.At, o.RangAt, o.EndedAt = micros(o.At), micros(o.RangAt), micros(o.EndedAt)
	}
	return c
}

// micros is t in UTC and whole microseconds.
func micros(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Truncate(time.Microsecond).UTC()
}
