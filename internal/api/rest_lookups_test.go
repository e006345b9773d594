package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/record"
)

// tested is the answer of lookups/test.
type tested struct {
	Flow, Step, Exit, Reason, Value, Target string
	Candidates                              []string
	Trace                                   struct {
		Sentence string
		Attempts []struct {
			Address string
			Status  int
			Answer  string
			Request struct{ Headers map[string]string }
		}
	}
}

func (r *rig) test(body string) (tested, *httptest.ResponseRecorder) {
	r.t.Helper()
	w := r.do(access.APIWrite, "POST", "/api/lookups/test", body)
	var got tested
	must(r.t, json.Unmarshal(w.Body.Bytes(), &got))
	return got, w
}

// The tutorial's lookup, against our own /v1: the request stays in the process,
// with its key and scopes.
func TestTutorialsLookup(t *testing.T) {
	r := newRig(t)
	must(t, r.outbound.SetOwn(r.V1(), nil, "http://127.0.0.1:8080"))
	key := r.keys[access.V1Read]
	r.apply(fmt.Sprintf("version: 1\ncredentials:\n  - {name: own-api, username: %q, password: {value: %q}}\n", key.id, key.token))
	steps := []struct {
		before               func()
		caller               string
		exit, reason, target string
	}{
		{nil, "+14155550123", "no_match", "empty_list", ""},
		{func() { r.call(0, nil) }, "+14155550123", "matched", "", "user 456"},
		{func() { r.call(1, missed) }, "+14155550123", "no_match", "path_null", ""}, // the tutorial's trap
		{func() { r.call(2, func(c *record.Call) { c.User = 99 }) }, "+14155550123", "unknown_target", "unknown_user", ""},
		{nil, "+33170189900", "no_match", "empty_list", ""},
		{nil, "anonymous", "no_match", "no_caller_number", ""},
	}
	for _, s := range steps {
		if s.before != nil {
			s.before()
		}
		got, w := r.test(`{"flow":"main","caller":"` + s.caller + `"}`)
		if got.Exit != s.exit || got.Reason != s.reason || got.Target != s.target || got.Trace.Sentence == "" {
			t.Errorf("%s: got %s, want %s, %s, %s", s.caller, w.Body, s.exit, s.reason, s.target)
		}
		if s.caller != "anonymous" && (got.Trace.Attempts[0].Address != "in process" || got.Trace.Attempts[0].Status != 200) {
			t.Errorf("%s: got attempt %+v, want 200 in process", s.caller, got.Trace.Attempts)
		}
		if strings.Contains(w.Body.String(), key.token) {
			t.Error("the trace has the key's token")
		}
	}
	r.apply("version: 1\ncredentials:\n  - {name: own-api, password: {value: a token that is wrong}}\n")
	if got, w := r.test(`{"flow":"main","step":"last agent","caller":"+14155550123"}`); got.Reason != "http_403" {
		t.Errorf("with a wrong token: got %s, want http_403", w.Body)
	}
}

