package sip

import (
	"math/rand/v2"
	"strconv"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/media"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// reinvite is one party's wish to change the media of a running call: it is put
// to the other party, whose answer goes back (RFC 3261 §14). It is guarded by the
// call's lock.
type reinvite struct {
	from, to *leg
	tx       *stack.Server // of from
	head     *stack.Head
	cseq     uint32
	offer    *media.Description
	client   *stack.Client // toward to
	number   uint32        // CSeq of that
	done     bool          // from has had its final response
}

// reinvite takes an INVITE within a dialog.
func (l *leg) reinvite(in *stack.Incoming) {
	r := &reinvite{from: l, to: l.peer, head: in.Head(), cseq: in.Request.CSeq().SeqNo}
	r.tx = in.Begin(l.owner())
	offer, status := readOffer(in.Request)
	switch {
	case l.asks != nil && !l.asks.done: // §14.2: a second one before the answer to the first
		r.refuse(500, stack.Header{Name: "Retry-After", Value: strconv.Itoa(rand.IntN(11))})
		return
	case l.asks != nil || l.asked != nil || !l.ready() || !l.peer.ready():
		r.refuse(491)
		return
	case status != 0:
		r.refuse(status)
		return
	}
	if target, ok := remoteTarget(in.Request); ok {
		l.d.target = target
	}
	r.offer = offer
	l.asks, l.peer.asked = r, r
	r.tx.OnCancel(r.cancelled)
	_ = r.tx.Respond(100, r.head.Wire(stack.Response{Status: 100}))
	r.pass()
}

// ready says that a leg can be asked: it talks, and no other wish is under way.
func (l *leg) ready() bool {
	return l != nil && l.stage == confirmed && l.asks == nil && l.asked == nil && l.peer != nil
}

// pass puts the wish to the other party.
func (r *reinvite) pass() {
	p, c := r.to, r.to.c
	s := c.s
	port, err := c.port(p.side)
	if err != nil {
		r.refuse(500)
		return
	}
	req := s.request(&p.d, "INVITE")
	r.number = req.CSeq
	req.Headers = []stack.Header{s.contact(p.d.flow), {Name: "Allow", Value: allowed}}
	req.ContentType, req.Body = "application/sdp", r.offer.Write(&p.origin, s.address.toward(p.d.flow), port)
	r.client, err = s.stack.Send(p.d.flow, req, p.owner(), r.response)
	if err != nil {
		r.refuse(500)
	}
}

// port is our port toward a side.
func (c *call) port(side media.Side) (int, error) {
	if c.session == nil {
		return 0, media.ErrNoPorts
	}
	return c.session.Port(side)
}

// response takes in the other party's answer.
func (r *reinvite) response(res *sip.Response, err error) {
	c := r.to.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil: // §14.1: like 408, the dialog is over
		r.refuse(500)
		r.to.vanish()
	case res.StatusCode < 200:
	case res.StatusCode < 300:
		r.agreed(res)
	case res.StatusCode == 408 || res.StatusCode == 481:
		r.refuse(500)
		r.to.vanish()
	case res.StatusCode < 400 || res.StatusCode == 401 || res.StatusCode == 407:
		r.refuse(488)
	default:
		r.refuse(res.StatusCode)
	}
}

// agreed acknowledges the other party's 2xx and answers the one who asked.
func (r *reinvite) agreed(res *sip.Response) {
	p, l, c := r.to, r.from, r.to.c
	if target, ok := remoteTarget(res); ok {
		p.d.target = target
	}
	ack := c.s.request(&p.d, "ACK")
	ack.CSeq = r.number
	r.client.SendACK(p.d.flow, ack, p.d.remoteTag)
	if r.done {
		return // cancelled, or one of them has left, while the answer was on its way
	}
	answer, err := media.Parse(res.Body())
	port, portErr := c.port(l.side)
	if err != nil || portErr != nil {
		r.refuse(488)
		return
	}
	c.session.SetRemote(l.side, r.offer, l.source)
	c.session.SetRemote(p.side, answer, p.source)
	c.s.opts.Count("INVITE", 200)
	_ = r.tx.Answer(r.head.Wire(stack.Response{
		Status: 200, ContentType: "application/sdp", Body: answer.Answer(r.offer, &l.origin, c.s.address.toward(l.d.flow), port),
		Headers: []stack.Header{c.s.contact(l.d.flow), {Name: "Allow", Value: allowed}},
	}), r.lost)
	r.done, p.asked = true, nil // asks stays until the ACK: glare from the other side gets 491
	l.updated(r.offer.Direction())
	r.offer, r.head = nil, nil
}

// updated tells what a change of media meant.
func (l *leg) updated(direction string) {
	detail := "media"
	switch hold := isHold(direction); {
	case hold && !l.held:
		detail = "hold"
	case !hold && l.held:
		detail = "resume"
	}
	l.held = isHold(direction)
	l.emit(phone.Event{Kind: phone.LegUpdated, Detail: detail})
}

// refuse ends the wish with a final response to the one who had it.
func (r *reinvite) refuse(status int, headers ...stack.Header) {
	if !r.done {
		r.done = true
		r.from.c.s.opts.Count("INVITE", status)
		_ = r.tx.Respond(status, r.head.Wire(stack.Response{Status: status, Headers: headers}))
	}
	r.clear()
}

func (r *reinvite) clear() {
	if r.from.asks == r {
		r.from.asks = nil
	}
	if r.to != nil && r.to.asked == r {
		r.to.asked = nil
	}
}

// cancelled is called for a CANCEL of the re-INVITE.
func (r *reinvite) cancelled() {
	r.from.c.mu.Lock()
	defer r.from.c.mu.Unlock()
	r.from.abandon(r)
}

// abandon ends a wish that one of the parties cannot have any more.
func (l *leg) abandon(r *reinvite) {
	if r == nil {
		return
	}
	if !r.done {
		r.refuse(487)
		if r.client != nil {
			r.client.Cancel("")
		}
	}
	r.clear()
}

// lost is called when the ACK of an agreed change does not come: the dialog is
// ended (§14.2).
func (r *reinvite) lost() {
	r.from.c.mu.Lock()
	defer r.from.c.mu.Unlock()
	r.clear()
	r.from.vanish()
}

// vanish ends a talking leg whose party does not answer any more.
func (l *leg) vanish() {
	if l.stage != confirmed {
		return
	}
	if l == &l.c.in.leg {
		l.c.in.over(phone.CauseLost, 0, "")
	} else {
		for o := range l.c.outs {
			if &o.leg == l {
				o.over(phone.CauseLost, 0, "")
			}
		}
	}
	l.bye(phone.CauseLost)
}
