package lookup

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/ringpath/ringpath/internal/outbound"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// TestSecretsNeverShow: an API that echoes everything that it was sent, in all
// spellings, and a secret that it should not know.
func TestSecretsNeverShow(t *testing.T) {
	const used, stored, short = `p/ss"wörd&0123456789-used`, "another-stored-secret", "pin9"
	basic := base64.StdEncoding.EncodeToString([]byte("abc:" + used))
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "session="+stored+"-x; Path=/; HttpOnly")
		w.Header().Add("Set-Cookie", "second=unknown-token; Path=/")
		w.Header().Set("Content-Type", "text/"+stored)
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		body, _ := json.Marshal(map[string]any{"a": 456, "auth": r.Header.Get("Authorization"), "plain": used,
			"query": url.QueryEscape(used), "slashes": strings.ReplaceAll(basic, "/", `\/`), "other": stored, "short": short, "in": "xx" + stored + "yy"})
		_, _ = w.Write(body)
	})
	host := strings.TrimPrefix(s.URL, "http://")
	creds := shelf{
		"basic": {Name: "basic", Type: Basic, Username: "abc", Secret: secret.New(used), Hosts: []string{host}},
		"query": {Name: "query", Type: APIKey, In: "query", Key: "k", Secret: secret.New(used), Hosts: []string{host}},
		"other": {Name: "other", Secret: secret.New(stored)},
		"short": {Name: "short", Secret: secret.New(short)},
	}
	for _, name := range []string{"basic", "query"} {
		l := mustCompile(t, Spec{URL: s.URL, Credential: name, Response: Response{Path: Paths{"a"},
			Show: map[string]string{"x": "other", "y": "plain"}}}, Env{})
		o := NewEngine(newClient(t)).Run(t.Context(), l, testRequest(creds))
		for _, limit := range []int{64 << 10, 2 << 10, 100, 30} {
			o.Trace.Cut(limit, AnswersFull)
			data, err := json.Marshal(o.Trace)
			if err != nil {
				t.Fatal(err)
			}
			for _, hidden := range []string{"wörd", url.QueryEscape("wörd"), stored, short, basic, basic[:20]} {
				if name == "query" && strings.HasPrefix(basic, hidden) {
					continue // made of a user name that this lookup does not send
				}
				if strings.Contains(string(data), hidden) {
					t.Errorf("%s, %d bytes: %q shows in %s", name, limit, hidden, data)
				}
			}
		}
		v := view(t, o)
		if got := v.Attempts[0].Headers["Set-Cookie"]; got != "session=••••; Path=/; HttpOnly, second=••••; Path=/" {
			t.Errorf("Set-Cookie %q", got)
		}
		if name == "query" && !strings.HasSuffix(v.Attempts[0].Request.URL, "?k=••••used") {
			t.Errorf("URL %q", v.Attempts[0].Request.URL)
		}
	}
}

// What an API says reaches more than the trace: a secret in it must be masked
// everywhere, whole or cut, and so must one that begins with another one.
func TestSecretsInValues(t *testing.T) {
	const stored, longer = "stored-secret-0123456789", "stored-secret-0123456789-and-more"
	creds := shelf{"a": {Secret: secret.New(stored)}, "b": {Secret: secret.New(longer)}}
	engine := NewEngine(newClient(t))
	for _, pad := range []int{0, 240, 250, 1000, 1010, 2030, testKeep - 20} {
		text := strings.Repeat("x", pad) + longer
		for _, body := range []string{`{"a":"` + text + `"}`, `{"a":{"b":"` + text + `"}}`, `{"a":456,"b":"` + text + `"}`, `{"broken":"` + text} {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "/"+text)
				answer(body)(w, r)
			})
			l := mustCompile(t, Spec{Method: "POST", Body: "{{sip.X-Order}}", BodyType: "raw", URL: s.URL,
				Response: Response{Path: Paths{"a"}, Map: map[string]MapTo{"x": {Value: longer}}, Show: map[string]string{"fact": "a", "other": "b"}}}, fullEnv)
			req := testRequest(creds)
			req.Call.Headers = map[string]string{"x-order": text}
			req.Test = true
			o := engine.Run(t.Context(), l, req)
			for _, limit := range []int{testKeep, matchedKeep, 100} {
				o.Trace.Cut(limit, AnswersFull)
				data, _ := json.Marshal(o.Trace)
				said := string(data) + o.Value + o.Show["fact"] + o.Show["other"]
				if strings.Contains(said, "stored") || strings.Contains(said, "-and-") {
					t.Errorf("%d, %.20s, %d bytes: a secret shows: …%s", pad, body, limit, said[max(0, strings.Index(said, "stored")-20):])
				}
			}
		}
	}
}

