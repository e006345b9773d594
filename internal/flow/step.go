package flow

import (
	"encoding/json"
	"strings"

	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// run goes through the flow from step i until there is something to do.
func (w *walk) run(i int) {
	for w.do.Kind == "" {
		switch {
		case i >= len(w.flow.steps):
			w.end(phone.CauseUnavailable, ReasonNoMoreSteps)
			return
		case w.s.Steps >= MaxSteps:
			w.end(phone.CauseUnavailable, ReasonTooMany)
			return
		}
		s := &w.flow.steps[i]
		w.s.Steps++
		w.s.At = Cursor{Flow: w.flow.Name, Step: s.name}
		i = w.step(s)
	}
}

// step carries out one step, or asks for it to be carried out, and returns
// where to go on: an index into w.flow, which a redirection has changed.
func (w *walk) step(s *step) int {
	switch s.kind {
	case ringToAPI:
		return w.ask(s)
	case hangUp:
		w.note(record.Note{Kind: hangUp, Exit: string(s.cause)})
		w.end(s.cause, ReasonHangUp)
		return s.next
	}
	return w.goTo(s, []phone.Target{s.target}, nil)
}

// goTo sends the call to targets, of which there is at least one.
func (w *walk) goTo(s *step, targets []phone.Target, show map[string]string) int {
	if targets[0].Kind == phone.ToNumber {
		return w.redirect(s, targets[0])
	}
	w.s.Ringing = targets[0]
	w.act(Action{Kind: Ring, Targets: ringable(targets), Settings: s.settings, Show: show})
	return s.next
}

// ringable are the targets that ring together with the first: an outside number
// rings alone, and a number of ours behind the first is passed over.
func ringable(targets []phone.Target) []phone.Target {
	if targets[0].Kind == phone.ToExternal {
		return targets[:1:1]
	}
	var people []phone.Target
	for _, t := range targets {
		if t.Kind == phone.ToUser || t.Kind == phone.ToTeam {
			people = append(people, t)
		}
	}
	return people
}

// redirect hands the call to another number's flow, for good. After MaxHops it
// is refused, so that numbers cannot send a call round, and the step behind is
// next: a loop must not lose a call that somebody could take.
func (w *walk) redirect(s *step, to phone.Target) int {
	n := record.Note{Kind: redirectTo, Target: &to}
	number, ok := w.m.Directory.Number(to.Number)
	var f *Flow
	if ok {
		f, ok = w.m.Directory.Flow(number.Flow)
	}
	switch {
	case !ok:
		n.Exit, n.Reason = string(Failed), ReasonUnknown
	case len(w.s.Hops) >= MaxHops:
		n.Exit, n.Reason = string(Failed), ReasonLoop
	default:
		n.Exit = "redirected"
	}
	w.note(n)
	if n.Reason != "" {
		return s.next
	}
	w.s.Hops = append(w.s.Hops, to.Number)
	w.flow = f
	return 0
}

// ask runs the step's lookup and follows its exit.
func (w *walk) ask(s *step) int {
	if w.m.try && !w.m.confirmed && s.lookup.Unsafe() {
		w.unsafe = &UnsafeError{Flow: w.flow.Name, Step: s.name}
		w.end(phone.CauseFailed, "")
		return s.next
	}
	began := w.now()
	out := w.m.Lookups.Run(w.ctx, s.lookup, w.m.Question(w.s.Call, w.s.Vars))
	n := record.Note{
		At: began, Kind: ringToAPI, Exit: string(out.Exit), Reason: string(out.Reason),
		Value: out.Value, Show: out.Show, Dur: out.Dur, Detail: w.detail(out.Trace),
	}
	targets := out.Candidates
	if out.Exit != lookup.Matched {
		targets = nil
		if t, ok := s.otherwise[out.Exit]; ok {
			targets = []phone.Target{t}
		}
	} else if len(targets) == 0 {
		targets = []phone.Target{out.Target}
	}
	if len(targets) > 0 {
		n.Target = &targets[0]
	}
	if w.m.Directory.Keep().Answers == lookup.AnswersNone {
		n.Value, n.Show = "", nil // parts of the answer (spec/privacy.md)
	}
	w.note(n)
	switch {
	case w.ctx.Err() != nil: // the caller has left, or the call was ended
		w.end(phone.CauseCancelled, ReasonCallerLeft)
		return s.next
	case len(targets) == 0:
		return s.next
	}
	w.s.At.Branch = string(out.Exit)
	return w.goTo(s, targets, out.Show)
}

// Question is what a lookup may know of a call. Vars are input.* and saved.*.
func (m *Machine) Question(call phone.CallFacts, vars map[string]string) lookup.Request {
	d := m.Directory
	number, _ := d.Number(call.Number)
	r := lookup.Request{
		Vars:    lookup.Vars{Call: call, NumberName: number.Name, Input: within(vars, "input."), Saved: within(vars, "saved.")},
		Region:  d.Region(),
		Resolve: resolver{people: d, availability: m.Availability}.resolve,
		Test:    m.try,
	}
	r.Credentials, _ = d.(lookup.Credentials)
	return r
}

// within are the variables whose name begins with prefix, without it.
func within(vars map[string]string, prefix string) map[string]string {
	var out map[string]string
	for name, value := range vars {
		if short, ok := strings.CutPrefix(name, prefix); ok {
			if out == nil {
				out = make(map[string]string)
			}
			out[short] = value
		}
	}
	return out
}

// detail is the trace as far as the call may keep it (spec/privacy.md).
func (w *walk) detail(t *lookup.Trace) json.RawMessage {
	keep := w.m.Directory.Keep()
	if t == nil || !keep.Trace {
		return nil
	}
	if !w.m.try {
		w.m.Lookups.Cut(t, keep.Answers)
	}
	text, err := t.MarshalJSON() // json.Marshal would read it all once more
	if err != nil {
		return nil // a trace is made of texts and numbers: it always encodes
	}
	return text
}
