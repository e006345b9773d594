package directory

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// lines is the plan's text without the newline.
func lines(p Plan) []string { return strings.Split(strings.TrimSuffix(p.Text(), "\n"), "\n") }

func TestApplyTouchesOnlyWhatIsNamed(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		options    ApplyOptions
		want       []string
	}{
		{"one field of one user", "users: [{id: 456, name: New Name}]", ApplyOptions{},
			[]string{`~ user "New Name" (id 456)`, `    ~ name: Example Agent → New Name`}},
		{"by e-mail, without case", "users: [{email: AGENT@example.com, caller_number: +14155550156}]", ApplyOptions{},
			[]string{`~ user "Example Agent" (id 456)`, `    ~ email: agent@example.com → AGENT@example.com`, `    + caller_number: +14155550156`}},
		{"the same again", "teams: [{name: support, id: 7, members: [agent@example.com]}]", ApplyOptions{},
			[]string{`~ team "support" (id 7)`, `    ~ name: Support → support`, `~ flow "main" (id 1)`,
				`    ~ steps[0].ring_to_api.otherwise.team: Support → support`, `    ~ steps[1].ring_to.team: Support → support`}},
		{"a new one", "users: [{name: Bob}]", ApplyOptions{},
			[]string{`+ user "Bob" (id 457)`, `    + id: 457`, `    + name: Bob`}},
		{"a field goes", "users: [{id: 456, caller_number: null, external_ids: {}}]", ApplyOptions{},
			[]string{`~ user "Example Agent" (id 456)`, `    - external_ids.hubspot: 77001`}},
		{"fields within fields", "company: {keep: {traces: 30d}}\ntrunks: [{name: carrier, outbound: {max_concurrent: 20}}]", ApplyOptions{},
			[]string{`~ company "Example Ltd" (id 1)`, `    + keep.traces: 30d`, `~ trunk "carrier" (id 1)`, `    ~ outbound.max_concurrent: 10 → 20`}},
		{"a password", "users: [{id: 456, phones: [{username: agent, password: {value: another-horse-battery}}]}]", ApplyOptions{},
			[]string{`~ user "Example Agent" (id 456)`, `    ~ phones[0].password: •••• → ••••`}},
		{"a phone keeps its password", "users: [{id: 456, phones: [{username: agent}]}]", ApplyOptions{}, []string{"Nothing changes."}},
		{"a second phone", "users: [{id: 456, phones: [{username: agent}, {username: mobile, password: {value: another-horse-battery}}]}]", ApplyOptions{},
			[]string{`~ user "Example Agent" (id 456)`, `    + phones[1]: {"username":"mobile","password":{"stored":true}}`}},
		{"prune within a section", "numbers: [{id: 1}]\nusers: [{name: Bob}]\nteams: []\nflows: [{name: main, steps: [{name: bye, hang_up: {}}]}]", ApplyOptions{Prune: true},
			[]string{`+ user "Bob" (id 457)`, `    + id: 457`, `    + name: Bob`, `- user "Example Agent" (id 456)`, `- team "Support" (id 7)`,
				`~ flow "main" (id 1)`, `    ~ steps[0].name: last agent → bye`, `    - steps[0].ring_to_api: `}},
		{"remove by id", "teams: [{id: 7, members: []}]", ApplyOptions{Remove: []Ref{{KindUser, 456}}},
			[]string{`- user "Example Agent" (id 456)`, `~ team "Support" (id 7)`, `    - members[0]: agent@example.com`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := openTest(t, &memory{})
			apply(t, d, small, ApplyOptions{})
			doc := mustParse(t, tt.text)
			planned, err := d.Plan(t.Context(), doc, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			if d.Snapshot().Rev() != 1 {
				t.Fatal("planning changed something")
			}
			plan := apply(t, d, tt.text, tt.options)
			if diff := cmp.Diff(planned.Changes, plan.Changes); diff != "" {
				t.Errorf("plan and apply differ:\n%s", diff)
			}
			got := lines(plan)
			for i := range min(len(got), len(tt.want)) {
				if !strings.HasPrefix(got[i], tt.want[i]) {
					t.Fatalf("line %d: got %q, want %q\n%s", i, got[i], tt.want[i], plan.Text())
				}
			}
			if len(got) < len(tt.want) {
				t.Errorf("got\n%s\nwant\n%s", plan.Text(), strings.Join(tt.want, "\n"))
			}
			if again := apply(t, d, tt.text, ApplyOptions{Prune: tt.options.Prune}); len(tt.options.Remove) == 0 && len(again.Changes) > 0 {
				t.Errorf("applied again:\n%s", again.Text())
			}
		})
	}
}

