package flow

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringpath/ringpath/internal/phone"
)

func TestTargets(t *testing.T) {
	for _, tt := range []struct {
		name, steps string
		want        []phone.Target
	}{
		{"nobody", "- hang_up: {}", nil},
		{"each once, in order", "- ring_to: {team: Support}\n- ring_to: {user: 1}\n- ring_to: {team: Support}\n- hang_up: {}",
			[]phone.Target{phone.TeamTarget(7), phone.UserTarget(1)}},
		{"redirection and outside", "- ring_to: {external: +33123456789}\n- redirect_to: {number: 2}",
			[]phone.Target{phone.ExternalTarget("+33123456789"), phone.NumberTarget(2)}},
		{"otherwise for all", "- " + anAPI + ", otherwise: {user: 1}}\n- hang_up: {}", []phone.Target{phone.UserTarget(1)}},
		{"otherwise by exit", "- " + anAPI + ", otherwise: {failed: {user: 1}, no_match: {team: Support}}}\n- hang_up: {}",
			[]phone.Target{phone.TeamTarget(7), phone.UserTarget(1)}},
		{"next", "- " + anAPI + ", otherwise: next}\n- hang_up: {}", nil},
	} {
		f, faults := compile(t, &fake{}, "main", tt.steps)
		if f == nil {
			t.Fatalf("%s: %v", tt.name, faults)
		}
		if diff := cmp.Diff(tt.want, f.Targets()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
