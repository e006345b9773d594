package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/ringpath/ringpath/internal/access"
)

// APIKeys implements access.Store.
func (db *DB) APIKeys(ctx context.Context) ([]access.Hashed, error) {
	const what = "read API keys"
	rows, err := db.read.QueryContext(ctx, `SELECT id, name, scopes, hash, created_at_s, last_used_at_s
		FROM api_keys ORDER BY created_at_s, id`)
	if err != nil {
		return nil, fail(what, err)
	}
	defer rows.Close()
	var keys []access.Hashed
	for rows.Next() {
		var k access.Hashed
		var scopes string
		var created, used int64
		if err := rows.Scan(&k.ID, &k.Name, &scopes, &k.Hash, &created, &used); err != nil {
			return nil, fail(what, err)
		}
		for s := range strings.FieldsSeq(scopes) {
			k.Scopes = append(k.Scopes, access.Scope(s))
		}
		k.CreatedAt = time.Unix(created, 0).UTC()
		if used != 0 {
			k.LastUsedAt = time.Unix(used, 0).UTC()
		}
		keys = append(keys, k)
	}
	return keys, fail(what, rows.Err())
}

// AddAPIKey implements access.Store.
func (db *DB) AddAPIKey(ctx context.Context, k access.Hashed) error {
	var scopes []string
	for _, s := range k.Scopes {
		scopes = append(scopes, string(s))
	}
	_, err := db.write.ExecContext(ctx, `INSERT INTO api_keys (id, name, scopes, hash, created_at_s, last_used_at_s)
		VALUES ($1, $2, $3, $4, $5, 0)`,
		k.ID, k.Name, strings.Join(scopes, " "), k.Hash, k.CreatedAt.Unix())
	return fail("add an API key", err)
}

// RemoveAPIKey implements access.Store.
func (db *DB) RemoveAPIKey(ctx context.Context, id string) error {
	const what = "API key"
	res, err := db.write.ExecContext(ctx, `DELETE FROM api_keys WHERE id = $1`, id)
	if err != nil {
		return fail(what, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return fail(what, sql.ErrNoRows)
	}
	return nil
}

// UsedAPIKeys implements access.Store.
func (db *DB) UsedAPIKeys(ctx context.Context, at map[string]time.Time) error {
	return db.change(ctx, "note the use of API keys", func(tx *sql.Tx) error {
		for id, t := range at {
			_, err := tx.ExecContext(ctx, `UPDATE api_keys SET last_used_at_s = $1 WHERE id = $2`, t.Unix(), id)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