func TestReferencesFollowNames(t *testing.T) {
	d := openTest(t, &memory{})
	apply(t, d, small, ApplyOptions{})
	apply(t, d, `
users: [{id: 456, email: new@example.com}]
teams: [{id: 7, name: Helpers}]
flows: [{id: 1, name: start}]
credentials: [{id: 1, name: ours}]
numbers: [{id: 1, digits: "+14155550177", name: Other}]
trunks: [{name: carrier, default_number: +14155550177}]
`, ApplyOptions{})
	s := d.Snapshot()
	team, ok := s.TeamByName("helpers")
	if !ok || len(team.Members) != 1 || team.Members[0] != 456 {
		t.Errorf("team: got %+v", team)
	}
	if n, _ := s.Number(1); n.Flow != "start" {
		t.Errorf("number: got flow %q, want start", n.Flow)
	}
	apply(t, d, `numbers: [{id: 1, digits: "+14155550188"}]`, ApplyOptions{})
	if trunk, _ := d.Snapshot().Trunk("carrier"); trunk.DefaultNumber != 1 {
		t.Errorf("trunk: got default number %d, want 1", trunk.DefaultNumber)
	}
}

func TestIdentity(t *testing.T) {
	d := openTest(t, &memory{})
	apply(t, d, "users: [{name: Ann, email: a@example.com}, {name: Ann, email: b@example.com}, {name: Cleo}]", ApplyOptions{})
	_, err := d.Apply(t.Context(), mustParse(t, "users: [{name: Ann, caller_number: +14155550156}]"), ApplyOptions{})
	if err == nil || !strings.Contains(err.Error(), "several of the users could be meant") {
		t.Errorf("one of two Anns: got %v", err)
	}
	plan := apply(t, d, "users: [{name: CLEO, caller_number: +14155550156}, {id: 1, email: b@example.com}, {id: 2, email: a@example.com}]", ApplyOptions{})
	if len(plan.Changes) != 3 || plan.Changes[0].Act != Changed || len(d.Snapshot().Users()) != 3 {
		t.Errorf("got\n%s", plan.Text())
	}
	if u, _ := d.Snapshot().UserByEmail("a@example.com"); u.ID != 2 {
		t.Errorf("swapped addresses: a@example.com is user %d, want 2", u.ID)
	}
	// an address that was given away in the same document may be somebody new's
	apply(t, d, "users: [{id: 1, email: z@example.com}, {email: b@example.com, name: New}]", ApplyOptions{})
	if u, _ := d.Snapshot().UserByEmail("b@example.com"); u.ID != 4 {
		t.Errorf("b@example.com is user %d, want a new one, 4", u.ID)
	}
}

func TestIDsAreNeverGivenTwice(t *testing.T) {
	store := &memory{}
	d := openTest(t, store)
	apply(t, d, "users: [{name: a}, {name: b}, {id: 50, name: c}]", ApplyOptions{})
	apply(t, d, "", ApplyOptions{Remove: []Ref{{KindUser, 50}}})
	plan := apply(t, openTest(t, store), "users: [{name: d}]", ApplyOptions{})
	if got := plan.Changes[0].ID; got != 53 { // a and b came behind c: 51 and 52
		t.Errorf("id after a removal: got %d, want 53", got)
	}
	if _, err := d.Apply(t.Context(), Document{}, ApplyOptions{Remove: []Ref{{KindUser, 50}}}); phone.KindOf(err) != phone.NotFound {
		t.Errorf("removed again: got %v, want NotFound", err)
	}
}

