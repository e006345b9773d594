package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/ringpath/ringpath/internal/phone"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many queries run side by side; writing is one at a time.
const readers = 4

// DB is an open database.
type DB struct {
	write *sql.DB // one connection: SQLite has one writer, and so nobody here waits for a lock but in Go
	read  *sql.DB

	save saving

	mu    sync.Mutex
	finds map[string]*sql.Stmt // Find's statements by their text
}

// Open opens the SQLite database at path, makes it when it is not there (0600),
// and brings it to the newest form.
//
// WAL lets readers go on beside the writer. synchronous is FULL, one sync a
// batch: with some 13 batches a second at most it costs little, and the promise
// that a crash loses at most the last 200 ms then holds for a power cut too.
func Open(ctx context.Context, path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	f.Close()
	db := &DB{finds: map[string]*sql.Stmt{}}
	if db.write, err = connect(path, url.Values{
		"_txlock": {"immediate"}, // else a transaction that reads first may fail at its first write
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "secure_delete(1)",
			"journal_size_limit(67108864)", "cache_size(-8000)"},
	}, 1); err == nil {
		db.read, err = connect(path, url.Values{
			"_pragma": {"busy_timeout(5000)", "query_only(1)", "cache_size(-4000)"},
		}, readers)
	}
	if err == nil {
		err = migrate(ctx, db.write)
	}
	if err == nil {
		err = db.save.prepare(ctx, db.write)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return db, nil
}

// Close closes all connections. The last one folds the log into the database.
func (db *DB) Close() error {
	var errs []error
	for _, pool := range []*sql.DB{db.read, db.write} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

func connect(path string, options url.Values, n int) (*sql.DB, error) {
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: options.Encode()}
	pool, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(n)
	pool.SetMaxIdleConns(n)
	return pool, nil
}

// migrate brings the database to this program's form. One that a newer program
// has changed is left alone.
func migrate(ctx context.Context, pool *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, pool, files)
	if err != nil {
		return err
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	if have > newest {
		return &phone.Error{Kind: phone.Conflict, Text: fmt.Sprintf(
			"the database has form %d, this program knows %d: it is older than the one that wrote it", have, newest)}
	}
	_, err = p.Up(ctx)
	return err
}

// fail wraps an error of the database: with the kind of what can be done, and
// with what was tried.
func fail(what string, err error) error {
	if err == nil {
		return nil
	}
	var known *phone.Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, sql.ErrNoRows) {
		return &phone.Error{Kind: phone.NotFound, Text: what + ": not found"}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &phone.Error{Kind: phone.Timeout, Text: what + ": not in time", Err: err}
	}
	var s *sqlite.Error
	if errors.As(err, &s) {
		switch s.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return &phone.Error{Kind: phone.Busy, Text: what + ": the database is locked by another program", Err: err}
		case sqlite3.SQLITE_FULL:
			return &phone.Error{Kind: phone.Busy, Text: what + ": the disk is full", Err: err}
		}
	}
	return &phone.Error{Kind: phone.Internal, Text: what + ": the database failed", Err: err}
}

// change runs fn in a writing transaction.
func (db *DB) change(ctx context.Context, what string, fn func(*sql.Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fail(what, err)
	}
	if err := fn(tx); err != nil {
		return fail(what, errors.Join(err, tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		// SQLite may leave a transaction open whose COMMIT failed, and then
		// refuse every further one on this, the only connection.
		_, _ = db.write.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // fails where it did not
		return fail(what, err)
	}
	return nil
}

// mark reads a number of marks; 0 when it was never set.
func mark(ctx context.Context, tx *sql.Tx, name string) (int64, error) {
	var v int64
	err := tx.QueryRowContext(ctx, `SELECT value FROM marks WHERE name = $1`, name).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return v, err
}

const setMark = `INSERT INTO marks (name, value) VALUES ($1, $2)
	ON CONFLICT (name) DO UPDATE SET value = excluded.value`
