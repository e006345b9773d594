package directory

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ringpath/ringpath/internal/document"
)

// TestDocumentFaults breaks the small document at one place and expects exactly
// that fault, there, and nothing stored.
func TestDocumentFaults(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		// form
		{"version: 1", "version: 2", `there is no version "2"`},
		{"version: 1\n", "", `the version of the document's form is missing`},
		{"users:\n  - id", "usrs:\n  - id", `there is no section "usrs": did you mean "users"?`},
		{"teams:", "sounds: [x]\nteams:", `"sounds" is not in this version`},
		{"name: Example Agent", "nmae: Example Agent", `there is no field "nmae" here: did you mean "name"?`},
		{"- {id: 7, name: Support", "- Support\n  - {id: 7, name: Support", `an entry of teams is a set of fields`},
		{"id: 456", "id: 4.56", `"4.56" is no whole number`},
		{"id: 456", "id: 0", `an id is a whole number from 1`},
		{"id: 456", "id: 99999999999999999", `an id is a whole number from 1`},
		// company
		{"Europe/Paris", "Europe/Pariss", `there is no time zone "Europe/Pariss"`},
		{"Europe/Paris", "Local", `there is no time zone "Local"`},
		{"default_region: FR", "default_region: fr", `there is no region "fr"`},
		{"answers: full", "answers: some", `write full, chosen or none`},
		{"keep: {}", "keep: {calls: -1h}", `between 0d (not kept) and 36500d`},
		{"keep: {}", "keep: {traces: 3}", `"3" is no duration`},
		// users
		{"email: agent@example.com", "email: agent", `"agent" is no e-mail address`},
		{"caller_number: \"\"", "caller_number: 0155", `"0155" is no phone number`},
		{"wrap_up: 0s", "wrap_up: 10s", `"wrap_up" is not in this version`},
		{"may_dial: false", "may_dial: true", `"may_dial" is not in this version`},
		{"forward_to: \"\"", "forward_to: +33123456789", `"forward_to" is not in this version`},
		{"external_ids: {hubspot: \"77001\"}", "external_ids: {ringpath: \"7\"}", `are the field id`},
		{"external_ids: {hubspot: \"77001\"}", "external_ids: {hubspot: \"\"}", `the id in hubspot is empty`},
		{"username: agent", "username: a gent", `"a gent" is no username`},
		{"correct-horse-battery", "short", `too short: 12 characters or more`},
		{"username: agent, password: {value: correct-horse-battery}", "username: correct-horse-battery, password: {value: Correct-Horse-Battery}", `is its username`},
		{", password: {value: correct-horse-battery}", "", `the secret of the phone agent is missing`},
		{"{value: correct-horse-battery}", "{stored: true}", `no secret is stored for the phone agent`},
		{"{value: correct-horse-battery}", "correct-horse-battery", `a secret is written {env: NAME}`},
		{"{value: correct-horse-battery}", "{vault: x}", `there is no secret {vault: …}`},
		{"{value: correct-horse-battery}", "{stored: false}", `write {stored: true}`},
		{"{value: correct-horse-battery}", "{value: \"\"}", `the secret is empty`},
		{"{value: correct-horse-battery}", "{env: HOME}", `never by the server`},
		{"{value: correct-horse-battery}", "{file: /etc/passwd}", `never by the server`},
		// teams
		{"members: [agent@example.com]", "members: [agnet@example.com]", `there is no user "agnet@example.com"`},
		{"members: [agent@example.com]", "members: [agent@example.com, 456]", `456 is in the team already`},
		{"name: Support, members", "name: \"7\", members", `a team's name is not only digits`},
		{"name: Support, members", "members", `a team needs a name`},
		// trunks
		{"198.51.100.0/24", "198.51.100.1/24", `write 198.51.100.0/24`},
		{"198.51.100.0/24", "carrier.example", `is no network`},
		{"198.51.100.0/24", "10.0.0.0/15", `more than 65,536 addresses`},
		{"198.51.100.0/24", "0.0.0.0/0", `nobody sends from there`},
		{"198.51.100.0/24", "2001:db8::1/32", `no bits behind its length: write 2001:db8::/32`},
		{"198.51.100.0/24", "2001:da8::/31", `wider than /32`},
		{"198.51.100.0/24", "::ffff:198.51.100.7", `write the plain`},
		{"198.51.100.0/24", "127.0.0.1", `a loopback address needs a port`},
		{"198.51.100.0/24", "::1", `a loopback address needs a port`},
		{"198.51.100.0/24", "198.51.100.7:0", `port 0`},
		{"[\"198.51.100.0/24\"]", "[198.51.100.7, 198.51.100.7/32]", `belongs to the trunk carrier already`},
		{"sip.carrier.example", "https://sip.carrier.example", `is no host`},
		{"hosts: [\"sip.carrier.example\"]", "hosts: []", `hosts names nowhere to send them`},
		{"transport: udp", "transport: tls", `the transport tls is not in this version`},
		{"transport: udp", "transport: sctp", `there is no transport "sctp"`},
		{"username: \"\"", "username: me", `"username" is not in this version`},
		{"register: false", "register: true", `"register" is not in this version`},
		{"[request_uri, to]", "[request-uri]", `there is no "request-uri"`},
		{"[request_uri, to]", "[\"header:\"]", `there is no "header:"`},
		{"default_number: \"\"", "default_number: +14155559999", `there is no number "+14155559999" of ours`},
		{"caller_from: [from]", "caller_from: [p_asserted_identity, from]", `p_asserted_identity is not in this version`},
		{"trust_identity: false", "trust_identity: true", `"trust_identity" is not in this version`},
		{"default_region: US", "default_region: XX", `there is no region "XX"`},
		{"caller_id: number", "caller_id: fixed:0123", `"0123" is no phone number`},
		{"caller_id: number", "caller_id: nobody", `write number, original or fixed:`},
		{"max_unanswered: 90s", "max_unanswered: 5s", `between 10s and 1h`},
		{"prefixes: [\"+33\"]", "prefixes: [\"33\"]", `"33" is no beginning of a number`},
		{"deny: [\"+3389\"]", "deny: [\"+33 89\"]", `is no beginning of a number`},
		{"max_concurrent: 10", "max_concurrent: 0", `between 1 and`},
		{"max_per_minute: 30", "max_per_minute: many", `"many" is no whole number`},
		// numbers
		{"\"+14155550100\", flow", "\"4155550100\", flow", `"4155550100" is no phone number`},
		{"flow: main, ", "flow: mian, ", `there is no flow "mian": did you mean "main"?`},
		{"flow: main, ", "", `a number needs a flow`},
		{"priority: 0", "priority: 1", `"priority" is not in this version`},
		// credentials
		{"type: basic", "type: oauth2", `the type oauth2 is not in this version`},
		{"type: basic", "type: basik", `there is no type "basik"`},
		{"username: abc", "username: \"a:b\"", `has no colon`},
		{"hosts: [\"127.0.0.1:8080\"]", "hosts: []", `a credential needs hosts`},
		{"hosts: [\"127.0.0.1:8080\"]", "hosts: [\"http://127.0.0.1:8080\"]", `is no host`},
		{"password: {value: token-token}", "password: {value: token-token}, token: {value: x}", `has no token: its secret is password`},
		{"password: {value: token-token}", "password: {value: token-token}, key: X", `only credentials of the type api_key have key`},
		{"password: {value: token-token}", "password: {value: token-token}, token_url: x", `"token_url" is not in this version`},
		{"type: basic, username: abc, password: {value: token-token}", "type: api_key, key: host, value: {value: token-token}", `the header host is set by the program itself`},
		{"password: {value: token-token}", "password: {value: tok}", `is too short`},
		// flows
		{"credential: own-api", "credential: own-apy", `no credential "own-apy"`},
		{"path: \"calls[0].user.id\"", "path: calls.0.user", `calls[0].user`},
		{"{{callerNumber}}", "{{callerNummer}}", `callerNummer`},
		{"ring_to: {team: Support", "ring_to: {team: Sales", `there is no team "Sales"`},
		{"- hang_up: {}", "- voicemail: {x: y}\n      - hang_up: {}", `"voicemail" is not in this version`},
	} {
		t.Run(tt.want, func(t *testing.T) {
			text := "version: 1" + small
			if strings.Count(text, tt.old) < 1 {
				t.Fatalf("%q is not in the document", tt.old)
			}
			broken := strings.Replace(text, tt.old, tt.new, 1)
			faults := allFaults(t, broken)
			if !faults.Fatal() {
				t.Fatal("accepted")
			}
			var found *Fault
			for i, f := range faults {
				if strings.Contains(f.Message, tt.want) {
					found = &faults[i]
				}
			}
			if found == nil {
				t.Fatalf("got %v, want %q", faults, tt.want)
			}
			if line := 1 + strings.Count(text[:strings.Index(text, tt.old)], "\n"); found.Line < line || found.Line > line+3 || found.Column < 1 {
				t.Errorf("got line %d, want %d or a little below: %v", found.Line, line, found)
			}
			if found.File != "f" || found.Pointer == "" && !strings.HasPrefix(tt.old, "version") {
				t.Errorf("got %+v, want its file and a pointer", found)
			}
		})
	}
}

