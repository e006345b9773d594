package sip

import (
	"context"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/media"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// call is one caller and everybody who is rung for them. Its lock guards all of
// its legs: whatever arrives together is decided by who takes it first. Nothing
// that waits is done under it.
type call struct {
	s  *Server
	id phone.CallID

	mu      sync.Mutex
	in      *inLeg
	outs    map[*outLeg]struct{} // that have not ended
	made    int                  // legs made, for their ids
	offer   *media.Description   // the caller's, until answered
	session *media.Session       // from the first Dial until the caller's leg has ended
}

// stage is how far a leg is. Stages are passed in this order; ended from any.
//
//	early ──2xx──► answered ──ACK──► confirmed ──BYE──► ended
type stage int

const (
	early     stage = iota // no final response yet
	answered               // 2xx; an incoming leg's ACK is outstanding
	confirmed              // ACK came, or we sent it
	ended                  // LegEnded was sent; its transactions may still run out
)

// leg is what incoming and outgoing legs share. Everything below is guarded by
// the call's lock.
type leg struct {
	c      *call
	id     phone.LegID
	side   media.Side
	trunk  string           // by which it came or went; empty: a phone
	source netip.Addr       // of the party's signalling, as we see it
	hop    netip.Addr       // where the dialog's requests go, if that is elsewhere
	events chan phone.Event // sent by this leg alone, closed after LegEnded; room for all but repeated LegUpdated

	stage  stage
	d      dialog
	origin media.Origin
	peer   *leg // joined with
	held   bool // its party has put the other on hold

	asks  *reinvite // of its party, until acknowledged
	asked *reinvite // of us to its party, until answered
}

// eventRoom is all but updates of which there may be many, and some of those.
const eventRoom = 6

func (c *call) newLeg(side media.Side) leg {
	c.made++
	return leg{
		c: c, side: side, events: make(chan phone.Event, eventRoom),
		id: phone.LegID(c.id.String() + "." + strconv.Itoa(c.made)),
	}
}

// ID is "call.number".
func (l *leg) ID() phone.LegID { return l.id }

// Events are what the other party does.
func (l *leg) Events() <-chan phone.Event { return l.events }

// Dialog is how to reach the other party after a crash; of use once the leg is
// answered.
func (l *leg) Dialog() record.Dialog {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	return l.d.stored(l.c.id, l.id)
}

// emit sends an event, never blocking: updates give way when nobody reads.
func (l *leg) emit(e phone.Event) {
	if l.stage == ended {
		return
	}
	e.At = time.Now()
	if e.Kind == phone.LegUpdated && len(l.events) >= eventRoom-2 {
		return
	}
	l.events <- e
}

// end tells that the leg is over. What its transactions still have to do goes on
// without anybody waiting for it.
func (l *leg) end(cause phone.Cause, status int, detail string) {
	if l.stage == ended {
		return
	}
	l.emit(phone.Event{Kind: phone.LegEnded, Cause: cause, Status: status, Detail: detail})
	close(l.events)
	l.stage = ended
	l.abandon(l.asks)
	l.abandon(l.asked)
}

// owner is who the leg's messages belong to, for the tap.
func (l *leg) owner() int64 { return int64(l.c.id) }

// listen lets requests within the dialog reach the leg.
func (l *leg) listen() {
	s := l.c.s
	s.mu.Lock()
	s.legs[l.d.localTag] = l
	s.mu.Unlock()
}

// deafen is the end of listen.
func (l *leg) deafen() {
	s := l.c.s
	s.mu.Lock()
	delete(s.legs, l.d.localTag)
	s.mu.Unlock()
}

// bye ends the dialog with BYE (RFC 3261 §15.1.1), and with it the leg's hold on
// its peer's address once that has answered.
func (l *leg) bye(cause phone.Cause) {
	l.deafen()
	l.sendBye(&l.d, cause, l.release)
}

// sendBye sends BYE in a dialog of the leg, which may be one of several after a
// fork; done follows its answer or time-out.
func (l *leg) sendBye(d *dialog, cause phone.Cause, done func()) {
	s := l.c.s
	req := s.request(d, "BYE")
	req.Headers = []stack.Header{{Name: "Reason", Value: reason(cause)}}
	on := func(res *sip.Response, err error) {
		if err != nil || res.StatusCode >= 200 {
			done()
		}
	}
	if _, err := s.stack.Send(d.flow, req, l.owner(), on); err == nil {
		return
	}
	to, ok := hop(d)
	transport := d.flow.Transport
	if !ok || !d.flow.Reliable() || l.trunk == "" && to.Addr() != l.source || !s.alive() {
		done()
		return
	}
	s.work.Go(func() { // the connection is gone: the party may be reached by a new one (§18.1.1)
		ctx, cancel := context.WithTimeout(context.Background(), resolveWithin)
		defer cancel()
		flow, err := s.stack.Connect(ctx, transport, to)
		if err == nil {
			_, err = s.stack.Send(flow, req, l.owner(), on)
		}
		if err != nil {
			done()
		}
	})
}

// holdHop exempts the address that the dialog's requests go to, where that is
// not the source: the answers come from there.
func (l *leg) holdHop() {
	if a := l.d.flow.Remote.Addr(); a != l.source {
		l.hop = a
		l.c.s.guard.hold(a)
	}
}

// release lets go of the exemption of the peer's addresses.
func (l *leg) release() {
	l.c.s.guard.release(l.source)
	if l.hop.IsValid() {
		l.c.s.guard.release(l.hop)
	}
}

// hangUp ends every leg of the call.
func (c *call) hangUp(cause phone.Cause) {
	c.mu.Lock()
	outs := make([]*outLeg, 0, len(c.outs))
	for o := range c.outs {
		outs = append(outs, o)
	}
	c.mu.Unlock()
	for _, o := range outs {
		o.Hangup(cause)
	}
	c.in.Hangup(cause)
}

// abandon ends the legs that wait for a phone's last word, which cannot come any
// more: the server is closed.
func (c *call) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for o := range c.outs {
		o.over(phone.CauseInterrupted, 0, "")
		if o.tx != nil {
			o.release()
		}
	}
}

// settle runs after a leg has ended: the media goes with the caller, the call
// with its last leg.
func (c *call) settle() {
	if c.in.stage != ended {
		return
	}
	if c.session != nil {
		session := c.session
		c.session = nil
		c.s.work.Go(session.Close) // waits for its readers
	}
	c.offer = nil
	if len(c.outs) > 0 {
		return
	}
	c.s.mu.Lock()
	delete(c.s.calls, c)
	c.s.mu.Unlock()
}
