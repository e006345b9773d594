package sip

import (
	"errors"
	"net"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/media"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// inLeg is the caller's leg.
type inLeg struct {
	leg
	facts    phone.CallFacts
	forwards int
	merge    string // key in Server.merging

	// Guarded by the call's lock:
	tx       *stack.Server
	head     *stack.Head // until the final response
	byeCause phone.Cause // why BYE is due when the ACK comes; empty: it is not
}

var _ phone.IncomingLeg = (*inLeg)(nil)

// invite makes a call of an INVITE outside a dialog.
func (s *Server) invite(in *stack.Incoming, who sender) {
	if s.opts.Draining() {
		s.refuseCause(in, who, phone.CauseDraining)
		return
	}
	req := in.Request
	facts, ours := s.facts(in, who)
	offer, status := readOffer(req)
	target, reachable := remoteTarget(req)
	switch {
	case s.cancelledEarly(mergeKey(req)):
		s.refuseInvite(in, who, 487)
	case !ours: // counted by Options.Count; it leaves no record
		s.refuseCause(in, who, phone.CauseUnknown)
	case !reachable:
		s.refuseInvite(in, who, 400)
	case status != 0:
		s.refuseInvite(in, who, status)
	default:
		s.begin(in, who, facts, target, offer)
	}
}

// begin makes the call and hands it to the Handler.
func (s *Server) begin(in *stack.Incoming, who sender, facts phone.CallFacts, target string, offer *media.Description) {
	req := in.Request
	facts.ID = s.newCallID(facts.StartedAt)
	c := &call{s: s, id: facts.ID, outs: map[*outLeg]struct{}{}, offer: offer}
	l := &inLeg{leg: c.newLeg(media.CallerSide), facts: facts, merge: mergeKey(req), head: in.Head(), forwards: 70}
	if m := req.MaxForwards(); m != nil {
		l.forwards = int(m.Val())
	}
	l.trunk, l.source = facts.Trunk, in.Flow.Remote.Addr()
	l.d = dialog{
		callID: req.CallID().Value(), localTag: stack.NewTag(), remoteTag: tagOf(req.From().Params),
		local: nameAddr(&req.To().Address), remote: nameAddr(&req.From().Address),
		target: target, routes: routeSet(req, false), remoteCSeq: uint64(req.CSeq().SeqNo) + 1, flow: in.Flow,
	}
	if l.trunk != "" {
		s.nextHop(&l.d)
	}
	c.in = l
	if status := s.admitCall(l); status != 0 {
		var hs []stack.Header
		if status == 503 {
			hs = endingOf(phone.CauseOverload).headers()
		}
		s.refuseInvite(in, who, status, hs...)
		return
	}
	s.guard.hold(l.source)
	l.holdHop()
	l.listen()
	l.tx = in.Begin(l.owner())
	l.tx.OnCancel(l.cancelled)
	_ = l.tx.Respond(100, l.head.Wire(stack.Response{Status: 100}))
	s.work.Go(func() {
		s.opts.Handler.Serve(l)
		l.Hangup(phone.CauseFailed) // the call is over; nothing happens if its leg is
	})
}

// admitCall enters a new call, or gives the status that refuses it: a copy of a
// call that is here (RFC 3261 §8.2.2.2), or one too many.
func (s *Server) admitCall(l *inLeg) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.merging[l.merge]:
		return 482
	case s.closed || len(s.calls) >= s.opts.MaxCalls:
		return 503
	}
	s.merging[l.merge] = true
	s.calls[l.c] = struct{}{}
	return 0
}

// facts are what an INVITE says; false: it is not for a number of ours.
func (s *Server) facts(in *stack.Incoming, who sender) (phone.CallFacts, bool) {
	req, d := in.Request, s.opts.Directory()
	f := phone.CallFacts{StartedAt: time.Now(), Headers: passed(req, s.opts.PassHeaders)}
	if who.trunk != nil {
		n, ours := dialled(d, who.trunk, req)
		f.Trunk, f.Called, f.Number = who.trunk.Name, n.Digits, n.ID
		f.Caller, f.CallerName = callerOf(d, who.trunk, req)
		return f, ours
	}
	user, ok := d.User(who.account.User)
	called, number := numberOf(&req.Recipient, d.Region())
	if !ok || !number {
		return f, false
	}
	n, ours := d.NumberByDigits(called)
	f.CallerUser, f.Caller, f.CallerName = user.ID, user.CallerNumber, user.Name
	f.Called, f.Number = called, n.ID
	return f, ours
}

// readOffer reads an INVITE's session description; a status says why it cannot
// be served. One without gets 488 until offers of ours are built (ARCHITECTURE, media rule 5).
func readOffer(req *sip.Request) (*media.Description, int) {
	if len(req.Body()) == 0 {
		return nil, 488
	}
	offer, err := media.Parse(req.Body())
	switch {
	case errors.Is(err, media.ErrSDP):
		return nil, 400
	case err != nil:
		return nil, 488
	}
	return offer, 0
}

// refuseInvite answers an INVITE that becomes no call. A phone's credentials are
// used up by now, so that its request gets a transaction.
func (s *Server) refuseInvite(in *stack.Incoming, who sender, status int, headers ...stack.Header) {
	if who.trunk != nil {
		s.refuse(in, status, headers...)
		return
	}
	s.opts.Count("INVITE", status)
	_ = in.Begin(0).Respond(status, in.Head().Wire(stack.Response{Status: status, Tag: s.address.tag(in), Headers: headers}))
}

