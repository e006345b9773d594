package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
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

// openAPI is what tests look at of /api/openapi.json.
type openAPI struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID, Summary, Description string
		Security                          []map[string][]string
		Responses                         map[string]struct {
			Content map[string]struct {
				Schema struct {
					Ref string `json:"$ref"`
				}
			}
		}
	}
	Components struct {
		Schemas         map[string]struct{ Properties map[string]any }
		SecuritySchemes map[string]any
	}
}

func (r *rig) openAPI() openAPI {
	r.t.Helper()
	w := r.do("", "GET", "/api/openapi.json", "")
	if w.Code != 200 {
		r.t.Fatalf("openapi.json: got %d", w.Code)
	}
	var doc openAPI
	must(r.t, json.Unmarshal(w.Body.Bytes(), &doc))
	return doc
}

func TestOpenAPI(t *testing.T) {
	r := newRig(t)
	doc := r.openAPI()
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("got OpenAPI %s, want 3.1", doc.OpenAPI)
	}
	seen := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.OperationID == "" || seen[op.OperationID] || op.Summary == "" || len(op.Security) == 0 {
				t.Errorf("%s %s: operation %q needs an id of its own, a summary and security", method, path, op.OperationID)
			}
			seen[op.OperationID] = true
			schema := op.Responses["default"].Content["application/problem+json"].Schema.Ref
			if schema != "#/components/schemas/Problem" {
				t.Errorf("%s %s: errors are %q, want a Problem", method, path, schema)
			}
		}
	}
	for _, want := range []string{"type", "title", "status", "code", "detail", "errors"} {
		if doc.Components.Schemas["Problem"].Properties[want] == nil {
			t.Errorf("the schema Problem lacks %s", want)
		}
	}
	for name := range doc.Components.Schemas {
		if strings.Contains(name, "ErrorModel") {
			t.Errorf("the document has the schema %s, which no answer has", name)
		}
	}
}

// Every operation is asked by everybody. The scope stands in its description.
func TestRESTScopes(t *testing.T) {
	r := newRig(t)
	for path, methods := range r.openAPI().Paths {
		for method, op := range methods {
			method = strings.ToUpper(method)
			scope := access.APIRead
			if strings.Contains(op.Description, "`api:write`.") {
				scope = access.APIWrite
			} else if method != http.MethodGet {
				t.Errorf("%s %s changes something with %s", method, path, scope)
			}
			target := strings.NewReplacer("{id}", "999").Replace(path)
			if w := r.do("", method, target, "{"); w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" ||
				w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s without a key: got %d %s", method, path, w.Code, w.Body)
			}
			for _, s := range access.Scopes {
				may := s == scope || s == access.APIWrite
				if w := r.do(s, method, target, "{"); (w.Code != 403) != may {
					t.Errorf("%s %s with %s: got %d %s", method, path, s, w.Code, w.Body)
				}
			}
			req := httptest.NewRequest(method, target, strings.NewReader("{"))
			req.SetBasicAuth(r.keys[access.APIWrite].id, "wrong")
			w := httptest.NewRecorder()
			r.Handler().ServeHTTP(w, req)
			if w.Code != 403 && w.Code != 429 { // there are many operations
				t.Errorf("%s %s with a wrong token: got %d", method, path, w.Code)
			}
			w = httptest.NewRecorder()
			r.Owner().ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader("{")))
			if w.Code == 401 || w.Code == 403 {
				t.Errorf("%s %s as the owner: got %d", method, path, w.Code)
			}
		}
	}
}

