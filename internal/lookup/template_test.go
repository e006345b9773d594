package lookup

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/secret"
)

var fullEnv = Env{HeaderNames: []string{"X-Order"}, Inputs: []string{"pin"}, Saved: []string{"owner"}, Region: "US"}

func TestVariables(t *testing.T) {
	tests := []struct{ template, want string }{
		{"{{callerNumber}}", "+14155550123"},
		{"{{ callerNumber.digits }}", "14155550123"},
		{"{{callerNumber.national}}", "4155550123"},
		{"{{callerNumber.nationalFormatted}}", "(415) 555-0123"},
		{"{{callerNumber.internationalFormatted}}", "+1 415-555-0123"},
		{"{{callerNumber.countryCode}}", "1"},
		{"{{callerNumber.region}}", "US"},
		{"{{callerNumber.last8}}", "55550123"},
		{"{{callerNumber.last9}}", "155550123"},
		{"{{callerNumber.last10}}", "4155550123"},
		{"{{callerName}}", "Ada"},
		{"{{callerVerification}}", "none"},
		{"{{calledNumber}}", "+14155550100"},
		{"{{calledNumber.national}}", "4155550100"},
		{"{{calledNumber.id}}", "1"},
		{"{{calledNumber.name}}", "Main line"},
		{"{{callId}}", "1789"},
		{"{{startedAt}}", "2026-01-02T03:04:05Z"},
		{"{{trunk}}", "carrier"},
		{"{{sip.x-ORDER}}", "A-7"},
		{"{{input.pin}}", "42"},
		{"{{saved.owner}}", "o1"},
		{"{{callerName|lower}}/{{callerName|upper}}", "ada/ADA"},
		{"{{sip.X-Order|digits}}", "7"},
		{`{{callerName | trim | default : "x}}y" }}`, "Ada"},
		{"{{callerName|quote}}", `"Ada"`},
		{"{{{callerName}}}", "{Ada}"},
		{"FIND { {{callerNumber.national|sosl}} }", "FIND { 4155550123 }"},
		{"FIND {{{{{callerName|sosl}}}}}", "FIND {{{Ada}}}"},
		{"{{callerNumber|urlquery}}", "%2B14155550123"},
		{`"{{callerName|json}}"`, `"Ada"`},
		{"}} { {", "}} { {"},
	}
	v := testVars()
	for _, tt := range tests {
		var list faults
		parts, ok := templates{&fullEnv, &list}.parse("/x", tt.template, inRaw)
		if !ok {
			t.Errorf("%s: %v", tt.template, list)
			continue
		}
		if got, stopped := write(nil, parts, inRaw, &v); string(got) != tt.want || stopped != nil {
			t.Errorf("%s: got %q, want %q", tt.template, got, tt.want)
		}
	}
}

