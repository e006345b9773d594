package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringpath/ringpath/internal/access"
)

// APIKey is a key as /api shows it: without its token.
type APIKey struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Scopes     []access.Scope `json:"scopes"`
	CreatedAt  time.Time      `json:"created_at"`
	LastUsedAt *time.Time     `json:"last_used_at"`
}

type keysOutput struct {
	Body struct {
		Keys []APIKey `json:"keys"`
	}
}

type newKeyInput struct {
	Body struct {
		Name   string         `json:"name" minLength:"1" maxLength:"100" doc:"What it is for"`
		Scopes []access.Scope `json:"scopes,omitempty" maxItems:"4" enum:"v1:read,v1:write,api:read,api:write" doc:"Left out: v1:read"`
	}
}

type newKeyOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		APIKey
		Token string `json:"token" doc:"Shown this once"`
	}
}

type keyInput struct {
	ID string `path:"id" maxLength:"64"`
}

type keyOutput struct {
	ETag string `header:"ETag"`
	Body APIKey
}

type revokeInput struct {
	ID      string `path:"id" maxLength:"64"`
	IfMatch string `header:"If-Match" doc:"The key's ETag; * for any"`
}

func (s *Server) keyOperations(h huma.API) {
	add(s, h, operation{Method: http.MethodGet, Path: "/api/keys", Scope: access.APIRead, Tag: "keys",
		Summary: "List API keys", About: "Oldest first, without their tokens."}, s.listKeys)
	add(s, h, operation{Method: http.MethodPost, Path: "/api/keys", Scope: access.APIWrite, Tag: "keys", Status: http.StatusCreated,
		Summary: "Make an API key", About: "The answer has its token, which is never shown again."}, s.createKey)
	add(s, h, operation{Method: http.MethodGet, Path: "/api/keys/{id}", Scope: access.APIRead, Tag: "keys",
		Summary: "Get an API key", About: "One key, without its token."}, s.getKey)
	add(s, h, operation{Method: http.MethodDelete, Path: "/api/keys/{id}", Scope: access.APIWrite, Tag: "keys", Status: http.StatusNoContent,
		Summary: "Revoke an API key", About: "It ends at once."}, s.revokeKey)
}

func (s *Server) listKeys(context.Context, *struct{}) (*keysOutput, error) {
	out := &keysOutput{}
	out.Body.Keys = []APIKey{}
	for _, k := range s.Keys.List() {
		out.Body.Keys = append(out.Body.Keys, apiKeyOf(k))
	}
	return out, nil
}

func (s *Server) createKey(ctx context.Context, in *newKeyInput) (*newKeyOutput, error) {
	k, token, err := s.Keys.Create(ctx, in.Body.Name, in.Body.Scopes...)
	if err != nil {
		return nil, err
	}
	s.log.InfoContext(ctx, "API key made", "key", k.ID, "by", signedIn(ctx))
	out := &newKeyOutput{}
	out.ETag, out.Body.APIKey, out.Body.Token = keyTag(k), apiKeyOf(k), token
	return out, nil
}

func (s *Server) getKey(_ context.Context, in *keyInput) (*keyOutput, error) {
	k, err := s.Keys.Get(in.ID)
	return &keyOutput{ETag: keyTag(k), Body: apiKeyOf(k)}, err
}

func (s *Server) revokeKey(ctx context.Context, in *revokeInput) (*struct{}, error) {
	k, err := s.Keys.Get(in.ID)
	if err != nil {
		return nil, err
	}
	if err := matches(in.IfMatch, keyTag(k), apiKeyOf(k)); err != nil {
		return nil, err
	}
	if err := s.Keys.Revoke(ctx, in.ID); err != nil {
		return nil, err
	}
	s.log.InfoContext(ctx, "API key revoked", "key", in.ID, "by", signedIn(ctx))
	return nil, nil
}

// keyTag never changes, as a key does not: when it was last used is no part of it.
func keyTag(k access.Key) string { return etag(k.CreatedAt.Unix()) }

func apiKeyOf(k access.Key) APIKey {
	return APIKey{ID: k.ID, Name: k.Name, Scopes: k.Scopes, CreatedAt: k.CreatedAt, LastUsedAt: known(k.LastUsedAt)}
}
