package store

import (
	"context"
	"database/sql"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// about finds the calls that have to do with a number: the outside party's, and
// those it was rung in, or named in, as an external target. The first kind has an
// index; the others take a walk through all calls, which this rare act may.
const about = `(outside = $1 OR external = $1 OR offers LIKE $2 OR steps LIKE $2)`

func aboutArgs(number phone.E164) []any {
	return []any{string(number), `%"` + string(number) + `"%`}
}

// Personal implements record.Store.
func (db *DB) Personal(ctx context.Context, number phone.E164, each func(record.Account) error) error {
	const what = "personal data"
	ids, err := db.ids(ctx, "SELECT id FROM calls WHERE "+about+" ORDER BY id", aboutArgs(number)...)
	if err != nil {
		return fail(what, err)
	}
	for _, id := range ids {
		var a record.Account
		if a.Call, err = db.Call(ctx, id); err != nil {
			return err
		}
		if a.Messages, err = db.Messages(ctx, id); err != nil {
			return err
		}
		if err := each(a); err != nil {
			return err
		}
	}
	return nil
}

// Erase implements record.Store.
func (db *DB) Erase(ctx context.Context, number phone.E164) (record.Erased, error) {
	const what = "erase a number"
	var erased record.Erased
	if number == "" {
		return erased, &phone.Error{Kind: phone.Invalid, Text: what + ": there is none"}
	}
	ids, err := db.ids(ctx, "SELECT id FROM calls WHERE "+about+" AND status = 'done' ORDER BY id", aboutArgs(number)...)
	if err != nil {
		return erased, fail(what, err)
	}
	for len(ids) > 0 {
		n := min(len(ids), sweepChunk)
		err := db.change(ctx, what, func(tx *sql.Tx) error {
			for _, id := range ids[:n] {
				if err := eraseCall(ctx, tx, id, number); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return erased, err
		}
		erased.Calls += n
		ids = ids[n:]
	}
	running, err := db.ids(ctx, "SELECT id FROM calls WHERE "+about+" AND status <> 'done'", aboutArgs(number)...)
	erased.Running = len(running)
	if err != nil {
		return erased, fail(what, err)
	}
	// secure_delete has blanked the rows in the database; the log has old pages
	// until it is folded in.
	_, err = db.write.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return erased, fail(what, err)
}

func eraseCall(ctx context.Context, tx *sql.Tx, id phone.CallID, number phone.E164) error {
	rows, err := tx.QueryContext(ctx, "SELECT "+callColumns+" FROM calls WHERE id = $1", int64(id))
	if err != nil {
		return err
	}
	var c record.Call
	for rows.Next() {
		if c, err = scanCall(rows); err != nil {
			break
		}
	}
	if err := firstError(err, rows.Err(), rows.Close()); err != nil {
		return err
	}
	c.Erase(number)
	steps, err := list(c.Steps)
	if err != nil {
		return err
	}
	offers, err := list(c.Offers)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE calls SET version = version + 1, outside = $1, caller = $2, caller_name = $3, called = $4,
		sip_call_id = $5, external = $6, steps = $7, offers = $8, erased = $9 WHERE id = $10`,
		string(c.Outside()), string(c.Caller), c.CallerName, string(c.Called), c.SIPCallID,
		string(c.External), steps, offers, flag(c.Erased), int64(id)); err != nil {
		return err
	}
	for _, table := range []string{"traces", "messages"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE call_id = $1", int64(id)); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) ids(ctx context.Context, text string, args ...any) ([]phone.CallID, error) {
	rows, err := db.read.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []phone.CallID
	for rows.Next() {
		var id phone.CallID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
