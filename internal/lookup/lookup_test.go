package lookup

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/outbound"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// shelf is a handful of credentials.
type shelf map[string]Credential

func (s shelf) Credential(name string) (Credential, bool) {
	c, ok := s[name]
	return c, ok
}

func (s shelf) Secrets() (all []secret.Text) {
	for _, c := range s {
		all = append(all, c.Secret)
	}
	return all
}

// resolve knows user 456 (agent@example.com, hubspot 77001), user with the id
// 9007199254740993, team 7 (Support), number 1 (+14155550100), and dials +33.
func resolve(n Named) (phone.Target, phone.Availability, Reason) {
	switch n.Kind {
	case phone.ToUser:
		id, _ := strconv.ParseInt(n.Text, 10, 64)
		switch {
		case n.By == ByID && n.Space == Own && (id == 456 || id == 9007199254740993 || id == 1234567890123456789):
			return phone.UserTarget(phone.UserID(id)), phone.Available, ""
		case n.By == ByEmail && strings.EqualFold(n.Text, "agent@example.com"),
			n.By == ByID && n.Space == "hubspot" && n.Text == "77001":
			return phone.UserTarget(456), phone.Available, ""
		}
		return phone.Target{}, "", ReasonUnknownUser
	case phone.ToTeam:
		if n.Text == "7" && n.By == ByID || n.Text == "Support" && n.By == ByName {
			return phone.TeamTarget(7), "", ""
		}
		return phone.Target{}, "", ReasonUnknownTeam
	case phone.ToNumber:
		switch {
		case n.By == ByIDOrNumber && n.Text == "1", n.Number == "+14155550100":
			return phone.NumberTarget(1), "", ""
		case n.Number == "":
			return phone.Target{}, "", ReasonBadNumber
		}
		return phone.Target{}, "", ReasonUnknownNumber
	}
	if strings.HasPrefix(string(n.Number), "+33") {
		return phone.ExternalTarget(n.Number), "", ""
	}
	return phone.Target{}, "", ReasonNotAllowed
}

func testVars() Vars {
	return Vars{NumberName: "Main line", Call: phone.CallFacts{
		ID: 1789, Caller: "+14155550123", CallerName: "Ada", Called: "+14155550100", Number: 1, Trunk: "carrier",
		Headers: map[string]string{"x-order": "A-7"}, StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}, Input: map[string]string{"pin": "42"}, Saved: map[string]string{"owner": "o1"}}
}

func testRequest(creds Credentials) Request {
	return Request{Vars: testVars(), Region: "US", Credentials: creds, Resolve: resolve}
}

// newClient allows loopback.
func newClient(t testing.TB, change ...func(*outbound.Options)) *outbound.Client {
	t.Helper()
	o := outbound.Options{Allow: []string{"127.0.0.0/8", "::1"}}
	for _, f := range change {
		f(&o)
	}
	c, err := outbound.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func mustCompile(t testing.TB, s Spec, env Env) *Lookup {
	t.Helper()
	l, list := Compile(s, env)
	if l == nil {
		t.Fatalf("Compile(%+v): %v", s, list)
	}
	return l
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	}
}

func view(t *testing.T, o Outcome) View {
	t.Helper()
	data, err := json.Marshal(o.Trace)
	if err != nil {
		t.Fatalf("trace: %v", err)
	}
	var v View
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("trace: %v", err)
	}
	if v.Sentence == "" || v.TraceVersion != TraceVersion {
		t.Errorf("trace without sentence or version: %s", data)
	}
	return v
}

