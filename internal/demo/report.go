package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// Report is what one call of a story came to: what the program recorded, and
// what the phones saw. In JSON a story is one object: its last call, which the
// story is about, with the calls before it in Before.
type Report struct {
	Story      string   `json:"story"`
	Caller     string   `json:"caller"`
	Called     string   `json:"called"`
	Exit       string   `json:"exit"`        // of the first lookup
	Reason     string   `json:"reason"`      // empty when matched
	Value      string   `json:"value"`       // what the path found
	Target     string   `json:"target"`      // what that names
	Rang       []string `json:"rang"`        // as the phones saw it
	AnsweredBy string   `json:"answered_by"` // as the phones saw it
	LookupMS   float64  `json:"lookup_ms"`
	SetupMS    int64    `json:"setup_ms"` // the caller's INVITE to its 200
	Audio      Audio    `json:"audio"`
	OK         bool     `json:"ok"`              // it went as told
	Fault      string   `json:"fault,omitempty"` // what did not
	Before     []Report `json:"before,omitempty"`
}

// Audio says which way a tone arrived.
type Audio string

const (
	Both     Audio = "both"
	ToPhone  Audio = "to_phone"
	ToCaller Audio = "to_caller"
	None     Audio = "none"
)

// teller writes the stories as they happen: words for people, or one JSON object
// a call.
type teller struct {
	json bool
	done []Report

	mu  sync.Mutex // phones speak while the story is told
	out io.Writer
}

func (t *teller) say(format string, a ...any) {
	if t.json {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", a...)
}

// report tells what came of a call.
func (t *teller) report(r Report) {
	if r.Rang == nil {
		r.Rang = []string{}
	}
	t.done = append(t.done, r)
	switch {
	case r.AnsweredBy != "":
		t.say("  ✓ %s and the caller talked; connected %d ms after the INVITE, audio: %s", r.AnsweredBy, r.SetupMS, r.Audio)
	case r.Fault == "":
		t.say("  ✓ rang: %s", strings.Join(r.Rang, ", "))
	}
	if r.Fault != "" {
		t.say("  ✗ not as told: %s", r.Fault)
	}
}

// end writes a story's object, made of the calls since from.
func (t *teller) end(from int) error {
	calls := t.done[from:]
	if !t.json || len(calls) == 0 {
		return nil
	}
	whole := calls[len(calls)-1]
	whole.Before = calls[:len(calls)-1]
	for _, r := range whole.Before {
		if !r.OK {
			whole.OK = false
			whole.Fault = strings.TrimPrefix(whole.Fault+"; an earlier call: "+r.Fault, "; ")
		}
	}
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	return e.Encode(whole)
}

// table sums the calls up.
func (t *teller) table() {
	if t.json {
		return
	}
	t.say("")
	w := tabwriter.NewWriter(t.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "STORY\tEXIT\tREASON\tTARGET\tRANG\tANSWERED BY\tLOOKUP\tSET-UP\tAUDIO\t")
	for _, r := range t.done {
		mark := "✓"
		if !r.OK {
			mark = "✗ " + r.Fault
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Story, dash(r.Exit), dash(r.Reason), dash(r.Target),
			dash(strings.Join(r.Rang, ", ")), dash(r.AnsweredBy), millis(r.LookupMS), millis(float64(r.SetupMS)), r.Audio, mark)
	}
	_ = w.Flush()
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func millis(ms float64) string {
	if ms == 0 {
		return "–"
	}
	return strconv.FormatFloat(ms, 'f', -1, 64) + " ms"
}

// inMillis rounds to a tenth.
func inMillis(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}

// failed are the calls that did not go as told.
func (t *teller) failed() (n int) {
	for _, r := range t.done {
		if !r.OK {
			n++
		}
	}
	return n
}
