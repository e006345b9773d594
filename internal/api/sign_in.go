package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/phone"
)

// challenge asks for an API key (RFC 7617).
const challenge = `Basic realm="Ringpath"`

var errNoCredential = &phone.Error{Kind: phone.Denied, Text: "sign in with an API key: HTTP Basic, the key's id and token"}

// identity is who asks.
type identity struct {
	key  string // id of the API key; empty: the owner, by the data directory's socket
	full bool   // may see API answers and SIP messages
}

// LogValue is the key's id or "owner".
func (i identity) LogValue() slog.Value { return slog.StringValue(cmp.Or(i.key, "owner")) }

type contextKey int

const (
	ownerKey    contextKey = iota // the request came by the data directory's socket
	identityKey                   // who signed in, for handlers behind the door
)

// signIn finds out who asks and whether they have the scope: the owner of the
// data directory has all, an API key its own. With access.ErrScope the identity
// is there too.
func (s *Server) signIn(r *http.Request, scope access.Scope) (identity, error) {
	if owner, _ := r.Context().Value(ownerKey).(bool); owner {
		return identity{full: true}, nil
	}
	id, token, ok := r.BasicAuth()
	if !ok {
		return identity{}, errNoCredential
	}
	key, err := s.Keys.Check(sourceOf(r, s.Trusted), id, token, scope)
	if err != nil && !errors.Is(err, access.ErrScope) {
		return identity{}, err
	}
	return identity{key: id, full: key.Allows(access.APIWrite)}, err
}

// signedIn is who asks, inside a handler of /api.
func signedIn(ctx context.Context) identity {
	who, _ := ctx.Value(identityKey).(identity)
	return who
}

// keyed asks for a key with a scope before next is reached, for what belongs to
// no API.
func (s *Server) keyed(scope access.Scope, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.signIn(r, scope); err != nil {
			s.refuse(w, r, scope, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers whoever could not sign in or may not.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, scope access.Scope, err error) {
	var p *Problem
	switch {
	case errors.Is(err, errNoCredential):
		w.Header().Set("WWW-Authenticate", challenge)
		p = problem(http.StatusUnauthorized, "unauthorized", "%s", errNoCredential.Text)
	case errors.Is(err, access.ErrScope):
		p = problem(http.StatusForbidden, "scope", "this key lacks the scope %s: ringpath apikey create --name NAME --scope %s makes one that has it", scope, scope)
	case errors.Is(err, access.ErrLimited):
		w.Header().Set("Retry-After", "60")
		p = problem(http.StatusTooManyRequests, "too_many_wrong_keys", "%s", access.ErrLimited.Text)
	default:
		p = s.problemOf(r.Context(), err)
	}
	writeProblem(w, p)
}