func TestRevisions(t *testing.T) {
	store := &memory{}
	d := openTest(t, store)
	apply(t, d, small, ApplyOptions{})
	doc := mustParse(t, "company: {name: X}")
	for _, try := range []func() error{
		func() error { _, err := d.Plan(t.Context(), doc, ApplyOptions{Revision: 7}); return err },
		func() error { _, err := d.Apply(t.Context(), doc, ApplyOptions{Revision: 7}); return err },
		func() error {
			store.rev++
			_, err := d.Apply(t.Context(), doc, ApplyOptions{})
			store.rev--
			return err
		},
	} {
		if err := try(); phone.KindOf(err) != phone.Conflict || d.Snapshot().Company().Name != "Example Ltd" {
			t.Errorf("got %v, want Conflict and nothing changed", err)
		}
	}
	if plan, err := d.Apply(t.Context(), doc, ApplyOptions{Revision: 1}); err != nil || plan.Revision != 2 {
		t.Errorf("at its revision: got %d, %v, want 2", plan.Revision, err)
	}
}

func TestFailedSaveChangesNothing(t *testing.T) {
	store := &memory{}
	d := openTest(t, store)
	apply(t, d, small, ApplyOptions{})
	told := 0
	d.OnChange(func(old, new *Snapshot) {
		told++
		if old.Rev() != 1 || new.Rev() != 2 || d.Snapshot() != new {
			t.Errorf("told %d → %d", old.Rev(), new.Rev())
		}
	})
	store.fail = errDisk
	before := d.Snapshot()
	if _, err := d.Apply(t.Context(), mustParse(t, "company: {name: X}"), ApplyOptions{}); !errors.Is(err, errDisk) {
		t.Errorf("got %v, want the store's error", err)
	}
	if d.Snapshot() != before || told != 0 {
		t.Error("the snapshot changed, or subscribers were told")
	}
	store.fail = nil
	apply(t, d, "company: {name: X}", ApplyOptions{})
	if told != 1 || before.Company().Name != "Example Ltd" || d.Snapshot().Company().Name != "X" {
		t.Errorf("told %d times, before %q, now %q", told, before.Company().Name, d.Snapshot().Company().Name)
	}
}

func TestMovedSecretsAreAskedForAgain(t *testing.T) {
	d := openTest(t, &memory{})
	apply(t, d, small, ApplyOptions{})
	for _, text := range []string{
		`credentials: [{name: own-api, hosts: [evil.example.com]}]`,
		`credentials: [{name: own-api, hosts: ["127.0.0.1:8080", evil.example.com]}]`,
		`credentials: [{name: own-api, password: {stored: true}, hosts: [evil.example.com]}]`,
		`credentials: [{id: 1, name: renamed, hosts: [evil.example.com]}]`,
	} {
		_, err := d.Apply(t.Context(), mustParse(t, text), ApplyOptions{})
		var faults document.Faults
		if !errors.As(err, &faults) || !slices.ContainsFunc(faults, func(f Fault) bool { return f.Code == codeSecretAgain && f.Line == 2 }) {
			t.Errorf("%s: got %v, want secret_needed in line 2", text, err)
		}
	}
	apply(t, d, `credentials: [{name: own-api, hosts: ["127.0.0.1:8080", other.example.com], password: {value: again-again}}]`, ApplyOptions{})
	if c, _ := d.Snapshot().Credential("own-api"); c.Secret.Reveal() != "again-again" {
		t.Errorf("got %q, want the new secret", c.Secret.Reveal())
	}
}

func TestAnotherKeyFileIsAClearError(t *testing.T) {
	store := &memory{}
	apply(t, openTest(t, store), small, ApplyOptions{})
	box, err := secret.NewBox(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), store, box, Options{}); !errors.Is(err, secret.ErrOtherKey) || !strings.Contains(err.Error(), "own-api") && !strings.Contains(err.Error(), "Example Agent") {
		t.Errorf("got %v, want ErrOtherKey that names the entry", err)
	}
}

