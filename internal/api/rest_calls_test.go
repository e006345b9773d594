package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/record"
)

func TestTracesOfCalls(t *testing.T) {
	r := newRig(t)
	asked := func(c *record.Call) {
		c.Steps = []record.Note{{At: c.StartedAt, Step: "ask", Kind: "ring_to_api", Exit: "matched", Value: "456",
			Detail: json.RawMessage(`{"trace_version":1,"attempts":[{"status":200,"answer":"vip"}],"show":{"name":"Eve"}}`)}}
	}
	plain := r.call(0, nil)
	live := r.call(1, func(c *record.Call) {
		asked(c)
		c.Status, c.EndedAt = record.Answered, time.Time{}
	})
	erased := r.call(2, func(c *record.Call) {
		asked(c)
		c.Caller = "+14155550199"
	})
	if w := r.do(access.APIWrite, "POST", "/api/privacy/erase", `{"number":"+14155550199"}`); w.Code != 200 {
		t.Fatalf("erase: got %d %s", w.Code, w.Body)
	}
	for _, tt := range []struct {
		name   string
		call   record.Call
		scope  access.Scope
		traces int
		answer bool
	}{
		{"without a lookup", plain, access.APIWrite, 0, false},
		{"going on", live, access.APIWrite, 1, true},
		{"going on, without the right to answers", live, access.APIRead, 1, false},
		{"erased", erased, access.APIWrite, 0, false},
	} {
		w := r.do(tt.scope, "GET", "/api/calls/"+tt.call.ID.String()+"/trace", "")
		var got struct {
			Traces []struct{ Trace json.RawMessage }
		}
		must(t, json.Unmarshal(w.Body.Bytes(), &got))
		if w.Code != 200 || got.Traces == nil || len(got.Traces) != tt.traces || strings.Contains(w.Body.String(), "vip") != tt.answer || strings.Contains(w.Body.String(), "Eve") != tt.answer {
			t.Errorf("%s: got %d %s, want %d traces, answers %v", tt.name, w.Code, w.Body, tt.traces, tt.answer)
		}
	}
	if w := r.do(access.APIWrite, "GET", "/api/calls/999/trace", ""); w.Code != 404 {
		t.Errorf("no such call: got %d", w.Code)
	}
}
