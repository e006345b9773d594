package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/ring"
)

const tutorial = `
- name: last agent
  ring_to_api: {url: "API/?n={{callerNumber}}", response: {path: "calls[0].user.id", show: {company: name}}, ringing: {ring_for: 20s}, otherwise: {team: Support}}
- name: everybody
  ring_to: {team: Support}
- hang_up: {cause: busy}
`

func TestMatchedUserRings(t *testing.T) {
	b := newBench(t, map[string]string{"main": tutorial})
	b.body = `{"calls": [{"user": {"id": 2}}], "name": "Acme"}`
	got := b.next(Event{Kind: Begin})
	want := Action{Kind: Ring, Seq: 1, Flow: "main", Step: "last agent", Targets: []phone.Target{phone.UserTarget(2)},
		Settings: ring.Settings{RingFor: 20 * time.Second}, Show: map[string]string{"company": "Acme"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("action (-want +got):\n%s", diff)
	}
	if b.state.Rev != 5 || b.state.At.Branch != "matched" {
		t.Errorf("state: got %+v", b.state)
	}
	b.now = b.now.Add(3 * time.Second)
	if got := b.next(Event{Kind: RingDone, Outcome: Answered, By: phone.UserTarget(2)}); got.Kind != Talk {
		t.Fatalf("answered: got %+v, want Talk", got)
	}
	if got := b.next(Event{Kind: PeerLeft}); got.Kind != End || got.Cause != phone.CauseNormal {
		t.Fatalf("peer left: got %+v, want End normal", got)
	}
	if diff := cmp.Diff([]string{
		"last agent ring_to_api matched 2 user 2",
		"last agent ring_to answered matched user 2",
		"end normal peer_left",
	}, b.notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

func TestMatchedButAwayIsTheNextStep(t *testing.T) {
	for _, o := range []Outcome{NoAnswer, Busy, Unavailable, Declined, Failed, Overflow} {
		b := newBench(t, map[string]string{"main": tutorial})
		b.body = `{"calls": [{"user": {"id": 2}}]}`
		b.next(Event{Kind: Begin})
		got := b.next(done(o, 2))
		if got.Kind != Ring || got.Step != "everybody" {
			t.Errorf("%s: got %+v, want the step everybody", o, got)
		}
		b.next(done(NoAnswer, 2, 1))
		if diff := cmp.Diff([]phone.UserID{2, 1}, b.state.Declined); diff != "" {
			t.Errorf("%s: declined (-want +got):\n%s", o, diff)
		}
	}
}

func TestExitsGoToOtherwise(t *testing.T) {
	for _, tt := range []struct {
		name, otherwise, body string
		status                int
		want                  string // first action's target or step, then the note
	}{
		{"no match", "{team: Support}", `{"calls": []}`, 200, "last agent: [team 7] | last agent ring_to_api no_match empty_list team 7"},
		{"unknown", "{user: cleo@example.com}", `{"calls": [{"user": {"id": 99}}]}`, 200, "last agent: [user 3] | last agent ring_to_api unknown_target unknown_user 99 user 3"},
		{"failed", "{external: \"+33123456789\"}", ``, 500, "last agent: [external +33123456789] | last agent ring_to_api failed http_5xx external +33123456789"},
		{"next for all", "next", ``, 404, "everybody: [team 7] | last agent ring_to_api failed http_404"},
		{"per exit, its own", "{failed: {user: 3}, no_match: next}", ``, 404, "last agent: [user 3] | last agent ring_to_api failed http_404 user 3"},
		{"per exit, next", "{failed: {user: 3}, no_match: next}", `{"calls": []}`, 200, "everybody: [team 7] | last agent ring_to_api no_match empty_list"},
		{"per exit, unnamed", "{failed: {user: 3}}", `{"calls": [{"user": {"id": 99}}]}`, 200, "everybody: [team 7] | last agent ring_to_api unknown_target unknown_user 99"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, map[string]string{"main": strings.Replace(tutorial, "{team: Support}}\n- name: everybody", tt.otherwise+"}\n- name: everybody", 1)})
			b.status, b.body = tt.status, tt.body
			a := b.next(Event{Kind: Begin})
			if got := fmt.Sprintf("%s: %v | %s", a.Step, a.Targets, b.notes[0]); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if next := b.next(done(NoAnswer)); a.Step == "last agent" && next.Step != "everybody" {
				t.Errorf("nobody answers: got %+v, want the step everybody", next)
			}
		})
	}
}

func TestNumbersLeaveTheFlow(t *testing.T) {
	for _, first := range []string{
		`- redirect_to: {number: "+14155550102"}`,
		`- redirect_to: {number: 2}`,
		`- ring_to: {external: "+14155550102"}`, // one of ours: it stays in the house
		"- ring_to_api: {url: \"API/\", enabled: false, response: {path: x}, otherwise: {number: \"+14155550102\"}}",
	} {
		b := newBench(t, map[string]string{"main": first + "\n- ring_to: {user: 1}", "second": "- name: there\n  ring_to: {user: 3}"})
		a := b.next(Event{Kind: Begin})
		if a.Flow != "second" || a.Step != "there" || len(b.state.Hops) != 1 || b.state.Hops[0] != 2 {
			t.Errorf("%s: got %+v, hops %v, want step there of flow second", first, a, b.state.Hops)
		}
		// for good: the second flow's end is the call's end
		if a := b.next(done(NoAnswer)); a.Kind != End || a.Cause != phone.CauseUnavailable {
			t.Errorf("%s: afterwards: got %+v, want End unavailable", first, a)
		}
	}
}

func TestMatchedNumberAndExternal(t *testing.T) {
	for _, tt := range []struct{ kind, body, want string }{
		{"number", `{"x": "+1 415 555 0102"}`, "second there [user 3]"},
		{"number", `{"x": 2}`, "second there [user 3]"},
		{"external", `{"x": "+33123456789"}`, "main ring_to_api [external +33123456789]"},
		{"external", `{"x": "(415) 555-0102"}`, "second there [user 3]"},
		{"external", `{"x": "+33891234567"}`, "main last [user 1]"}, // denied
		{"external", `{"x": "+44123456789"}`, "main last [user 1]"}, // no prefix
	} {
		b := newBench(t, map[string]string{
			"main":   "- ring_to_api: {url: \"API/\", response: {type: " + tt.kind + ", path: x}}\n- {name: last, ring_to: {user: 1}}",
			"second": "- name: there\n  ring_to: {user: 3}",
		})
		b.body = tt.body
		a := b.next(Event{Kind: Begin})
		if got := fmt.Sprintf("%s %s %v", a.Flow, a.Step, a.Targets); got != tt.want {
			t.Errorf("%s %s: got %s, want %s (%v)", tt.kind, tt.body, got, tt.want, b.notes)
		}
	}
}

func TestTakeAllRingsTogether(t *testing.T) {
	b := newBench(t, map[string]string{"main": "- ring_to_api: {url: \"API/\", response: {path: \"[*]\", take: all}}\n- hang_up: {}"})
	b.body = `[3, 1, 99, 3]`
	a := b.next(Event{Kind: Begin})
	if got, want := fmt.Sprint(a.Targets), "[user 3 user 1]"; got != want {
		t.Errorf("targets: got %s, want %s", got, want)
	}
	mixed := []phone.Target{phone.TeamTarget(7), phone.NumberTarget(2), phone.ExternalTarget("+33123456789"), phone.UserTarget(3)}
	if got, want := fmt.Sprint(ringable(mixed)), "[team 7 user 3]"; got != want {
		t.Errorf("mixed: got %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(ringable(mixed[2:])), "[external +33123456789]"; got != want {
		t.Errorf("an outside number first: got %s, want %s", got, want)
	}
}

func TestHangUpCauses(t *testing.T) {
	for text, want := range map[string]phone.Cause{
		"{}": phone.CauseUnavailable, "{cause: unavailable}": phone.CauseUnavailable, "{cause: busy}": phone.CauseBusy,
		"{cause: rejected}": phone.CauseRejected, "{cause: unknown}": phone.CauseUnknown,
	} {
		b := newBench(t, map[string]string{"main": "- hang_up: " + text})
		if a := b.next(Event{Kind: Begin}); a.Kind != End || a.Cause != want {
			t.Errorf("hang_up: %s: got %+v, want End %s", text, a, want)
		}
	}
}

func TestLoopsEnd(t *testing.T) {
	b := newBench(t, map[string]string{
		"main":   "- {name: a, redirect_to: {number: 2}}\n- {name: left, ring_to: {user: 1}}",
		"second": "- {name: b, redirect_to: {number: 1}}\n- {name: left, ring_to: {user: 2}}",
	})
	a := b.next(Event{Kind: Begin})
	// main → second → main → second → main → second: five hops; the sixth is refused.
	if a.Kind != Ring || a.Flow != "second" || a.Step != "left" || len(b.state.Hops) != MaxHops {
		t.Errorf("got %+v, hops %v, want the step behind the refused redirection", a, b.state.Hops)
	}
	if got, want := b.notes[5], "b redirect_to failed loop number 1"; got != want {
		t.Errorf("note: got %q, want %q", got, want)
	}
}

func TestStepLimit(t *testing.T) {
	var steps strings.Builder
	for range MaxSteps + 5 {
		steps.WriteString("- ring_to_api: {url: \"API/\", enabled: false, response: {path: x}}\n")
	}
	steps.WriteString("- ring_to: {user: 1}\n")
	b := newBench(t, map[string]string{"main": steps.String()})
	a := b.next(Event{Kind: Begin})
	if a.Kind != End || a.Cause != phone.CauseUnavailable || b.state.Steps != MaxSteps || b.notes[MaxSteps] != "end unavailable too_many_steps" {
		t.Errorf("got %+v after %d steps, last note %q", a, b.state.Steps, b.notes[len(b.notes)-1])
	}
}

func TestCallerLeavesAtAnyMoment(t *testing.T) {
	b := newBench(t, map[string]string{"main": "- ring_to: {user: 1}\n- hang_up: {}"})
	if a := b.next(Event{Kind: CallerLeft}); a.Kind != End || a.Cause != phone.CauseCancelled {
		t.Errorf("before the beginning: got %+v", a)
	}
	if a := b.next(Event{Kind: CallerLeft}); a.Kind != End || len(b.notes) != 1 {
		t.Errorf("again: got %+v, notes %v, want End without a second note", a, b.notes)
	}
	b = newBench(t, map[string]string{"main": "- ring_to: {user: 1}\n- hang_up: {}"})
	b.next(Event{Kind: Begin})
	res, err := b.machine.Next(t.Context(), b.state, Event{Kind: CallerLeft, Seq: 99})
	if err != nil || res.Do.Cause != phone.CauseCancelled || res.Notes[0].Exit != "caller_left" {
		t.Errorf("ringing: got %+v, %v", res, err)
	}
	b.next(Event{Kind: RingDone, Outcome: Answered, By: phone.UserTarget(1)})
	if a := b.next(Event{Kind: CallerLeft}); a.Cause != phone.CauseNormal {
		t.Errorf("talking: got %+v, want normal", a)
	}
}

func TestCallerLeavesDuringTheLookup(t *testing.T) {
	b := newBench(t, map[string]string{"main": tutorial})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	res, err := b.machine.Next(ctx, b.state, Event{Kind: Begin})
	if err != nil || res.Do.Kind != End || res.Do.Cause != phone.CauseCancelled || b.asked != 0 {
		t.Errorf("got %+v, %v, asked %d", res.Do, err, b.asked)
	}
}

func TestRefusedEvents(t *testing.T) {
	b := newBench(t, map[string]string{"main": "- ring_to: {user: 1}\n- hang_up: {}"})
	begun := b.state
	b.next(Event{Kind: Begin})
	ringing := b.state
	b.next(Event{Kind: RingDone, Outcome: Answered})
	talking := b.state
	b.next(Event{Kind: PeerLeft})
	over := b.state
	lost := ringing
	lost.At.Step = "gone"
	elsewhere := ringing
	elsewhere.At.Flow = "gone"
	for _, tt := range []struct {
		name  string
		state State
		event Event
		want  error
	}{
		{"ring done before begin", begun, Event{Kind: RingDone}, ErrUnexpected},
		{"begin twice", ringing, Event{Kind: Begin}, ErrStale},
		{"begin while ringing", ringing, Event{Kind: Begin, Seq: 1}, ErrUnexpected},
		{"an earlier action's answer", talking, Event{Kind: RingDone, Seq: 1}, ErrStale},
		{"a later action's answer", ringing, Event{Kind: RingDone, Seq: 2}, ErrStale},
		{"ring done while talking", talking, Event{Kind: RingDone, Seq: 2}, ErrUnexpected},
		{"after the end", over, Event{Kind: PeerLeft, Seq: 3}, ErrUnexpected},
		{"no kind", ringing, Event{Seq: 1}, ErrUnexpected},
		{"no state", State{}, Event{Kind: Begin}, ErrState},
		{"a step that is gone", lost, Event{Kind: RingDone, Seq: 1}, ErrState},
		{"a flow that is gone", elsewhere, Event{Kind: RingDone, Seq: 1}, ErrState},
	} {
		if res, err := b.machine.Next(t.Context(), tt.state, tt.event); !errors.Is(err, tt.want) || res.Do.Kind != "" {
			t.Errorf("%s: got %+v, %v, want %v", tt.name, res.Do, err, tt.want)
		}
	}
}

func TestNumberThatIsNotOurs(t *testing.T) {
	b := newBench(t, map[string]string{"main": "- hang_up: {}"})
	for _, n := range []phone.NumberID{0, 99, 2 /* its flow is not there */} {
		b.state = Start(phone.CallFacts{Number: n})
		if a := b.next(Event{Kind: Begin}); a.Kind != End || a.Cause != phone.CauseUnknown {
			t.Errorf("number %d: got %+v, want End unknown", n, a)
		}
	}
}

func TestTraceIsKeptAsTheCompanySays(t *testing.T) {
	b := newBench(t, map[string]string{"main": tutorial})
	b.body = `{"calls": [{"user": {"id": 2}}]}`
	for _, tt := range []struct {
		keep           Keep
		detail, answer bool
	}{
		{Keep{Trace: true, Answers: "full"}, true, true},
		{Keep{Trace: true, Answers: "none"}, true, false},
		{Keep{Trace: false, Answers: "full"}, false, false},
	} {
		b.machine.Directory.(*fake).keep = tt.keep
		res, err := b.machine.Next(t.Context(), b.state, Event{Kind: Begin})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Notes[0].Value != ""; got != (tt.keep.Answers != "none") {
			t.Errorf("%+v: value kept %v", tt.keep, got)
		}
		detail := res.Notes[0].Detail
		if got := detail != nil; got != tt.detail {
			t.Errorf("%+v: detail %v, want %v", tt.keep, got, tt.detail)
		}
		if got := strings.Contains(string(detail), `\"calls\"`); got != tt.answer {
			t.Errorf("%+v: answer kept %v, want %v: %s", tt.keep, got, tt.answer, detail)
		}
		if detail != nil && !json.Valid(detail) {
			t.Errorf("detail is no JSON: %s", detail)
		}
	}
}

func FuzzDecodeState(f *testing.F) {
	f.Add([]byte(`{"v":1,"seq":0,"rev":0,"call":{"id":1,"number":1,"started_at":"2026-01-02T03:04:05Z"},"at":{},"steps":0,"since":"0001-01-01T00:00:00Z"}`), "begin", int64(0))
	f.Add([]byte(`{"v":1,"seq":1,"call":{"number":1},"at":{"flow":"main","step":"ring_to"},"awaiting":"ring","steps":1}`), "ring_done", int64(1))
	f.Add([]byte(`{"v":1,"seq":2,"at":{"flow":"main","step":"ring_to"},"awaiting":"talk"}`), "caller_left", int64(9))
	d := &fake{flows: map[string]*Flow{}}
	flow, faults := compile(f, d, "main", "- ring_to: {user: 1}\n- redirect_to: {number: 1}\n- hang_up: {}")
	if faults.Fatal() {
		f.Fatal(faults)
	}
	d.flows["main"] = flow
	m := Machine{Directory: d}
	f.Fuzz(func(t *testing.T, text []byte, kind string, seq int64) {
		s, err := DecodeState(text)
		if err != nil {
			if !errors.Is(err, ErrState) {
				t.Errorf("got %v, want ErrState", err)
			}
			return
		}
		res, err := m.Next(t.Context(), s, Event{Kind: EventKind(kind), Seq: seq})
		if err != nil {
			return
		}
		again, err := json.Marshal(res.State)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeState(again); err != nil && len(again) < maxState {
			t.Errorf("Next made a state that it refuses: %s: %v", again, err)
		}
	})
}
