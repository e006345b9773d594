package store_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/store"
)

func openWriter(t *testing.T, db *store.DB, opts record.Options) *record.Writer {
	t.Helper()
	w, err := record.Open(db, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return w
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// lastOf is Search Calls' question about the nth call's caller.
func lastOf(n int) record.Query {
	return record.Query{Outside: caller(n), Order: record.NewestFirst}
}

func TestHangUpAndCallAgain(t *testing.T) {
	w := openWriter(t, empty(t), record.Options{})
	for n := range 20 {
		c := routed(start, n)
		w.Opened(c)
		if n%2 == 0 { // its opening is stored
			if err := w.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c = ended(c)
		w.Ended(c)
		calls, total, err := w.Find(t.Context(), lastOf(n))
		if err != nil || total != 1 || len(calls) != 1 || calls[0].ID != c.ID || calls[0].User != c.User {
			t.Fatalf("call %d, 0 ms after its end: got %v, total %d, %v, want it", n, calls, total, err)
		}
	}
}

// eventually waits until ok, a minute at most.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("still not after a minute: %s", what)
		}
	}
}

// Another program holds the database's lock for longer than we wait for it.
func TestLockedDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ringpath.db")
	db := open(t, path)
	var log bytes.Buffer // written by the writer's goroutine, read after Close
	w := openWriter(t, db, record.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	raw := rawDB(t, path)
	raw.SetMaxOpenConns(1)
	if _, err := raw.Exec(`BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	const n = 500
	for i := range n {
		w.Ended(ended(routed(start, i)))
	}
	eventually(t, "the writer notices", func() bool { return w.Stats().Failing })
	if calls, _, err := w.Find(t.Context(), lastOf(7)); err != nil || len(calls) != 1 {
		t.Errorf("Find while locked: %d calls, %v, want 1", len(calls), err)
	}
	if _, err := raw.Exec(`ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is stored", func() bool { return w.Stats() == record.Stats{} })
	if _, total, err := db.Find(t.Context(), record.Query{}.Normal(), nil); total != n || err != nil {
		t.Errorf("%d calls stored, %v, want %d", total, err, n)
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := log.String(), "locked by another program"; strings.Count(got, want) != 1 {
		t.Errorf("the log says %q, want %q once", got, want)
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	db := empty(t)
	w := openWriter(t, db, record.Options{})
	pages, err := db.Pages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.LimitPages(t.Context(), pages+2); err != nil {
		t.Fatal(err)
	}
	const n = 300
	for i := range n {
		w.Ended(ended(routed(start, i)))
	}
	if err := w.Flush(t.Context()); phone.KindOf(err) != phone.Busy || !strings.Contains(phone.TextOf(err), "disk is full") {
		t.Errorf("Flush: got %v, want kind %s and words about the disk", err, phone.Busy)
	}
	if _, total, err := w.Find(t.Context(), record.Query{}); total != n || err != nil {
		t.Errorf("Find on a full disk: total %d, %v, want %d", total, err, n)
	}
	if err := db.LimitPages(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is stored", func() bool { return w.Stats() == record.Stats{} })
	if _, total, err := db.Find(t.Context(), record.Query{}.Normal(), nil); total != n || err != nil {
		t.Errorf("%d calls stored, %v, want %d", total, err, n)
	}
}

// What is erased is not left in the files either.
func TestEraseLeavesNoTrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ringpath.db")
	db := open(t, path)
	w := openWriter(t, db, record.Options{})
	const number = phone.E164("+14155557777")
	for i := range 200 {
		c := routed(start, i)
		if i%3 == 0 {
			c.Caller, c.CallerName = number, "Person To Forget"
		}
		w.Opened(c)
		w.Message(record.Message{Call: c.ID, Raw: []byte("INVITE sip:x SIP/2.0\r\nFrom: <sip:" + string(c.Caller) + "@h>\r\n")})
		w.Ended(ended(c))
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	secrets := []string{number.Digits(), "Person To Forget"}
	inFiles := func(secret string) bool {
		for _, name := range []string{path, path + "-wal"} {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(content, []byte(secret)) {
				return true
			}
		}
		return false
	}
	for _, s := range secrets {
		if !inFiles(s) {
			t.Errorf("%q is not in the files before", s)
		}
	}
	if got, err := w.Erase(t.Context(), number); err != nil || got.Calls != 67 {
		t.Fatalf("Erase: got %+v, %v, want 67 calls", got, err)
	}
	for _, s := range secrets {
		if inFiles(s) {
			t.Errorf("%q is still in the files", s)
		}
	}
}

// Everything at once; -race watches.
func TestSideBySide(t *testing.T) {
	db := empty(t)
	w := openWriter(t, db, record.Options{})
	const n = 60
	acts := []func(i int) error{
		func(i int) error { w.Opened(routed(start, i)); w.Ended(ended(routed(start, i))); return nil },
		func(i int) error { _, _, err := w.Find(t.Context(), lastOf(i)); return err },
		func(i int) error { _, _, err := w.Find(t.Context(), record.Query{Offset: i}); return err },
		func(i int) error { _, err := db.SaveDirectory(t.Context(), int64(i), nil); return err },
		func(i int) error { _, _, err := db.LoadDirectory(t.Context()); return err },
		func(i int) error { _, err := db.Sweep(t.Context(), start, record.DefaultKeep()); return err },
	}
	var wg sync.WaitGroup
	for _, act := range acts {
		wg.Go(func() {
			for i := range n {
				if err := act(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if _, total, err := w.Find(t.Context(), record.Query{}); total != n || err != nil {
		t.Errorf("%d calls, %v, want %d", total, err, n)
	}
}
