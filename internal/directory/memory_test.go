package directory

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// memory is a Store for tests of this package; the real ones are tested by
// their conformance suite.
type memory struct {
	entries map[[2]any]Entry
	rev     int64
	fail    error // the next save fails with it
}

func (m *memory) LoadDirectory(context.Context) ([]Entry, int64, error) {
	var all []Entry
	for _, e := range m.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Position, b.Position), cmp.Compare(a.ID, b.ID))
	})
	return all, m.rev, nil
}

func (m *memory) SaveDirectory(_ context.Context, rev int64, changes []Change) (int64, error) {
	if m.fail != nil {
		return 0, m.fail
	}
	if rev != m.rev {
		return 0, &phone.Error{Kind: phone.Conflict, Text: "moved"}
	}
	if m.entries == nil {
		m.entries = map[[2]any]Entry{}
	}
	for _, c := range changes {
		key := [2]any{c.Entry.Kind, c.Entry.ID}
		if c.Removed {
			delete(m.entries, key)
			continue
		}
		m.entries[key] = c.Entry
	}
	m.rev++
	return m.rev, nil
}

func testBox(t testing.TB) *secret.Box {
	t.Helper()
	box, err := secret.NewBox(slices.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func openTest(t testing.TB, store Store) *Directory {
	t.Helper()
	d, err := Open(t.Context(), store, testBox(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// mustParse reads a document; version: 1 is put in front.
func mustParse(t testing.TB, text string) Document {
	t.Helper()
	doc, faults := Parse("test.yaml", []byte("version: 1\n"+text), nil)
	if faults.Fatal() {
		t.Fatal(faults)
	}
	return doc
}

func apply(t testing.TB, d *Directory, text string, o ApplyOptions) Plan {
	t.Helper()
	plan, err := d.Apply(t.Context(), mustParse(t, text), o)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

var errDisk = errors.New("disk full")