func TestFilters(t *testing.T) {
	tests := []struct{ filter, in, want string }{
		{"soql", `O'Neil \ "x"` + "\n", `O\'Neil \\ \"x\" `},
		{"sosl", `+1 (4) a-b?`, `\+1 \(4\) a\-b\?`},
		{"quote", `say "hi\` + "\x00", `"say \"hi\\ "`},
		{"quote", "", ""},
		{"digits", "a1b2٣", "12"},
	}
	for _, tt := range tests {
		if got := filters[tt.filter](tt.in); got != tt.want {
			t.Errorf("%s(%q): got %q, want %q", tt.filter, tt.in, got, tt.want)
		}
	}
}

// TestCompileFaults: each fault with its pointer and code; "" means none.
func TestCompileFaults(t *testing.T) {
	ok := Response{Path: Paths{"a"}}
	get := func(url string) Spec { return Spec{URL: url, Response: ok} }
	post := func(kind string, body any) Spec {
		return Spec{Method: "POST", URL: "https://a.example/", BodyType: kind, Body: body, Response: ok}
	}
	with := func(change func(*Spec)) Spec {
		s := get("https://a.example/")
		change(&s)
		return s
	}
	path := func(p ...string) Spec { return with(func(s *Spec) { s.Response.Path = p }) }
	three := 4
	tests := []struct {
		name, want, hint string // want: "pointer code"
		spec             Spec
	}{
		{"fine", "", "", get("https://a.example/{{callerNumber}}?a={{calledNumber}}")},
		{"no url", "/url required", "", get("")},
		{"no scheme", "/url bad_url", "https://", get("a.example/x")},
		{"other scheme", "/url bad_url", "", get("ftp://a.example/x")},
		{"user in the url", "/url bad_url", "credential", get("https://a:b@a.example/x")},
		{"bad port", "/url bad_url", "", get("https://a.example:99999/x")},
		{"host in letters of the world", "/url bad_url", "xn--", get("https://bücher.example/")},
		{"placeholder is host", "/url placeholder_in_host", "", get("https://{{callerNumber}}/")},
		{"placeholder ends host", "/url placeholder_in_host", "", get("https://a.example{{callerNumber}}/")},
		{"placeholder in host", "/url placeholder_in_host", "", get("https://a.{{callerNumber}}.example/")},
		{"placeholder in front", "/url placeholder_in_host", "", get("{{callerNumber}}")},
		{"placeholder as port", "/url placeholder_in_host", "", get("https://a.example:{{callerNumber}}/")},
		{"placeholder as parameter", "/url placeholder_in_name", "", get("https://a.example/?{{callerNumber}}=1")},
		{"fragment", "/url bad_url", "%23", get("https://a.example/#x")},
		{"unknown variable", "/url unknown_variable", "callerNumber", get("https://a.example/{{caller}}")},
		{"unknown form", "/url unknown_variable", ".national", get("https://a.example/{{callerNumber.local}}")},
		{"header not passed", "/url unknown_variable", "pass_headers", get("https://a.example/{{sip.X-Other}}")},
		{"no such input", "/url unknown_variable", "", get("https://a.example/{{input.other}}")},
		{"nothing saved", "/url unknown_variable", "", get("https://a.example/{{saved.other}}")},
		{"no name", "/url bad_template", "", get("https://a.example/{{ }}")},
		{"not closed", "/url bad_template", "", get("https://a.example/{{callerNumber")},
		{"unknown filter", "/url unknown_filter", "soql", get("https://a.example/{{callerNumber|sql}}")},
		{"default without text", "/url bad_template", "", get("https://a.example/{{callerNumber|default}}")},
		{"filter with text", "/url bad_template", "", get(`https://a.example/{{callerNumber|lower:"x"}}`)},
		{"raw filter in url", "/url unknown_filter", "", get("https://a.example/{{callerNumber|urlquery}}")},
		{"number in url", "/url unknown_filter", "", get("https://a.example/{{callerNumber|number}}")},
		{"free text", "/url free_text", "quote", get("https://a.example/?q=name:{{callerName}}")},
		{"free text alone", "", "", get("https://a.example/?q={{callerName}}")},
		{"free text guarded", "", "", get("https://a.example/?q=name:{{callerName|quote}}")},
		{"quoted twice", "/url double_quoted", "", get(`https://a.example/?q="{{callerName|quote}}"`)},
		{"soql outside quotes", "/url free_text", "", get("https://a.example/?q=Id={{input.pin|soql}}")},
		{"soql", "", "", get("https://a.example/?q=SELECT Id FROM C WHERE N='{{input.pin|soql}}'")},
		{"method", "/method unknown_value", "", with(func(s *Spec) { s.Method = "PUT" })},
		{"body of a GET", "/body unexpected", "", with(func(s *Spec) { s.Body = "x" })},
		{"body type", "/body_type unknown_value", "", post("xml", "x")},
		{"json", "", "", post("", `{"a":["{{callerNumber}}",{"b":"{{callerNumber.digits|number}}"}]}`)},
		{"no json", "/body bad_json", "", post("json", `{"a":}`)},
		{"outside a string", "/body bad_json", "number", post("json", `{"a":{{callerNumber}}}`)},
		{"in a key", "/body placeholder_in_name", "", post("json", `{"{{callerNumber}}":1}`)},
		{"in a key of a tree", "/body bad_json", "", post("json", map[string]any{"{{callerNumber}}": 1})},
		{"number in a longer string", "/body bad_template", "", post("json", `{"a":"x{{callerNumber|number}}"}`)},
		{"large", "/body too_long", "64 KiB", post("json", map[string]any{"a": strings.Repeat("x", 16<<10), "b": strings.Repeat("x", 16<<10), "c": strings.Repeat("x", 16<<10), "d": strings.Repeat("x", 16<<10)})},
		{"graphql, several", "/body placeholder_in_query", "variables", post("json", `[{"query":"query { a(b: \"{{callerNumber}}\") }"}]`)},
		{"graphql", "/body placeholder_in_query", "variables", post("json", `{"query":"query { a(b: \"{{callerNumber}}\") }"}`)},
		{"graphql variables", "", "", post("json", `{"query":"query($n:String){a(b:$n)}","variables":{"n":"{{callerNumber}}"}}`)},
		{"search text", "", "", post("json", `{"query":"{{callerNumber}}"}`)},
		{"form", "", "", post("form", map[string]any{"a": "{{callerNumber}}", "b": 1})},
		{"form of text", "/body wrong_type", "", post("form", "a=1")},
		{"form, nested", "/body/a wrong_type", "", post("form", map[string]any{"a": []any{}})},
		{"raw", "/body free_text", "", post("raw", "<n>{{callerName}}</n>")},
		{"raw, guarded", "", "", post("raw", `{"n":"{{callerName|json}}"}`)},
		{"refused header", "/headers/host refused_header", "", with(func(s *Spec) { s.Headers = map[string]string{"host": "x"} })},
		{"the credential's header", "/headers/AUTHORIZATION refused_header", "", with(func(s *Spec) {
			s.Credential, s.Headers = "tok", map[string]string{"AUTHORIZATION": "x"}
		})},
		{"header name", "/headers/a~1b bad_header", "", with(func(s *Spec) { s.Headers = map[string]string{"a/b": "x"} })},
		{"header of two lines", "/headers/A bad_header", "", with(func(s *Spec) { s.Headers = map[string]string{"A": "x\r\nB: y"} })},
		{"unknown credential", "/credential unknown_credential", "", with(func(s *Spec) { s.Credential = "nix" })},
		{"credential of another host", "/credential credential_host", "", with(func(s *Spec) { s.Credential = "other" })},
		{"credential without TLS", "/credential plain_http", "", with(func(s *Spec) { s.URL, s.Credential = "http://a.example/", "plain" })},
		{"parameter of the credential", "/url refused_parameter", "", with(func(s *Spec) { s.URL, s.Credential = "https://a.example/?key=1", "query" })},
		{"timeout", "/timeout out_of_range", "", with(func(s *Spec) { s.Timeout = Duration(11 * time.Second) })},
		{"retries", "/retries out_of_range", "", with(func(s *Spec) { s.Retries = &three })},
		{"type", "/response/type unknown_value", "", with(func(s *Spec) { s.Response.Type = "person" })},
		{"take", "/response/take unknown_value", "", with(func(s *Spec) { s.Response.Take = "last" })},
		{"status", "/response/empty_on/1 out_of_range", "", with(func(s *Spec) { s.Response.EmptyOn = []int{404, 4} })},
		{"no path", "/response/path required", "", path()},
		{"path with dots", "/response/path bad_path", "write calls[0].user", path("calls.0.user")},
		{"path with a dash", "/response/path/1 bad_path", "write ['user-id']", path("a", "user-id")},
		{"path of jq", "/response/path bad_path", "write a.b", path(".a.b")},
		{"path", "/response/path bad_path", "", path("a[")},
		{"nested filters", "/response/path bad_path", "not in this version", path("a[?@.b[?@.c]]")},
		{"show", "/response/show/x bad_path", "", with(func(s *Spec) { s.Response.Show = map[string]string{"x": "a..b["} })},
		{"map to an unknown team", "/response/map/gold unknown_team", "", with(func(s *Spec) {
			s.Response.Map = map[string]MapTo{"gold": {Kind: "team", Value: "Nix"}}
		})},
		{"map to what is none", "/response/map/gold bad_target", "", with(func(s *Spec) {
			s.Response.Map = map[string]MapTo{"gold": {Kind: "queue", Value: "Nix"}}
		})},
		{"requests", "/requests not_in_this_version", "", with(func(s *Spec) { s.URL, s.Requests = "", []any{} })},
		{"cache", "/cache not_in_this_version", "", with(func(s *Spec) { s.Cache = map[string]any{"ttl": "1m"} })},
	}
	env := fullEnv
	env.Resolve = resolve
	env.AllowsPlain = func(string, string) bool { return false }
	some := secret.New("some-long-secret-text")
	env.Credentials = shelf{
		"tok":   {Name: "tok", Type: Bearer, Secret: some, Hosts: []string{"*.example"}},
		"other": {Name: "other", Type: Bearer, Secret: some, Hosts: []string{"b.example", "a.example:8443"}},
		"plain": {Name: "plain", Type: Bearer, Secret: some, Hosts: []string{"a.example:80"}},
		"query": {Name: "query", Type: APIKey, Secret: some, In: "query", Key: "key", Hosts: []string{"a.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, list := Compile(tt.spec, env)
			got, warning := "", false
			for _, f := range list {
				got, warning = f.Pointer+" "+f.Code, f.Warning
				if !strings.Contains(f.Message, tt.hint) {
					t.Errorf("message %q does not say %q", f.Message, tt.hint)
				}
			}
			if got != tt.want || len(list) > 1 {
				t.Errorf("got %v, want %q", list, tt.want)
			}
			if (l == nil) != (got != "" && !warning) {
				t.Errorf("lookup %v with %v", l, list)
			}
		})
	}
}

// echo keeps what came in.
type echo struct {
	uri, body string
	header    http.Header
}

func echoServer(t testing.TB) (string, func() echo) {
	var last echo
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		last = echo{r.RequestURI, string(body), r.Header.Clone()}
		answer(`{"a":456}`)(w, r)
	})
	return s.URL, func() echo { return last }
}

