package lookup

import (
	"context"
	"encoding/json"
	"errors"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/theory/jsonpath"
)

// extractText reads one path and gives the nodes' source.
func extractText(t testing.TB, text, body string) ([]string, Reason) {
	t.Helper()
	p, err := compilePath(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	p.holds = func([]byte) bool { return true }
	found, reason := extract(t.Context(), []byte(body), []*path{p})
	if reason != "" {
		return nil, reason
	}
	var out []string
	for _, h := range found[0].hits {
		out = append(out, h.pointer+" "+body[h.start:h.end])
	}
	return out, found[0].reason
}

func TestPaths(t *testing.T) {
	const doc = `{"a/b":{"~":1},"l":[10,[20,21],{"x":30,"y":"z"}],"n":null,"s":"\u0061","e":[],
		"big":[{"id":9007199254740992},{"id":9007199254740993},{"id":9.007199254740993e15}],
		"calls":[{"t":"in","d":5},{"t":"out","d":15},{"t":"in","d":25.50}]}`
	tests := []struct {
		path string
		want []string
	}{
		{"s", []string{`/s "\u0061"`}},
		{"['a/b']['~']", []string{"/a~1b/~0 1"}},
		{"$.l[0]", []string{"/l/0 10"}},
		{"l[-1].y", []string{`/l/2/y "z"`}},
		{"l[-2][-1]", []string{"/l/1/1 21"}},
		{"l[-4]", nil},
		{"l[9]", nil},
		{"l.x", nil},
		{"l[*]", []string{"/l/0 10", "/l/1 [20,21]", `/l/2 {"x":30,"y":"z"}`}},
		{"l[2].*", []string{"/l/2/x 30", `/l/2/y "z"`}},
		{"l[1:]", []string{"/l/1 [20,21]", `/l/2 {"x":30,"y":"z"}`}},
		{"l[::-1][0]", []string{"/l/1/0 20"}},
		{"l[0:9007199254740991:9007199254740991]", []string{"/l/0 10"}},
		{"l[9007199254740991::-9007199254740991]", []string{`/l/2 {"x":30,"y":"z"}`}},
		{"l[0,0]", []string{"/l/0 10", "/l/0 10"}},
		{"$..x", []string{"/l/2/x 30"}},
		{"$..[1]", []string{`/big/1 {"id":9007199254740993}`, `/calls/1 {"t":"out","d":15}`, "/l/1 [20,21]", "/l/1/1 21"}},
		{"big[?@.id == 9007199254740993].id", []string{"/big/1/id 9007199254740993", "/big/2/id 9.007199254740993e15"}},
		{"big[?@.id != 9007199254740993].id", []string{"/big/0/id 9007199254740992"}},
		{"big[?@.id > 9007199254740992].id", []string{"/big/1/id 9007199254740993", "/big/2/id 9.007199254740993e15"}},
		{"big[?@.id <= 9007199254740992].id", []string{"/big/0/id 9007199254740992"}},
		{"big[?@.id == 99999999999999999999999999999999992].id", nil},
		{"calls[?@.t == 'in' && (@.d > 5 || @.d == -1)].d", []string{"/calls/2/d 25.50"}},
		{"calls[?!(@.t=='in')].d", []string{"/calls/1/d 15"}},
		{"calls[?@.d == 25.5].d", []string{"/calls/2/d 25.50"}},
		{"calls[?match(@.t, 'i.')].d", []string{"/calls/0/d 5", "/calls/2/d 25.50"}},
		{"calls[?search(@.nix, 'i')].d", nil},
		{"calls[?length(@.t) == 3].d", []string{"/calls/1/d 15"}},
		{"calls[?count(@.*) >= 2].d", []string{"/calls/0/d 5", "/calls/1/d 15", "/calls/2/d 25.50"}},
		{"calls[?@.nix == @.nada].d", []string{"/calls/0/d 5", "/calls/1/d 15", "/calls/2/d 25.50"}},
		{"calls[?@.d == $.calls[1].d].t", []string{`/calls/1/t "out"`}},
		{"calls[?@.t < 5].d", nil},
		{"calls[?value(@['t']) == \"o\\u0075t\"].d", []string{"/calls/1/d 15"}},
		{"*[0].d", []string{"/calls/0/d 5"}},
	}
	for _, tt := range tests {
		got, _ := extractText(t, tt.path, doc)
		if tt.path == "$..[1]" {
			slices.Sort(got)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.path, got, tt.want)
		}
	}
}

