package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// sweepChunk is how many calls a sweep's transaction touches: the writer behind
// it waits a few milliseconds at most.
const sweepChunk = 200

// staleDialog is how long after a call's start the dialog of an ended call is
// kept, should its BYE never be confirmed.
const staleDialog = 48 * time.Hour

// Sweep implements record.Store. It goes by the calls' ids, which are their
// times; calls that still go on are left alone.
func (db *DB) Sweep(ctx context.Context, now time.Time, keep record.Keep) (record.Swept, error) {
	var swept record.Swept
	before := func(age ...time.Duration) int64 {
		oldest := age[0]
		for _, a := range age[1:] {
			oldest = min(oldest, a)
		}
		return now.Add(-oldest).UnixMicro()
	}
	for _, s := range []struct {
		count  *int
		before int64
		delete string
	}{
		{&swept.Messages, before(keep.SIP, keep.Calls), deleteSome("messages", "call_id")},
		{&swept.Traces, before(keep.Traces, keep.Calls), deleteSome("traces", "call_id")},
		{&swept.Calls, before(keep.Calls), deleteSome("calls", "id")},
		{new(int), before(staleDialog), deleteSome("dialogs", "call_id")},
	} {
		if err := db.sweep(ctx, s.delete, s.before, s.count); err != nil {
			return swept, err
		}
	}
	return swept, db.sweepAnswers(ctx, before(keep.Answers), &swept.Answers)
}

// deleteSome deletes the rows of the oldest calls before $1, $2 calls at most.
func deleteSome(table, id string) string {
	return `DELETE FROM ` + table + ` WHERE ` + id + ` IN (SELECT DISTINCT ` + id + ` FROM ` + table +
		` WHERE ` + id + ` < $1 AND ` + id + ` NOT IN (SELECT id FROM calls WHERE status <> 'done')
		ORDER BY ` + id + ` LIMIT $2)`
}

func (db *DB) sweep(ctx context.Context, text string, before int64, count *int) error {
	const what = "delete old records"
	for {
		res, err := db.write.ExecContext(ctx, text, before, sweepChunk)
		if err != nil {
			return fail(what, err)
		}
		n, err := res.RowsAffected()
		if err != nil || n == 0 {
			return fail(what, err)
		}
		*count += int(n)
	}
}

// sweepAnswers takes the APIs' answers out of traces before a time. A mark
// remembers how far it got, so that no trace is read twice.
func (db *DB) sweepAnswers(ctx context.Context, before int64, count *int) error {
	for {
		more := false
		err := db.change(ctx, "delete old answers", func(tx *sql.Tx) error {
			from, err := mark(ctx, tx, "answers_swept_call_id")
			if err != nil {
				return err
			}
			traces, err := readTraces(ctx, tx, from, before)
			if err != nil {
				return err
			}
			for _, t := range traces {
				if err := t.strip(ctx, tx, count); err != nil {
					return err
				}
			}
			next := before
			if more = len(traces) == sweepChunk; more {
				next = max(int64(traces[len(traces)-1].call), from+1) // its other notes come again, harmlessly
			}
			_, err = tx.ExecContext(ctx, setMark, "answers_swept_call_id", max(next, from))
			return err
		})
		if err != nil || !more {
			return err
		}
	}
}

// trace is one row of traces.
type trace struct {
	call   phone.CallID
	note   int
	detail string
}

func readTraces(ctx context.Context, tx *sql.Tx, from, before int64) ([]trace, error) {
	rows, err := tx.QueryContext(ctx, `SELECT call_id, note, detail FROM traces
		WHERE call_id >= $1 AND call_id < $2 ORDER BY call_id, note LIMIT $3`, from, before, sweepChunk)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []trace
	for rows.Next() {
		var t trace
		if err := rows.Scan(&t.call, &t.note, &t.detail); err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, rows.Err()
}

func (t trace) strip(ctx context.Context, tx *sql.Tx, count *int) error {
	bare := string(record.StripAnswers(json.RawMessage(t.detail)))
	if bare == t.detail {
		return nil
	}
	*count++
	_, err := tx.ExecContext(ctx, `UPDATE traces SET detail = $1 WHERE call_id = $2 AND note = $3`,
		bare, int64(t.call), t.note)
	return err
}
