package flow

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringpath/ringpath/internal/phone"
)

// The lookup is real, so its time differs from run to run.
var (
	leadingTime = regexp.MustCompile(`(?m)^ *\S+  `)
	lookupTime  = regexp.MustCompile(`(?m)in [0-9.]+m?s$`)
)

func TestTry(t *testing.T) {
	b := newBench(t, map[string]string{
		"main": `
- {name: ask, ring_to_api: {url: "API/", response: {path: id}, ringing: {ring_for: 20s}, otherwise: {team: Support}}}
- {name: team, ring_to: {team: Support}}
- {name: out, ring_to: {external: "+33123456789", ringing: {ring_for: 10s}}}
- {name: other, redirect_to: {number: 2}}
`,
		"second": "- {name: alone, ring_to: {user: 2}}\n- {name: bye, hang_up: {cause: busy}}",
	})
	b.body = `{"id": 1}`
	b.machine.Availability = func(u phone.UserID) phone.Availability {
		return map[phone.UserID]phone.Availability{1: phone.Available, 2: phone.InCall}[u]
	}
	got, err := b.machine.Try(t.Context(), TryRequest{Call: b.state.Call})
	if err != nil {
		t.Fatal(err)
	}
	if b.asked != 1 {
		t.Errorf("asked %d times, want once", b.asked)
	}
	want := `ask: asks the API: matched, user 1, in X
ask: rings Ann for 20s
team: rings Ann for 30s; Bob is in call
out: rings +33123456789 for 10s
other: to number 2
alone: nobody rings; Bob is in call
bye: hangs up: busy
the call ends: busy (hang_up)
`
	text := lookupTime.ReplaceAllString(leadingTime.ReplaceAllString(got.Text(), ""), "in X")
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
	if got.Cause != phone.CauseBusy || time.Duration(got.After) < time.Minute || time.Duration(got.After) > 61*time.Second {
		t.Errorf("end: got %s after %s, want busy after a little more than 1m0s", got.Cause, got.After)
	}
	encoded, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(encoded), `"for":"20s"`) {
		t.Errorf("JSON: %v, %s", err, encoded)
	}
	var back Timeline
	if err := json.Unmarshal(encoded, &back); err != nil || back.Text() != got.Text() {
		t.Errorf("JSON read back: %v\n%s\nwant\n%s", err, back.Text(), got.Text())
	}
}

func TestTryEndsWithTheTrunksPatience(t *testing.T) {
	b := newBench(t, map[string]string{"main": "- ring_to: {user: 1, ringing: {ring_for: 60s}}\n- ring_to: {user: 2, ringing: {ring_for: 60s}}\n- ring_to: {user: 3}"})
	got, err := b.machine.Try(t.Context(), TryRequest{Call: b.state.Call, Unanswered: 85 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var spans []string
	for _, m := range got.Steps {
		spans = append(spans, m.Kind+" "+m.For.String())
	}
	if diff := cmp.Diff([]string{"ring 1m0s", "ring 25s", "ring 0s", "end 0s"}, spans); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTryAsksBeforeAnUnsafePost(t *testing.T) {
	b := newBench(t, map[string]string{"main": `- {name: post, ring_to_api: {method: POST, url: "API/", body: "{}", response: {path: id}}}` + "\n- hang_up: {}"})
	b.body = `{"id": 1}`
	var unsafe *UnsafeError
	if _, err := b.machine.Try(t.Context(), TryRequest{Call: b.state.Call}); !errors.As(err, &unsafe) || unsafe.Step != "post" || b.asked != 0 {
		t.Errorf("got %v, asked %d, want UnsafeError and nothing asked", err, b.asked)
	}
	if _, err := b.machine.Try(t.Context(), TryRequest{Call: b.state.Call, Confirmed: true}); err != nil || b.asked != 1 {
		t.Errorf("confirmed: got %v, asked %d, want one question", err, b.asked)
	}
}
