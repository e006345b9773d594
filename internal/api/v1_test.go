package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// found is the part of a list of calls that tests look at.
type found struct {
	Meta  meta
	Calls []struct {
		ID   int64
		User *struct{ ID int64 }
	}
}

// minutes are the calls of an answer by the minute in which they began.
func (f found) minutes() []int {
	out := []int{}
	for _, c := range f.Calls {
		out = append(out, int((c.ID-exampleTime.UnixMicro())/time.Minute.Microseconds()))
	}
	return out
}

func TestSearchCalls(t *testing.T) {
	r := newRig(t)
	other := phone.E164("+33170189900")
	r.call(0, nil)
	r.call(1, func(c *record.Call) { c.User = 457 })
	r.call(2, missed)
	r.call(3, func(c *record.Call) { c.Caller = other })
	r.call(4, func(c *record.Call) { // we called them
		c.Direction, c.Caller, c.Called, c.Number, c.CallerUser = record.Outbound, "+14155550100", "+14155550123", 0, 456
	})
	r.call(5, func(c *record.Call) { c.Status, c.EndedAt = record.Answered, time.Time{} })
	r.call(6, func(c *record.Call) { missed(c); c.Status, c.EndedAt, c.Missed = record.Initial, time.Time{}, "" }) // being routed
	second := func(n int) string { return fmt.Sprint(exampleTime.Add(time.Duration(n) * time.Minute).Unix()) }

	tests := []struct {
		query  string
		status int
		want   []int // minutes
	}{
		{"", 200, []int{0, 1, 2, 3, 4, 5}},
		{"order=des&phone_number=%2B14155550123", 200, []int{5, 4, 2, 1, 0}}, // the tutorial's
		{"order=des&phone_number=+14155550123", 200, []int{5, 4, 2, 1, 0}},
		{"order=des&phone_number=14155550123", 200, []int{5, 4, 2, 1, 0}},
		{"order=DESC&phone_number=4155550123", 200, []int{5, 4, 2, 1, 0}},
		{"order=asc&phone_number=%2B14155550123", 200, []int{0, 1, 2, 4, 5}},
		{"phone_number=%2B33170189900", 200, []int{3}},
		{"phone_number=%2B1415555012", 200, []int{}}, // a part is another number
		{"order=desc&include_ongoing=true", 200, []int{6, 5, 4, 3, 2, 1, 0}},
		{"include_ongoing=false", 200, []int{0, 1, 2, 3, 4, 5}},
		{"user_id=457", 200, []int{1}},
		{"user_id=999", 200, []int{}},
		{"direction=outbound", 200, []int{4}},
		{"direction=INBOUND", 200, []int{0, 1, 2, 3, 5}},
		{"from=" + second(2) + "&to=" + second(4), 200, []int{2, 3, 4}},
		{"from=" + second(5), 200, []int{5}},
		{"per_page=2&page=2", 200, []int{2, 3}},
		{"page=99", 200, []int{}},
		{"tags[]=3&tags[]=4", 200, []int{}},
		{"fetch_contact=true&fetch_short_urls=true&fetch_call_timeline=true&strange=1", 200, []int{0, 1, 2, 3, 4, 5}},
		{"order=newest", 400, nil},
		{"order=", 400, nil},
		{"phone_number=", 400, nil},
		{"phone_number=anonymous", 400, nil},
		{"phone_number=%zz", 400, nil},
		{"phone_number=1;order=desc", 400, nil},
		{"direction=both", 400, nil},
		{"from=1772443800000", 400, nil},
		{"to=yesterday", 400, nil},
		{"user_id=ada@example.com", 400, nil},
		{"tags[]=x", 400, nil},
		{"fetch_contact=maybe", 400, nil},
		{"include_ongoing=1", 400, nil},
		{"page=0", 400, nil},
		{"per_page=51", 400, nil},
		{"page=201&per_page=50", 400, nil},
	}
	for _, tt := range tests {
		w := r.do(access.V1Read, http.MethodGet, "/v1/calls/search?"+tt.query, "")
		if w.Code != tt.status {
			t.Errorf("%s: got %d %s, want %d", tt.query, w.Code, w.Body, tt.status)
			continue
		}
		if tt.status != http.StatusOK {
			var e struct{ Error, Troubleshoot string }
			if json.Unmarshal(w.Body.Bytes(), &e) != nil || e.Error != "Bad Request" || len(e.Troubleshoot) < 20 {
				t.Errorf("%s: got %s, want an error that says what would be right", tt.query, w.Body)
			}
			continue
		}
		var got found
		must(t, json.Unmarshal(w.Body.Bytes(), &got))
		if !slices.Equal(got.minutes(), tt.want) {
			t.Errorf("%s: got calls %v, want %v", tt.query, got.minutes(), tt.want)
		}
	}
}

