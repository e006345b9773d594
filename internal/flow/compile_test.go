package flow

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
)

const anAPI = `ring_to_api: {url: "http://127.0.0.1/", response: {path: x}`

func TestCompileFaults(t *testing.T) {
	for _, tt := range []struct{ name, steps, pointer, code, want string }{
		{"no kind", "- name: x\n- hang_up: {}", "/steps/0", CodeStepKind, "exactly one of"},
		{"two kinds", "- hang_up: {}\n  ring_to: {user: 1}", "/steps/0", CodeStepKind, "exactly one of"},
		{"unknown kind", "- ring: {user: 1}", "/steps/0/ring", document.CodeUnknown, "there are name, ring_to_api, ring_to"},
		{"later kind", "- voicemail: {greeting: x}\n- hang_up: {}", "/steps/0/voicemail", document.CodeNotYet, "not in this version"},
		{"menu", "- menu: {}\n- hang_up: {}", "/steps/0", CodeStepKind, "exactly one of"},
		{"exits", "- hang_up: {}\n  exits: {busy: x}", "/steps/0/exits", document.CodeNotYet, "not in this version"},
		{"same name", "- {name: a, hang_up: {}}\n- {name: a, hang_up: {}}", "/steps/1/name", CodeSameName, "step 1 has the name"},
		{"next to nowhere", "- {name: first, ring_to: {user: 1}, next: frist}", "/steps/0/next", CodeUnknownStep, `did you mean "first"?`},
		{"next to itself", "- {name: a, ring_to: {user: 1}, next: a}", "/steps/0/next", CodeCycle, "for ever"},
		{"cycle of two", "- {name: a, ring_to: {user: 1}}\n- {name: b, ring_to: {user: 1}, next: a}", "/steps/1/next", CodeCycle, "for ever"},
		{"cycle behind the beginning", "- {name: z, hang_up: {}}\n- {name: a, ring_to: {user: 1}}\n- {name: b, ring_to: {user: 1}, next: a}", "/steps/2/next", CodeCycle, "for ever"},
		{"next of hang_up", "- {name: a, ring_to: {user: 1}}\n- {hang_up: {}, next: a}", "/steps/1/next", document.CodeValue, "ends the call"},
		{"10,000 steps", strings.Repeat("- hang_up: {}\n", 10_000), "/steps", CodeRange, "at most 200 steps"},
		{"no steps", "", "/steps", CodeNoWayOut, "no steps"},
		{"only a lookup", "- " + anAPI + "}", "/steps/0", CodeNoWayOut, "matched (whoever was found may be away), no_match, unknown_target, failed"},
		{"matched alone does not serve", "- " + anAPI + ", otherwise: {user: 1}}", "/steps/0", CodeNoWayOut, "by matched (whoever was found may be away): "},
		{"one exit open", "- " + anAPI + ", otherwise: {failed: {user: 1}, no_match: {user: 1}}}", "/steps/0", CodeNoWayOut, "away), unknown_target:"},
		{"way out is skipped", "- " + anAPI + "}\n  next: c\n- {name: b, ring_to: {user: 1}}\n- {name: c, " + anAPI + "}}", "/steps/2", CodeNoWayOut, "nobody rung"},
		{"no target", "- ring_to: {}", "/steps/0/ring_to", CodeTarget, "exactly one of"},
		{"two targets", "- ring_to: {user: 1, team: Support}", "/steps/0/ring_to", CodeTarget, "several people are a team"},
		{"unknown user", "- ring_to: {user: nobody@example.com}", "/steps/0/ring_to/user", CodeUnknownName, "no user"},
		{"user by name", "- ring_to: {user: Ann}", "/steps/0/ring_to/user", CodeUnknownName, "the id or the e-mail address"},
		{"unknown team", "- ring_to: {team: Sales}", "/steps/0/ring_to/team", CodeUnknownName, "no team"},
		{"number in ring_to", "- ring_to: {number: 1}", "/steps/0/ring_to/number", CodeTarget, "redirect_to"},
		{"unknown number", "- redirect_to: {number: \"+14155559999\"}", "/steps/0/redirect_to/number", CodeUnknownName, "no number"},
		{"redirect to nothing", "- redirect_to: {}", "/steps/0/redirect_to", CodeTarget, "exactly one of"},
		{"not E.164", "- ring_to: {external: 0123456789}", "/steps/0/ring_to/external", CodeNumber, `"0123456789" is no phone number`},
		{"external without a trunk", "- ring_to: {external: +44123456789}", "/steps/0/ring_to/external", CodeNotAllowed, "outbound.prefixes"},
		{"denied", "- ring_to: {external: +33891234567}", "/steps/0/ring_to/external", CodeNotAllowed, "no trunk may dial"},
		{"cause", "- hang_up: {cause: bussy}", "/steps/0/hang_up/cause", document.CodeValue, "unavailable, busy, rejected, unknown"},
		{"rings too short", "- ring_to: {user: 1, ringing: {ring_for: 4s}}", "/steps/0/ring_to/ringing/ring_for", CodeRange, "between 5s and 3600s"},
		{"rings too long", "- ring_to: {user: 1, ringing: {ring_for: 3601s}}", "/steps/0/ring_to/ringing/ring_for", CodeRange, "between 5s and 3600s"},
		{"ring_for negative", "- ring_to: {user: 1, ringing: {ring_for: -5s}}", "/steps/0/ring_to/ringing/ring_for", CodeRange, "between 5s and 3600s"},
		{"later rule", "- ring_to: {user: 1, ringing: {rule: longest_idle}}", "/steps/0/ring_to/ringing/rule", document.CodeNotYet, "not in this version"},
		{"unknown rule", "- ring_to: {user: 1, ringing: {rule: loudest}}", "/steps/0/ring_to/ringing/rule", document.CodeValue, "no rule"},
		{"ring even if busy", "- ring_to: {user: 1, ringing: {ring_even_if_busy: true}}", "/steps/0/ring_to/ringing/ring_even_if_busy", document.CodeNotYet, "not in this version"},
		{"ring each for", "- ring_to: {user: 1, ringing: {ring_each_for: 10s}}", "/steps/0/ring_to/ringing/ring_each_for", document.CodeNotYet, "not in this version"},
		{"music", "- ring_to: {user: 1, ringing: {music: tune}}", "/steps/0/ring_to/ringing/music", document.CodeNotYet, "not in this version"},
		{"announce", "- ring_to: {user: 1, ringing: {announce: 30s}}", "/steps/0/ring_to/ringing/announce", document.CodeNotYet, "not in this version"},
		{"otherwise as text", "- " + anAPI + ", otherwise: Support}\n- hang_up: {}", "/steps/0/ring_to_api/otherwise", document.CodeType, "write a target"},
		{"otherwise matched", "- " + anAPI + ", otherwise: {matched: next}}\n- hang_up: {}", "/steps/0/ring_to_api/otherwise/matched", document.CodeUnknown, "no_match, unknown_target, failed"},
		{"otherwise unknown team", "- " + anAPI + ", otherwise: {team: Sales}}\n- hang_up: {}", "/steps/0/ring_to_api/otherwise/team", CodeUnknownName, "no team"},
		{"otherwise per exit", "- " + anAPI + ", otherwise: {failed: {team: Sales}}}\n- hang_up: {}", "/steps/0/ring_to_api/otherwise/failed/team", CodeUnknownName, "no team"},
		{"unknown field of a lookup", "- ring_to_api: {url: \"http://127.0.0.1/\", respons: {path: x}}\n- hang_up: {}", "/steps/0/ring_to_api/respons", document.CodeUnknown, `did you mean "response"?`},
		{"unknown variable", "- ring_to_api: {url: \"http://127.0.0.1/{{callrNumber}}\", response: {path: x}}\n- hang_up: {}", "/steps/0/ring_to_api/url", "unknown_variable", "callrNumber"},
		{"path", "- ring_to_api: {url: \"http://127.0.0.1/\", response: {path: calls.0.user}}\n- hang_up: {}", "/steps/0/ring_to_api/response/path", "bad_path", "calls[0].user"},
		{"map to nobody", "- ring_to_api: {url: \"http://127.0.0.1/\", response: {path: x, map: {gold: {team: 99}}}}\n- hang_up: {}", "/steps/0/ring_to_api/response/map/gold", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, faults := compile(t, &fake{}, "main", tt.steps)
			if !faults.Fatal() {
				t.Fatalf("got %v, want a fault", faults)
			}
			f := faults[0]
			if f.Pointer != tt.pointer || tt.code != "" && f.Code != tt.code || !strings.Contains(f.Message, tt.want) {
				t.Errorf("got %s %s %q, want %s %s %q", f.Pointer, f.Code, f.Message, tt.pointer, tt.code, tt.want)
			}
		})
	}
}

