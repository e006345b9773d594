package document

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseKeepsSourceText(t *testing.T) {
	const text = `
plain: 0123
plus: +14155550100
quoted: "0123"
single: 'it''s'
float: 1.50
big: 1234567890123456789
"key": v
456: number
yes: true
block: |
  a
  b
null_value: null
empty:
list: [1, {a: b}]
items:
  - x
  - y: z
anchor: &a {k: v}
alias: *a
tagged: !!str 12
glued: {a: [127.0.0.1:80, udp://x:5, {b: c}, "d":e, f: g]}
`
	n, faults := Parse("f", []byte(text))
	if faults != nil {
		t.Fatal(faults)
	}
	for pointer, want := range map[string]string{
		"/plain": "0123", "/plus": "+14155550100", "/quoted": "0123", "/single": "it's", "/float": "1.50",
		"/big": "1234567890123456789", "/key": "v", "/456": "number", "/yes": "true", "/block": "a\nb\n",
		"/null_value": "", "/empty": "", "/list/0": "1", "/list/1/a": "b", "/items/0": "x", "/items/1/y": "z",
		"/anchor/k": "v", "/alias/k": "v", "/tagged": "12",
		"/glued/a/0": "127.0.0.1:80", "/glued/a/1": "udp://x:5", "/glued/a/2/b": "c", "/glued/a/3/d": "e", "/glued/a/4/f": "g",
	} {
		got, _ := n.At(pointer)
		if got.Text != want {
			t.Errorf("%s: got %q, want %q", pointer, got.Text, want)
		}
	}
	got, place := n.At("/items/1/y")
	if place.Line != 19 || place.Column != 5 {
		t.Errorf("place of /items/1/y: got %+v, want line 19 column 5 (%+v)", place, got)
	}
}

func TestParseFaults(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"syntax", "a: [1", "f:1:"},
		{"duplicate", "a: 1\nb: 2\na: 3\n", `f:3:1: "a" stands twice`},
		{"duplicate in JSON", "{\"a\": 1,\n \"a\": 2}", `f:2:2: "a" stands twice`},
		{"unknown alias", "a: *x", `f:1:4: *x names nothing`},
		{"circle", "a: &x [*x]", `*x names nothing`},
		{"tag", "a: !!binary aGk=", "the tag !!binary has no meaning"},
		{"second document", "a: 1\n---\nb: 2\n", "a second document"},
		{"deep", strings.Repeat("[", 100000), "too large"},
		{"deep in JSON", strings.Repeat("[", 1000) + strings.Repeat("]", 1000), "too large"},
		{"deep by dashes", strings.Repeat("- ", 100000), "too large"},
		{"deep by names", strings.Repeat("a: ", 50000), "too large"},
		{"many fields", "users:\n- name: a\n" + numbered("  k%d: v\n", 100_000), "f:1026:1: the document is too large"},
		{"syntax, far away", strings.Repeat("[a, ", 60) + numbered("%d,", 100_000), "not YAML"},
		{"aliases of aliases", bomb(), "too large"},
		{"not UTF-8", "a: \xff", "not UTF-8"},
		{"merge key", "a: &x {k: v}\nb:\n  <<: *x\n", "the name of a field"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, faults := Parse("f", []byte(tt.text))
			if len(faults) == 0 || !strings.Contains(faults.Error(), tt.want) {
				t.Errorf("got %v, want %q", faults, tt.want)
			}
		})
	}
}

// numbered is a text n times, with a number in it.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// A syntax fault must not quote what stands around it: it could be a secret.
func TestSyntaxFaultsQuoteNothing(t *testing.T) {
	for _, text := range []string{"token: {value: hunter2-hunter2", "a: b\n  password: hunter2-hunter2: x", "hunter2-hunter2\na: [", "a: \"hunter2-hunter2"} {
		if _, faults := Parse("f", []byte(text)); faults == nil || strings.Contains(faults.Error(), "hunter2") {
			t.Errorf("%q: %v", text, faults)
		}
	}
}

func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 10; i++ {
		ref := fmt.Sprintf("*a%d", i-1)
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.Join([]string{ref, ref, ref, ref, ref, ref, ref, ref, ref, ref}, ","))
	}
	return b.String()
}

type Inner struct {
	User string `yaml:"user"`
	Team string `yaml:"team"`
}

type outer struct {
	Inner  `yaml:",inline"`
	ID     int64             `yaml:"id"`
	For    time.Duration     `yaml:"for"`
	On     *bool             `yaml:"on"`
	List   []string          `yaml:"list"`
	Table  map[string]string `yaml:"table"`
	Nested *Inner            `yaml:"nested"`
	Any    any               `yaml:"any"`
}

func (outer) Later() map[string][]string {
	return map[string][]string{"register": {"false"}, "music": nil}
}

func TestDecode(t *testing.T) {
	n, faults := Parse("f", []byte(`
user: 0456
id: 7
for: 2d
on: false
list: [1, {var: NAME}]
table: {1: 2}
nested: {team: "x"}
any: {a: [1, "1", true]}
register: false
music: ""
`))
	if faults != nil {
		t.Fatal(faults)
	}
	if faults := n.Substitute(map[string]string{"NAME": "v"}); faults != nil {
		t.Fatal(faults)
	}
	var d Decoder
	var got outer
	d.Decode(n, "", &got)
	off := false
	want := outer{Inner: Inner{User: "0456"}, ID: 7, For: 48 * time.Hour, On: &off, List: []string{"1", "v"},
		Table: map[string]string{"1": "2"}, Nested: &Inner{Team: "x"},
		Any: map[string]any{"a": []any{json.Number("1"), "1", true}}}
	if diff := cmp.Diff(want, got); diff != "" || d.Faults != nil {
		t.Errorf("faults %v, diff (-want +got):\n%s", d.Faults, diff)
	}
}

