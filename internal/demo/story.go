package demo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/softphone"
)

// call is one call of a story, and what must come of it.
type call struct {
	caller, called string
	setting        bool // makes the past that the story needs; no lookup, told in one line

	// What must come of it:
	exit, reason string
	target       string        // what the lookup must name, "user 457"
	rang         []string      // whose phones must ring: these and no others
	answered     string        // who must answer; empty: the caller gives up
	within       time.Duration // the first phone must ring this soon after the INVITE; 0: any time
}

const (
	talkFor   = 1500 * time.Millisecond // long enough to recognise a tone, also on a busy machine
	giveUp    = 600 * time.Millisecond  // before anybody answers
	settle    = 2 * time.Second         // for phones to have seen the end of a call
	sameTone  = 15                      // Hz
	callLimit = 20 * time.Second
)

// make makes the call and reports what came of it.
func (w *world) make(ctx context.Context, story string, c call) Report {
	w.watch(phone.E164(c.caller))
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	o := softphone.CallOptions{
		From: c.caller, To: c.called, Server: w.app.SIPAddr().String(),
		Tone: callerTone, Hold: talkFor,
	}
	if c.answered == "" {
		o.CancelAfter = giveUp
	}
	began := time.Now()
	res, err := w.carrier.Call(ctx, o)
	r := Report{Story: story, Caller: c.caller, Called: c.called, Audio: None}
	if err != nil {
		r.Fault = err.Error()
		return r
	}
	if res.Status == 200 {
		r.SetupMS = res.Setup.Milliseconds()
	}
	events := w.settled(res)
	w.phonesSaw(&r, c, res, events)
	rec, err := w.recordOf(ctx, phone.E164(c.caller), began)
	if err != nil {
		r.Fault = err.Error()
		return r
	}
	recorded(&r, rec)
	r.Fault = judge(r, c, firstRing(events, began))
	r.OK = r.Fault == ""
	return r
}

// settled waits until every phone that rang has seen the end of the call, and
// returns what the phones saw.
func (w *world) settled(res softphone.CallResult) []softphone.Event {
	deadline := time.Now().Add(settle)
	for {
		w.mu.Lock()
		events := slices.Clone(w.events)
		w.mu.Unlock()
		open := map[string]int{}
		for _, e := range events {
			switch {
			case e.Call == res.CallID: // the caller's own leg
			case e.Kind == softphone.Ringing:
				open[e.Call]++
			case e.Kind == softphone.Ended:
				delete(open, e.Call)
			}
		}
		if len(open) == 0 || time.Now().After(deadline) {
			return events
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// phonesSaw fills in what the phones saw: who rang, who talked, who heard whom.
func (w *world) phonesSaw(r *Report, c call, res softphone.CallResult, events []softphone.Event) {
	toPhone := false
	for _, e := range events {
		if e.Call == res.CallID {
			continue
		}
		switch e.Kind {
		case softphone.Ringing:
			if !slices.Contains(r.Rang, e.Phone) {
				r.Rang = append(r.Rang, e.Phone)
			}
		case softphone.Answered:
			if r.AnsweredBy != "" {
				r.AnsweredBy += " and "
			}
			r.AnsweredBy += e.Phone
		case softphone.Heard:
			toPhone = toPhone || e.Phone == r.AnsweredBy && near(e.Tone, callerTone)
		}
	}
	slices.Sort(r.Rang)
	toCaller := slices.ContainsFunc(res.Heard, func(hz float64) bool { return near(hz, tones[r.AnsweredBy]) })
	switch {
	case toPhone && toCaller:
		r.Audio = Both
	case toPhone:
		r.Audio = ToPhone
	case toCaller:
		r.Audio = ToCaller
	}
}

func near(hz, want float64) bool { return want > 0 && math.Abs(hz-want) <= sameTone }

// firstRing is how long after the caller's INVITE the first phone rang.
func firstRing(events []softphone.Event, began time.Time) time.Duration {
	for _, e := range events {
		if e.Kind == softphone.Ringing {
			return e.At.Sub(began)
		}
	}
	return 0
}

// recordOf is the program's own account of the call.
func (w *world) recordOf(ctx context.Context, caller phone.E164, began time.Time) (record.Call, error) {
	for {
		calls, _, err := w.app.Records.Find(ctx, record.Query{Outside: caller, From: began.Add(-time.Second), Order: record.NewestFirst, Limit: 1})
		if err != nil {
			return record.Call{}, err
		}
		if len(calls) == 1 && calls[0].StartedAt.Add(time.Second).After(began) {
			return calls[0], nil
		}
		select {
		case <-ctx.Done():
			return record.Call{}, errors.New("the call is in no record")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// recorded fills in what the program recorded.
func recorded(r *Report, c record.Call) {
	for _, n := range c.Steps {
		if n.Kind != "ring_to_api" || n.Exit == "" {
			continue
		}
		r.Exit, r.Reason, r.Value, r.LookupMS = n.Exit, n.Reason, n.Value, inMillis(n.Dur)
		if n.Target != nil {
			r.Target = n.Target.String()
		}
		return
	}
}

// judge says what did not go as told; empty: nothing.
func judge(r Report, c call, rangAfter time.Duration) string {
	var faults []string
	check := func(what, got, want string) {
		if got != want {
			faults = append(faults, fmt.Sprintf("%s: %s instead of %s", what, dash(got), dash(want)))
		}
	}
	check("exit", r.Exit, c.exit)
	check("reason", r.Reason, c.reason)
	if c.target != "" {
		check("target", r.Target, c.target)
	}
	rang := slices.Clone(c.rang)
	slices.Sort(rang)
	check("rang", strings.Join(r.Rang, ", "), strings.Join(rang, ", "))
	check("answered", r.AnsweredBy, c.answered)
	if c.answered != "" {
		check("audio", string(r.Audio), string(Both))
	}
	if c.within > 0 && rangAfter > c.within {
		faults = append(faults, fmt.Sprintf("the first phone rang after %v instead of within %v", rangAfter, c.within))
	}
	return strings.Join(faults, "; ")
}