func TestTutorial(t *testing.T) {
	var got *http.Request
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		answer(`{"meta":{},"calls":[{"id":1,"user":{"id":456}}]}`)(w, r)
	})
	host := strings.TrimPrefix(s.URL, "http://")
	creds := shelf{"own": {Name: "own", Type: Basic, Username: "abc", Secret: secret.New("0123456789abcdef-long"), Hosts: []string{host}}}
	l := mustCompile(t, Spec{URL: s.URL + "/v1/calls/search?order=des&phone_number={{callerNumber}}",
		Credential: "own", Response: Response{Path: Paths{"calls[0].user.id"}}}, Env{Credentials: creds})
	o := NewEngine(newClient(t)).Run(t.Context(), l, testRequest(creds))
	if o.Exit != Matched || o.Target != phone.UserTarget(456) || o.Value != "456" || o.Reason != "" {
		t.Fatalf("got %+v, want user 456", o)
	}
	if want := "/v1/calls/search?order=des&phone_number=%2B14155550123"; got.RequestURI != want {
		t.Errorf("asked %s, want %s", got.RequestURI, want)
	}
	if user, pass, _ := got.BasicAuth(); user != "abc" || pass != "0123456789abcdef-long" {
		t.Errorf("Basic %q %q", user, pass)
	}
	v := view(t, o)
	if len(v.Attempts) != 1 || v.Attempts[0].Status != 200 || v.Attempts[0].Address != host ||
		v.Attempts[0].Request.Headers["Authorization"] != "Basic ••••" {
		t.Errorf("attempts %+v", v.Attempts)
	}
	if c := v.Candidates; len(c) != 1 || c[0].Pointer != "/calls/0/user/id" || c[0].Target != "user 456" || c[0].State != "available" {
		t.Errorf("candidates %+v", c)
	}
}

