package store_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/store"
	"github.com/ringpath/ringpath/internal/store/storetest"
)

func open(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

func empty(t *testing.T) *store.DB {
	return open(t, filepath.Join(t.TempDir(), "a b%20c?#.db")) // a path is no URL
}

func TestRecords(t *testing.T) {
	storetest.TestRecords(t, func(t *testing.T) record.Store { return empty(t) })
}

func TestDirectory(t *testing.T) {
	storetest.TestDirectory(t, func(t *testing.T) directory.Store { return empty(t) })
}

func TestKeys(t *testing.T) {
	storetest.TestKeys(t, func(t *testing.T) access.Store { return empty(t) })
}

func TestOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ringpath.db")
	db := open(t, path)
	if _, err := db.SaveDirectory(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s: mode %o, want 600", name, got)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, rev, err := open(t, path).LoadDirectory(t.Context()); rev != 1 || err != nil {
		t.Errorf("opened again: revision %d, %v, want 1", rev, err)
	}
	if _, err := store.Open(t.Context(), filepath.Join(path, "x.db")); err == nil {
		t.Error("Open took a path below a file")
	}
}

func TestOpenNewerDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ringpath.db")
	open(t, path).Close()
	raw := rawDB(t, path)
	if _, err := raw.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), path); phone.KindOf(err) != phone.Conflict {
		t.Errorf("Open: got %v, want kind %s", err, phone.Conflict)
	}
}

// The questions of every call must not walk through the table.
func TestFindUsesIndexes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ringpath.db")
	open(t, path)
	raw := rawDB(t, path)
	for query, want := range map[string]string{
		`SELECT id FROM calls WHERE status IN ('done', 'answered') AND outside = '+1' ORDER BY id DESC LIMIT 20 OFFSET 0`: "SEARCH calls USING INDEX calls_outside (outside=?)",
		`SELECT id FROM calls WHERE status IN ('done') AND user_id = 4 ORDER BY id LIMIT 20 OFFSET 0`:                     "SEARCH calls USING INDEX calls_user (user_id=?)",
		`SELECT id FROM calls WHERE status IN ('done') AND id >= 5 AND id < 9 ORDER BY id DESC LIMIT 20 OFFSET 0`:         "SEARCH calls USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
		`UPDATE calls SET status = 'done' WHERE status <> 'done'`:                                                         "SCAN calls USING INDEX calls_open",
	} {
		var id, parent, unused int
		var got string
		if err := raw.QueryRow("EXPLAIN QUERY PLAN "+query).Scan(&id, &parent, &unused, &got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s:\n got plan %s\nwant      %s", query, got, want)
		}
	}
}

func rawDB(t *testing.T, path string) *sql.DB {
	t.Helper()
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return raw
}

func TestEndedContext(t *testing.T) {
	db := empty(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := db.Find(ctx, record.Query{}.Normal(), nil); phone.KindOf(err) != phone.Timeout {
		t.Errorf("Find with an ended context: got %v, want kind %s", err, phone.Timeout)
	}
}