func TestDirectory(t *testing.T) {
	r := newRig(t)
	export := r.do(access.APIRead, "GET", "/api/directory", "", "Accept", "application/yaml")
	if export.Code != 200 || export.Header().Get("Content-Type") != "application/yaml" || !strings.Contains(export.Body.String(), "{stored: true}") &&
		!strings.Contains(export.Body.String(), "stored: true") {
		t.Fatalf("export: got %d %s", export.Code, export.Body)
	}
	if strings.Contains(export.Body.String(), "correct horse") {
		t.Error("the export has a password")
	}
	tag := export.Header().Get("ETag")
	asJSON := r.do(access.APIRead, "GET", "/api/directory", "")
	if !json.Valid(asJSON.Body.Bytes()) || asJSON.Header().Get("ETag") != tag {
		t.Errorf("as JSON: got %s %s", asJSON.Header(), asJSON.Body)
	}

	yaml := "version: 1\nteams:\n  - {id: 8, name: Closers}\n"
	steps := []struct {
		method, path, body, ifMatch string
		status                      int
		want                        string
	}{
		{"POST", "/api/directory/plan", export.Body.String(), "", 200, `"changes":[]`},
		{"POST", "/api/directory/plan", asJSON.Body.String(), "", 200, `"changes":[]`},
		{"POST", "/api/directory/plan", yaml, "", 200, `Closers`},
		{"PUT", "/api/directory", yaml, "", 428, `"code":"if_match"`},
		{"PUT", "/api/directory", yaml, `"999"`, 412, `"code":"revision"`},
		{"PUT", "/api/directory", yaml, `junk`, 412, `"code":"revision"`},
		{"PUT", "/api/directory", yaml, `"0"`, 412, `"code":"revision"`}, // the empty directory's
		{"PUT", "/api/directory", yaml, tag, 200, `Closers`},
		{"PUT", "/api/directory", yaml, tag, 412, `"code":"revision"`},
		{"PUT", "/api/directory", yaml, "*", 200, `"changes":[]`},
		{"PUT", "/api/directory?name=mine.yaml", "version: 1\nusers:\n  - {id: 456, nmae: X}\n  - {id: 457, email: 3}\n", "*", 422, `"line":3`},
		{"PUT", "/api/directory?name=mine.yaml", "version: 1\nusers:\n  - {id: 456, nmae: X}\n", "*", 422, `"file":"mine.yaml"`},
		{"PUT", "/api/directory", "version: 1\ncredentials:\n  - {name: own-api, type: basic, username: abc, password: {env: HOME}, hosts: [\"127.0.0.1:8080\"]}\n", "*", 422, "never by the server"},
		{"PUT", "/api/directory", "version: 1\ncredentials:\n  - {name: own-api, type: basic, username: abc, password: {file: /etc/hostname}, hosts: [\"127.0.0.1:8080\"]}\n", "*", 422, "never by the server"},
		{"PUT", "/api/directory", "{", "*", 422, `"errors":[`},
		{"PUT", "/api/directory", "", "*", 400, ""},
	}
	for _, s := range steps {
		w := r.do(access.APIWrite, s.method, s.path, s.body, "If-Match", s.ifMatch)
		if w.Code != s.status || !strings.Contains(w.Body.String(), s.want) {
			t.Errorf("%s %s If-Match %s:\n%s: got %d %s, want %d with %s", s.method, s.path, s.ifMatch, s.body, w.Code, w.Body, s.status, s.want)
		}
	}
	if w := r.do(access.APIWrite, "PUT", "/api/directory", yaml, "If-Match", tag); w.Header().Get("ETag") != etag(r.dir.Snapshot().Rev()) {
		t.Errorf("a 412 has ETag %q, want that of the directory as it is", w.Header().Get("ETag"))
	}
	if team, _ := r.dir.Snapshot().Team(8); team.Name != "Closers" {
		t.Errorf("team 8 is %q", team.Name)
	}
}