func TestReadingAnAnswer(t *testing.T) {
	user := func(path ...string) Response { return Response{Path: path} }
	auto := func(path string) Response { return Response{Type: "auto", Path: Paths{path}} }
	typed := func(kind string) Response { return Response{Type: kind, Path: Paths{"v"}} }
	u, seven := phone.UserTarget(456), phone.TeamTarget(7)
	none := phone.Target{}
	tests := []struct {
		name     string
		response Response
		answer   string
		exit     Exit
		reason   Reason
		target   phone.Target
	}{
		{"first time caller", user("calls[0].user.id"), `{"calls":[]}`, NoMatch, ReasonEmptyList, none},
		{"missed newest call", user("calls[0].user.id"), `{"calls":[{"user":null},{"user":{"id":456}}]}`, NoMatch, ReasonPathNull, none},
		{"newest that somebody took", user("calls[*].user.id"), `{"calls":[{"user":null},{"user":{"id":456}}]}`, Matched, "", u},
		{"wildcard, empty list", user("calls[*].user.id"), `{"calls":[]}`, NoMatch, ReasonEmptyList, none},
		{"wildcard, nobody took", user("calls[*].user.id"), `{"calls":[{"user":null}]}`, NoMatch, ReasonPathMissing, none},
		{"filter", user("calls[?@.direction == 'inbound'].user.id"), `{"calls":[{"direction":"outbound","user":{"id":1}},{"direction":"inbound","user":{"id":456}}]}`, Matched, "", u},
		{"filter, empty list", user("calls[?@.a].id"), `{"calls":[]}`, NoMatch, ReasonEmptyList, none},
		{"filter, none", user("calls[?@.a].id"), `{"calls":[{"b":1}]}`, NoMatch, ReasonPathMissing, none},
		{"filter, only null", user("calls[?@.a].id"), `{"calls":[{"a":1,"id":null}]}`, NoMatch, ReasonPathNull, none},
		{"missing", user("a.b"), `{"a":{"c":1}}`, NoMatch, ReasonPathMissing, none},
		{"null", user("a"), `{"a":null}`, NoMatch, ReasonPathNull, none},
		{"null before", user("a.b.c"), `{"a":null}`, NoMatch, ReasonPathNull, none},
		{"empty text", user("a"), `{"a":" "}`, NoMatch, ReasonPathNull, none},
		{"false", user("a"), `{"a":false}`, NoMatch, ReasonPathNull, none},
		{"zero", user("a"), `{"a":0}`, NoMatch, ReasonPathNull, none},
		{"zero text", user("a"), `{"a":"0"}`, NoMatch, ReasonPathNull, none},
		{"object", user("a"), `{"a":{"id":456}}`, UnknownTarget, ReasonWrongKind, none},
		{"list", user("a"), `{"a":[456]}`, UnknownTarget, ReasonWrongKind, none},
		{"several paths", user("a", "b"), `{"a":null,"b":456}`, Matched, "", u},
		{"several paths, first reason", user("a", "b"), `{"a":null}`, NoMatch, ReasonPathNull, none},
		{"next candidate", user("a", "b"), `{"a":999,"b":456}`, Matched, "", u},
		{"first such reason", user("a", "b"), `{"a":{"x":1},"b":999}`, UnknownTarget, ReasonWrongKind, none},
		{"19 digits", user("id"), `{"id":1234567890123456789}`, Matched, "", phone.UserTarget(1234567890123456789)},
		{"filter …993, not …992", user("l[?@.ref == 9007199254740993].id"), `{"l":[{"ref":9007199254740992,"id":1},{"ref":9007199254740993,"id":9007199254740993}]}`, Matched, "", phone.UserTarget(9007199254740993)},
		{"e-mail, whatever ids", Response{Path: Paths{"a"}, IDs: "hubspot"}, `{"a":" Agent@Example.com "}`, Matched, "", u},
		{"ids of a CRM", Response{Path: Paths{"a"}, IDs: "hubspot"}, `{"a":77001}`, Matched, "", u},
		{"ids of a CRM are not ours", Response{Path: Paths{"a"}, IDs: "hubspot"}, `{"a":456}`, UnknownTarget, ReasonUnknownUser, none},
		{"unknown user", user("a"), `{"a":457}`, UnknownTarget, ReasonUnknownUser, none},
		{"team by name", typed("team"), `{"v":"Support"}`, Matched, "", seven},
		{"team by id", typed("team"), `{"v":"7"}`, Matched, "", seven},
		{"unknown team", typed("team"), `{"v":"Sales"}`, UnknownTarget, ReasonUnknownTeam, none},
		{"number by id", typed("number"), `{"v":1}`, Matched, "", phone.NumberTarget(1)},
		{"number, national", typed("number"), `{"v":"(415) 555-0100"}`, Matched, "", phone.NumberTarget(1)},
		{"unknown number", typed("number"), `{"v":"+14155550111"}`, UnknownTarget, ReasonUnknownNumber, none},
		{"bad number", typed("number"), `{"v":"front desk"}`, UnknownTarget, ReasonBadNumber, none},
		{"external", typed("external"), `{"v":"0033 1 23 45 67 89"}`, Matched, "", phone.ExternalTarget("+33123456789")},
		{"external not allowed", typed("external"), `{"v":"+442071838750"}`, UnknownTarget, ReasonNotAllowed, none},
		{"external, emergency", typed("external"), `{"v":"911"}`, UnknownTarget, ReasonNotAllowed, none},
		{"external, emergency as a number", typed("external"), `{"v":112}`, UnknownTarget, ReasonNotAllowed, none},
		{"external, emergency abroad", typed("external"), `{"v":"+1 (911)"}`, UnknownTarget, ReasonNotAllowed, none},
		{"external, short", typed("external"), `{"v":"116 117"}`, UnknownTarget, ReasonNotAllowed, none},
		{"external, by map", Response{Type: "external", Path: Paths{"v"}, Map: map[string]MapTo{"help": {Value: "911"}}}, `{"v":"help"}`, UnknownTarget, ReasonNotAllowed, none},
		{"external, emergency by auto", Response{Type: "auto", Path: Paths{"v"}, AllowExternal: true}, `{"v":"external:911"}`, UnknownTarget, ReasonNotAllowed, none},
		{"external, no number", typed("external"), `{"v":"call 911"}`, UnknownTarget, ReasonBadNumber, none},
		{"number, emergency", typed("number"), `{"v":"911"}`, UnknownTarget, ReasonBadNumber, none},
		{"auto kind", auto("v"), `{"v":"team: Support"}`, Matched, "", seven},
		{"auto first colon", auto("v"), `{"v":"team:a:b"}`, UnknownTarget, ReasonUnknownTeam, none},
		{"auto object", auto(""), `{"user":456,"note":"x"}`, Matched, "", u},
		{"auto two kinds", auto(""), `{"user":456,"team":7}`, UnknownTarget, ReasonWrongKind, none},
		{"auto object, one without a value", auto(""), `{"user":null,"team":7}`, Matched, "", seven},
		{"auto object without a value", auto(""), `{"user":null,"note":"x"}`, NoMatch, ReasonPathNull, none},
		{"auto object of something else", auto(""), `{"owner":456}`, UnknownTarget, ReasonWrongKind, none},
		{"auto object in an object", auto(""), `{"user":{"id":456}}`, UnknownTarget, ReasonWrongKind, none},
		{"auto list", auto(""), `[{"user":456}]`, UnknownTarget, ReasonWrongKind, none},
		{"auto without kind", auto("v"), `{"v":"456"}`, UnknownTarget, ReasonWrongKind, none},
		{"auto external refused", auto("v"), `{"v":"external:+33123456789"}`, UnknownTarget, ReasonNotAllowed, none},
		{"auto external allowed", Response{Type: "auto", Path: Paths{"v"}, AllowExternal: true}, `{"v":"external:+33123456789"}`, Matched, "", phone.ExternalTarget("+33123456789")},
		{"map to target", Response{Path: Paths{"v"}, Map: map[string]MapTo{"gold": {Kind: "team", Value: "7"}}}, `{"v":"gold"}`, Matched, "", seven},
		{"map to value", Response{Path: Paths{"v"}, Map: map[string]MapTo{"gold": {Value: "456"}}}, `{"v":" gold "}`, Matched, "", u},
		{"map of zero", Response{Path: Paths{"v"}, Map: map[string]MapTo{"0": {Value: "456"}}}, `{"v":0}`, Matched, "", u},
		{"map to nobody", Response{Path: Paths{"v"}, Map: map[string]MapTo{"gold": {Value: ""}}}, `{"v":"gold"}`, NoMatch, ReasonPathNull, none},
		{"map any other", Response{Path: Paths{"v"}, Map: map[string]MapTo{"*": {Kind: "team", Value: "Support"}}}, `{"v":"iron"}`, Matched, "", seven},
		{"map any other is not null", Response{Path: Paths{"v"}, Map: map[string]MapTo{"*": {Kind: "team", Value: "Support"}}}, `{"v":null}`, NoMatch, ReasonPathNull, none},
		{"map any other to nobody", Response{Path: Paths{"v"}, Map: map[string]MapTo{"*": {Value: ""}, "gold": {Value: "456"}}}, `{"v":"iron"}`, NoMatch, ReasonPathNull, none},
		{"byte order mark", user("a"), "\xef\xbb\xbf{\"a\":456}", Matched, "", u},
		{"doubled name", user("a.id"), `{"a":{"id":1},"a":{"id":456}}`, Matched, "", u},
		{"from the end", user("a[-1]"), `{"a":[1,2,456]}`, Matched, "", u},
		{"nothing in it", user("a"), " \n", NoMatch, ReasonEmptyBody, none},
	}
	engine := NewEngine(newClient(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, answer(tt.answer))
			l := mustCompile(t, Spec{URL: s.URL, Response: tt.response}, Env{Region: "US", Resolve: resolve})
			o := engine.Run(t.Context(), l, testRequest(nil))
			if o.Exit != tt.exit || o.Reason != tt.reason || o.Target != tt.target {
				t.Errorf("%s: got %s %s %s, want %s %s %s", tt.answer, o.Exit, o.Reason, o.Target, tt.exit, tt.reason, tt.target)
			}
			view(t, o)
		})
	}
}

