package access

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// Scope is one thing that a key may do. A write scope includes its read scope.
type Scope string

const (
	V1Read   Scope = "v1:read"   // the default: a key pasted into a lookup is no administrator
	V1Write  Scope = "v1:write"  //
	APIRead  Scope = "api:read"  // an administrator's reading, without API answers and SIP messages
	APIWrite Scope = "api:write" // all that an administrator may do
)

// Scopes are all there are.
var Scopes = []Scope{V1Read, V1Write, APIRead, APIWrite}

// Key is an API key without its token.
type Key struct {
	ID         string // 20 hexadecimal digits, no secret
	Name       string // what it is for, 1–100 characters
	Scopes     []Scope
	CreatedAt  time.Time
	LastUsedAt time.Time // up to a minute old; zero: never
}

// Allows says that the key has the scope, or the write scope that includes it.
func (k Key) Allows(s Scope) bool {
	if slices.Contains(k.Scopes, s) {
		return true
	}
	api, read := strings.CutSuffix(string(s), ":read")
	return read && slices.Contains(k.Scopes, Scope(api+":write"))
}

// Hashed is a key as it is stored.
type Hashed struct {
	Key
	Hash []byte // SHA-256 of the token
}

// Store is what Keys needs of a database.
type Store interface {
	// APIKeys returns all keys, oldest first.
	APIKeys(ctx context.Context) ([]Hashed, error)
	// AddAPIKey stores a new key.
	AddAPIKey(ctx context.Context, k Hashed) error
	// RemoveAPIKey forgets a key; phone.NotFound if there is none.
	RemoveAPIKey(ctx context.Context, id string) error
	// UsedAPIKeys notes when keys were last used. Unknown ids are passed over.
	UsedAPIKeys(ctx context.Context, at map[string]time.Time) error
}

// What Check refuses. Their texts may be shown to anybody.
var (
	ErrWrong   = &phone.Error{Kind: phone.Denied, Text: "unknown API key or wrong token"}
	ErrScope   = &phone.Error{Kind: phone.Denied, Text: "this API key may not do that; make one with the scope it needs"}
	ErrLimited = &phone.Error{Kind: phone.Busy, Text: "too many wrong API keys from this address; wait a minute"}
)