func TestCut(t *testing.T) {
	const at = 7000
	long := `{"p":"` + strings.Repeat("é", at) + `","a":456,"q":"` + strings.Repeat("z", at) + `"}`
	engine := NewEngine(newClient(t))
	run := func(body string, test bool) Outcome {
		s := serve(t, answer(body))
		req := testRequest(nil)
		req.Test = test
		return engine.Run(t.Context(), mustCompile(t, Spec{URL: s.URL, Response: Response{Path: Paths{"a"}}}, Env{}), req)
	}
	matched, unknown := run(long, false), run(strings.Replace(long, "456", "9", 1), false)
	tests := []struct {
		name    string
		outcome Outcome
		cut     func(*Trace)
		min     int
		max     int
		node    bool
	}{
		{"test", run(long, true), func(tr *Trace) { engine.Cut(tr, AnswersNone) }, len(long), len(long), true},
		{"not cut", matched, func(*Trace) {}, otherKeep - 3, otherKeep, true},
		{"matched", matched, func(tr *Trace) { engine.Cut(tr, AnswersFull) }, 2000, 2048, true},
		{"not matched", unknown, func(tr *Trace) { engine.Cut(tr, AnswersFull) }, otherKeep - 3, otherKeep, false},
		{"chosen", matched, func(tr *Trace) { engine.Cut(tr, AnswersChosen) }, 0, 0, false},
		{"none", matched, func(tr *Trace) { engine.Cut(tr, AnswersNone) }, 0, 0, false},
	}
	for _, tt := range tests {
		tt.cut(tt.outcome.Trace)
		v := view(t, tt.outcome)
		a := v.Attempts[0]
		if len(a.Answer) < tt.min || len(a.Answer) > tt.max || a.Truncated != (len(a.Answer) < len(long)) {
			t.Errorf("%s: %d bytes, truncated %v", tt.name, len(a.Answer), a.Truncated)
		}
		if tt.node && (!strings.Contains(a.Answer, `"a":456,`) || !strings.HasPrefix(long[a.Offset:], a.Answer)) {
			t.Errorf("%s: no node in %d bytes from %d", tt.name, len(a.Answer), a.Offset)
		}
		if value := v.Candidates[0].Value; (value == "") != (tt.name == "none") {
			t.Errorf("%s: value %q", tt.name, value)
		}
	}
	for range 2 * maxLargeTraces { // the allowance of this second
		engine.Cut(unknown.Trace, AnswersFull)
	}
	if a := view(t, unknown).Attempts[0]; len(a.Answer) > matchedKeep {
		t.Errorf("%d bytes after the allowance", len(a.Answer))
	}
}

// What a company does not want kept must not come in by another field.
func TestAnswersNoneKeepsNothing(t *testing.T) {
	for name, url := range map[string]string{
		"pointer":  serve(t, answer(`{"Jane Doe":{"id":"Jane Doe"}}`)).URL,
		"redirect": serve(t, status(302, "Location", "/Jane Doe")).URL,
		"no HTTP":  raw(t, "Jane Doe, 12 High Street\r\n\r\n", hangUp),
	} {
		l := mustCompile(t, Spec{URL: url, Response: Response{Path: Paths{"$.*.id"}, Show: map[string]string{"a": "$.*.id"}}}, Env{})
		o := NewEngine(newClient(t)).Run(t.Context(), l, testRequest(nil))
		o.Trace.Cut(matchedKeep, AnswersNone)
		if data, _ := json.Marshal(o.Trace); strings.Contains(string(data), "Jane") {
			t.Errorf("%s: %s", name, data)
		}
	}
}

// toDo is what the end of a sentence tells people to do.
var toDo = regexp.MustCompile(`(?i)\b(add|ask|change|check|choose|compare|correct|lead|lower|put|raise|set|take|try|type|write|allow it|best is|nothing to do)\b`)