func TestTakeAll(t *testing.T) {
	s := serve(t, answer(`{"o":["456","nobody","agent@example.com","7"],"t":[{"name":"Ada\u0000\nKing"}]}`))
	l := mustCompile(t, Spec{URL: s.URL, Response: Response{Path: Paths{"o[*]"}, Take: "all",
		Show: map[string]string{"contact": "t[0].name", "gone": "t[9].name"}}}, Env{})
	o := NewEngine(newClient(t)).Run(t.Context(), l, testRequest(nil))
	if len(o.Candidates) != 1 || o.Candidates[0] != phone.UserTarget(456) || len(o.Trace.candidates) != 4 {
		t.Errorf("got %v of %d, want user 456 once of 4", o.Candidates, len(o.Trace.candidates))
	}
	if len(o.Show) != 1 || o.Show["contact"] != "Ada  King" {
		t.Errorf("show %q", o.Show)
	}
}

func TestDisabledAsksNobody(t *testing.T) {
	off := false
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	l := mustCompile(t, Spec{URL: s.URL, Enabled: &off, Response: Response{Path: Paths{"a"}}}, Env{})
	if o := NewEngine(newClient(t)).Run(t.Context(), l, testRequest(nil)); o.Exit != Failed || o.Reason != ReasonDisabled {
		t.Errorf("got %s %s", o.Exit, o.Reason)
	}
}

