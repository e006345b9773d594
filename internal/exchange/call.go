package exchange

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringpath/ringpath/internal/bridge"
	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/presence"
	"github.com/ringpath/ringpath/internal/record"
)

const (
	firstRing = time.Second      // the caller of a slow lookup hears ringing after this
	nextRing  = 60 * time.Second // 180 again, so that no proxy gives up (RFC 3261 §13.3.1.1)
)

// call is one running call. Its goroutine owns everything in it but public and
// rangAt; while it is being routed, that goroutine has only left, and route has
// the rest.
type call struct {
	x         *Exchange
	leg       phone.IncomingLeg
	facts     phone.CallFacts
	snapshot  *directory.Snapshot
	machine   *flow.Machine
	state     flow.State
	rec       record.Call
	public    atomic.Pointer[record.Call] // rec as others may see it
	ctx       context.Context             // cancelled: hang up (Exchange.Drain)
	stop      context.CancelFunc
	rangAt    atomic.Pointer[time.Time] // when the caller was last told that it rings; nil: not yet
	left      *phone.Event              // how the caller left
	callee    phone.Leg                 // who answered
	outgoing  []phone.Destination       // outside numbers that hold a place on their trunk
	tickets   []*presence.Ticket
	ends      sync.WaitGroup // legs that lost and are being ended
	firstRung time.Time      // the first INVITE to a phone
}

func newCall(x *Exchange, leg phone.IncomingLeg) *call {
	c := &call{x: x, leg: leg, facts: leg.Facts(), snapshot: x.Directory()}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// run is the life of the call.
func (c *call) run() {
	defer c.stop()
	defer func() {
		if p := recover(); p != nil {
			stack := debug.Stack()
			if f, ok := p.(*fault); ok {
				p, stack = f.value, f.stack
			}
			c.x.Logger.Error("call failed", "call", c.facts.ID, "err", p, "stack", string(stack))
			c.end(phone.CauseFailed, bridge.System)
		}
	}()
	c.open()
	cause := c.serve(c.route)
	switch {
	case c.left != nil:
		c.end(c.left.Cause, bridge.Caller)
	case c.ctx.Err() != nil:
		c.end(phone.CauseDraining, bridge.System)
	case cause != "":
		c.end(cause, bridge.System)
	default:
		c.talk()
	}
}

// route asks the flow, and does what it says, until somebody has answered (the
// cause is empty then) or the flow ends the call. When ctx ends, what it returns
// is of no account.
func (c *call) route(ctx context.Context) phone.Cause {
	event := flow.Event{Kind: flow.Begin}
	for ctx.Err() == nil {
		action, err := c.decide(ctx, event)
		if err != nil {
			c.x.Logger.Error("flow failed", "call", c.facts.ID, "flow", c.state.At.Flow, "step", c.state.At.Step, "err", err)
			return phone.CauseFailed
		}
		event = flow.Event{Seq: action.Seq}
		switch action.Kind {
		case flow.Ring:
			c.ring(ctx, action, &event)
		case flow.Talk:
			return ""
		default:
			return action.Cause
		}
	}
	return phone.CauseCancelled
}

// open begins the record.
func (c *call) open() {
	f := c.facts
	c.machine = c.x.Machine(c.snapshot)
	c.state = flow.Start(f)
	c.rec = record.Call{
		ID: f.ID, Direction: record.Inbound, Status: record.Initial,
		Caller: f.Caller, CallerName: f.CallerName, CallerUser: f.CallerUser,
		Called: f.Called, Number: f.Number, Trunk: f.Trunk, StartedAt: f.StartedAt,
	}
	if l, ok := c.leg.(interface{ SIPCallID() string }); ok {
		c.rec.SIPCallID = l.SIPCallID()
	}
	if f.CallerUser != 0 {
		c.tickets = append(c.tickets, c.x.Presence.Occupy(f.CallerUser, f.ID))
	}
	c.publish()
	c.x.Records.Opened(*c.public.Load())
}

// publish lets others see the record as it is now. What they see never changes:
// slices are cut so that a later append copies them.
func (c *call) publish() {
	c.rec.Steps = slices.Clip(c.rec.Steps)
	c.rec.Offers = slices.Clip(c.rec.Offers)
	c.rec.Teams = slices.Clip(c.rec.Teams)
	r := c.rec
	c.public.Store(&r)
}

// decide asks the flow what to do next. It may take as long as a lookup.
func (c *call) decide(ctx context.Context, e flow.Event) (flow.Action, error) {
	res, err := c.machine.Next(ctx, c.state, e)
	if err != nil {
		return flow.Action{}, err
	}
	c.state = res.State
	if len(res.Notes) > 0 {
		c.rec.Steps = append(c.rec.Steps, res.Notes...)
		c.publish()
	}
	return res.Do, nil
}

// serve has the call routed in a goroutine of its own and serves the caller
// meanwhile: ringing is repeated, and when the caller leaves or the program
// stops, the work's context is cancelled. It returns when the work has. The
// stack that routing needs is gone then: a talking call has none of it.
func (c *call) serve(route func(context.Context) phone.Cause) (cause phone.Cause) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	done := make(chan *fault, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- &fault{p, debug.Stack()}
				return
			}
			done <- nil
		}()
		cause = route(ctx)
	}()
	timer := time.NewTimer(time.Until(c.facts.StartedAt.Add(firstRing)))
	defer timer.Stop()
	events := c.leg.Events()
	var failed *fault
	for routing := true; routing; {
		select {
		case failed = <-done:
			routing = false
		case <-timer.C:
			if wait := c.untilRing(); wait > 0 {
				timer.Reset(wait)
				continue
			}
			c.ringCaller()
			timer.Reset(nextRing)
		case e, open := <-events:
			if c.hear(e, open) {
				events = nil
				cancel()
			}
		}
	}
	if failed != nil {
		panic(failed) // in the call's goroutine, which recovers
	}
	for { // the caller may have left in the moment that the routing ended
		select {
		case e, open := <-events:
			if c.hear(e, open) {
				return cause
			}
		default:
			return cause
		}
	}
}

