package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/outbound"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/secret"
	"github.com/ringpath/ringpath/internal/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

// rig is a server on a real database, with a key for each scope.
type rig struct {
	*Server
	t        testing.TB
	dir      *directory.Directory
	outbound *outbound.Client
	records  *record.Writer
	keys     map[access.Scope]credential
	states   map[phone.UserID]phone.Availability
	live     []record.Call
	notOK    error
	now      time.Time
}

type credential struct{ id, token string }

func newRig(t testing.TB, change ...func(*Deps)) *rig {
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, filepath.Join(t.TempDir(), "ringpath.db"))
	must(t, err)
	t.Cleanup(func() { db.Close() })
	box, err := secret.NewBox(bytes.Repeat([]byte{7}, 32))
	must(t, err)
	dir, err := directory.Open(ctx, db, box, directory.Options{PassHeaders: []string{"x-kind"}})
	must(t, err)
	writer, err := record.Open(db, record.Options{})
	must(t, err)
	t.Cleanup(func() { writer.Close(t.Context()) })
	keys, err := access.Open(ctx, db)
	must(t, err)
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.0/8"}})
	must(t, err)

	r := &rig{t: t, dir: dir, outbound: client, records: writer, now: exampleTime, keys: map[access.Scope]credential{},
		states: map[phone.UserID]phone.Availability{456: phone.Available, 457: phone.InCall}}
	r.load("directory.yaml")
	for _, scope := range access.Scopes {
		key, token, err := keys.Create(ctx, string(scope), scope)
		must(t, err)
		r.keys[scope] = credential{key.ID, token}
	}
	deps := Deps{
		Directory: dir, Records: writer, Keys: keys, Lookups: lookup.NewEngine(client),
		Live: func() []record.Call { return r.live }, State: r.state, Ready: func() error { return r.notOK },
		Metrics: NewMetrics(), PublicURL: "http://ringpath.test", RatePerMin: 600, Version: "test",
		Now: func() time.Time { return r.now },
	}
	for _, f := range change {
		f(&deps)
	}
	r.Server = New(deps)
	return r
}

func (r *rig) state(id phone.UserID) phone.Availability {
	if s, ok := r.states[id]; ok {
		return s
	}
	return phone.Offline
}

func (r *rig) load(name string) {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	must(r.t, err)
	r.apply(string(text))
}

