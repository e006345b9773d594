package demo

import (
	"context"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/standin"
)

// story is one thing that the program does, told by calls.
type story struct {
	name string
	text []string // what is about to happen
	// tell makes the story's calls.
	tell func(ctx context.Context, s *stage) error
}

// stage is where a story is told.
type stage struct {
	*world
	*teller
	story string
}

// call makes a call and reports it; with setting it only makes the past.
func (s *stage) call(ctx context.Context, c call) {
	s.say("  %s dials %s", phone.E164(c.caller).International(), phone.E164(c.called).International())
	r := s.make(ctx, s.story, c)
	if c.setting && r.OK {
		return
	}
	s.report(r)
}

// asks is the part of a story in which the CRM answers a caller.
func asks(answer func() string, c call) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		s.crm.Answer(c.caller, answer())
		c.called = crmNumber
		s.call(ctx, c)
		return nil
	}
}

// fallback is what a lookup's otherwise rings in the CRM's flow: the whole team,
// of which Bob is the quickest.
var fallback = []string{ann, bob, cleo}

func stories() []story {
	return []story{
		{
			name: "1 last agent",
			text: []string{
				"A caller whom nobody knows. The number's flow asks our own Search Calls who talked",
				"with them last, GET …/v1/calls/search?order=des&phone_number={{callerNumber}}, and reads",
				"calls[0].user.id. There is no such call yet, so the whole team rings; Bob is the quickest.",
			},
			tell: func(ctx context.Context, s *stage) error {
				caller := "+14155550201"
				s.call(ctx, call{caller: caller, called: tutorialNumber, exit: "no_match", reason: "empty_list", rang: fallback, answered: bob})
				s.say("  The same caller calls again: now Search Calls names Bob, and he rings alone.")
				s.call(ctx, call{caller: caller, called: tutorialNumber, exit: "matched", target: "user 457", rang: []string{bob}, answered: bob})
				return nil
			},
		},
		{
			name: "2 user by e-mail",
			text: []string{"A CRM is asked (POST, Bearer token) and names a user by e-mail: Ann."},
			tell: asks(func() string { return standin.User("ann@example.test") },
				call{caller: "+14155550202", exit: "matched", target: "user 456", rang: []string{ann}, answered: ann}),
		},
		{
			name: "3 team",
			text: []string{"The CRM names a team: all its free members ring, the first to answer wins, the others stop."},
			tell: asks(func() string { return standin.Team("Support") },
				call{caller: "+14155550203", exit: "matched", target: "team 7", rang: fallback, answered: bob}),
		},
		{
			name: "4 external number",
			text: []string{"The CRM names a number outside: it is called through the carrier."},
			tell: asks(func() string { return standin.External(outsideNumber) },
				call{caller: "+14155550204", exit: "matched", target: "external " + outsideNumber, rang: []string{carrierName}, answered: carrierName}),
		},
		{
			name: "5 internal number",
			text: []string{"The CRM names another number of ours: its own flow takes over and rings Sales, that is Cleo."},
			tell: asks(func() string { return standin.Number(salesNumber) },
				call{caller: "+14155550205", exit: "matched", target: "number 3", rang: []string{cleo}, answered: cleo}),
		},
		{
			name: "6 CRM down",
			text: []string{"The CRM is down: it refuses connections. The fallback rings, within 3.3 s."},
			tell: func(ctx context.Context, s *stage) error {
				limit := 3300 * time.Millisecond
				if err := s.crm.SetMode(standin.Down); err != nil {
					return err
				}
				s.call(ctx, call{caller: "+14155550206", called: crmNumber, exit: "failed", reason: "refused", rang: fallback, answered: bob, within: limit})
				s.say("  Worse: it accepts and never answers.")
				if err := s.crm.SetMode(standin.Hang); err != nil {
					return err
				}
				s.call(ctx, call{caller: "+14155550206", called: crmNumber, exit: "failed", reason: "timeout", rang: fallback, answered: bob, within: limit})
				return s.crm.SetMode(standin.Up)
			},
		},
		{
			name: "7 nobody known",
			text: []string{"The CRM knows nobody for this caller: no match, so the fallback rings."},
			tell: asks(standin.Nobody,
				call{caller: "+14155550207", exit: "no_match", reason: "path_null", rang: fallback, answered: bob}),
		},
		{
			name: "8 unknown user",
			text: []string{"The CRM names user 99999, who does not exist here: the fallback rings, and the record says why."},
			tell: asks(func() string { return standin.User("99999") },
				call{caller: "+14155550208", exit: "unknown_target", reason: "unknown_user", rang: fallback, answered: bob}),
		},
		{
			name: "9 the trap",
			text: []string{
				"The tutorial's trap. A caller talked with Bob; their next call was missed, so the newest call has",
				"user: null. First these two calls are made:",
			},
			tell: trap,
		},
	}
}

// trap shows calls[0].user.id against calls[*].user.id, each with a caller of
// its own who has the same past.
func trap(ctx context.Context, s *stage) error {
	first, second := "+14155550209", "+14155550210"
	for _, caller := range []string{first, second} {
		s.call(ctx, call{setting: true, caller: caller, called: bobsNumber, rang: []string{bob}, answered: bob})
		s.call(ctx, call{setting: true, caller: caller, called: bobsNumber, rang: []string{bob}})
	}
	s.say("  Asked for calls[0].user.id, the answer is null: no match, and the fallback (Ann) rings.")
	s.call(ctx, call{caller: first, called: firstNumber, exit: "no_match", reason: "path_null", rang: []string{ann}, answered: ann})
	s.say("  Asked for calls[*].user.id, nulls are passed over: the newest call that somebody took names Bob.")
	s.call(ctx, call{caller: second, called: anyNumber, exit: "matched", target: "user 457", rang: []string{bob}, answered: bob})
	return nil
}
