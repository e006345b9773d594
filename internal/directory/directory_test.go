package directory

import (
	"log/slog"
	"strings"
	"testing"
)

// small is the document of spec/config.md, with its secrets given.
const small = `
company: {name: Example Ltd, time_zone: Europe/Paris, default_region: FR, answers: full, keep: {}}
users:
  - id: 456
    name: Example Agent
    email: agent@example.com
    wrap_up: 0s
    phones:
      - {username: agent, password: {value: correct-horse-battery}}
    caller_number: ""
    may_dial: false
    external_ids: {hubspot: "77001"}
    forward_to: ""
teams:
  - {id: 7, name: Support, members: [agent@example.com]}
trunks:
  - name: carrier
    networks: ["198.51.100.0/24"]
    hosts: ["sip.carrier.example"]
    transport: udp
    username: ""
    register: false
    number_from: [request_uri, to]
    default_number: ""
    caller_from: [from]
    trust_identity: false
    default_region: US
    caller_id: number
    max_unanswered: 90s
    outbound: {prefixes: ["+33"], deny: ["+3389"], max_concurrent: 10, max_per_minute: 30}
numbers:
  - {id: 1, name: Main line, digits: "+14155550100", flow: main, priority: 0}
credentials:
  - {name: own-api, type: basic, username: abc, password: {value: token-token}, hosts: ["127.0.0.1:8080"]}
flows:
  - name: main
    steps:
      - name: last agent
        ring_to_api:
          method: GET
          url: "http://127.0.0.1:8080/v1/calls/search?order=des&phone_number={{callerNumber}}"
          credential: own-api
          timeout: 3s
          response: {type: user, path: "calls[0].user.id"}
          ringing: {ring_for: 20s}
          otherwise: {team: Support}
      - name: everybody
        ring_to: {team: Support, ringing: {rule: simultaneous, ring_for: 30s}}
      - hang_up: {}
`

func TestApplyExportApply(t *testing.T) {
	store := &memory{}
	d := openTest(t, store)
	plan := apply(t, d, small, ApplyOptions{})
	if len(plan.Changes) != 7 || plan.Revision != 1 {
		t.Fatalf("got %d changes, revision %d, want 7 and 1:\n%s", len(plan.Changes), plan.Revision, plan.Text())
	}
	if strings.Contains(plan.Text(), "correct-horse") {
		t.Errorf("the plan shows a secret:\n%s", plan.Text())
	}
	for _, e := range store.entries {
		if strings.Contains(string(e.Body), "correct-horse") {
			t.Errorf("stored in the clear: %s", e.Body)
		}
	}
	for _, reopened := range []*Directory{d, openTest(t, store)} {
		doc, err := reopened.Export(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text, err := doc.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, faults := Parse("export.yaml", text, nil)
		if faults != nil {
			t.Fatalf("%v in\n%s", faults, text)
		}
		plan, err := reopened.Apply(t.Context(), again, ApplyOptions{Prune: true})
		if err != nil || len(plan.Changes) > 0 || plan.Revision != 1 {
			t.Errorf("export | apply: %v, got\n%s\nwant nothing", err, plan.Text())
		}
	}
	s := d.Snapshot()
	a, ok := s.Account("agent")
	if !ok || a.Password.Reveal() != "correct-horse-battery" || a.User != 456 {
		t.Errorf("account: got %+v, %v", a, ok)
	}
}

// Settings that shrink must not keep the server from starting, nor others from
// changing what has nothing to do with it.
func TestSettingsThatShrink(t *testing.T) {
	doc := strings.NewReplacer("127.0.0.1:8080", "crm.internal:80", "{{callerNumber}}", "{{sip.X-Order}}").Replace(small)
	store := &memory{}
	rich := Options{PassHeaders: []string{"X-Order"}, AllowsPlain: func(string, string) bool { return true }}
	d, err := Open(t.Context(), store, testBox(t), rich)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, d, doc, ApplyOptions{})

	var log strings.Builder
	poor := Options{AllowsPlain: func(string, string) bool { return false }, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	d, err = Open(t.Context(), store, testBox(t), poor)
	if err != nil {
		t.Fatalf("the server does not start: %v", err)
	}
	for _, want := range []string{"stored flow main", "{{sip.X-Order}}", "sip.pass_headers", "lookup.allow", "crm.internal:80"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s: %s", want, log.String())
		}
	}
	apply(t, d, "company: {name: Other Ltd}", ApplyOptions{})
	_, err = d.Apply(t.Context(), mustParse(t, doc[strings.Index(doc, "flows:"):]), ApplyOptions{})
	if err == nil || !strings.Contains(err.Error(), "sip.pass_headers") {
		t.Errorf("the flow itself, put in again: got %v, want a fault", err)
	}
}
