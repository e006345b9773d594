package storetest

import (
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/phone"
)

// TestKeys runs the suite of access.Store.
func TestKeys(t *testing.T, open func(*testing.T) access.Store) {
	key := func(id string, minute int) access.Hashed {
		return access.Hashed{
			Key: access.Key{ID: id, Name: "Zoë's \"key\"", Scopes: []access.Scope{access.APIRead, access.V1Write},
				CreatedAt: Start.Add(time.Duration(minute) * time.Minute)},
			Hash: []byte{0, 1, 0xff},
		}
	}
	holds := func(t *testing.T, s access.Store, want ...access.Hashed) {
		t.Helper()
		got, err := s.APIKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "keys", got, want)
	}
	filled := func(t *testing.T) access.Store {
		s := open(t)
		holds(t, s)
		for _, k := range []access.Hashed{key("b", 2), key("a", 1)} {
			if err := s.AddAPIKey(t.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}

	t.Run("oldest first", func(t *testing.T) {
		holds(t, filled(t), key("a", 1), key("b", 2))
	})
	t.Run("removed", func(t *testing.T) {
		s := filled(t)
		if err := s.RemoveAPIKey(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		holds(t, s, key("b", 2))
		if err := s.RemoveAPIKey(t.Context(), "a"); phone.KindOf(err) != phone.NotFound {
			t.Errorf("again: got %v, want kind %s", err, phone.NotFound)
		}
	})
	t.Run("used", func(t *testing.T) {
		s := filled(t)
		at := Start.Add(time.Hour)
		if err := s.UsedAPIKeys(t.Context(), map[string]time.Time{"b": at, "unknown": at}); err != nil {
			t.Fatal(err)
		}
		b := key("b", 2)
		b.LastUsedAt = at
		holds(t, s, key("a", 1), b)
	})
	t.Run("an id twice", func(t *testing.T) {
		s := filled(t)
		if err := s.AddAPIKey(t.Context(), key("a", 3)); err == nil {
			t.Error("AddAPIKey took an id that there is already")
		}
		holds(t, s, key("a", 1), key("b", 2))
	})
}