// hear takes what the caller did, and says whether they have left.
func (c *call) hear(e phone.Event, open bool) (left bool) {
	if !open {
		e = phone.Event{Kind: phone.LegEnded, Cause: phone.CauseLost}
	}
	if e.Kind != phone.LegEnded {
		return false
	}
	c.left = &e
	return true
}

// fault is a panic on its way from one goroutine to another.
type fault struct {
	value any
	stack []byte
}

// ringCaller tells the caller that it rings.
func (c *call) ringCaller() {
	c.leg.Ring()
	now := time.Now()
	c.rangAt.Store(&now)
}

// untilRing is how long it is until the caller is to be told again that it rings.
func (c *call) untilRing() time.Duration {
	if at := c.rangAt.Load(); at != nil {
		return time.Until(at.Add(nextRing))
	}
	return 0
}

// join connects the caller with whoever answered. False: it could not be done,
// and the answered leg has been hung up.
func (c *call) join(answered phone.Leg, by phone.Target) bool {
	switch err := c.leg.Join(answered); {
	case errors.Is(err, phone.ErrLegEnded):
		c.hangup(answered, phone.CauseCancelled)
		return false // the caller's own end says the rest
	case err != nil:
		c.x.Logger.Warn("answer not usable", "call", c.facts.ID, "target", by.String(), "err", err)
		c.hangup(answered, phone.CauseNoCodec)
		return false
	}
	c.callee = answered
	c.rec.Status, c.rec.AnsweredAt = record.Answered, time.Now()
	c.rec.User, c.rec.External = by.User, by.External
	for _, leg := range []phone.Leg{c.leg, answered} {
		if l, ok := leg.(interface{ Dialog() record.Dialog }); ok {
			c.x.Records.Dialog(l.Dialog())
		}
	}
	c.publish()
	c.x.Records.Changed(*c.public.Load())
	return true
}

// hangup ends a leg that this call owns and lets it end in the background.
func (c *call) hangup(leg phone.Leg, why phone.Cause) {
	leg.Hangup(why)
	c.ends.Go(func() { drain(leg) })
}