func TestMissedCallHasNoUser(t *testing.T) {
	r := newRig(t)
	r.call(0, nil)
	r.call(1, missed)
	r.call(2, func(c *record.Call) { c.User, c.External = 0, "+33170189900" }) // answered outside
	r.call(3, func(c *record.Call) { c.User = 99 })                            // has left the company
	var got found
	r.get("/v1/calls/search?order=des", &got)
	want := []int64{99, 0, 0, 456}
	for i, c := range got.Calls {
		if (c.User == nil) != (want[i] == 0) || c.User != nil && c.User.ID != want[i] {
			t.Errorf("call %d: got user %+v, want %d", i, c.User, want[i])
		}
	}
}

// Somebody who hangs up and calls again at once is found: the record of the
// first call is searched before it is stored.
func TestSearchFindsACallTheMomentItEnds(t *testing.T) {
	r := newRig(t)
	for n := range 200 {
		r.call(n, nil)
		var got found
		r.get("/v1/calls/search?order=des&per_page=1&phone_number=%2B14155550123", &got)
		if len(got.Calls) != 1 || got.minutes()[0] != n || got.Meta.Total != n+1 {
			t.Fatalf("after call %d: got %v of %d", n, got.minutes(), got.Meta.Total)
		}
	}
}

func TestListCallsHasOngoingOnes(t *testing.T) {
	r := newRig(t)
	r.call(0, nil)
	r.call(1, func(c *record.Call) { missed(c); c.Status, c.EndedAt, c.Missed = record.Initial, time.Time{}, "" })
	var got found
	r.get("/v1/calls?phone_number=ignored", &got)
	if want := []int{0, 1}; !slices.Equal(got.minutes(), want) {
		t.Errorf("got %v, want %v", got.minutes(), want)
	}
}

func TestObjects(t *testing.T) {
	r := newRig(t)
	answered := r.call(0, func(c *record.Call) { c.Teams = []phone.TeamID{7} })
	lost := r.call(1, func(c *record.Call) { missed(c); c.Caller = "" })
	out := r.call(2, func(c *record.Call) {
		c.Direction, c.Caller, c.Called, c.Number, c.CallerUser, c.Teams = record.Outbound, "+14155550100", "+33170189900", 0, 456, nil
	})
	for name, path := range map[string]string{
		"call_answered.json":  "/v1/calls/" + answered.ID.String(),
		"call_missed.json":    "/v1/calls/" + lost.ID.String(),
		"call_outbound.json":  "/v1/calls/" + out.ID.String(),
		"calls.json":          "/v1/calls/search?order=desc&per_page=1&phone_number=+14155550123",
		"user.json":           "/v1/users/456",
		"user_v2.json":        "/v2/users/Ada@Example.com",
		"team.json":           "/v1/teams/7",
		"number.json":         "/v1/numbers/1",
		"company.json":        "/v1/company",
		"ping.json":           "/v1/ping",
		"availabilities.json": "/v1/users/availabilities",
		"availability.json":   "/v1/users/457/availability",
		"contacts.json":       "/v1/contacts/search?phone_number=1",
	} {
		w := r.do(access.V1Read, http.MethodGet, path, "")
		if w.Code != http.StatusOK {
			t.Errorf("%s: got %d %s", path, w.Code, w.Body)
			continue
		}
		golden(t, name, createdAt.ReplaceAll(w.Body.Bytes(), []byte(`"created_at":"2026-03-02T09:30:00.000Z"`)))
	}
}

func TestPageOfCallsStaysSmall(t *testing.T) {
	r := newRig(t)
	for n := range 60 {
		r.call(n, func(c *record.Call) {
			c.SIPCallID = strings.Repeat("x", 300)
			c.CallerName = strings.Repeat("n", 300)
			c.Teams = []phone.TeamID{7, 8}
		})
	}
	w := r.do(access.V1Read, http.MethodGet, "/v1/calls/search?per_page=50", "")
	if got, limit := w.Body.Len(), 128<<10; got >= limit {
		t.Errorf("50 calls are %d bytes, want less than %d", got, limit)
	}
}

