package directory

import (
	"testing"
)

func TestExampleDocument(t *testing.T) {
	for _, name := range []string{"ANN_SIP_PASSWORD", "BOB_SIP_PASSWORD", "OWN_API_TOKEN", "CRM_TOKEN"} {
		t.Setenv(name, "correct-horse-"+name)
	}
	doc, faults := ReadFiles([]string{"../../directory.example.yaml"}, nil)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	s, faults := doc.Check(Options{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if got, want := s.Flows(), 2; len(got) != want {
		t.Errorf("flows: got %v, want %d", got, want)
	}
	d := openTest(t, &memory{})
	if _, err := d.Apply(t.Context(), doc, ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if plan, err := d.Apply(t.Context(), doc, ApplyOptions{Prune: true}); err != nil || len(plan.Changes) > 0 {
		t.Errorf("applied again: %v, %s", err, plan.Text())
	}
}
