package directory

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const example = "../../directory.example.yaml"

// exampleSecrets are the environment variables that the example names.
func exampleSecrets(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`\{env: (\w+)\}`).FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
		if !regexp.MustCompile(`(?m)^#   export .*\b` + m[1] + `=`).Match(text) {
			t.Errorf("the head of the example does not tell to export %s", m[1])
		}
	}
	return names
}

// The example is put in unchanged, as its own head says, by the default settings.
func TestExampleDocument(t *testing.T) {
	names := exampleSecrets(t)
	for _, name := range names {
		t.Setenv(name, "correct-horse-"+name)
	}
	doc, faults := ReadFiles([]string{example}, nil)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	options := Options{AllowsPlain: func(string, string) bool { return false }}
	s, faults := doc.Check(options)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if got, want := s.Flows(), 2; len(got) != want {
		t.Errorf("flows: got %v, want %d", got, want)
	}
	d, err := Open(t.Context(), &memory{}, testBox(t), options)
	if err != nil {
		t.Fatal(err)
	}
	if plan, err := d.Apply(t.Context(), doc, ApplyOptions{}); err != nil || len(plan.Warnings) > 0 {
		t.Fatal(err, plan.Warnings)
	}
	if plan, err := d.Apply(t.Context(), doc, ApplyOptions{Prune: true}); err != nil || len(plan.Changes) > 0 {
		t.Errorf("applied again: %v, %s", err, plan.Text())
	}
	if c, ok := d.Snapshot().Credential("crm"); !ok || c.Secret.Reveal() != "correct-horse-CRM_TOKEN" {
		t.Error("the secret of crm did not come from the environment")
	}
}

func TestExampleDocumentWithoutItsSecrets(t *testing.T) {
	names := exampleSecrets(t)
	for _, name := range names {
		t.Setenv(name, "")
	}
	_, faults := ReadFiles([]string{example}, nil)
	if len(faults) != len(names) {
		t.Fatalf("got %v, want a fault for each of %v", faults, names)
	}
	for i, name := range names {
		if f := faults[i]; !strings.Contains(f.Message, name+" is not set") || f.Line == 0 {
			t.Errorf("got %v, want that %s is not set", f, name)
		}
	}
}