// allFaults are those of form, or else of applying to an empty directory.
func allFaults(t *testing.T, text string) document.Faults {
	t.Helper()
	doc, faults := Parse("f", []byte(text), nil)
	if faults.Fatal() {
		return faults
	}
	store := &memory{}
	d := openTest(t, store)
	_, err := d.Apply(t.Context(), doc, ApplyOptions{})
	if err == nil {
		return nil
	}
	faults, ok := err.(document.Faults)
	if !ok {
		t.Fatalf("got %T %v, want document.Faults", err, err)
	}
	if store.rev != 0 || d.Snapshot().Rev() != 0 {
		t.Error("stored in spite of faults")
	}
	return faults
}

func TestTakenTwice(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"users: [{name: a, email: x@example.com}, {name: b, email: X@example.com}]", "a is named twice in users"},
		{"users: [{id: 1, name: a, email: x@example.com}, {id: 2, name: b, email: X@example.com}]", "another user has the e-mail address"},
		{"users: [{id: 1, name: a}, {id: 1, name: b}]", "named twice"},
		{"users: [{id: 1, name: a, external_ids: {crm: 7}}, {id: 2, name: b, external_ids: {crm: \"7\"}}]", `another user has the id "7" in crm`},
		{"users: [{name: a, phones: [{username: x, password: {value: long-enough-1}}]}, {name: b, phones: [{username: x, password: {value: long-enough-2}}]}]", "another phone has the username x"},
		{"teams: [{id: 1, name: a}, {id: 2, name: A}]", `another team has the name "A"`},
		{"trunks: [{name: a, networks: [198.51.100.7]}, {name: b, networks: [198.51.100.7]}]", "belongs to the trunk a already"},
		{"numbers: [{id: 1, digits: \"+14155550100\", flow: f}, {id: 2, digits: \"+14155550100\", flow: f}]\nflows: [{name: f, steps: [{hang_up: {}}]}]", "another number has the digits"},
		{"flows: [{id: 1, name: f, steps: [{hang_up: {}}]}, {id: 2, name: f, steps: [{hang_up: {}}]}]", `another flow has the name "f"`},
	} {
		faults := allFaults(t, "version: 1\n"+tt.text)
		if !strings.Contains(fmt.Sprint(faults), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.text, faults, tt.want)
		}
	}
}