// Every endpoint is asked by everybody: nobody, a wrong token, an unknown id,
// and a key of each scope.
func TestScopes(t *testing.T) {
	r := newRig(t)
	for _, e := range endpoints() {
		path := strings.NewReplacer("{id}", "456", "{user_id}", "456").Replace(e.Path)
		ask := func(id, token string) *httptest.ResponseRecorder {
			req := httptest.NewRequest(e.Method, path, strings.NewReader("{"))
			if id != "" {
				req.SetBasicAuth(id, token)
			}
			w := httptest.NewRecorder()
			r.Handler().ServeHTTP(w, req)
			return w
		}
		w := ask("", "")
		if w.Code != 401 || strings.TrimSpace(w.Body.String()) != `{"message":"Unauthorized"}` ||
			w.Header().Get("WWW-Authenticate") != `Basic realm="Ringpath"` {
			t.Errorf("%s %s without a key: got %d %s", e.Method, e.Path, w.Code, w.Body)
		}
		good := r.keys[access.V1Write]
		for name, c := range map[string]credential{"a wrong token": {good.id, "wrong"}, "an unknown id": {"nobody", good.token}, "no token": {good.id, ""}} {
			if w := ask(c.id, c.token); w.Code != 403 && w.Code != 429 || w.Code == 403 && strings.TrimSpace(w.Body.String()) != `{"message":"Forbidden"}` {
				t.Errorf("%s %s with %s: got %d %s", e.Method, e.Path, name, w.Code, w.Body)
			}
		}
		for _, scope := range access.Scopes {
			may := scope == e.Scope || scope == access.V1Write
			w := ask(r.keys[scope].id, r.keys[scope].token)
			if (w.Code != 403) != may {
				t.Errorf("%s %s with %s: got %d %s", e.Method, e.Path, scope, w.Code, w.Body)
			}
			if w.Header().Get("X-AircallApi-Limit") != "600" || w.Header().Get("X-AircallApi-Remaining") == "" {
				t.Errorf("%s %s: no rate limit headers", e.Method, e.Path)
			}
		}
	}
}