func TestEmptyVariables(t *testing.T) {
	s := serve(t, answer(`{"a":456}`))
	withheld := testRequest(nil)
	withheld.Call.Caller = ""
	short := testRequest(nil)
	short.Call.Caller = "+1234567"
	tests := []struct {
		name, url string
		req       Request
		exit      Exit
		reason    Reason
	}{
		{"withheld", "/?q={{callerNumber}}", withheld, NoMatch, ReasonNoCallerNumber},
		{"withheld form", "/?q={{ callerNumber.national | digits }}", withheld, NoMatch, ReasonNoCallerNumber},
		{"fewer digits", "/?q={{callerNumber.last8}}", short, NoMatch, ReasonNoCallerNumber},
		{"default", `/?q={{callerNumber|default:"none"}}`, withheld, Matched, ""},
		{"not used", "/?q={{calledNumber}}", withheld, Matched, ""},
		{"not collected", "/?q={{input.nothing}}", withheld, NoMatch, ReasonEmptyVariable},
		{"dots", `/{{sip.x-dots}}/x`, withheld, Failed, ReasonUnsafeValue},
	}
	withheld.Call.Headers["x-dots"] = ".."
	engine := NewEngine(newClient(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := mustCompile(t, Spec{URL: s.URL + tt.url, Response: Response{Path: Paths{"a"}}},
				Env{Inputs: []string{"nothing"}, HeaderNames: []string{"X-Dots"}})
			if o := engine.Run(t.Context(), l, tt.req); o.Exit != tt.exit || o.Reason != tt.reason {
				t.Errorf("got %s %s, want %s %s", o.Exit, o.Reason, tt.exit, tt.reason)
			}
		})
	}
}

func BenchmarkRun(b *testing.B) {
	body := `{"calls":[{"id":1,"user":{"id":456}}],"pad":"` + strings.Repeat("x", 2048) + `"}`
	s := serve(b, answer(body))
	l := mustCompile(b, Spec{URL: s.URL + "/?n={{callerNumber}}", Response: Response{Path: Paths{"calls[0].user.id"}}}, Env{})
	engine := NewEngine(newClient(b))
	req := testRequest(nil)
	b.ReportAllocs()
	for b.Loop() {
		if o := engine.Run(b.Context(), l, req); o.Exit != Matched {
			b.Fatal(o.Reason)
		}
	}
}

func BenchmarkTrace(b *testing.B) {
	s := serve(b, answer(`{"calls":[{"id":1,"user":{"id":456}}],"pad":"`+strings.Repeat("x", 2048)+`"}`))
	l := mustCompile(b, Spec{URL: s.URL, Response: Response{Path: Paths{"calls[0].user.id"}}}, Env{})
	o := NewEngine(newClient(b)).Run(b.Context(), l, testRequest(nil))
	o.Trace.Cut(2<<10, AnswersFull)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.Trace.MarshalJSON(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExtract(b *testing.B) {
	body := []byte(`{"calls":[{"id":1,"user":{"id":456}}],"pad":"` + strings.Repeat("x", 2048) + `"}`)
	for _, text := range []string{"calls[0].user.id", "calls[*].user.id", "calls[?@.id > 0].user.id"} {
		b.Run(text, func(b *testing.B) {
			p, err := compilePath(text)
			if err != nil {
				b.Fatal(err)
			}
			p.holds = isFact
			b.ReportAllocs()
			for b.Loop() {
				if _, reason := extract(b.Context(), body, []*path{p}); reason != "" {
					b.Fatal(reason)
				}
			}
		})
	}
}
