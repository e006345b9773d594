package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// Interrupt implements record.Store.
func (db *DB) Interrupt(ctx context.Context) ([]record.Dialog, error) {
	var dialogs []record.Dialog
	err := db.change(ctx, "close interrupted calls", func(tx *sql.Tx) error {
		alive, err := mark(ctx, tx, "alive_at_us")
		if err != nil {
			return err
		}
		// The end is the last moment known: that the program lived, or what the
		// call itself had seen by then, whichever is later.
		_, err = tx.ExecContext(ctx, `UPDATE calls SET status = $1, cause = $2, ended_by = $3, version = version + 1,
				ended_at_us = CASE
					WHEN answered_at_us > $4 THEN answered_at_us
					WHEN started_at_us > $4 THEN started_at_us
					ELSE $4 END
			WHERE status <> 'done'`,
			string(record.Done), string(phone.CauseInterrupted), "system", alive)
		if err != nil {
			return err
		}
		// A leg whose BYE was lost in an earlier crash is among them again; one
		// of a call that ended in order is not worth a BYE.
		_, err = tx.ExecContext(ctx, `DELETE FROM dialogs WHERE call_id NOT IN
			(SELECT d.call_id FROM dialogs d JOIN calls c ON c.id = d.call_id WHERE c.cause = $1)`,
			string(phone.CauseInterrupted))
		if err != nil {
			return err
		}
		dialogs, err = readDialogs(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return dialogs, nil
}

func readDialogs(ctx context.Context, tx *sql.Tx) ([]record.Dialog, error) {
	rows, err := tx.QueryContext(ctx, `SELECT body FROM dialogs ORDER BY leg`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var dialogs []record.Dialog
	for rows.Next() {
		var body string
		var d record.Dialog
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &d); err != nil {
			return nil, err
		}
		dialogs = append(dialogs, d)
	}
	return dialogs, rows.Err()
}