func TestDecodeFaults(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"uzer: 1", `f:1:1: there is no field "uzer" here: did you mean "user"? (/uzer)`},
		{"zzzzzzzz: 1", `there are user, team, id, for, on, list, table, nested, any`},
		{"register: true", `"register" is not in this version`},
		{"music: tune", `"music" is not in this version`},
		{"id: 1.5", `"1.5" is no whole number`},
		{"id: 0x10", `"0x10" is no whole number`},
		{"id: 007", `"007" is no whole number`},
		{"id: 99999999999999999999", `is no whole number`},
		{"for: 30", `"30" is no duration`},
		{"for: 999999999d", `is no duration`},
		{"on: yes", `"yes" is neither true nor false`},
		{`on: "true"`, `neither true nor false`},
		{"list: x", `a single value stands where a list is expected`},
		{"user: [x]", `a list stands where a single value is expected (/user)`},
		{"nested: x", `a single value stands where fields are expected: user, team (/nested)`},
		{"table: [x]", `a list stands where fields (name: value) are expected`},
		{"\nnested:\n  team: {var: X}", `f:3:9: {var: X} is not given: use --var X=VALUE (/nested/team)`},
	} {
		n, faults := Parse("f", []byte(tt.text))
		if faults != nil {
			t.Fatal(faults)
		}
		d := Decoder{Faults: n.Substitute(nil)}
		d.Decode(n, "", new(outer))
		if !strings.Contains(d.Faults.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.text, d.Faults, tt.want)
		}
	}
}

// What is wrong many times over stays small, and wrong.
func TestFaultsAreBounded(t *testing.T) {
	var names []string
	for i := range 10_000 {
		names = append(names, fmt.Sprint("some-name-", i))
	}
	if got := Suggest("x", names); len(got) > 500 || !strings.Contains(got, "and 9980 more") {
		t.Errorf("got %d bytes: %.100s", len(got), got)
	}
	n, _ := Parse("f", []byte("{"+strings.TrimSuffix(numbered(`"k%d":1,`, 5000), ",")+"}"))
	var d Decoder
	d.Decode(n, "", &struct {
		A int `yaml:"a"`
	}{})
	if len(d.Faults) != maxFaults || !d.Faults.Fatal() {
		t.Errorf("got %d faults, want %d", len(d.Faults), maxFaults)
	}
	fs := make(Faults, maxFaults)
	for i := range fs {
		fs[i].Warning = true
	}
	fs.Add(Fault{Warning: true})
	fs.Add(Fault{Code: "first"})
	fs.Add(Fault{Code: "second"})
	if len(fs) != maxFaults+1 || !fs.Fatal() {
		t.Errorf("got %d faults, fatal %v: warnings must not hide a fault", len(fs), fs.Fatal())
	}
}

func TestYAMLIsReadBackTheSame(t *testing.T) {
	n := NewMap(
		Field{Name: "plain", Value: NewInt(12)},
		Field{Name: "text", Value: NewText("12")},
		Field{Name: "no", Value: NewText("no")},
		Field{Name: "a b: c", Value: NewText("x: y # z")},
		Field{Name: "", Value: NewText("")},
		Field{Name: "lines", Value: NewText("a\n  b\n\n\"c\"\t\u0000\u0085\u2028é")},
		Field{Name: "query", Value: NewText("query {\n  owner(phone: $n) {\n\n    id\n  }\n}\n")},
		Field{Name: "body", Value: NewMap(Field{Name: "raw", Value: NewText("a: b\n# c\n- d")})},
		Field{Name: "null", Value: &Node{}},
		Field{Name: "empty", Value: NewMap()},
		Field{Name: "none", Value: &Node{Type: List}},
		Field{Name: "deep", Value: &Node{Type: List, Items: []*Node{
			{Type: List, Items: []*Node{NewMap(Field{Name: "a", Value: NewInt(1)}), NewMap(Field{Name: "b", Value: NewMap()})}},
			NewMap(Field{Name: strings.Repeat("long", 30), Value: NewMap(Field{Name: "x", Value: NewText("-")})}),
			NewText(strings.Repeat("word ", 40)),
		}}},
	)
	text := n.YAML()
	back, faults := Parse("f", text)
	if faults != nil || !n.Equal(back) {
		t.Errorf("faults %v, got %s\nof\n%s", faults, back.appendJSON(nil), text)
	}
	back, faults = Parse("f", n.appendJSON(nil))
	if faults != nil || !n.Equal(back) {
		t.Errorf("JSON: faults %v, got %s", faults, back.appendJSON(nil))
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a: 1", `{"a": [1, "b", null]}`, "a: &x [*x]", "- - - 1", "? a\n: b", "a: |\n  b\n", "a: !!str 1", "<<: *a", "'", "a: >-\n\n x", "%YAML 1.2\n---\n", "\"\\u0000\"", "a: {b: c, d: [e]}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, faults := Parse("f", text)
		if n == nil || faults.Fatal() {
			return
		}
		written := n.YAML()
		back, faults := Parse("f", written)
		if len(faults) > 0 || !n.Equal(back) {
			t.Errorf("%q\nwritten as\n%s\nread back as %v, faults %v", text, written, string(back.appendJSON(nil)), faults)
		}
	})
}
