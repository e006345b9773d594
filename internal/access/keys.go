package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ringpath/ringpath/internal/phone"
)

// writeUsedEvery is how often last-used times are stored.
const writeUsedEvery = time.Minute

// Keys checks API keys from memory and keeps them in a Store.
type Keys struct {
	store Store
	wrong attempts

	changing sync.Mutex // one Create or Revoke at a time

	mu   sync.RWMutex
	byID map[string]*held
}

// held is a key in memory.
type held struct {
	Hashed
	used atomic.Int64 // last check that passed, Unix seconds; 0: none since the start
}

// Open reads all keys. Run writes their last use from time to time.
func Open(ctx context.Context, store Store) (*Keys, error) {
	stored, err := store.APIKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read API keys: %w", err)
	}
	k := &Keys{store: store, byID: make(map[string]*held, len(stored))}
	for _, s := range stored {
		k.byID[s.ID] = &held{Hashed: s}
	}
	return k, nil
}

// Check returns the key with this id and token if it has the scope: else
// ErrWrong, ErrScope or, for wrong keys after 30 of them within a minute from
// the same address, ErrLimited. A right key always passes: somebody else's
// mistakes behind the same address must not stop the lookups of calls. The zero
// address is never limited.
func (k *Keys) Check(from netip.Addr, id, token string, scope Scope) (Key, error) {
	sum := sha256.Sum256([]byte(token))
	k.mu.RLock()
	h := k.byID[id]
	k.mu.RUnlock()
	var want [sha256.Size]byte // an unknown id takes the same time
	if h != nil {
		copy(want[:], h.Hash)
	}
	if subtle.ConstantTimeCompare(sum[:], want[:]) != 1 || h == nil {
		if !k.wrong.allow(from, time.Now()) {
			return Key{}, ErrLimited
		}
		return Key{}, ErrWrong
	}
	h.used.Store(time.Now().Unix())
	if !h.Allows(scope) {
		return Key{}, ErrScope
	}
	return h.key(), nil
}

// Create makes a key and returns it with its token, which nobody sees again.
// Without scopes it has v1:read.
func (k *Keys) Create(ctx context.Context, name string, scopes ...Scope) (key Key, token string, err error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > 100 || strings.ContainsFunc(name, unicode.IsControl) {
		return Key{}, "", &phone.Error{Kind: phone.Invalid, Text: "an API key needs a name of 1 to 100 characters"}
	}
	if len(scopes) == 0 {
		scopes = []Scope{V1Read}
	}
	for _, s := range scopes {
		if !slices.Contains(Scopes, s) {
			return Key{}, "", &phone.Error{Kind: phone.Invalid, Text: fmt.Sprintf("unknown scope %q: there are %v", s, Scopes)}
		}
	}
	scopes = slices.Clone(scopes)
	slices.Sort(scopes)
	token = random(32)
	sum := sha256.Sum256([]byte(token))
	h := &held{Hashed: Hashed{
		Key: Key{
			ID:        random(10),
			Name:      name,
			Scopes:    slices.Compact(scopes),
			CreatedAt: time.Now().UTC().Truncate(time.Second),
		},
		Hash: sum[:],
	}}
	k.changing.Lock()
	defer k.changing.Unlock()
	if err := k.store.AddAPIKey(ctx, h.Hashed); err != nil {
		return Key{}, "", fmt.Errorf("store API key: %w", err)
	}
	k.mu.Lock()
	k.byID[h.ID] = h
	k.mu.Unlock()
	return h.Key, token, nil
}

// Revoke ends a key at once; phone.NotFound if there is none.
func (k *Keys) Revoke(ctx context.Context, id string) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	if err := k.store.RemoveAPIKey(ctx, id); err != nil {
		return fmt.Errorf("revoke API key: %w", err)
	}
	k.mu.Lock()
	delete(k.byID, id)
	k.mu.Unlock()
	return nil
}

// Get returns one key; phone.NotFound if there is none.
func (k *Keys) Get(id string) (Key, error) {
	k.mu.RLock()
	h := k.byID[id]
	k.mu.RUnlock()
	if h == nil {
		return Key{}, &phone.Error{Kind: phone.NotFound, Text: "there is no such API key"}
	}
	return h.key(), nil
}

// List returns all keys, oldest first.
func (k *Keys) List() []Key {
	k.mu.RLock()
	list := make([]Key, 0, len(k.byID))
	for _, h := range k.byID {
		list = append(list, h.key())
	}
	k.mu.RUnlock()
	slices.SortFunc(list, func(a, b Key) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// Run stores when keys were last used, each minute and once more when ctx ends.
// A failure only leaves the stored times older: the next round writes them.
func (k *Keys) Run(ctx context.Context) {
	tick := time.NewTicker(writeUsedEvery)
	defer tick.Stop()
	written := map[string]time.Time{}
	for {
		select {
		case <-tick.C:
			k.writeUsed(ctx, written)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			k.writeUsed(last, written)
			return
		}
	}
}

// writeUsed stores the times that are not in written yet.
func (k *Keys) writeUsed(ctx context.Context, written map[string]time.Time) {
	news := map[string]time.Time{}
	for _, key := range k.List() {
		if !key.LastUsedAt.IsZero() && !key.LastUsedAt.Equal(written[key.ID]) {
			news[key.ID] = key.LastUsedAt
		}
	}
	if len(news) == 0 || k.store.UsedAPIKeys(ctx, news) != nil {
		return
	}
	for id, at := range news {
		written[id] = at
	}
}

// key is the key with its last use.
func (h *held) key() Key {
	key := h.Key
	if s := h.used.Load(); s != 0 {
		key.LastUsedAt = time.Unix(s, 0).UTC()
	}
	return key
}

// random is n random bytes in hexadecimal.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