func TestKeys(t *testing.T) {
	r := newRig(t)
	w := r.do(access.APIWrite, "POST", "/api/keys", `{"name":"CRM"}`)
	var made struct {
		ID, Token string
		Scopes    []string
	}
	must(t, json.Unmarshal(w.Body.Bytes(), &made))
	if w.Code != 201 || !slices.Equal(made.Scopes, []string{"v1:read"}) || len(made.Token) < 43 {
		t.Fatalf("made: got %d %s", w.Code, w.Body)
	}
	if w := r.do(access.APIWrite, "POST", "/api/keys", `{"name":"by curl"}`, "Content-Type", "application/x-www-form-urlencoded"); w.Code != 201 {
		t.Errorf("as curl -d sends it: got %d %s", w.Code, w.Body)
	}
	r.keys["new"] = credential{made.ID, made.Token}
	if w := r.do("new", "GET", "/v1/ping", ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"ping":"pong"}` {
		t.Errorf("the new key: got %d %s", w.Code, w.Body)
	}
	if w := r.do(access.APIRead, "GET", "/api/keys", ""); !strings.Contains(w.Body.String(), made.ID) || strings.Contains(w.Body.String(), made.Token) {
		t.Errorf("list: got %s", w.Body)
	}
	for _, body := range []string{`{"name":""}`, `{}`, `{"name":"x","scopes":["root"]}`, `{"name":5}`, `{"name":"x","more":1}`, `nonsense`} {
		if w := r.do(access.APIWrite, "POST", "/api/keys", body); w.Code != 422 && w.Code != 400 {
			t.Errorf("%s: got %d %s", body, w.Code, w.Body)
		}
	}
	w = r.do(access.APIRead, "GET", "/api/keys/"+made.ID, "")
	tag := w.Header().Get("ETag")
	if w.Code != 200 || tag == "" || !strings.Contains(w.Body.String(), `"name":"CRM"`) || strings.Contains(w.Body.String(), made.Token) {
		t.Errorf("get: got %d %s, ETag %s", w.Code, w.Body, tag)
	}
	for _, tt := range []struct {
		ifMatch string
		status  int
		want    string
	}{{"", 428, `"code":"if_match"`}, {`"7"`, 412, `"current":{"id":"` + made.ID}, {`"7", ` + tag, 204, ""}} {
		if w := r.do(access.APIWrite, "DELETE", "/api/keys/"+made.ID, "", "If-Match", tt.ifMatch); w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("revoke If-Match %s: got %d %s, want %d with %s", tt.ifMatch, w.Code, w.Body, tt.status, tt.want)
		}
	}
	if w := r.do("new", "GET", "/v1/ping", ""); w.Code != 403 {
		t.Errorf("a revoked key: got %d", w.Code)
	}
	if w := r.do(access.APIWrite, "DELETE", "/api/keys/"+made.ID, ""); w.Code != 404 {
		t.Errorf("revoke again: got %d %s", w.Code, w.Body)
	}
}

func TestCalls(t *testing.T) {
	r := newRig(t)
	trace := `{"trace_version":1,"exit":"matched","sentence":"It answered 456.","attempts":[{"request":{"method":"GET","url":"http://127.0.0.1/"},"timings_ms":{},"status":200,"headers":{"X-Secret":"of the CRM"},"answer":"{\"vip\":true}"}],"candidates":[],"cache":"off","breaker":"off","budget_ms":3000,"spent_ms":20}`
	for n := range 7 {
		r.call(n, func(c *record.Call) {
			target := phone.UserTarget(456)
			c.Steps = []record.Note{{At: c.StartedAt, Flow: "main", Step: "last agent", Kind: "ring_to_api", Exit: "matched", Value: "456",
				Target: &target, Dur: 20 * time.Millisecond, Detail: json.RawMessage(trace)}}
			c.Offers = []record.Offer{{Step: "last agent", User: 456, Phone: "ada", At: c.StartedAt, Result: "answered", Status: 200}}
			if n == 6 {
				c.Status, c.EndedAt = record.Answered, time.Time{}
				r.live = append(r.live, *c)
			}
		})
	}
	var ids []int64
	target := "/api/calls?limit=3"
	for pages := 0; target != ""; pages++ {
		w := r.do(access.APIRead, "GET", target, "")
		var got struct {
			Calls      []struct{ ID int64 }
			NextCursor string `json:"next_cursor"`
		}
		must(t, json.Unmarshal(w.Body.Bytes(), &got))
		if w.Code != 200 || pages > 3 {
			t.Fatalf("page %d: got %d %s", pages, w.Code, w.Body)
		}
		for _, c := range got.Calls {
			ids = append(ids, c.ID)
		}
		target = ""
		if got.NextCursor != "" {
			target = "/api/calls?limit=3&cursor=" + got.NextCursor
		}
	}
	if len(ids) != 7 || !slices.IsSortedFunc(ids, func(a, b int64) int { return int(b - a) }) {
		t.Errorf("paging: got %v, want seven calls, newest first", ids)
	}
	first := fmt.Sprint(exampleTime.UnixMicro())
	tests := []struct {
		scope       access.Scope
		path        string
		status      int
		has, hasNot string
	}{
		{access.APIRead, "/api/calls?state=live", 200, `"total":1`, ""},
		{access.APIRead, "/api/calls?state=ended", 200, `"total":6`, ""},
		{access.APIRead, "/api/calls?number=%2B14155550123", 200, `"total":7`, ""},
		{access.APIRead, "/api/calls?number=12", 422, `?number`, ""},
		{access.APIRead, "/api/calls?user=457", 200, `"calls":[]`, ""},
		{access.APIRead, "/api/calls?from=2026-03-02T09:33:00Z&to=2026-03-02T09:35:00Z", 200, `"total":2`, ""},
		{access.APIRead, "/api/calls?limit=500", 422, `?limit`, ""},
		{access.APIRead, "/api/calls?cursor=junk", 422, `?cursor`, ""},
		{access.APIRead, "/api/calls/" + first, 200, `"took":"20ms"`, "vip"},
		{access.APIRead, "/api/calls/5", 404, `"code":"not_found"`, ""},
		{access.APIRead, "/api/calls/x", 422, ``, ""},
		{access.APIRead, "/api/calls/" + first + "/trace", 200, `It answered 456.`, "vip"},
		{access.APIRead, "/api/calls/" + first + "/trace", 200, `"status":200`, "of the CRM"},
		{access.APIWrite, "/api/calls/" + first + "/trace", 200, `vip`, ""},
		{access.APIRead, "/api/calls/" + first + "/messages", 403, `"code":"scope"`, ""},
		{access.APIWrite, "/api/calls/" + first + "/messages", 200, `"messages":[`, ""},
	}
	for _, tt := range tests {
		w := r.do(tt.scope, "GET", tt.path, "")
		text := w.Body.String()
		if w.Code != tt.status || !strings.Contains(text, tt.has) || tt.hasNot != "" && strings.Contains(text, tt.hasNot) {
			t.Errorf("%s with %s: got %d %s, want %d with %q, without %q", tt.path, tt.scope, w.Code, text, tt.status, tt.has, tt.hasNot)
		}
	}
}

