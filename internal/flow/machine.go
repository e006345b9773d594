package flow

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// Machine walks flows. It keeps nothing of a call and may serve any number of
// calls at once.
type Machine struct {
	Directory Directory
	Lookups   *lookup.Engine
	// Availability of a user at this moment, for the lookup's trace. Nil: unknown.
	Availability func(phone.UserID) phone.Availability
	Now          func() time.Time // nil: time.Now

	// try marks a dry run: lookups are tests, and one that could change something
	// at the API runs only when confirmed.
	try, confirmed bool
}

// UnsafeError says that a dry run came to a lookup that sends a POST which is
// not idempotent, and was not told that it may.
type UnsafeError struct{ Flow, Step string }

func (e *UnsafeError) Error() string {
	return fmt.Sprintf("the step %q of the flow %q sends a POST that may change something at the API: confirm that it may be sent", e.Step, e.Flow)
}

// Reasons in notes of the kind "end" and of redirections.
const (
	ReasonNoMoreSteps = "no_more_steps"  // the flow ran out: 480, recorded as missed
	ReasonTooMany     = "too_many_steps" // MaxSteps
	ReasonLoop        = "loop"           // MaxHops: the redirection was refused
	ReasonHangUp      = "hang_up"        // a step said so
	ReasonCallerLeft  = "caller_left"
	ReasonPeerLeft    = "peer_left"
	ReasonUnknown     = "unknown_number" // the dialled number is not ours
)

// kindEnd is the kind of the note that says how a call ended.
const kindEnd = "end"

// Next takes what happened and says what to do. It may block in a lookup; when
// ctx ends meanwhile, the action is End. Errors: ErrState, ErrStale,
// ErrUnexpected; then nothing was asked and nothing has changed.
//
// Awaiting "" → Begin → Ring or End; Ring → RingDone → Talk (answered), Ring or
// End; Ring or Talk → PeerLeft → End; anything → CallerLeft → End.
func (m *Machine) Next(ctx context.Context, s State, e Event) (Result, error) {
	if err := s.check(); err != nil {
		return Result{}, err
	}
	if err := accepts(s, e); err != nil {
		return Result{}, err
	}
	w := &walk{ctx: ctx, m: m, s: s}
	w.s.Hops, w.s.Declined = slices.Clip(s.Hops), slices.Clip(s.Declined) // the caller's State stays as it is
	if err := w.find(); err != nil {
		return Result{}, err
	}
	switch e.Kind {
	case Begin:
		w.begin()
	case RingDone:
		w.ringDone(e)
	case PeerLeft:
		if s.Awaiting == Ring {
			w.noteRing(Answered, e.By)
		}
		w.end(phone.CauseNormal, ReasonPeerLeft)
	case CallerLeft:
		w.callerLeft()
	}
	if w.unsafe != nil {
		return Result{}, w.unsafe
	}
	return Result{Do: w.do, State: w.s, Notes: w.notes}, nil
}

// accepts says whether an event can be answered in a state.
func accepts(s State, e Event) error {
	if e.Kind == CallerLeft {
		return nil
	}
	if e.Seq != s.Seq {
		return fmt.Errorf("%w: seq %d, now %d", ErrStale, e.Seq, s.Seq)
	}
	ok := false
	switch e.Kind {
	case Begin:
		ok = s.Awaiting == ""
	case RingDone:
		ok = s.Awaiting == Ring
	case PeerLeft:
		ok = s.Awaiting == Ring || s.Awaiting == Talk
	}
	if !ok {
		return fmt.Errorf("%w: %s while awaiting %q", ErrUnexpected, e.Kind, s.Awaiting)
	}
	return nil
}

// walk is one Next.
type walk struct {
	ctx   context.Context
	m     *Machine
	s     State
	flow  *Flow
	do    Action
	notes []record.Note

	unsafe error // an *UnsafeError: the dry run is over
}

func (w *walk) now() time.Time {
	if w.m.Now != nil {
		return w.m.Now()
	}
	return time.Now()
}

// find loads the flow that the cursor is in. A cursor that leads nowhere is a
// state that this directory did not make.
func (w *walk) find() error {
	if w.s.At.Flow == "" {
		return nil // not begun, or the number dialled was not ours
	}
	f, ok := w.m.Directory.Flow(w.s.At.Flow)
	if !ok {
		return fmt.Errorf("%w: no flow %q", ErrState, w.s.At.Flow)
	}
	if _, ok := f.index[w.s.At.Step]; !ok {
		return fmt.Errorf("%w: no step %q in flow %q", ErrState, w.s.At.Step, w.s.At.Flow)
	}
	w.flow = f
	return nil
}

func (w *walk) begin() {
	w.s.Rev = w.m.Directory.Rev()
	n, ok := w.m.Directory.Number(w.s.Call.Number)
	if ok {
		w.flow, ok = w.m.Directory.Flow(n.Flow)
	}
	if !ok {
		w.end(phone.CauseUnknown, ReasonUnknown)
		return
	}
	w.run(0)
}

func (w *walk) ringDone(e Event) {
	for _, u := range e.Declined {
		if !slices.Contains(w.s.Declined, u) {
			w.s.Declined = append(w.s.Declined, u)
		}
	}
	w.noteRing(e.Outcome, e.By)
	if e.Outcome == Answered {
		w.s.Ringing = phone.Target{}
		w.act(Action{Kind: Talk})
		return
	}
	w.run(w.flow.steps[w.flow.index[w.s.At.Step]].next)
}

func (w *walk) callerLeft() {
	switch w.s.Awaiting {
	case End:
		w.do = Action{Kind: End, Seq: w.s.Seq, Cause: phone.CauseCancelled} // it is over already
	case Talk:
		w.end(phone.CauseNormal, ReasonCallerLeft)
	case Ring:
		w.noteRing("caller_left", phone.Target{})
		fallthrough
	default:
		w.end(phone.CauseCancelled, ReasonCallerLeft)
	}
}

// act makes a the answer.
func (w *walk) act(a Action) {
	w.s.Seq++
	w.s.Awaiting, w.s.Since = a.Kind, w.now()
	a.Seq, a.Flow, a.Step = w.s.Seq, w.s.At.Flow, w.s.At.Step
	w.do = a
}

func (w *walk) end(cause phone.Cause, reason string) {
	w.s.Ringing = phone.Target{}
	w.act(Action{Kind: End, Cause: cause})
	w.note(record.Note{Kind: kindEnd, Exit: string(cause), Reason: reason})
}

// note fills in where and when.
func (w *walk) note(n record.Note) {
	if n.At.IsZero() {
		n.At = w.now()
	}
	n.Flow = w.s.At.Flow
	if n.Kind != kindEnd {
		n.Step = w.s.At.Step
	}
	w.notes = append(w.notes, n)
}

// noteRing says how the ringing that was awaited went.
func (w *walk) noteRing(o Outcome, by phone.Target) {
	n := record.Note{At: w.s.Since, Kind: ringTo, Exit: string(o), Reason: w.s.At.Branch, Dur: w.now().Sub(w.s.Since)}
	target := w.s.Ringing
	if !by.IsZero() {
		target = by
	}
	if !target.IsZero() {
		n.Target = &target
	}
	w.note(n)
}