func TestReadFilesOverlaysAndReadsSecrets(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("secrets/agent", "from-a-file-secret\n")
	t.Setenv("OWN_TOKEN", "from-the-environment")
	base := write("base.yaml", "version: 1"+strings.NewReplacer("{value: correct-horse-battery}", "{file: secrets/agent}", "{value: token-token}", "{env: OWN_TOKEN}", "name: Example Ltd", "name: {var: COMPANY}").Replace(small))
	over := write("over.json", `{"version": 1, "users": [{"email": "agent@example.com", "name": "Overlaid"}, {"name": "Added"}]}`)
	doc, faults := ReadFiles([]string{base, over}, map[string]string{"COMPANY": "Var Ltd"})
	if faults != nil {
		t.Fatal(faults)
	}
	for name, write := range map[string]func() ([]byte, error){"YAML": doc.YAML, "JSON": doc.JSON} {
		if text, err := write(); err != nil || strings.Contains(string(text), "from-a-file") {
			t.Errorf("%s shows a secret: %v %s", name, err, text)
		}
	}
	sent, err := doc.Reveal() // what the command sends to the server
	if err != nil {
		t.Fatal(err)
	}
	d := openTest(t, &memory{})
	apply(t, d, "", ApplyOptions{})
	received, faults := Parse("", sent, nil)
	if faults != nil {
		t.Fatal(faults)
	}
	if _, err := d.Apply(t.Context(), received, ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	s := d.Snapshot()
	a, _ := s.Account("agent")
	c, _ := s.Credential("own-api")
	u, _ := s.User(456)
	if a.Password.Reveal() != "from-a-file-secret" || c.Secret.Reveal() != "from-the-environment" || u.Name != "Overlaid" || len(s.Users()) != 2 || s.Company().Name != "Var Ltd" {
		t.Errorf("got %q, %q, %q, %d users, %q", a.Password.Reveal(), c.Secret.Reveal(), u.Name, len(s.Users()), s.Company().Name)
	}
	for _, text := range []string{"{env: NOT_SET_ANYWHERE}", "{file: nowhere}", "{file: .}"} {
		bad := write("bad.yaml", "version: 1\nusers: [{name: x, phones: [{username: x, password: "+text+"}]}]")
		if _, faults := ReadFiles([]string{bad}, nil); !faults.Fatal() || !strings.Contains(faults.Error(), "cannot be read") {
			t.Errorf("%s: got %v, want a fault", text, faults)
		}
	}
	if _, faults := ReadFiles([]string{filepath.Join(dir, "none.yaml")}, nil); !faults.Fatal() {
		t.Error("a file that is not there: no fault")
	}
}

func TestCheckKnowsNoStoredSecrets(t *testing.T) {
	d := openTest(t, &memory{})
	apply(t, d, small, ApplyOptions{})
	doc, err := d.Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, faults := doc.Check(Options{}); len(faults) > 0 {
		t.Errorf("check of an export: %v", faults)
	}
	other := openTest(t, &memory{})
	_, err = other.Apply(t.Context(), doc, ApplyOptions{})
	if err == nil || !strings.Contains(err.Error(), "no secret is stored for the phone agent") || !strings.Contains(err.Error(), "no secret is stored for the credential own-api") {
		t.Errorf("an export on another server: got %v, want faults that name both secrets", err)
	}
}

func TestOrderIsTheDocuments(t *testing.T) {
	d := openTest(t, &memory{})
	trunk := func(names ...string) string {
		var b strings.Builder
		b.WriteString("trunks:\n")
		for _, n := range names {
			b.WriteString("- {name: " + n + "}\n")
		}
		return b.String()
	}
	for _, tt := range []struct{ named, want string }{
		{"a b c", "a b c"}, {"d", "a b c d"}, {"c a", "c b a d"}, {"d c b a", "d c b a"}, {"e a", "d c b a e"},
	} {
		apply(t, d, trunk(strings.Fields(tt.named)...), ApplyOptions{})
		var got []string
		for _, x := range d.Snapshot().Trunks() {
			got = append(got, x.Name)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("after %s: got %v, want %s", tt.named, got, tt.want)
		}
	}
}

func TestRoute(t *testing.T) {
	d := openTest(t, &memory{})
	apply(t, d, `
trunks:
- {name: first, hosts: [a.example], outbound: {prefixes: ["+33", "+44", "+1"], deny: ["+3389", "+44"]}}
- {name: second, hosts: [b.example], outbound: {prefixes: ["+33", "+331", "+49"]}}
`, ApplyOptions{})
	for _, tt := range []struct {
		number phone.E164
		want   string
	}{
		{"+33223456789", "first"},  // equal prefixes: the document's order
		{"+33123456789", "second"}, // the longest prefix
		{"+33891234567", "second"}, // the first denies it, the second does not
		{"+442079460123", ""},      // equal length: deny wins
		{"+4930123456", "second"},
		{"+81312345678", ""},
		{"+44116123", ""}, // a short number behind a country code
		{"+33112", ""}, {"112", ""}, {"", ""}, {"+1911", ""},
	} {
		got, ok := d.Snapshot().Route(tt.number)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%q: got %q, %v, want %q", tt.number, got, ok, tt.want)
		}
	}
}