func TestHostileFiltersEnd(t *testing.T) {
	body := "[" + strings.Repeat("[],", 70_000) + `{"a":"` + strings.Repeat("a", 20_000) + `","p":"(a?){1000}b"}]`
	for _, text := range []string{"$[*,*,*,*][*,*]", "$..*", "$[?search(@.a, '(a?){1000}b')]", "$[?match(@.a, @.p)]", "$[?count($[*]) == 1]", "$[*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*][?@.a]"} {
		p, err := compilePath(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		p.holds = isFact
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		start := time.Now()
		_, _ = extract(ctx, []byte(body), []*path{p})
		cancel()
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s took %s of 300ms", text, took)
		}
	}
	for _, text := range []string{"$[?@[*,*]]", "$[?count(@[*,*][*,*][*,*]) > 1]", "$[?@['a','b'] && @.c]"} {
		if _, err := compilePath(text); !errors.Is(err, errFilter) {
			t.Errorf("%s: got %v, want a fault: its nodes multiply", text, err)
		}
	}
}

func TestCompareNumbers(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"9007199254740992", "9007199254740993", -1}, {"1", "1.0", 0}, {"100", "1e2", 0}, {"0.001", "1e-3", 0},
		{"-0", "0", 0}, {"0e999999999999999999999", "0", 0}, {"-1", "1", -1}, {"-2", "-1", -1}, {"10", "9", 1},
		{"1e999999999999999999999", "9e9", 1}, {"1e-999999999999999999999", "1e-9", -1}, {"12.30", "12.3", 0}, {"0.1", "0.09", 1},
	}
	for _, tt := range tests {
		if got := compareNumbers(tt.a, tt.b); got != tt.want {
			t.Errorf("%s with %s: got %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := compareNumbers(tt.b, tt.a); got != -tt.want {
			t.Errorf("%s with %s: got %d, want %d", tt.b, tt.a, got, -tt.want)
		}
	}
}

func FuzzNumbers(f *testing.F) {
	f.Add("1.50", "15e-1")
	f.Add("-0.0", "0")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !isNumber(a) || !isNumber(b) || len(a)+len(b) > 40 || strings.ContainsAny(a+b, "eE") {
			return
		}
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if got, want := compareNumbers(a, b), x.Cmp(y); got != want {
			t.Errorf("%s with %s: got %d, want %d", a, b, got, want)
		}
	})
}

// oddNot is a negation that the library takes and RFC 9535 does not know: !!.a, !5.
var oddNot = regexp.MustCompile(`!\s*[^=(@$a-z\s]`)