// do asks as the key with a scope; an empty scope is nobody.
func (r *rig) do(scope access.Scope, method, target string, body string, headers ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	if k, ok := r.keys[scope]; ok {
		req.SetBasicAuth(k.id, k.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, req)
	return w
}

// get asks with a key that may read /v1, wants a 200 and decodes it.
func (r *rig) get(target string, into any) {
	r.t.Helper()
	w := r.do(access.V1Read, http.MethodGet, target, "")
	if w.Code != http.StatusOK {
		r.t.Fatalf("GET %s: got %d %s", target, w.Code, w.Body)
	}
	must(r.t, json.Unmarshal(w.Body.Bytes(), into))
}

// call puts a call into the records, begun n minutes after the example's time.
func (r *rig) call(n int, change func(*record.Call)) record.Call {
	at := exampleTime.Add(time.Duration(n) * time.Minute)
	c := *exampleCall()
	c.ID, c.StartedAt = phone.CallID(at.UnixMicro()), at
	c.AnsweredAt, c.EndedAt = at.Add(6*time.Second), at.Add(96*time.Second)
	if change != nil {
		change(&c)
	}
	open := c
	open.Status, open.AnsweredAt, open.EndedAt = record.Initial, time.Time{}, time.Time{}
	r.records.Opened(open)
	switch c.Status {
	case record.Answered:
		r.records.Changed(c)
	case record.Done:
		r.records.Ended(c)
	}
	return c
}

// missed is a call that nobody answered.
func missed(c *record.Call) {
	c.User, c.AnsweredAt, c.Missed, c.Cause = 0, time.Time{}, record.MissedDidNotAnswer, phone.CauseCancelled
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// golden compares JSON with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	var b bytes.Buffer
	must(t, json.Indent(&b, bytes.TrimSpace(got), "", "  "))
	b.WriteByte('\n')
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, b.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestSourceOf(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	tests := []struct {
		remote, forwarded string
		want              string
	}{
		{"192.0.2.1:4000", "", "192.0.2.1"},
		{"192.0.2.1:4000", "203.0.113.9", "192.0.2.1"}, // a stranger's claim
		{"10.0.0.1:4000", "203.0.113.9", "203.0.113.9"},
		{"10.0.0.1:4000", "198.51.100.1, 203.0.113.9, 10.2.0.1", "203.0.113.9"}, // its first entry is a claim
		{"10.0.0.1:4000", "junk", "10.0.0.1"},
		{"10.0.0.1:4000", "", "10.0.0.1"},
		{"[::ffff:192.0.2.1]:4000", "", "192.0.2.1"},
		{"@", "", "invalid IP"},
		{"", "203.0.113.9", "invalid IP"},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tt.remote
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if got := sourceOf(r, proxies).String(); got != tt.want {
			t.Errorf("%q, %q: got %s, want %s", tt.remote, tt.forwarded, got, tt.want)
		}
	}
}

func TestHealthPagesSayNothing(t *testing.T) {
	r := newRig(t)
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ok\n"} {
		if w := r.do("", http.MethodGet, path, ""); w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%s: got %d %q", path, w.Code, w.Body)
		}
	}
	r.notOK = &phone.Error{Kind: phone.Unreachable, Text: "the database is locked"}
	if w := r.do("", http.MethodGet, "/readyz", ""); w.Code != http.StatusServiceUnavailable || w.Body.String() != "not ready\n" {
		t.Errorf("/readyz when not ready: got %d %q", w.Code, w.Body)
	}
}

func TestMetrics(t *testing.T) {
	r := newRig(t)
	r.Metrics.Gauge("active_calls", "Calls going on.", func() int { return 3 })
	r.Metrics.CallEnded(&record.Call{AnsweredAt: exampleTime, Steps: []record.Note{{Kind: "ring_to"}, {Kind: "ring_to_api", Exit: "failed", Reason: "timeout"}},
		Offers: []record.Offer{{At: exampleTime.Add(-3 * time.Second)}}})
	r.Metrics.Lookup("127.0.0.1:8080", 20*time.Millisecond)
	r.Metrics.SIPResponse("INVITE", 200)
	r.Metrics.SIPResponse("EVIL\nLABEL", 1e9)
	r.Metrics.SIPResponse("INVITE", 180)
	for i := range 2 * maxHosts {
		r.Metrics.Lookup("h"+strings.Repeat("x", i), time.Millisecond)
	}
	if w := r.do("", http.MethodGet, "/metrics", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("without a key: got %d", w.Code)
	}
	if w := r.do(access.V1Write, http.MethodGet, "/metrics", ""); w.Code != http.StatusForbidden {
		t.Errorf("with a key of /v1: got %d", w.Code)
	}
	w := r.do(access.APIRead, http.MethodGet, "/metrics", "")
	text, _ := io.ReadAll(w.Body)
	for _, want := range []string{
		`ringpath_calls_total{exit="failed",reason="timeout",result="answered"} 1`,
		`ringpath_lookup_seconds_count{host="127.0.0.1:8080"} 1`,
		`ringpath_lookup_seconds_count{host="other"} 51`,
		`ringpath_ring_seconds_sum 3`,
		`ringpath_sip_responses_total{method="INVITE",status="200"} 1`,
		`ringpath_sip_responses_total{method="other",status="other"} 1`,
		`ringpath_active_calls 3`,
	} {
		if !strings.Contains(string(text), want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
	var none *Metrics
	none.CallEnded(nil)
	none.SIPResponse("INVITE", 200)
}
