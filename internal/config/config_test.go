package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestExampleShowsTheDefaults(t *testing.T) {
	got, faults := Load("../../ringpath.example.yaml")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if diff := cmp.Diff(Default(), got, cmp.Comparer(func(a, b []string) bool { return strings.Join(a, ",") == strings.Join(b, ",") })); diff != "" {
		t.Errorf("the example differs from the defaults (-want +got):\n%s", diff)
	}
	if faults := Default().Validate(); faults != nil {
		t.Errorf("the defaults have faults: %v", faults)
	}
}

func TestExampleNamesEverySetting(t *testing.T) {
	text, err := os.ReadFile("../../ringpath.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name := range names("", typeOfSettings) {
		leaf := name[strings.LastIndex(name, ".")+1:]
		if !strings.Contains(string(text), leaf+":") {
			t.Errorf("the example does not show %s", name)
		}
	}
}

func TestFlagsOverEnvironmentOverFileOverDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ringpath.yaml")
	if err := os.WriteFile(path, []byte("http: {listen: \"127.0.0.1:1\", public_url: \"https://file\"}\ndrain: 1m\nmedia: {ports: 20000-20999}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RINGPATH_HTTP_LISTEN", "127.0.0.1:2")
	t.Setenv("RINGPATH_DRAIN", "2m")
	t.Setenv("RINGPATH_SIP_LISTEN", "udp://127.0.0.1:5070, tcp://[::1]:5070")
	t.Setenv("RINGPATH_LOOKUP_ALLOW", "10.1.0.0/16")
	t.Setenv("RINGPATH_LOG_LEVEL", "debug")
	t.Setenv("RINGPATH_SERVER", "http://127.0.0.1:8080") // a client's, no setting
	got, faults := Load(path, Override{Setting: "http.listen", Text: "127.0.0.1:3", From: "--http"}, Override{Setting: "data", Text: "/d", From: "--data"})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := Default()
	want.Data = "/d"
	want.HTTP.Listen, want.HTTP.PublicURL = "127.0.0.1:3", "https://file"
	want.SIP.Listen = []Listener{{"udp", "127.0.0.1:5070"}, {"tcp", "[::1]:5070"}}
	want.Media.Ports = "20000-20999"
	want.Lookup.Allow = []string{"10.1.0.0/16"}
	want.Log.Level = slog.LevelDebug
	want.Drain = 2 * time.Minute
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if low, high := got.Media.Range(); low != 20000 || high != 20999 {
		t.Errorf("ports: got %d-%d, want 20000-20999", low, high)
	}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"datta: x", `f:1:1: there is no field "datta" here: did you mean "data"? (/datta)`},
		{"http:\n  listen: 8080", `f:2:11: "8080" is no address to listen on`},
		{"http: {tls: {cert: a.pem, key: b.pem}}", `"tls" is not in this version`},
		{"http: {public_url: phone.example.com}", `is no address of this server`},
		{"http: {public_url: \"https://u:p@x\"}", `is no address of this server`},
		{"http: {trusted_proxies: [x]}", `"x" is no network`},
		{"sip: {listen: [tls://0.0.0.0:5061]}", `f:1:16: the transport tls is not in this version`},
		{"sip: {listen: [0.0.0.0:5060]}", `is no listener: write udp://`},
		{"sip: {listen: [sctp://0.0.0.0:5060]}", `there is no transport "sctp"`},
		{"sip: {listen: [\"udp://0.0.0.0\"]}", `is no address and port`},
		{"sip: {listen: []}", `name at least one listener`},
		{"sip: {listen: [udp://0.0.0.0:5060, udp://0.0.0.0:5060]}", `stands twice`},
		{"sip: {domain: \"sip:x\"}", `is no domain`},
		{"sip: {public_address: 0.0.0.0}", `is no address`},
		{"sip: {local_networks: [10.0.0.0/33]}", `is no network`},
		{"sip: {digest: sha1}", `there is no "sha1": write both or sha-256 or md5`},
		{"sip: {pass_headers: [\"X Y\"]}", `is no header's name`},
		{"sip: {tls: {cert: a}}", `"tls" is not in this version`},
		{"media: {ports: 20000}", `is no range of ports`},
		{"media: {ports: 20001-29999}", `the first port is even`},
		{"media: {ports: 80-29999}", `is no range of ports`},
		{"media: {mode: direct}", `the mode direct is not in this version`},
		{"lookup: {allow: [crm]}", `is neither a network nor host:port`},
		{"lookup: {allow: [\":8080\"]}", `":8080" is neither a network nor host:port`},
		{"lookup: {allow: [10.0.0.0/99]}", `is neither a network nor host:port`},
		{"v1: {rate_per_min: 0}", `between 1 and`},
		{"metrics: {listen: x}", `is no address to listen on`},
		{"log: {level: loud}", `f:1:14: there is no "loud": write debug, info, warn or error`},
		{"log: {format: xml}", `there is no "xml": write text or json`},
		{"drain: 10", `"10" is no duration`},
		{"drain: 48h", `between 0s and 24h`},
		{"data: ''", `data names the folder`},
		{"[]", `a list stands where fields are expected`},
	} {
		_, faults := Parse("f", []byte(tt.text))
		if len(faults) != 1 || !strings.Contains(faults.Error(), tt.want) {
			t.Errorf("%s: got %v, want one fault %q", tt.text, faults, tt.want)
		}
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, faults := Parse("f", []byte("drain: x\nlog: {level: x}\nv1: {rate_per_min: x}\nfoo: 1\n"))
	var lines []int
	for _, f := range faults {
		lines = append(lines, f.Line)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4}, lines); diff != "" {
		t.Errorf("lines of faults (-want +got):\n%s\n%v", diff, faults)
	}
}

func TestFaultsOfEnvironmentAndFlagsNameThem(t *testing.T) {
	t.Setenv("RINGPATH_DRAIN", "soon")
	t.Setenv("RINGPATH_HTTP_LISTENN", "x")
	_, faults := Load("", Override{Setting: "http.listen", Text: "nowhere", From: "--http"})
	for _, want := range []string{
		`RINGPATH_DRAIN: "soon" is no duration`,
		`RINGPATH_HTTP_LISTENN: warning: this variable of the environment is no setting: did you mean "RINGPATH_HTTP_LISTEN"?`,
		`--http: "nowhere" is no address to listen on`,
	} {
		if !strings.Contains(faults.Error(), want) {
			t.Errorf("got %v, want %q", faults, want)
		}
	}
	if _, faults := Load(filepath.Join(t.TempDir(), "none.yaml")); !faults.Fatal() || !strings.Contains(faults.Error(), "cannot be read") {
		t.Errorf("no file: got %v", faults)
	}
}

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("../../ringpath.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("sip: {listen: [udp://[::1]:5060]}"))
	f.Add([]byte("0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, faults := Parse("f", text)
		if !faults.Fatal() {
			if again := s.Validate(); again.Fatal() {
				t.Errorf("accepted %q, but Validate says %v", text, again)
			}
		}
	})
}
