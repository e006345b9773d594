package lookup

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestSpecOfDocuments(t *testing.T) {
	const document = `
method: POST
url: "https://crm.example/{{callerNumber}}"
headers: {X-A: b}
body: {filters: [{phone: "{{callerNumber}}"}]}
credential: crm
timeout: 1500ms
retries: 0
idempotent: true
enabled: false
response:
  type: auto
  path: [a.b, "['c']"]
  ids: hubspot
  map:
    gold: {team: 7}
    silver: {number: +14155550100}
    "0123": 0456
    iron: {user: agent@example.com}
  take: all
  empty_on: [404, 204]
  show: {contact: name}
  allow_external: true
`
	zero, off := 0, false
	want := Spec{
		Method: "POST", URL: "https://crm.example/{{callerNumber}}", Headers: map[string]string{"X-A": "b"},
		Body:       map[string]any{"filters": []any{map[string]any{"phone": "{{callerNumber}}"}}},
		Credential: "crm", Timeout: Duration(1500 * time.Millisecond), Retries: &zero, Idempotent: true, Enabled: &off,
		Response: Response{Type: "auto", Path: Paths{"a.b", "['c']"}, IDs: "hubspot", Take: "all", EmptyOn: []int{404, 204},
			Show: map[string]string{"contact": "name"}, AllowExternal: true,
			Map: map[string]MapTo{"gold": {"team", "7"}, "silver": {"number", "+14155550100"}, "0123": {"", "0456"}, "iron": {"user", "agent@example.com"}}},
	}
	var fromYAML Spec
	if err := yaml.UnmarshalWithOptions([]byte(document), &fromYAML, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, fromYAML); diff != "" {
		t.Errorf("YAML (-want +got):\n%s", diff)
	}
	back, err := yaml.Marshal(fromYAML)
	if err != nil {
		t.Fatal(err)
	}
	var again Spec
	if err := yaml.Unmarshal(back, &again); err != nil {
		t.Fatalf("%v in\n%s", err, back)
	}
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("YAML and back (-want +got):\n%s\n%s", diff, back)
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var fromJSON Spec
	if err := json.Unmarshal(data, &fromJSON); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	if diff := cmp.Diff(want, fromJSON); diff != "" {
		t.Errorf("JSON (-want +got):\n%s\n%s", diff, data)
	}
}

func TestSpecFaults(t *testing.T) {
	for _, text := range []string{
		"timeout: 3", "timeout: soon", "response: {map: {a: {team: 7, user: 8}}}", "response: {map: {a: [1]}}", "response: {path: {a: b}}",
	} {
		var s Spec
		if err := yaml.UnmarshalWithOptions([]byte(text), &s, yaml.Strict()); err == nil {
			t.Errorf("%s was taken: %+v", text, s)
		}
	}
	for _, text := range []string{`{"timeout":3}`, `{"response":{"map":{"a":{"team":7,"user":8}}}}`, `{"response":{"path":{}}}`} {
		var s Spec
		if err := json.Unmarshal([]byte(text), &s); err == nil {
			t.Errorf("%s was taken: %+v", text, s)
		}
	}
}
