package ring

import (
	"context"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// Presence is the call's ticket at whoever knows who is free (presence.Ticket).
type Presence interface {
	Wait(users []phone.UserID)                   // wants to hear of these
	Changed() <-chan struct{}                    // one of them has changed
	State(phone.UserID) phone.Availability       // as this call sees them
	Claim(id phone.UserID, lease time.Time) bool // false: another call was faster
	Talk(phone.UserID)                           // the claim becomes an answered call
	Release(phone.UserID)
	Leave()
}

// Dialer reaches parties. Run asks it; it decides nothing.
type Dialer interface {
	// Destinations are where a party can be rung now; none: nowhere.
	Destinations(Party) []phone.Destination
	// Dial sends one INVITE and returns at once. The leg outlives the step when it
	// wins: Run ends every other one itself.
	Dial(phone.Destination) (phone.Leg, error)
}

// Request is one ringing step of one call.
type Request struct {
	Parties  []Party // in order, without duplicates
	Settings Settings
	Latest   time.Time // the step ends then at the latest; zero: no such limit
	Presence Presence
	Dialer   Dialer
	Ringing  func() // called when a phone begins to ring; must not block
	// Ends counts the goroutines that still end legs when Run has returned. Its
	// owner waits for it.
	Ends *sync.WaitGroup
}

// Result is how the step ended.
type Result struct {
	Outcome  Outcome
	Leg      phone.Leg // Answered: the one leg that won; the caller of Run owns it now
	By       Party     // Answered: whose it is. Its claim is kept, as talking
	Declined []phone.UserID
	Offers   []Attempt // every INVITE, in order
}

// Attempt is the account of one INVITE.
type Attempt struct {
	Party   Party
	To      phone.Destination
	At      time.Time
	RangAt  time.Time // zero: never rang
	EndedAt time.Time // zero: answered, and lives on
	Result  Outcome
	Status  int // the phone's final status; 0: none
}

const (
	// claimGrace is how much longer than the step a claim lasts by itself.
	claimGrace = 10 * time.Second
	// endGrace is how long a leg that was told to end may keep its user claimed:
	// a phone that answers neither CANCEL nor INVITE does not ring for us.
	endGrace = 5 * time.Second
	// nextGrace is how long the end of a step waits for its legs to be gone, so
	// that the next step finds its users free.
	nextGrace = time.Second
)

// Run carries out one ringing step: it returns when somebody has answered, when
// nobody is left to ring, when the time is over, or when ctx is cancelled (the
// caller left). Of several answers exactly one wins: the first that Run reads.
// Every other leg is hung up before Run returns.
func Run(ctx context.Context, req Request) Result {
	r := &runner{Request: req, progress: Begin(time.Now(), req.Settings, req.Latest), events: make(chan branchEvent)}
	var users []phone.UserID
	for _, p := range req.Parties {
		if p.User != 0 {
			users = append(users, p.User)
		}
	}
	r.Presence.Wait(users)
	defer r.Presence.Leave()
	defer func() {
		if p := recover(); p != nil { // a fault of ours must leave nobody ringing
			r.end(Failed, nil)
			panic(p)
		}
	}()
	return r.run(ctx)
}

type runner struct {
	Request
	progress Progress
	branches []*branch
	declined []phone.UserID
	events   chan branchEvent // sent by each branch's reader until the leg has answered or ended
	// alone is the one branch there is, which run reads itself: most calls ring one
	// phone, and need no reader. Nil when there were more, or it is over.
	alone *branch
}

// branch is one INVITE.
type branch struct {
	Attempt
	leg     phone.Leg
	over    bool          // ended or hung up by us: nothing more of it counts
	won     bool          // its answer was the first; set before decided is closed
	decided chan struct{} // closed when it is over or has won
	gone    chan struct{} // closed when its leg has ended
}

type branchEvent struct {
	*branch
	phone.Event
}

func (r *runner) run(ctx context.Context) Result {
	timer := time.NewTimer(time.Until(r.progress.Deadline))
	defer timer.Stop()
	for {
		if ctx.Err() != nil {
			return r.end(Cancelled, nil)
		}
		var d Decision
		d, r.progress = Decide(time.Now(), r.Settings, r.candidates(), r.progress)
		switch d.Act {
		case Offer:
			for _, p := range d.Parties {
				r.offer(ctx, p)
			}
			continue
		case Done:
			return r.end(d.Outcome, nil)
		}
		var direct <-chan phone.Event
		if r.alone != nil {
			direct = r.alone.leg.Events()
		}
		select {
		case e, open := <-direct:
			b := r.alone
			if !open {
				e = phone.Event{Kind: phone.LegEnded, Cause: phone.CauseLost}
			}
			if e.Kind == phone.LegEnded {
				r.alone = nil
				close(b.gone)
			}
			if r.happened(branchEvent{b, e}) {
				return r.end(Answered, b)
			}
		case e := <-r.events:
			if r.happened(e) {
				return r.end(Answered, e.branch)
			}
		case <-r.Presence.Changed():
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

func (r *runner) candidates() []Candidate {
	cs := make([]Candidate, len(r.Parties))
	for i, p := range r.Parties {
		cs[i] = Candidate{Party: p, State: phone.Available}
		if p.User != 0 && !r.progress.tried(p) {
			cs[i].State = r.Presence.State(p.User)
		}
	}
	return cs
}

// offer rings all phones of a party. A user is claimed first; whether the
// caller is still there is checked right before each INVITE.
func (r *runner) offer(ctx context.Context, p Party) {
	if p.User != 0 && !r.Presence.Claim(p.User, r.progress.Deadline.Add(claimGrace)) {
		r.progress.untry(p)
		return
	}
	to := r.Dialer.Destinations(p)
	if len(to) == 0 {
		r.partyEnded(p, Unavailable)
		return
	}
	open := false
	for _, d := range to {
		if ctx.Err() != nil {
			break
		}
		leg, err := r.Dialer.Dial(d)
		b := &branch{
			Attempt: Attempt{Party: p, To: d, At: time.Now()}, leg: leg,
			decided: make(chan struct{}), gone: make(chan struct{}),
		}
		r.branches = append(r.branches, b)
		if err != nil {
			b.close(Failed, 0)
			close(b.gone)
			continue
		}
		open = true
		r.listen(b)
	}
	if !open {
		r.partyEnded(p, Failed)
	}
}

// listen has a branch's events come to run.
func (r *runner) listen(b *branch) {
	if len(r.branches) == 1 {
		r.alone = b
		return
	}
	r.leave()
	r.Ends.Go(func() { r.read(b) })
}

// leave gives the branch that run read itself a reader, like any other's.
func (r *runner) leave() {
	if b := r.alone; b != nil {
		r.alone = nil
		r.Ends.Go(func() { r.read(b) })
	}
}

// read passes a leg's events to run until the branch is decided. The winner's
// events are its new owner's; a loser's are read out here until it has ended.
func (r *runner) read(b *branch) {
	for e := range b.leg.Events() {
		select {
		case r.events <- branchEvent{b, e}:
		case <-b.decided:
		}
		if e.Kind != phone.LegAnswered {
			continue
		}
		if <-b.decided; b.won {
			return
		}
	}
	close(b.gone)
}

// happened takes one event and says whether it won the call.
func (r *runner) happened(e branchEvent) (won bool) {
	switch e.Kind {
	case phone.LegRinging:
		if e.RangAt.IsZero() && !e.over {
			e.RangAt = time.Now()
			r.Ringing()
		}
	case phone.LegAnswered:
		return !e.over
	case phone.LegEnded:
		if !e.over {
			e.close(outcomeOf(e.Cause, e.Party), e.Status)
			r.branchEnded(e.branch)
		}
	}
	return false
}

// branchEnded settles what the end of one phone means for its user.
func (r *runner) branchEnded(b *branch) {
	if b.Result == Declined && b.Party.User != 0 {
		// One phone declining stops that user's other phones, for the whole call.
		r.declined = append(r.declined, b.Party.User)
		r.hangup(b.Party, Declined, phone.CauseDeclined)
		r.partyEnded(b.Party, Declined)
		return
	}
	for _, other := range r.branches {
		if other.Party == b.Party && !other.over {
			return // another phone of theirs still rings
		}
	}
	r.partyEnded(b.Party, b.Result)
}

// hangup ends the open branches of a party.
func (r *runner) hangup(p Party, as Outcome, cause phone.Cause) {
	for _, b := range r.branches {
		if b.Party == p && !b.over {
			r.leave() // whoever is hung up is read out in the background
			b.close(as, 0)
			b.leg.Hangup(cause)
		}
	}
}

// partyEnded notes the end of an offer and gives the user back as soon as none
// of their phones can ring for us any more.
func (r *runner) partyEnded(p Party, o Outcome) {
	r.progress.ended(p, o)
	if p.User == 0 {
		return
	}
	var gone []<-chan struct{}
	for _, b := range r.branches {
		if b.Party == p && !isClosed(b.gone) {
			gone = append(gone, b.gone)
		}
	}
	if len(gone) == 0 {
		r.Presence.Release(p.User)
		return
	}
	r.Ends.Go(func() {
		late := time.AfterFunc(endGrace, func() { r.Presence.Release(p.User) })
		for _, g := range gone {
			<-g
		}
		if late.Stop() {
			r.Presence.Release(p.User)
		}
	})
}

// end ends the step: every branch but the winner's is hung up, and their users
// are given back.
func (r *runner) end(o Outcome, winner *branch) Result {
	res := Result{Outcome: o, Declined: r.declined}
	as, cause := o, phone.CauseNoAnswer
	switch o {
	case Answered:
		as, cause = Elsewhere, phone.CauseElsewhere
		winner.won, winner.over, winner.Result, winner.Status = true, true, Answered, 200
		res.Leg, res.By = winner.leg, winner.Party
		if winner.Party.User != 0 {
			r.Presence.Talk(winner.Party.User)
		}
		r.progress.ended(winner.Party, Answered)
		close(winner.decided)
	case Cancelled:
		cause = phone.CauseCancelled
	}
	for _, p := range r.Parties {
		r.hangup(p, as, cause)
	}
	for _, t := range r.progress.Tries {
		if t.Result == Open {
			r.partyEnded(t.Party, as)
		}
	}
	if o != Answered && o != Cancelled { // a next step may want the same users
		r.awaitEnds(nextGrace)
	}
	for _, b := range r.branches {
		res.Offers = append(res.Offers, b.Attempt)
	}
	return res
}

// awaitEnds waits until all legs have ended, for at most limit.
func (r *runner) awaitEnds(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for _, b := range r.branches {
		select {
		case <-b.gone:
		case <-timer.C:
			return
		}
	}
}

// close notes how a branch ended.
func (b *branch) close(o Outcome, status int) {
	b.over, b.Result, b.Status, b.EndedAt = true, o, status, time.Now()
	close(b.decided)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// outcomeOf reads the end of an unanswered leg. A busy phone of a user is that
// user declining (spec ringing.md); a busy outside number is just busy.
func outcomeOf(cause phone.Cause, p Party) Outcome {
	switch cause {
	case phone.CauseDeclined, phone.CauseRejected:
		return Declined
	case phone.CauseBusy:
		if p.User != 0 {
			return Declined
		}
		return Busy
	case phone.CauseUnavailable, phone.CauseNoAnswer:
		return Unavailable
	}
	return Failed
}