func TestLiteralTextOfURLs(t *testing.T) {
	base, last := echoServer(t)
	for _, tt := range []struct{ url, want string }{
		{"", "/"},
		{"?a=b", "/?a=b"},
		{"/a b/%2Fc+d%zz?q=SELECT Id FROM C WHERE P='{{callerNumber}}' AND x<1&tags[]=1",
			"/a%20b/%2Fc+d%25zz?q=SELECT%20Id%20FROM%20C%20WHERE%20P=%27%2B14155550123%27%20AND%20x%3C1&tags%5B%5D=1"},
		{"/{{callerNumber}}/ü?a={{callerName}}=b&c", "/%2B14155550123/%C3%BC?a=Ada=b&c"},
	} {
		l := mustCompile(t, Spec{URL: base + tt.url, Response: Response{Path: Paths{"a"}}}, fullEnv)
		if o := NewEngine(newClient(t)).Run(t.Context(), l, testRequest(nil)); o.Exit != Matched || last().uri != tt.want {
			t.Errorf("%s: asked %s, want %s (%s)", tt.url, last().uri, tt.want, o.Reason)
		}
	}
}

func TestOneServerHasOneLimit(t *testing.T) {
	for _, url := range []string{"http://crm.example", "HTTP://CRM.Example:80/a", "http://crm.example:80?x"} {
		l := mustCompile(t, Spec{URL: url, Response: Response{Path: Paths{"a"}}}, Env{})
		if want := "http://crm.example:80"; l.url.server != want {
			t.Errorf("%s: got %s, want %s", url, l.url.server, want)
		}
	}
}