// FuzzPath: a path that the library takes is taken by us, and on documents of
// small numbers both give the same nodes.
func FuzzPath(f *testing.F) {
	const doc = `{"a":[{"b":1,"c":"x"},{"b":2,"c":null},[],{"b":-3.5}],"d":{"e":true,"f":[1,2,3]},"g":""}`
	for _, s := range []string{"$.a[0].b", "$.a[?@.b>=1 && !(@.c=='x')]", "$['a'][-1]", "$.d.*", "$..f[::2]", "$[?length(@) == count(@.*)]",
		"$.a[?match(@.c,'.')]", "$.a[?(@.b)==1]", "$.a[?@.b == $.d.f[0]]", "$.a[? !@.c || 1.0 == @.b ]", "$.a[?@['b']!=-3.5e0].b"} {
		f.Add(s)
	}
	var plainDoc any
	if err := json.Unmarshal([]byte(doc), &plainDoc); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ours, err := compilePath(text)
		if !strings.HasPrefix(text, "$") || len(text) > 200 || !utf8.ValidString(text) {
			return
		}
		theirs, theirErr := jsonpath.Parse(text)
		switch {
		case theirErr != nil:
			return // numbers beyond int64 are ours alone
		case err != nil:
			if strings.Contains(err.Error(), "not in this version") || strings.Contains(text, "rp_") || oddNot.MatchString(text) {
				return
			}
			t.Fatalf("%q is a path, but: %v", text, err)
		}
		if strings.Contains(text, "match") || strings.Contains(text, "search") {
			return // the library panics where the node is missing
		}
		ours.holds = func([]byte) bool { return true }
		found, reason := extract(t.Context(), []byte(doc), []*path{ours})
		if reason != "" {
			t.Fatalf("%q: %s", text, reason)
		}
		got := map[string]bool{}
		for _, h := range found[0].hits {
			got[h.pointer] = true
		}
		want := theirs.SelectLocated(plainDoc).Deduplicate()
		n := 0
		for _, node := range want {
			if list, isList := node.Node.([]any); isList && len(list) == 0 {
				continue
			}
			n++
			if !got[node.Path.Pointer()] && len(got) < maxHits {
				t.Errorf("%q: %s is missing in %v", text, node.Path.Pointer(), got)
			}
		}
		if len(got) > n {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	})
}

// FuzzAnswer: what the scanner takes is JSON, and the other way round but for
// depth and UTF-8.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":null}]}`, `[1e5,-0.1,"\ud800\n"]`, `{"a":{"b":2},"a":3}`, "[", `"\x"`, `01`, `{"a" : tru}`} {
		f.Add(s)
	}
	var paths []streamed
	for _, text := range []string{"a.b", "a[0]", "a[-1].b", "a[*]", "*", ""} {
		p, err := compilePath(text)
		if err != nil {
			f.Fatal(err)
		}
		paths = append(paths, streamed{p.steps, isFact})
	}
	f.Fuzz(func(t *testing.T, body string) {
		found, reason := scan([]byte(body), paths)
		if valid := json.Valid([]byte(body)); reason == "" && !valid {
			t.Fatalf("took %q", body)
		} else if reason == ReasonNotJSON && valid && strings.ToValidUTF8(body, "") == body {
			t.Fatalf("refused %q", body)
		}
		if reason != "" {
			return
		}
		for _, f := range found {
			for _, h := range f.hits {
				if !json.Valid([]byte(body)[h.start:h.end]) {
					t.Fatalf("%q: the node at %s is %q", body, h.pointer, body[h.start:h.end])
				}
			}
		}
	})
}

func FuzzValue(f *testing.F) {
	for _, s := range []string{`"user:456"`, `{"team":7}`, `"external:+33123456789"`, `0`, `"+1 (415) 555-0100"`, `12345678901234567890`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if raw == "" || !json.Valid([]byte(raw)) || strings.TrimSpace(raw) != raw {
			return
		}
		for _, kind := range []string{typeUser, typeTeam, typeNumber, typeExternal, typeAuto} {
			l := &Lookup{kind: kind, ids: Own}
			if !l.holds([]byte(raw)) {
				continue
			}
			x := run{l: l, req: &Request{Region: "US"}, trace: &Trace{}}
			named, ok := x.name(&candidate{}, []byte(raw))
			if ok && named.Kind == "external" && kind != typeExternal {
				t.Fatalf("%s as %s dials %s", raw, kind, named.Number)
			}
			if ok && named.By == "" {
				t.Fatalf("%s as %s: %+v", raw, kind, named)
			}
		}
	})
}

func TestExactTextOfNumbers(t *testing.T) {
	for _, text := range []string{"1234567890123456789", "35436000000001", "1.50"} {
		if got, _ := extractText(t, "v", `{"v":`+text+`}`); !slices.Equal(got, []string{"/v " + text}) {
			t.Errorf("%s: got %q", text, got)
		}
	}
}