func TestPathsThatAreNotThere(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct{ method, path, body string }{
		{"GET", "/v1", ""}, {"GET", "/v1/", ""}, {"GET", "/v1/nothing", ""}, {"GET", "/v1/users/", ""},
		{"POST", "/v1/calls/1/transfers", "{}"}, {"POST", "/v1/calls/1/comments", "{}"}, {"POST", "/v1/calls/1/tags", "{}"},
		{"PUT", "/v1/calls/1/archive", ""}, {"GET", "/v1/tags", ""}, {"GET", "/v1/webhooks", ""}, {"POST", "/v1/users/456/calls", "{}"},
		{"PATCH", "/v1/users/456", "{}"}, {"DELETE", "/v1/numbers/1", ""}, {"GET", "/v2/calls", ""},
		{"GET", "/v1/users//456", ""}, {"GET", "/v1/./users", ""}, {"GET", "/v1/../v1/users", ""},
	} {
		w := r.do(access.V1Write, tt.method, tt.path, tt.body)
		if tt.path == "/v1" {
			continue // belongs to no API
		}
		if w.Code != 404 || strings.TrimSpace(w.Body.String()) != `{"message":"Not Found"}` || w.Header().Get("X-AircallApi-Limit") == "" {
			t.Errorf("%s %s: got %d %s", tt.method, tt.path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/v1/users/999", "/v1/users/x", "/v1/users/nobody@example.com", "/v1/users/-1", "/v1/teams/999",
		"/v1/numbers/999", "/v1/calls/999", "/v1/calls/x", "/v1/contacts/1", "/v2/users/999", "/v1/users/99999999999999999999"} {
		w := r.do(access.V1Read, "GET", path, "")
		var e struct{ Error, Troubleshoot string }
		if w.Code != 404 || json.Unmarshal(w.Body.Bytes(), &e) != nil || e.Error != "Not Found" || e.Troubleshoot == "" {
			t.Errorf("%s: got %d %s", path, w.Code, w.Body)
		}
	}
}

func TestRateLimit(t *testing.T) {
	r := newRig(t, func(d *Deps) { d.RatePerMin = 3 })
	for i, want := range []string{"2", "1", "0"} {
		w := r.do(access.V1Read, "GET", "/v1/ping", "")
		if w.Code != 200 || w.Header().Get("X-AircallApi-Remaining") != want || w.Header().Get("X-AircallApi-Limit") != "3" {
			t.Errorf("request %d: got %d, remaining %s, want %s", i+1, w.Code, w.Header().Get("X-AircallApi-Remaining"), want)
		}
		if got, want := w.Header().Get("X-AircallApi-Reset"), fmt.Sprint(exampleTime.Add(time.Minute).Unix()); got != want {
			t.Errorf("reset: got %s, want %s", got, want)
		}
	}
	if w := r.do(access.V1Read, "GET", "/v1/ping", ""); w.Code != 429 || w.Header().Get("X-AircallApi-Remaining") != "0" {
		t.Errorf("the fourth: got %d", w.Code)
	}
	if w := r.do(access.V1Write, "GET", "/v1/ping", ""); w.Code != 200 {
		t.Errorf("another key: got %d", w.Code)
	}
	req := httptest.NewRequest("GET", "/v1/ping", nil)
	req.SetBasicAuth(r.keys[access.V1Read].id, r.keys[access.V1Read].token)
	w := httptest.NewRecorder()
	r.V1().ServeHTTP(w, req)
	if w.Code != 200 {
		t.Errorf("our own lookup: got %d, want no limit", w.Code)
	}
	r.now = r.now.Add(time.Minute)
	if w := r.do(access.V1Read, "GET", "/v1/ping", ""); w.Code != 200 || w.Header().Get("X-AircallApi-Remaining") != "2" {
		t.Errorf("a minute later: got %d", w.Code)
	}
}

// Our own lookups come without a rate limit, but not without a key.
func TestInsideStillNeedsAKey(t *testing.T) {
	r := newRig(t)
	w := httptest.NewRecorder()
	r.V1().ServeHTTP(w, httptest.NewRequest("GET", "/v1/users", nil))
	if w.Code != 401 {
		t.Errorf("without a key: got %d, want 401", w.Code)
	}
	req := httptest.NewRequest("GET", "/v1/users", nil)
	req.SetBasicAuth(r.keys[access.APIWrite].id, r.keys[access.APIWrite].token)
	w = httptest.NewRecorder()
	r.V1().ServeHTTP(w, req)
	if w.Code != 403 {
		t.Errorf("with a key of another scope: got %d, want 403", w.Code)
	}
	w = httptest.NewRecorder()
	r.V1().ServeHTTP(w, httptest.NewRequest("GET", "/api/directory", nil))
	if w.Code != 404 {
		t.Errorf("/api inside: got %d, want 404", w.Code)
	}
}

func TestWrongKeysFromAnAddress(t *testing.T) {
	r := newRig(t)
	ask := func(from, token string) int {
		req := httptest.NewRequest("GET", "/v1/ping", nil)
		req.RemoteAddr = from
		req.SetBasicAuth(r.keys[access.V1Read].id, token)
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, req)
		return w.Code
	}
	got := map[int]int{}
	for range 70 { // at most two minutes of the clock, of 30 each
		got[ask("192.0.2.1:4000", "wrong")]++
	}
	if got[429] < 10 || got[403] < 30 || got[403]+got[429] != 70 {
		t.Errorf("70 wrong keys: got %v, want 30 times 403, then 429", got)
	}
	if code := ask("192.0.2.2:4000", "wrong"); code != 403 {
		t.Errorf("from another address: got %d, want 403", code)
	}
}

func TestExamplesAreReal(t *testing.T) {
	r := newRig(t)
	c := r.call(0, nil)
	for _, e := range endpoints() {
		if e.Method != http.MethodGet || e.Example == nil {
			continue
		}
		id := map[bool]string{true: c.ID.String(), false: "456"}[strings.Contains(e.Path, "/calls/")]
		switch {
		case strings.Contains(e.Path, "/teams/"):
			id = "7"
		case strings.Contains(e.Path, "/numbers/"):
			id = "1"
		}
		w := r.do(access.V1Read, http.MethodGet, strings.ReplaceAll(e.Path, "{id}", id), "")
		if w.Code != e.status() {
			t.Errorf("%s: got %d, documented %d", e.Path, w.Code, e.status())
		}
		example, err := json.Marshal(e.Example(exampleView("http://ringpath.test")))
		must(t, err)
		if got, want := shape(t, example), shape(t, w.Body.Bytes()); got != want {
			t.Errorf("%s: the example has the fields\n%s\nthe answer\n%s", e.Path, got, want)
		}
	}
}

// shape is the names of all fields, of lists those of the first entry.
func shape(t *testing.T, text []byte) string {
	t.Helper()
	var v any
	must(t, json.Unmarshal(text, &v))
	var b bytes.Buffer
	writeShape(&b, v)
	return b.String()
}

func writeShape(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case map[string]any:
		names := []string{}
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		b.WriteByte('{')
		for _, name := range names {
			b.WriteString(name + " ")
			if name != "meta" {
				writeShape(b, v[name])
			}
		}
		b.WriteByte('}')
	case []any:
		if len(v) > 0 {
			b.WriteByte('[')
			writeShape(b, v[0])
			b.WriteByte(']')
		}
	}
}