func TestCredentialsOnTheWire(t *testing.T) {
	base, last := echoServer(t)
	host := strings.TrimPrefix(base, "http://")
	key := secret.New("k&y+secret-0123456789")
	creds := shelf{
		"bearer": {Name: "bearer", Type: Bearer, Secret: key, Hosts: []string{host}},
		"header": {Name: "header", Type: APIKey, Secret: key, Key: "x-api-key", Hosts: []string{host}},
		"form":   {Name: "form", Type: APIKey, Secret: key, Key: "Authorization", Form: "Token token={{secret}}", Hosts: []string{host}},
		"query":  {Name: "query", Type: APIKey, Secret: key, Key: "api_key", In: "query", Hosts: []string{host}},
		"else":   {Name: "else", Type: Bearer, Secret: key, Hosts: []string{"a.example"}},
		"empty":  {Name: "empty", Type: Bearer, Hosts: []string{host}},
		"lines":  {Name: "lines", Type: Bearer, Secret: secret.New("secret-0123456789\r\nX: y"), Hosts: []string{host}},
	}
	for _, tt := range []struct {
		name   string
		reason Reason
		check  func(echo) bool
	}{
		{"bearer", "", func(e echo) bool { return e.header.Get("Authorization") == "Bearer k&y+secret-0123456789" }},
		{"header", "", func(e echo) bool { return e.header.Get("X-Api-Key") == "k&y+secret-0123456789" }},
		{"form", "", func(e echo) bool { return e.header.Get("Authorization") == "Token token=k&y+secret-0123456789" }},
		{"query", "", func(e echo) bool { return e.uri == "/?q=1&api_key=k%26y%2Bsecret-0123456789" }},
		{"else", ReasonBlockedAddress, nil},
		{"empty", ReasonMissingSecret, nil},
		{"lines", ReasonUnsafeValue, nil},
		{"gone", ReasonMissingSecret, nil},
	} {
		l := mustCompile(t, Spec{URL: base + "/?q=1", Credential: tt.name, Response: Response{Path: Paths{"a"}}}, fullEnv)
		o := NewEngine(newClient(t)).Run(t.Context(), l, testRequest(creds))
		if o.Reason != tt.reason || tt.check != nil && !tt.check(last()) {
			t.Errorf("%s: %s, sent %+v", tt.name, o.Reason, last())
		}
		if data, _ := json.Marshal(o.Trace); bytes.Contains(data, []byte("secret-0123")) {
			t.Errorf("%s: the trace tells the secret: %s", tt.name, data)
		}
	}
}

