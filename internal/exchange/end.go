package exchange

import (
	"context"
	"slices"
	"time"

	"github.com/ringpath/ringpath/internal/bridge"
	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// shortAbandoned is how soon after the first INVITE to a phone a caller who
// leaves has not given the agents a fair chance.
const shortAbandoned = 10 * time.Second

// talk holds caller and callee together until one of them ends. A talking call
// is this one goroutine, and keeps no more than its record needs.
func (c *call) talk() {
	c.forgetDetails()
	end := bridge.Talk(c.ctx, c.leg, c.callee)
	c.end(end.Cause, end.By)
}

// forgetDetails drops what the record's writer has by now.
func (c *call) forgetDetails() {
	for i := range c.rec.Steps {
		if c.rec.Steps[i].Detail != nil {
			c.rec.Steps = append([]record.Note(nil), c.rec.Steps...) // what others see stays as it is
			break
		}
	}
	for i := range c.rec.Steps {
		c.rec.Steps[i].Detail = nil
	}
	c.publish()
}

// end is the one way a call ends: every leg is hung up, everybody is given
// back, the record is closed, and nothing is left when it returns.
func (c *call) end(why phone.Cause, by bridge.Side) {
	now := time.Now()
	if c.left != nil && !c.left.At.IsZero() {
		now = c.left.At
	}
	c.noteEnd(by)
	if c.callee != nil {
		c.callee.Hangup(why)
	}
	for _, t := range c.tickets {
		t.Close()
	}
	c.releaseTrunks("")
	c.close(now, why, by)
	c.leg.Hangup(why)
	if c.left == nil {
		drain(c.leg)
	}
	if c.callee != nil {
		drain(c.callee)
	}
	c.ends.Wait()
	for _, leg := range []phone.Leg{c.leg, c.callee} {
		if leg != nil && c.callee != nil {
			c.x.Records.DialogClosed(leg.ID())
		}
	}
}

// noteEnd tells the flow that a party has left, so that the record says at
// which step, and why.
func (c *call) noteEnd(by bridge.Side) {
	event := flow.Event{Kind: flow.CallerLeft, Seq: c.state.Seq}
	switch by {
	case bridge.System:
		return // the flow's own End, or a fault
	case bridge.Callee:
		event.Kind = flow.PeerLeft
	}
	res, err := c.machine.Next(context.Background(), c.state, event)
	if err != nil {
		c.x.Logger.Error("flow failed", "call", c.facts.ID, "flow", c.state.At.Flow, "step", c.state.At.Step, "err", err)
		return
	}
	c.rec.Steps = append(c.rec.Steps, res.Notes...)
}

// close ends the record and tells everybody.
func (c *call) close(now time.Time, why phone.Cause, by bridge.Side) {
	r := &c.rec
	r.Status, r.EndedAt, r.Cause, r.EndedBy = record.Done, now, why, string(by)
	if r.AnsweredAt.IsZero() {
		r.Missed = missed(by, c.firstRung, now)
	}
	if i := c.answeredOffer(); i >= 0 && r.Offers[i].EndedAt.IsZero() {
		r.Offers = slices.Clone(r.Offers) // what others see stays as it is
		r.Offers[i].EndedAt = now
	}
	c.publish()
	c.x.Records.Ended(*r)
	if c.x.Ended != nil {
		c.x.Ended(c.public.Load())
	}
	c.log()
}

// missed is why nobody answered (spec aircall-api.md).
func missed(by bridge.Side, firstRung, ended time.Time) record.MissedReason {
	switch {
	case by == bridge.Caller && (firstRung.IsZero() || ended.Sub(firstRung) < shortAbandoned):
		return record.MissedShortAbandoned
	case firstRung.IsZero():
		return record.MissedNoAgent
	}
	return record.MissedDidNotAnswer
}

// log tells the whole story of the call in one line.
func (c *call) log() {
	r := &c.rec
	attrs := []any{
		"call", r.ID, "trunk", r.Trunk,
		"caller", c.x.Number(r.Caller), "called", c.x.Number(r.Called),
		"cause", r.Cause, "by", r.EndedBy, "dur", r.EndedAt.Sub(r.StartedAt),
	}
	if r.User != 0 {
		attrs = append(attrs, "target", phone.UserTarget(r.User).String())
	}
	if r.Missed != "" {
		attrs = append(attrs, "missed", string(r.Missed))
	}
	for _, n := range r.Steps {
		if n.Exit != "" {
			attrs = append(attrs, "step", n.Step, "exit", n.Exit)
		}
		if n.Reason != "" {
			attrs = append(attrs, "reason", n.Reason)
		}
	}
	c.x.Logger.Info("call ended", attrs...)
}