func TestPrivacy(t *testing.T) {
	r := newRig(t)
	c := r.call(0, nil)
	w := r.do(access.APIWrite, "POST", "/api/privacy/export", `{"number":"+14155550123"}`)
	if w.Code != 200 || !strings.Contains(w.Body.String(), c.ID.String()) {
		t.Errorf("export: got %d %s", w.Code, w.Body)
	}
	if w := r.do(access.APIWrite, "POST", "/api/privacy/erase", `{"number":"4155550123"}`); w.Code != 422 {
		t.Errorf("a national number: got %d, want a refusal: what cannot be undone is not guessed", w.Code)
	}
	if w := r.do(access.APIWrite, "POST", "/api/privacy/erase", `{"number":"+14155550123"}`); w.Code != 200 || !strings.Contains(w.Body.String(), `"calls":1`) {
		t.Errorf("erase: got %d %s", w.Code, w.Body)
	}
	w = r.do(access.V1Read, "GET", "/v1/calls/"+c.ID.String(), "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"raw_digits":"erased"`) || strings.Contains(w.Body.String(), "0123") {
		t.Errorf("the erased call: got %d %s", w.Code, w.Body)
	}
	var got found
	r.get("/v1/calls/search?phone_number=%2B14155550123", &got)
	if len(got.Calls) != 0 {
		t.Error("the erased call is still found by its number")
	}
}

func TestHealthAndStats(t *testing.T) {
	r := newRig(t, func(d *Deps) {
		d.Health = func() []Check { return []Check{{Name: "sip", OK: true, Detail: "udp 127.0.0.1:5060"}} }
	})
	w := r.do(access.APIRead, "GET", "/api/health", "")
	if !strings.Contains(w.Body.String(), `"ok":true,"version":"test"`) || !strings.Contains(w.Body.String(), `"name":"sip"`) {
		t.Errorf("health: got %s", w.Body)
	}
	r.notOK = &phone.Error{Kind: phone.Unreachable, Text: "the database is locked"}
	if w := r.do(access.APIRead, "GET", "/api/health", ""); !strings.Contains(w.Body.String(), `"ok":false`) || !strings.Contains(w.Body.String(), "locked") {
		t.Errorf("health when not ready: got %s", w.Body)
	}
	r.call(0, nil)
	if w := r.do(access.APIRead, "GET", "/api/stats", ""); !strings.Contains(w.Body.String(), `"calls_today":1,"users":3,"users_available":1`) {
		t.Errorf("stats: got %s", w.Body)
	}
}

// A page of another site, open in somebody's browser, must not change anything.
func TestCrossOrigin(t *testing.T) {
	r := newRig(t)
	for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		w := r.do(access.APIWrite, "POST", "/api/keys", `{"name":"x"}`, header, value)
		if w.Code != 403 {
			t.Errorf("%s: %s: got %d, want 403", header, value, w.Code)
		}
	}
}

func TestHeaders(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/docs/v1", "/docs/api", "/v1/ping", "/api/health", "/healthz", "/nothing"} {
		h := r.do("", "GET", path, "").Header()
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got headers %v", path, h)
		}
	}
}

