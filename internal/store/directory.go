package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/phone"
)

// LoadDirectory implements directory.Store.
func (db *DB) LoadDirectory(ctx context.Context) (entries []directory.Entry, rev int64, err error) {
	const what = "load the directory"
	// One transaction, so that entries and revision belong together.
	tx, err := db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, 0, fail(what, err)
	}
	defer tx.Rollback()
	if rev, err = mark(ctx, tx, "directory_rev"); err != nil {
		return nil, 0, fail(what, err)
	}
	rows, err := tx.QueryContext(ctx, `SELECT kind, id, name, position, body, secrets, created_at_s
		FROM directory_entries ORDER BY kind, position, id`)
	if err != nil {
		return nil, 0, fail(what, err)
	}
	defer rows.Close()
	for rows.Next() {
		var e directory.Entry
		var secrets string
		var created int64
		if err := rows.Scan(&e.Kind, &e.ID, &e.Name, &e.Position, &e.Body, &secrets, &created); err != nil {
			return nil, 0, fail(what, err)
		}
		if secrets != "" {
			if err := json.Unmarshal([]byte(secrets), &e.Secrets); err != nil {
				return nil, 0, fail(what, err)
			}
		}
		e.CreatedAt = time.Unix(created, 0).UTC()
		entries = append(entries, e)
	}
	return entries, rev, fail(what, rows.Err())
}

// SaveDirectory implements directory.Store.
func (db *DB) SaveDirectory(ctx context.Context, rev int64, changes []directory.Change) (int64, error) {
	err := db.change(ctx, "save the directory", func(tx *sql.Tx) error {
		have, err := mark(ctx, tx, "directory_rev")
		if err != nil {
			return err
		}
		if have != rev {
			return &phone.Error{Kind: phone.Conflict, Text: "the directory has changed meanwhile: read it again"}
		}
		for _, c := range changes {
			if err := saveEntry(ctx, tx, c); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, setMark, "directory_rev", rev+1)
		return err
	})
	if err != nil {
		return 0, err
	}
	return rev + 1, nil
}

func saveEntry(ctx context.Context, tx *sql.Tx, c directory.Change) error {
	e := c.Entry
	if c.Removed {
		_, err := tx.ExecContext(ctx, `DELETE FROM directory_entries WHERE kind = $1 AND id = $2`, string(e.Kind), e.ID)
		return err
	}
	secrets := ""
	if len(e.Secrets) > 0 {
		b, err := json.Marshal(e.Secrets)
		if err != nil {
			return err
		}
		secrets = string(b)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO directory_entries (kind, id, name, position, body, secrets, created_at_s)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (kind, id) DO UPDATE SET name = excluded.name, position = excluded.position,
			body = excluded.body, secrets = excluded.secrets, created_at_s = excluded.created_at_s`,
		string(e.Kind), e.ID, e.Name, e.Position, string(e.Body), secrets, e.CreatedAt.Unix())
	return err
}