func TestEveryFaultAtOnce(t *testing.T) {
	text := "version: 1" + small
	for old, broken := range map[string]string{
		"Europe/Paris": "Nowhere", "email: agent@": "email: agent", "198.51.100.0/24": "x", "flow: main, ": "flow: x, ",
		"type: basic": "type: x", "ring_for: 20s": "ring_for: 1s",
	} {
		text = strings.Replace(text, old, broken, 1)
	}
	faults := allFaults(t, text)
	if len(faults) < 6 {
		t.Errorf("got %d faults, want 6 and more:\n%v", len(faults), faults)
	}
	for i := 1; i < len(faults); i++ {
		if faults[i].Line < faults[i-1].Line {
			t.Errorf("not in the order of lines:\n%v", faults)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("version: 1" + small))
	f.Add([]byte(`{"version": 1, "users": [{"name": "a", "phones": [{"username": "x", "password": {"value": "long-enough-1"}}]}]}`))
	f.Add([]byte("version: 1\nflows:\n- {name: f, steps: [{ring_to: {user: 1}, next: f}]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, faults := Parse("f", text, nil)
		if faults.Fatal() {
			return
		}
		d := openTest(t, &memory{})
		if _, err := d.Apply(t.Context(), doc, ApplyOptions{}); err != nil {
			return
		}
		out, err := d.Export(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		again, err := out.YAML()
		if err != nil {
			t.Fatal(err)
		}
		back, faults := Parse("export", again, nil)
		if faults.Fatal() {
			t.Fatalf("export cannot be read: %v\n%s", faults, again)
		}
		plan, err := d.Plan(t.Context(), back, ApplyOptions{Prune: true})
		if err != nil || len(plan.Changes) > 0 {
			t.Fatalf("export | apply: %v, %s\n%s", err, plan.Text(), again)
		}
	})
}
