package demo

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// A story must be able to fail: each thing that does not go as told is named.
func TestJudge(t *testing.T) {
	told := call{exit: "matched", target: "user 457", rang: []string{bob}, answered: bob, within: time.Second}
	good := Report{Exit: "matched", Target: "user 457", Rang: []string{bob}, AnsweredBy: bob, Audio: Both}
	for _, tt := range []struct {
		name   string
		change func(*Report)
		rang   time.Duration
		want   string // part of the fault; empty: none
	}{
		{name: "as told", change: func(*Report) {}},
		{name: "another exit", change: func(r *Report) { r.Exit = "no_match" }, want: "exit: no_match instead of matched"},
		{name: "a reason", change: func(r *Report) { r.Reason = "path_null" }, want: "reason: path_null instead of –"},
		{name: "another target", change: func(r *Report) { r.Target = "user 456" }, want: "target: user 456"},
		{name: "somebody else rang too", change: func(r *Report) { r.Rang = []string{ann, bob} }, want: "rang: Ann, Bob instead of Bob"},
		{name: "nobody rang", change: func(r *Report) { r.Rang = nil }, want: "rang: – instead of Bob"},
		{name: "two answered", change: func(r *Report) { r.AnsweredBy = "Bob and Ann" }, want: "answered: Bob and Ann"},
		{name: "one-way audio", change: func(r *Report) { r.Audio = ToPhone }, want: "audio: to_phone instead of both"},
		{name: "too late", change: func(*Report) {}, rang: 1001 * time.Millisecond, want: "rang after 1.001s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := good
			tt.change(&r)
			if got := judge(r, told, tt.rang); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("judged %q, want %q", got, tt.want)
			}
		})
	}
}

// In JSON a story is one object: its last call, with those before it.
func TestStoryObject(t *testing.T) {
	var out bytes.Buffer
	tell := &teller{out: &out, json: true}
	tell.report(Report{Story: "1", Exit: "no_match", Fault: "audio: none instead of both"})
	tell.report(Report{Story: "1", Exit: "matched", OK: true})
	if err := tell.end(0); err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Exit != "matched" || len(got.Before) != 1 || got.OK || !strings.Contains(got.Fault, "audio: none") {
		t.Errorf("object %+v: want the last call, not as told because of the first", got)
	}
	if tell.failed() != 1 {
		t.Errorf("%d calls count as failed, want 1", tell.failed())
	}
}
