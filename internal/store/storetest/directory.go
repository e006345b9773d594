package storetest

import (
	"testing"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/phone"
)

// TestDirectory runs the suite of directory.Store.
func TestDirectory(t *testing.T, open func(*testing.T) directory.Store) {
	user := func(id int64, name string, position int) directory.Entry {
		return directory.Entry{Kind: directory.KindUser, ID: id, Name: name, Position: position,
			Body: []byte(`{"name":"Zoë"}`), CreatedAt: Start}
	}
	trunk := directory.Entry{Kind: directory.KindTrunk, ID: 1, Name: "carrier", Body: []byte(`{}`),
		Secrets: map[string][]byte{"password": {0, 1, 0xff}}, CreatedAt: Start}
	add := func(entries ...directory.Entry) []directory.Change {
		var changes []directory.Change
		for _, e := range entries {
			changes = append(changes, directory.Change{Entry: e})
		}
		return changes
	}

	t.Run("empty", func(t *testing.T) {
		holdsDirectory(t, open(t), 0)
	})
	t.Run("by kind and position", func(t *testing.T) {
		s := open(t)
		saveDirectory(t, s, 0, add(user(3, "b", 1), trunk, user(9, "a", 0)))
		holdsDirectory(t, s, 1, trunk, user(9, "a", 0), user(3, "b", 1))
	})
	t.Run("replaced whole and removed", func(t *testing.T) {
		s := open(t)
		saveDirectory(t, s, 0, add(user(3, "b", 1), user(4, "c", 2), trunk))
		bare := trunk
		bare.Secrets, bare.Name = nil, "other"
		saveDirectory(t, s, 1, append(add(bare), directory.Change{Entry: directory.Entry{Kind: directory.KindUser, ID: 3}, Removed: true}))
		holdsDirectory(t, s, 2, bare, user(4, "c", 2))
	})
	t.Run("names change places", func(t *testing.T) {
		s := open(t)
		saveDirectory(t, s, 0, add(user(1, "a", 0), user(2, "b", 1)))
		saveDirectory(t, s, 1, add(user(1, "b", 0), user(2, "a", 1)))
		holdsDirectory(t, s, 2, user(1, "b", 0), user(2, "a", 1))
	})
	t.Run("another revision", func(t *testing.T) {
		s := open(t)
		saveDirectory(t, s, 0, add(trunk))
		for _, rev := range []int64{0, 2} {
			_, err := s.SaveDirectory(t.Context(), rev, add(user(1, "a", 0)))
			if phone.KindOf(err) != phone.Conflict {
				t.Errorf("SaveDirectory at %d: got %v, want kind %s", rev, err, phone.Conflict)
			}
		}
		holdsDirectory(t, s, 1, trunk)
	})
	t.Run("no changes", func(t *testing.T) {
		s := open(t)
		saveDirectory(t, s, 0, nil)
		holdsDirectory(t, s, 1)
	})
}

// saveDirectory saves and wants the next revision.
func saveDirectory(t *testing.T, s directory.Store, rev int64, changes []directory.Change) {
	t.Helper()
	got, err := s.SaveDirectory(t.Context(), rev, changes)
	if err != nil || got != rev+1 {
		t.Fatalf("SaveDirectory at %d: got revision %d, %v, want %d", rev, got, err, rev+1)
	}
}

// holdsDirectory wants a revision and its entries, in order.
func holdsDirectory(t *testing.T, s directory.Store, rev int64, want ...directory.Entry) {
	t.Helper()
	got, gotRev, err := s.LoadDirectory(t.Context())
	if err != nil || gotRev != rev {
		t.Fatalf("LoadDirectory: revision %d, %v, want %d", gotRev, err, rev)
	}
	same(t, "entries", got, want)
}