// hostileValues are all bytes, alone and within, and what could mean more than
// itself at some place of a request.
func hostileValues() []string {
	values := []string{"../..", ".", "a\r\nX-Next: b", `","z":2,"n":"`, "a&b=2", "a/../../q", "a#b", "%2e%2e", "\u2028", "{{callId}}",
		"\uE0000\uE001", strings.Repeat("x", 3000), `\`, `\","z":2,"n":"`, `\u0022`, "%26b=2", "+", "' OR ''='"}
	for b := range 256 {
		values = append(values, string([]byte{byte(b)}), string([]byte{'a', byte(b), 'b'}))
	}
	return values
}

// TestEveryByteChangesOnlyItsValue: whatever a caller sends, in every variable of
// theirs and at every place of a template, the request differs from a clean one
// in that value alone.
func TestEveryByteChangesOnlyItsValue(t *testing.T) {
	base, last := echoServer(t)
	engine := NewEngine(newClient(t))
	bodies := map[string]struct{ kind, text string }{
		"json":     {"json", `{"n":"VAR","m":["<{{NAME|soql}}>"],"z":1}`},
		"form":     {"form", ""}, // a map, below
		"raw json": {"raw", `{"n":"{{NAME|json}}","m":[""],"z":1}`},
		"raw form": {"raw", "n={{NAME|urlquery}}&z=1"},
	}
	for name, set := range map[string]func(*Request, string){
		"callerName":  func(r *Request, v string) { r.Call.CallerName = v },
		"sip.X-Order": func(r *Request, v string) { r.Call.Headers = map[string]string{"x-order": v} },
		"input.pin":   func(r *Request, v string) { r.Input = map[string]string{"pin": v} },
		"saved.owner": func(r *Request, v string) { r.Saved = map[string]string{"owner": v} },
	} {
		in := strings.NewReplacer("VAR", "{{"+name+"}}", "NAME", name)
		for kind, b := range bodies {
			var body any = in.Replace(b.text)
			if b.text == "" {
				body = map[string]any{"n": in.Replace("VAR"), "z": "1"}
			}
			l := mustCompile(t, Spec{Method: "POST", URL: base + in.Replace("/p/VAR/q?a=VAR&b=1"), BodyType: b.kind, Body: body,
				Headers: map[string]string{"X-Name": in.Replace("VAR"), "X-Next": "n"}, Response: Response{Path: Paths{"a"}}}, fullEnv)
			for _, value := range hostileValues() {
				req := testRequest(nil)
				set(&req, value)
				o := engine.Run(t.Context(), l, req)
				unsafe := strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) || value == "."
				switch {
				case unsafe && o.Reason != ReasonUnsafeValue:
					t.Errorf("%s %q: got %s %s, want unsafe_value", name, value, o.Exit, o.Reason)
				case !unsafe && o.Exit != Matched:
					t.Fatalf("%s %q: %s %s", name, value, o.Exit, o.Reason)
				case !unsafe:
					checkEcho(t, kind, value, last())
				}
			}
		}
	}
}

func checkEcho(t *testing.T, kind, value string, got echo) {
	t.Helper()
	u, err := url.ParseRequestURI(got.uri)
	if err != nil {
		t.Fatalf("%q: %v", value, err)
	}
	query := u.Query()
	segments := strings.Split(u.EscapedPath(), "/")
	segment := ""
	if len(segments) == 4 {
		segment, _ = url.PathUnescape(segments[2])
	}
	if segment != value || segments[1] != "p" || segments[3] != "q" {
		t.Errorf("%q: path %q", value, u.EscapedPath())
	}
	if len(query) != 2 || query.Get("a") != value || query.Get("b") != "1" {
		t.Errorf("%q: query %q", value, u.RawQuery)
	}
	if !slices.Equal(got.header["X-Next"], []string{"n"}) || got.header.Get("X-Name") != strings.Trim(value, " \t") {
		t.Errorf("%q: headers %q", value, got.header)
	}
	valid := strings.ToValidUTF8(value, "\uFFFD")
	if strings.HasSuffix(kind, "form") {
		form, err := url.ParseQuery(got.body)
		if err != nil || len(form) != 2 || form.Get("n") != value || form.Get("z") != "1" {
			t.Errorf("%q: form %q", value, got.body)
		}
		return
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil || len(doc) != 3 || doc["z"] != 1.0 || doc["n"] != valid {
		t.Errorf("%q: body %s", value, got.body)
	}
}

func TestWholeLeaves(t *testing.T) {
	base, last := echoServer(t)
	spec := Spec{Method: "POST", URL: base, Response: Response{Path: Paths{"a"}}, Body: map[string]any{
		"n": "{{callerNumber.digits|number}}", "o": "{{input.pin|optional}}", "p": "{{input.none|optional|number}}", "q": []any{true, 3}}}
	env := fullEnv
	env.Inputs = []string{"pin", "none"}
	o := NewEngine(newClient(t)).Run(t.Context(), mustCompile(t, spec, env), testRequest(nil))
	if want := `{"n":14155550123,"o":"42","p":null,"q":[true,3]}`; last().body != want {
		t.Errorf("sent %s, want %s (%s)", last().body, want, o.Reason)
	}
	if got := last().header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	spec.Body = `{"n":"{{callerName|number}}"}`
	if o := NewEngine(newClient(t)).Run(t.Context(), mustCompile(t, spec, env), testRequest(nil)); o.Reason != ReasonUnsafeValue {
		t.Errorf("a name as number: %s", o.Reason)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{{callerNumber}}", "{{{callerName|quote}}}", `{{x|default:"\u0000"}}`, "{{", "{{callerName|soql|upper}}}}", "%{{callerName}}%2"} {
		f.Add(s, "Ada\r\n\"")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		v := testVars()
		v.Call.CallerName = value
		for place := inURL; place <= inRaw; place++ {
			var list faults
			parts, ok := templates{&fullEnv, &list}.parse("/x", text, place)
			if ok == list.fatal() {
				t.Fatalf("%q: ok %v with %v", text, ok, list)
			}
			if ok {
				_, _ = write(nil, parts, place, &v)
			}
		}
		spec := Spec{Method: "POST", URL: "https://a.example/" + text, Body: text, Response: Response{Path: Paths{"a"}}}
		l, _ := Compile(spec, fullEnv)
		if l == nil {
			return
		}
		raw, stopped := l.url.render(nil, &v)
		if stopped != nil {
			return
		}
		u, err := url.Parse(string(raw))
		if err != nil || u.Host != "a.example" || u.Scheme != "https" || u.User != nil {
			t.Fatalf("%q with %q became %q: %v", text, value, raw, err)
		}
		body, stopped := write(nil, l.body.parts, inJSON, &v)
		if stopped == nil && !json.Valid(body) {
			t.Fatalf("%q with %q became %s", text, value, body)
		}
	})
}
