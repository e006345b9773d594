package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

func TestClient(t *testing.T) {
	r := newRig(t)
	server := httptest.NewServer(r.Handler())
	defer server.Close()
	key := r.keys[access.APIWrite]
	c := &Client{Server: server.URL + "/", KeyID: key.id, Token: secret.New(key.token)}

	var keys struct{ Keys []struct{ Name string } }
	must(t, c.Do(t.Context(), http.MethodGet, "/api/keys", nil, &keys))
	if len(keys.Keys) != len(access.Scopes) {
		t.Errorf("got keys %v", keys)
	}
	yaml := Raw{ContentType: yamlType}
	must(t, c.Do(t.Context(), http.MethodGet, "/api/directory", nil, &yaml))
	if !strings.HasPrefix(string(yaml.Data), "version: 1\n") || yaml.ETag == "" {
		t.Errorf("got %q, %s", yaml.ETag, yaml.Data)
	}
	must(t, c.Do(t.Context(), http.MethodPut, "/api/directory", &Raw{ContentType: yamlType, Data: yaml.Data, IfMatch: yaml.ETag}, nil))

	bad := &Raw{ContentType: yamlType, Data: []byte("version: 1\nuser: []\nteam: []\n"), IfMatch: "*"}
	err := c.Do(t.Context(), http.MethodPut, "/api/directory?name=mine.yaml", bad, nil)
	var faults document.Faults
	if phone.KindOf(err) != phone.Invalid || !errors.As(err, &faults) || len(faults) != 2 || faults[0].Line != 2 || faults[0].File != "mine.yaml" {
		t.Errorf("got %v, want both faults with their places", err)
	}
	var refused *Refused
	if !errors.As(err, &refused) || refused.Status != 422 {
		t.Errorf("got %#v, want a refusal", err)
	}
	c.Token = secret.New("wrong")
	if err := c.Do(t.Context(), http.MethodGet, "/api/keys", nil, nil); phone.KindOf(err) != phone.Denied {
		t.Errorf("a wrong token: got %v", err)
	}
}

func TestClientBySocket(t *testing.T) {
	r := newRig(t)
	path := filepath.Join(t.TempDir(), "ringpath.sock")
	l, err := net.Listen("unix", path)
	must(t, err)
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: r.Owner()}}
	server.Start()
	defer server.Close()
	c := &Client{Socket: path}
	var made struct{ Token string }
	must(t, c.Do(t.Context(), http.MethodPost, "/api/keys", map[string]any{"name": "first", "scopes": []string{"api:write"}}, &made))
	if made.Token == "" {
		t.Error("the owner's key has no token")
	}
}

func TestClientWithoutServer(t *testing.T) {
	c := &Client{Socket: filepath.Join(t.TempDir(), "none.sock")}
	err := c.Do(t.Context(), http.MethodGet, "/api/health", nil, nil)
	if !errors.Is(err, ErrNoServer) || phone.KindOf(err) != phone.Unreachable {
		t.Errorf("got %v, want ErrNoServer", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Do(ctx, http.MethodGet, "/api/health", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

// A server that sends its visitors elsewhere does not get the key sent there.
func TestClientFollowsNoRedirect(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	c := &Client{Server: server.URL, KeyID: "x", Token: secret.New("y")}
	if err := c.Do(t.Context(), http.MethodGet, "/api/health", nil, nil); err == nil || asked {
		t.Errorf("got %v, asked %v; want an error and nobody asked", err, asked)
	}
}