func TestTrunkFor(t *testing.T) {
	d := openTest(t, &memory{})
	apply(t, d, `
trunks:
- {name: wide, networks: [198.51.0.0/16, "2001:db8::/32"]}
- {name: narrow, networks: [198.51.100.0/24, "2001:db8:1::/48"]}
- {name: one, networks: [198.51.100.7, "2001:db8:1::7"]}
- {name: port, networks: ["198.51.100.7:5070", "127.0.0.1:5080", "[::1]:5080"]}
`, ApplyOptions{})
	for source, want := range map[string]string{
		"198.51.1.1:5060": "wide", "198.51.100.1:5060": "narrow", "198.51.100.7:5060": "one", "198.51.100.7:5070": "port",
		"[2001:db8:2::1]:5060": "wide", "[2001:db8:1::1]:5060": "narrow", "[2001:db8:1::7]:1": "one",
		"127.0.0.1:5080": "port", "127.0.0.1:5081": "", "[::1]:5080": "port", "192.0.2.1:5060": "",
		"[::ffff:198.51.100.7]:5060": "one",
	} {
		var got string
		if x, ok := d.Snapshot().TrunkFor(netip.MustParseAddrPort(source)); ok {
			got = x.Name
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
}

func TestSnapshot(t *testing.T) {
	d := openTest(t, &memory{})
	apply(t, d, small, ApplyOptions{})
	s := d.Snapshot()
	if u, ok := s.UserByEmail("Agent@Example.com"); !ok || u.ID != 456 {
		t.Errorf("by e-mail: got %+v, %v", u, ok)
	}
	if u, ok := s.UserByExternal("hubspot", "77001"); !ok || u.ID != 456 {
		t.Errorf("by external id: got %+v, %v", u, ok)
	}
	if u, ok := s.UserByPhone("agent"); !ok || u.ID != 456 || len(u.Phones) != 1 {
		t.Errorf("by phone: got %+v, %v", u, ok)
	}
	if _, ok := s.UserByPhone("Agent"); ok {
		t.Error("usernames are compared with case (RFC 3261 §19.1.4)")
	}
	if _, ok := s.User(0); ok {
		t.Error("there is no user 0")
	}
	if n, ok := s.NumberByDigits("+14155550100"); !ok || n.ID != 1 || n.Flow != "main" {
		t.Errorf("number: got %+v, %v", n, ok)
	}
	if f, ok := s.Flow("main"); !ok || len(f.Steps()) != 3 {
		t.Errorf("flow: got %v, %v", f, ok)
	}
	if all := s.Secrets(); len(all) != 1 || all[0].Reveal() != "token-token" {
		t.Errorf("secrets: got %d", len(all))
	}
	if k := s.Keep(); !k.Trace || k.Answers != "full" {
		t.Errorf("keep: got %+v", k)
	}
	apply(t, d, "company: {answers: chosen, keep: {answers: 0d, traces: 0d}}", ApplyOptions{})
	if k := d.Snapshot().Keep(); k.Trace || k.Answers != "none" {
		t.Errorf("keep nothing: got %+v", k)
	}
	if l, faults := d.CompileLookup("", []byte(`{"url": "http://127.0.0.1/{{x}}", "response": {"path": "a"}}`)); l != nil || !faults.Fatal() {
		t.Errorf("an inline lookup with a fault: got %v, %v", l, faults)
	}
	if l, faults := d.CompileLookup("", []byte(`{"url": "http://127.0.0.1/{{callerNumber}}", "response": {"path": "a"}, "otherwise": {"team": "Support"}}`)); l == nil {
		t.Errorf("an inline lookup: got %v", faults)
	}
}