func TestDocumentation(t *testing.T) {
	r := newRig(t)
	page := r.do("", "GET", "/docs/v1", "").Body.String()
	for _, e := range endpoints() {
		if !strings.Contains(page, docPath(e.Path)) || !strings.Contains(page, `id="`+anchorOf(e.Title)+`"`) {
			t.Errorf("/docs/v1 lacks %s %s", e.Method, e.Path)
		}
		for _, p := range e.Params {
			if !strings.Contains(page, "<code>"+p.Name+"</code>") {
				t.Errorf("/docs/v1 lacks the parameter %s of %s", p.Name, e.Path)
			}
		}
	}
	for _, e := range v1Errors {
		if !strings.Contains(page, `id="`+e.Anchor+`"`) {
			t.Errorf("/docs/v1 lacks the error %s", e.Status)
		}
	}
	if !strings.Contains(page, "&#34;calls&#34;: [") {
		t.Error("/docs/v1 lacks an example answer")
	}
	rest := r.do("", "GET", "/docs/api", "").Body.String()
	for path, methods := range r.openAPI().Paths {
		for _, op := range methods {
			if !strings.Contains(rest, path) || !strings.Contains(rest, `id="`+op.OperationID+`"`) {
				t.Errorf("/docs/api lacks %s", path)
			}
		}
	}
	for name, text := range map[string]string{"v1": page, "api": rest} {
		if strings.Contains(text, "<script") || strings.Contains(text, "style=") || strings.Contains(text, "ZgotmplZ") {
			t.Errorf("/docs/%s has a script or a style of its own", name)
		}
		ids := map[string]bool{}
		for _, part := range strings.Split(text, ` id="`)[1:] {
			id, _, _ := strings.Cut(part, `"`)
			if ids[id] {
				t.Errorf("/docs/%s has the anchor %s twice", name, id)
			}
			ids[id] = true
		}
	}
}

// One line says who changed the directory; a change that changes nothing says
// nothing.
func TestChangesAreLogged(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, func(d *Deps) { d.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	key := r.keys[access.V1Write].id
	for _, tt := range []struct {
		scope              access.Scope
		method, path, body string
		by                 string
	}{
		{access.V1Write, "PUT", "/v1/users/456", `{"name":"Ada Adams"}`, key},
		{access.V1Write, "PUT", "/v1/users/456", `{"name":"Ada Adams"}`, ""},
		{access.APIWrite, "PUT", "/api/directory", "version: 1\nteams: [{id: 8, name: Closers}]", r.keys[access.APIWrite].id},
		{access.APIWrite, "PUT", "/api/directory", "version: 1\nteams: [{id: 8, name: Closers}]", ""},
	} {
		log.Reset()
		if w := r.do(tt.scope, tt.method, tt.path, tt.body, "If-Match", "*", "Content-Type", "application/yaml"); w.Code != 200 {
			t.Fatalf("%s %s: got %d %s", tt.method, tt.path, w.Code, w.Body)
		}
		got, want := log.String(), " by="+tt.by+"\n"
		if tt.by == "" && got != "" || tt.by != "" && (!strings.HasSuffix(got, want) || strings.Count(got, "\n") != 1) {
			t.Errorf("%s %s: logged %q, want %q", tt.method, tt.path, got, want)
		}
	}
}

// A field that a later version adds to an answer must not break a client that
// checks answers; one that a request has and we do not know is a fault.
func TestAnswersAreOpen(t *testing.T) {
	r := newRig(t)
	var doc struct {
		Paths      map[string]map[string]json.RawMessage
		Components struct {
			Schemas map[string]struct {
				AdditionalProperties json.RawMessage
			}
		}
	}
	must(t, json.Unmarshal(r.do("", "GET", "/api/openapi.json", "").Body.Bytes(), &doc))
	closed := 0
	for name, s := range doc.Components.Schemas {
		sent := false
		for _, methods := range doc.Paths {
			for _, op := range methods {
				var o struct{ RequestBody json.RawMessage }
				must(t, json.Unmarshal(op, &o))
				sent = sent || strings.Contains(string(o.RequestBody), `"#/components/schemas/`+name+`"`)
			}
		}
		if is := string(s.AdditionalProperties) == "false"; is != sent {
			t.Errorf("schema %s: closed is %v, want %v", name, is, sent)
		} else if is {
			closed++
		}
	}
	if closed == 0 {
		t.Error("no request is closed")
	}
}