func (s *Server) refuseCause(in *stack.Incoming, who sender, cause phone.Cause) {
	e := endingOf(cause)
	s.refuseInvite(in, who, e.status, e.headers()...)
}

// Facts are what the INVITE said.
func (l *inLeg) Facts() phone.CallFacts { return l.facts }

// SIPCallID is the Call-ID of the caller's INVITE.
func (l *inLeg) SIPCallID() string { return l.d.callID }

// MaxForwards is what the caller's INVITE had.
func (l *inLeg) MaxForwards() int { return l.forwards }

// Ring sends 180.
func (l *inLeg) Ring() {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if l.stage == early {
		l.respond(stack.Response{Status: 180})
	}
}

// respond sends a provisional or a refusing response.
func (l *inLeg) respond(r stack.Response) {
	r.Tag = l.d.localTag
	if r.Status < 300 {
		r.Headers = append(r.Headers, l.c.s.contact(l.d.flow))
	}
	l.c.s.opts.Count("INVITE", r.Status)
	_ = l.tx.Respond(r.Status, l.head.Wire(r)) // a response that is lost is asked for again
}

// Join answers the caller.
func (l *inLeg) Join(callee phone.Leg) error {
	o, ok := callee.(*outLeg)
	if !ok || o.c != l.c {
		return &phone.Error{Kind: phone.Invalid, Text: "the leg to join is not of this call"}
	}
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case l.stage == ended:
		return phone.ErrLegEnded
	case l.stage != early:
		return &phone.Error{Kind: phone.Conflict, Text: "the caller is answered already"}
	case o.stage != confirmed:
		return &phone.Error{Kind: phone.Conflict, Text: "the leg to join is not answered (any more)"}
	}
	body, err := c.connect(o)
	if err != nil {
		return err
	}
	r := stack.Response{
		Status: 200, Tag: l.d.localTag, ContentType: "application/sdp", Body: body,
		Headers: []stack.Header{c.s.contact(l.d.flow), {Name: "Allow", Value: allowed}},
	}
	c.s.opts.Count("INVITE", 200)
	if err := l.tx.Answer(l.head.Wire(r), l.lost); errors.Is(err, stack.ErrFinal) {
		return phone.ErrLegEnded
	}
	l.stage, l.head = answered, nil
	l.peer, o.peer = &o.leg, &l.leg
	c.offer, o.answer = nil, nil
	return nil
}

// connect joins the media and writes the answer to the caller.
func (c *call) connect(o *outLeg) ([]byte, error) {
	if c.session == nil { // the caller's leg is alive, so the relay was closed
		return nil, net.ErrClosed
	}
	port, err := c.session.Port(media.CallerSide)
	if err != nil {
		return nil, err
	}
	c.session.SetRemote(media.CallerSide, c.offer, c.in.source)
	c.session.SetRemote(media.PhoneSide, o.answer, o.source)
	if err := c.session.Start(); err != nil {
		return nil, err
	}
	return o.answer.Answer(c.offer, &c.in.origin, c.s.address.toward(c.in.d.flow), port), nil
}

// Hangup ends the caller's leg.
func (l *inLeg) Hangup(cause phone.Cause) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	switch l.stage {
	case early:
		e := endingOf(cause)
		l.refuse(e.status, cause, e.headers()...)
	case answered: // no BYE before the ACK (§15): it is on its way, or lost
		l.byeCause = cause
		l.over(cause, 0, "")
	case confirmed:
		l.over(cause, 0, "")
		l.bye(cause)
	}
}

// refuse sends a final response other than 2xx.
func (l *inLeg) refuse(status int, cause phone.Cause, headers ...stack.Header) {
	l.respond(stack.Response{Status: status, Headers: headers})
	l.over(cause, status, "")
	l.deafen()
	l.release()
}

// over is end with what an incoming leg has beside.
func (l *inLeg) over(cause phone.Cause, status int, detail string) {
	l.end(cause, status, detail)
	l.head = nil
	s := l.c.s
	s.mu.Lock()
	delete(s.merging, l.merge)
	s.mu.Unlock()
	l.c.settle()
}

// cancelled is called for a CANCEL, which has had its 200. After a final response
// it has no effect (§9.2).
func (l *inLeg) cancelled() {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if l.stage == early {
		l.refuse(487, phone.CauseCancelled)
	}
}

// lost is called when no ACK came for the 200 within 32 s: the dialog is ended
// with BYE (§13.3.1.4).
func (l *inLeg) lost() {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	cause := l.byeCause
	if l.stage == answered {
		cause = phone.CauseLost
		l.over(cause, 0, "no ACK")
	}
	if cause != "" {
		l.byeCause = ""
		l.bye(cause)
	}
}

// acked is called for the ACK of the 200.
func (l *inLeg) acked() {
	if !l.tx.Acked() {
		return
	}
	switch {
	case l.stage == answered:
		l.stage = confirmed
		l.emit(phone.Event{Kind: phone.LegConfirmed})
	case l.byeCause != "":
		cause := l.byeCause
		l.byeCause = ""
		l.bye(cause)
	}
}