func TestLookupGivenInTheRequest(t *testing.T) {
	r := newRig(t)
	asked := 0
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked++
		body, _ := io.ReadAll(q.Body)
		fmt.Fprintf(w, `{"team":"Support","asked":%q,"header":%q}`, body, q.Header.Get("X-Caller"))
	}))
	defer crm.Close()
	post := `{"method":"POST","url":"` + crm.URL + `/who","body":{"number":"{{callerNumber}}","dept":"{{input.dept}}"},"headers":{"X-Caller":"{{sip.x-kind}}"},"response":{"type":"team","path":"team"}}`
	if _, w := r.test(`{"caller":"+14155550123","lookup":` + strings.ReplaceAll(post, `,"dept":"{{input.dept}}"`, "") + `}`); w.Code != 409 || !strings.Contains(w.Body.String(), `"code":"confirm"`) || asked != 0 {
		t.Errorf("not confirmed: got %d %s, asked %d times", w.Code, w.Body, asked)
	}
	got, w := r.test(`{"caller":"+14155550123","headers":{"X-Kind":"gold"},"confirm":true,"lookup":` + strings.ReplaceAll(post, `,"dept":"{{input.dept}}"`, "") + `}`)
	if got.Exit != "matched" || got.Target != "team 7" || asked != 1 || !strings.Contains(got.Trace.Attempts[0].Answer, "+14155550123") ||
		!strings.Contains(got.Trace.Attempts[0].Answer, "gold") {
		t.Errorf("confirmed: got %s", w.Body)
	}
	for _, tt := range []struct {
		body   string
		status int
		want   string
	}{
		{`{"caller":"+14155550123","lookup":` + post + `}`, 422, `"pointer":"/lookup/body`}, // no step asks for input.dept
		{`{"caller":"+14155550123","lookup":{"url":"http://{{callerNumber}}/","response":{"path":"a.0.b"}}}`, 422, `"pointer":"/lookup/url"`},
		{`{"caller":"+14155550123","lookup":{"urll":"x"}}`, 422, `"line":1,"column":2,"pointer":"/lookup/urll","code":"unknown_field"`},
		{`{"caller":"+14155550123","lookup":{"url":"http://crm.test/","url":"http://crm.test/","response":{"path":"a"}}}`, 422, `"column":27,"pointer":"/lookup","code":"duplicate_field"`},
		{`{"caller":"+14155550123","lookup":"http://crm.test/"}`, 422, `"pointer":"/lookup`},
		{`{"caller":"4155550123","flow":"main"}`, 422, `/caller`},
		{`{"flow":"main"}`, 422, `caller`},
		{`{"caller":"anonymous"}`, 422, `/flow`},
		{`{"caller":"anonymous","flow":"none"}`, 422, `/flow`},
		{`{"caller":"anonymous","flow":"main","step":"none"}`, 422, `/step`},
		{`{"caller":"anonymous","flow":"main","called":"+14155559999"}`, 404, `not one of ours`},
	} {
		w := r.do(access.APIWrite, "POST", "/api/lookups/test", tt.body)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: got %d %s, want %d with %s", tt.body, w.Code, w.Body, tt.status, tt.want)
		}
	}
}

func TestTryFlow(t *testing.T) {
	r := newRig(t)
	must(t, r.outbound.SetOwn(r.V1(), nil, "http://127.0.0.1:8080"))
	key := r.keys[access.V1Read]
	r.apply(fmt.Sprintf("version: 1\ncredentials:\n  - {name: own-api, username: %q, password: {value: %q}}\n", key.id, key.token))
	r.call(0, nil)
	w := r.do(access.APIWrite, "POST", "/api/flows/try", `{"number":"+14155550100","caller":"+14155550123"}`)
	var got struct {
		Steps []struct {
			Kind, Step, Exit, Target string
			Who                      []struct {
				Name  string
				Rings bool
			}
			For string
		}
		Cause string
	}
	must(t, json.Unmarshal(w.Body.Bytes(), &got))
	if w.Code != 200 || len(got.Steps) < 4 || got.Cause != "unavailable" {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if s := got.Steps[0]; s.Kind != "ring_to_api" || s.Exit != "matched" || s.Target != "user 456" {
		t.Errorf("first: got %+v, want the lookup to match user 456", s)
	}
	if s := got.Steps[1]; s.Kind != "ring" || s.For != "20s" || len(s.Who) != 1 || !s.Who[0].Rings {
		t.Errorf("then: got %+v, want Ada to ring for 20s", s)
	}
	if s := got.Steps[2]; s.Step != "everybody" || s.For != "30s" || len(s.Who) != 2 || !s.Who[0].Rings || s.Who[1].Rings {
		t.Errorf("then: got %+v, want Ada alone of two for 30s: Ben is in a call", s)
	}
	if w := r.do(access.APIWrite, "POST", "/api/flows/try", `{"number":"+14155559999","caller":"+14155550123"}`); w.Code != 404 {
		t.Errorf("not our number: got %d %s", w.Code, w.Body)
	}
	if w := r.do(access.APIWrite, "POST", "/api/flows/try", `{"number":"","caller":"+14155550123"}`); w.Code != 422 {
		t.Errorf("no number: got %d %s", w.Code, w.Body)
	}
}

// apply puts a document in.
func (r *rig) apply(text string) {
	r.t.Helper()
	doc, faults := directory.Parse("test", []byte(text), nil)
	if len(faults) > 0 {
		r.t.Fatal(faults)
	}
	_, err := r.dir.Apply(r.t.Context(), doc, directory.ApplyOptions{})
	must(r.t, err)
}