func TestEverySentence(t *testing.T) {
	reasons := map[Exit][]Reason{
		NoMatch:       {ReasonNoCallerNumber, ReasonEmptyVariable, ReasonPathMissing, ReasonPathNull, ReasonEmptyList, ReasonEmptyBody, ReasonEmptyStatus},
		UnknownTarget: {ReasonUnknownUser, ReasonUnknownTeam, ReasonUnknownNumber, ReasonBadNumber, ReasonNotAllowed, ReasonWrongKind},
		Failed: {ReasonDisabled, ReasonUnsafeValue, ReasonTimeout, ReasonDNS, ReasonRefused, ReasonReset, ReasonTLS, ReasonRedirect,
			ReasonHTTP401, ReasonHTTP403, ReasonHTTP404, ReasonHTTP429, ReasonHTTP4xx, ReasonHTTP5xx, ReasonNotJSON, ReasonTooLarge,
			ReasonTooDeep, ReasonBlockedAddress, ReasonOverloaded, ReasonMissingSecret, ReasonCancelled},
	}
	seen := map[string]Reason{}
	for exit, list := range reasons {
		for _, r := range list {
			l := mustCompile(t, Spec{URL: "https://crm.example/", Response: Response{Path: Paths{"a"}}}, Env{})
			x := run{l: l, req: &Request{}, trace: &Trace{keep: testKeep}}
			x.trace.attempts = []*attempt{{msg: &message{url: new(url.URL)}, status: 200, respHeader: http.Header{}}}
			x.param("credential", "Aircall")
			x.end(exit, r)
			s := x.trace.View().Sentence
			if next := s[strings.IndexAny(s, ".:;")+1:]; !toDo.MatchString(next) {
				t.Errorf("%s %s does not say what to do: %q", exit, r, s)
			}
			if before, twice := seen[s]; twice && !(r == ReasonHTTP401 || r == ReasonHTTP403) || s == "" || strings.Contains(s, "%!") {
				t.Errorf("%s %s (as %s): %q", exit, r, before, s)
			}
			seen[s] = r
			if exit == Failed { // also without an answer
				x.trace.attempts = nil
				if s := x.trace.View().Sentence; !toDo.MatchString(s) || strings.Contains(s, "%!") {
					t.Errorf("%s without an answer does not say what to do: %q", r, s)
				}
			}
		}
	}
	x := run{l: mustCompile(t, Spec{URL: "https://crm.example/", Response: Response{Path: Paths{"a"}}}, Env{}), req: &Request{}, trace: &Trace{}}
	x.trace.attempts = []*attempt{{msg: &message{url: new(url.URL)}, status: 401, respHeader: http.Header{}}}
	x.param("credential", "Aircall")
	x.end(Failed, ReasonHTTP401)
	if v := x.trace.View(); !strings.HasPrefix(v.Sentence, "401: the API rejected the credential Aircall; check its token") || v.Help == "" {
		t.Errorf("%q %q", v.Sentence, v.Help)
	}
}

// A withheld caller, an in-process answer and a second attempt in one trace.
func TestTraceOfOwnAPI(t *testing.T) {
	client, err := outbound.New(outbound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	n := 0
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answer(`{"calls":[{"user":{"id":456}}]}`)(w, r)
	})
	if err := client.SetOwn(own, nil, "http://192.0.2.1:8080"); err != nil {
		t.Fatal(err)
	}
	creds := shelf{"own": {Name: "own", Type: Bearer, Secret: secret.New("x-y-z"), Hosts: []string{"192.0.2.1:8080"}}}
	l := mustCompile(t, Spec{URL: "http://192.0.2.1:8080/v1/calls", Credential: "own", Response: Response{Path: Paths{"calls[0].user.id"}}}, Env{})
	o := NewEngine(client).Run(t.Context(), l, testRequest(creds))
	v := view(t, o)
	if o.Target != phone.UserTarget(456) || len(v.Attempts) != 2 || v.Attempts[0].Status != 503 ||
		v.Attempts[1].Address != "in process" || v.Attempts[0].Error != ReasonHTTP5xx {
		t.Errorf("%s %s: %+v", o.Exit, o.Reason, v.Attempts)
	}
}