func TestCompileAccepts(t *testing.T) {
	for _, steps := range []string{
		"- hang_up: {}",
		"- ring_to: {user: 1, ringing: {rule: simultaneous, ring_for: 5s, ring_even_if_busy: false, music: ringback, announce: off}}",
		"- ring_to: {user: ANN@example.com, ringing: {ring_for: 3600s}}",
		"- ring_to: {team: 7}",
		"- ring_to: {external: +33123456789}",
		"- redirect_to: {number: 1}",
		"- " + anAPI + ", otherwise: next}\n- ring_to: {team: Support}",
		"- {name: a, " + anAPI + "}, next: c}\n- {name: b, hang_up: {}}\n- {name: c, ring_to: {user: 1}, next: b}",
	} {
		if _, faults := compile(t, &fake{}, "main", steps); faults.Fatal() {
			t.Errorf("%s: %v", steps, faults)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, tt := range []struct{ steps, pointer string }{
		{"- hang_up: {}\n- ring_to: {user: 1}", "/steps/1"},
		{"- {name: a, ring_to: {user: 1}, next: c}\n- {name: b, ring_to: {user: 1}}\n- {name: c, hang_up: {}}", "/steps/1"},
		{"- ring_to: {team: Empty}\n- hang_up: {}", "/steps/0/ring_to/team"},
	} {
		flow, faults := compile(t, &fake{}, "main", tt.steps)
		if flow == nil || len(faults) != 1 || !faults[0].Warning || faults[0].Pointer != tt.pointer {
			t.Errorf("%s: got %v, want a warning at %s", tt.steps, faults, tt.pointer)
		}
	}
}

func TestStepsAreNamed(t *testing.T) {
	flow, faults := compile(t, &fake{}, "main", "- ring_to: {user: 1}\n- {name: ring_to 2, ring_to: {user: 1}}\n- ring_to: {user: 1}\n- hang_up: {}")
	if faults.Fatal() {
		t.Fatal(faults)
	}
	if diff := cmp.Diff([]string{"ring_to", "ring_to 2", "ring_to 3", "hang_up"}, flow.Steps()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, faults := compile(t, &fake{}, "main", "- ring_to: {user: 9}\n  next: x\n- hang_up: {cause: y}\n- ring_to: {team: z, ringing: {ring_for: 1s}}")
	if len(faults) < 5 {
		t.Errorf("got %d faults, want 5 and more:\n%v", len(faults), faults)
	}
}

func TestResolve(t *testing.T) {
	r := resolver{people: &fake{}, availability: func(phone.UserID) phone.Availability { return phone.InCall }}
	for _, tt := range []struct {
		named lookup.Named
		want  phone.Target
		state phone.Availability
		why   lookup.Reason
	}{
		{lookup.Named{Kind: phone.ToUser, By: lookup.ByID, Space: lookup.Own, Text: "2"}, phone.UserTarget(2), phone.InCall, ""},
		{lookup.Named{Kind: phone.ToUser, By: lookup.ByID, Space: lookup.Own, Text: "77"}, phone.Target{}, "", lookup.ReasonUnknownUser},
		{lookup.Named{Kind: phone.ToUser, By: lookup.ByID, Space: lookup.Own, Text: "1e0"}, phone.Target{}, "", lookup.ReasonUnknownUser},
		{lookup.Named{Kind: phone.ToUser, By: lookup.ByID, Space: lookup.Own, Text: "99999999999999999999"}, phone.Target{}, "", lookup.ReasonUnknownUser},
		{lookup.Named{Kind: phone.ToUser, By: lookup.ByID, Space: "crm", Text: "77"}, phone.UserTarget(1), phone.InCall, ""},
		{lookup.Named{Kind: phone.ToUser, By: lookup.ByID, Space: "crm", Text: "2"}, phone.Target{}, "", lookup.ReasonUnknownUser}, // not our user 2
		{lookup.Named{Kind: phone.ToUser, By: lookup.ByEmail, Text: "Bob@Example.com"}, phone.UserTarget(2), phone.InCall, ""},
		{lookup.Named{Kind: phone.ToUser, By: lookup.ByName, Text: "Bob"}, phone.Target{}, "", lookup.ReasonUnknownUser},
		{lookup.Named{Kind: phone.ToTeam, By: lookup.ByID, Space: lookup.Own, Text: "7"}, phone.TeamTarget(7), "", ""},
		{lookup.Named{Kind: phone.ToTeam, By: lookup.ByID, Space: "crm", Text: "s"}, phone.TeamTarget(7), "", ""},
		{lookup.Named{Kind: phone.ToTeam, By: lookup.ByName, Text: "support"}, phone.TeamTarget(7), "", ""},
		{lookup.Named{Kind: phone.ToTeam, By: lookup.ByName, Text: "Sales"}, phone.Target{}, "", lookup.ReasonUnknownTeam},
		{lookup.Named{Kind: phone.ToNumber, By: lookup.ByIDOrNumber, Text: "2"}, phone.NumberTarget(2), "", ""},
		{lookup.Named{Kind: phone.ToNumber, By: lookup.ByIDOrNumber, Text: "4155550102", Number: "+14155550102"}, phone.NumberTarget(2), "", ""},
		{lookup.Named{Kind: phone.ToNumber, By: lookup.ByIDOrNumber, Text: "99"}, phone.Target{}, "", lookup.ReasonBadNumber},
		{lookup.Named{Kind: phone.ToNumber, By: lookup.ByNumber, Number: "+14155559999"}, phone.Target{}, "", lookup.ReasonUnknownNumber},
		{lookup.Named{Kind: phone.ToExternal, By: lookup.ByNumber, Number: "+33123456789"}, phone.ExternalTarget("+33123456789"), "", ""},
		{lookup.Named{Kind: phone.ToExternal, By: lookup.ByNumber, Number: "+14155550102"}, phone.NumberTarget(2), "", ""},
		{lookup.Named{Kind: phone.ToExternal, By: lookup.ByNumber, Number: "+44123456789"}, phone.Target{}, "", lookup.ReasonNotAllowed},
		{lookup.Named{Kind: phone.ToExternal, By: lookup.ByNumber}, phone.Target{}, "", lookup.ReasonBadNumber},
		{lookup.Named{}, phone.Target{}, "", lookup.ReasonWrongKind},
	} {
		got, state, why := r.resolve(tt.named)
		if got != tt.want || state != tt.state || why != tt.why {
			t.Errorf("%+v: got %v %q %q, want %v %q %q", tt.named, got, state, why, tt.want, tt.state, tt.why)
		}
	}
}
