package record

import (
	"context"
	"errors"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// When the Writer's goroutines act.
const (
	storeWithin = 75 * time.Millisecond // from the first news to its batch; leaves 25 ms to store it
	saveTimeout = 10 * time.Second      // a store that takes longer counts as failing
	retryFirst  = 250 * time.Millisecond
	retryMost   = 2 * time.Second
	spillPause  = time.Second      // between two tries to spill that fail
	aliveEvery  = 10 * time.Second // how exact the end of an interrupted call is
	sweepFirst  = time.Minute
	sweepEvery  = time.Hour

	maxBatch = 1000 // entries a transaction
)

// errClosed is what asking a closed Writer gives.
var errClosed = &phone.Error{Kind: phone.Unreachable, Text: "the record writer is closed"}

// start starts the goroutines; gone is closed when both have ended.
func (w *Writer) start() {
	ctx, stop := context.WithCancel(context.Background())
	w.sweep = stop
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		w.sweepAll(ctx)
	}()
	go func() {
		defer close(w.gone)
		w.run()
		stop()
		<-swept
	}()
}

// run owns the batching and the spill file.
func (w *Writer) run() {
	defer w.spill.close()
	due := time.NewTimer(storeWithin) // the first time for what an earlier process spilled
	defer due.Stop()
	armed := true
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		select {
		case <-w.wake:
			w.spillOldest()
			if !armed {
				due.Reset(storeWithin)
				armed = true
			}
		case <-due.C:
			pause, more := w.step()
			if armed = more; armed {
				due.Reset(pause)
			}
		case fn := <-w.asks:
			fn()
		case <-alive.C:
			w.saveAlive()
		case ctx := <-w.quit:
			w.finish(ctx)
			return
		}
	}
}

// ask has the goroutine do fn between two batches and waits for it.
func (w *Writer) ask(ctx context.Context, fn func() error) error {
	result := make(chan error, 1)
	select {
	case w.asks <- func() { result <- fn() }:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.gone:
		return errClosed
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// step stores the queue and then a piece of the spill file. It says whether
// there is more to do, and how long to wait before.
func (w *Writer) step() (pause time.Duration, more bool) {
	if err := w.storeQueue(); err != nil {
		w.spillOldest()
		return w.backoff(), true
	}
	if w.spill.pending() {
		if err := w.storeSpilled(); err != nil {
			return w.backoff(), true
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return storeWithin, w.queue.len() > 0 || w.spill.pending()
}

// storeAll stores everything there is, or stops at the first failure.
func (w *Writer) storeAll() error {
	if err := w.storeQueue(); err != nil {
		return err
	}
	for w.spill.pending() {
		if err := w.storeSpilled(); err != nil {
			return err
		}
	}
	return nil
}

// storeQueue stores what waits in memory, batch by batch. What comes meanwhile
// is left for the next time: else a busy hour would be one long row of tiny
// transactions.
func (w *Writer) storeQueue() error {
	w.mu.Lock()
	left := w.queue.len()
	w.mu.Unlock()
	for left > 0 {
		w.mu.Lock()
		batch := w.queue.take(min(left, maxBatch))
		w.mu.Unlock()
		left -= maxBatch
		err := w.save(batch)
		w.mu.Lock()
		if err != nil {
			w.queue.back(batch)
		} else {
			w.queue.finish(batch)
			w.noSpill = w.noSpill && w.queue.full()
		}
		w.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// storeSpilled stores the next piece of the spill file.
func (w *Writer) storeSpilled() error {
	batch, end, err := w.spill.next(maxBatch)
	if err != nil {
		w.opts.Logger.Error("the spill file of call records cannot be read", "err", err)
		return err
	}
	if err := w.save(batch); err != nil {
		return err
	}
	if err := w.spill.stored(end); err != nil {
		w.opts.Logger.Error("the spill file of call records cannot be emptied", "err", err)
		return err
	}
	if !w.spill.pending() {
		w.opts.Logger.Info("spilled call records are stored")
	}
	return nil
}

// save hands a batch to the store and keeps count of failures.
func (w *Writer) save(batch []Entry) error {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	trim(batch, w.opts.Keep())
	err := w.store.Save(ctx, time.Now(), batch)
	w.mu.Lock()
	before := w.failures
	w.failures++
	if err == nil {
		w.failures = 0
	}
	queued := w.queue.len()
	w.mu.Unlock()
	switch {
	case err != nil && before == 0:
		w.opts.Logger.Error("call records wait in memory: the database does not take them", "err", err, "queued", queued)
	case err == nil && before > 0:
		w.opts.Logger.Info("call records are stored again", "queued", queued)
	}
	return err
}

// saveAlive notes in the store that the program lives, while calls do.
func (w *Writer) saveAlive() {
	w.mu.Lock()
	live := w.live
	w.mu.Unlock()
	if live > 0 {
		_ = w.save(nil) // counted and logged there; the next batch notes it as well
	}
}

// backoff is how long to leave a failing store alone.
func (w *Writer) backoff() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := retryFirst
	for i := 1; i < w.failures && d < retryMost; i++ {
		d *= 2
	}
	return min(d, retryMost)
}

// spillOldest moves the older half of a full queue to the spill file. The newer
// half stays, because that is what the next calls' lookups ask for.
func (w *Writer) spillOldest() {
	w.mu.Lock()
	if !w.queue.full() || time.Now().Before(w.spillAgain) {
		w.mu.Unlock()
		return
	}
	batch := w.queue.take(max(w.queue.len()/2, 1))
	before := w.noSpill
	w.mu.Unlock()

	err := w.spill.append(batch)
	w.mu.Lock()
	if w.noSpill = err != nil; w.noSpill {
		w.spillAgain = time.Now().Add(spillPause)
		w.queue.back(batch)
	} else {
		w.queue.finish(batch)
	}
	w.mu.Unlock()
	switch {
	case err != nil && !before:
		w.opts.Logger.Error("new calls are refused: neither the database nor the spill file takes call records", "err", err)
	case err == nil:
		w.opts.Logger.Warn("call records moved to the spill file", "entries", len(batch))
	}
}

// finish stores all that is left until ctx ends, then spills the rest.
func (w *Writer) finish(ctx context.Context) {
	for w.storeAll() != nil {
		select {
		case <-ctx.Done():
			w.spillRest()
			return
		case <-time.After(retryFirst):
		}
	}
}

func (w *Writer) spillRest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch := w.queue.take(w.queue.len())
	if err := w.spill.append(batch); err != nil {
		w.queue.back(batch)
	}
}

// sweepAll deletes what has grown too old, every hour.
func (w *Writer) sweepAll(ctx context.Context) {
	timer := time.NewTimer(sweepFirst)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		switch swept, err := w.store.Sweep(ctx, time.Now(), w.opts.Keep()); {
		case err != nil && !errors.Is(err, context.Canceled):
			w.opts.Logger.Warn("old call records could not be deleted; trying again in an hour", "err", err)
		case err == nil && swept != Swept{}:
			w.opts.Logger.Info("old call records deleted", "calls", swept.Calls,
				"traces", swept.Traces, "answers", swept.Answers, "messages", swept.Messages)
		}
		timer.Reset(sweepEvery)
	}
}
