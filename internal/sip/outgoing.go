package sip

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/media"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// resolveWithin bounds the way to a trunk's host: DNS, and over TCP connecting.
const resolveWithin = 8 * stack.T1

// outLeg is the leg of somebody who is rung.
type outLeg struct {
	leg
	person bool        // a phone of a user; false: by a trunk
	stop   func() bool // ends the watch on the context

	// Guarded by the call's lock:
	tx     *stack.Client // nil until the INVITE is sent
	hungup phone.Cause   // told to end while early: LegEnded comes with the final response
	rang   bool
	answer *media.Description // until joined
	forks  int                // further dialogs that the INVITE made, which got BYE
}

var _ phone.Leg = (*outLeg)(nil)

// Dial rings a registered phone, or a number by a trunk. d.Caller is a leg that
// this Server handed to its Handler.
func (s *Server) Dial(ctx context.Context, d phone.Dial) (phone.Leg, error) {
	in, ok := d.Caller.(*inLeg)
	if !ok || in.c.s != s {
		return nil, &phone.Error{Kind: phone.Invalid, Text: "the caller is not on this network"}
	}
	c := in.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if in.stage != early {
		return nil, phone.ErrLegEnded
	}
	port, err := c.phonePort()
	if err != nil {
		return nil, err
	}
	o := &outLeg{leg: c.newLeg(media.PhoneSide), person: d.To.Trunk == ""}
	o.trunk = d.To.Trunk
	if d.MaxForwards <= 0 {
		d.MaxForwards = in.forwards - 1
	}
	c.outs[o] = struct{}{}
	switch {
	case d.MaxForwards <= 0:
		o.over(phone.CauseLoop, 0, "Max-Forwards")
	case o.person:
		o.ringContact(d, port)
	default:
		o.ringTrunk(ctx, d, port)
	}
	if o.stage != ended {
		o.stop = context.AfterFunc(ctx, func() { o.Hangup(phone.CauseCancelled) })
	}
	return o, nil
}

// phonePort is our port toward the phones: one for all branches of a ring step,
// another for the next step (ARCHITECTURE, media rule 7).
func (c *call) phonePort() (int, error) {
	if c.session == nil {
		session, err := c.s.opts.Media.Open()
		if err != nil {
			return 0, err
		}
		c.session = session
	} else if !c.ringing() {
		c.session.NewPhones()
	}
	return c.session.Port(media.PhoneSide)
}

// ringing says that somebody is being rung, or has answered: not one who was told
// to stop and has not said that they did.
func (c *call) ringing() bool {
	for o := range c.outs {
		if o.hungup == "" {
			return true
		}
	}
	return false
}

// ringContact sends the INVITE to where the phone registered from.
func (o *outLeg) ringContact(d phone.Dial, port int) {
	s, contact := o.c.s, d.To.Contact
	flow, err := s.stack.Flow(contact.Transport, s.opts.Registrar.Local(contact), contact.Source)
	if err != nil {
		o.over(phone.CauseUnreachable, 0, "the phone's connection is closed")
		return
	}
	o.d.target = contact.URI
	o.d.remote = "<sip:" + contact.Username + "@" + s.address.host(flow) + ">"
	o.invite(flow, d, d.From, port)
}

// ringTrunk finds the trunk's host and sends the INVITE there. What takes time is
// done in the background; the leg may be hung up meanwhile.
func (o *outLeg) ringTrunk(ctx context.Context, d phone.Dial, port int) {
	s := o.c.s
	t, ok := s.opts.Directory().Trunk(d.To.Trunk)
	if !ok || len(t.Hosts) == 0 {
		o.over(phone.CauseFailed, 0, "the trunk has no host")
		return
	}
	from := o.callerID(t, d)
	transport := t.Transport
	if transport == "" {
		transport = "udp"
	}
	host, hostPort := parseHost(t.Hosts[0])
	if ip, err := netip.ParseAddr(host); err == nil {
		if flow, err := s.stack.Flow(transport, netip.AddrPort{}, netip.AddrPortFrom(ip, hostPort)); err == nil {
			o.inviteTrunk(flow, d, from, host, hostPort, port)
			return
		}
	}
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, resolveWithin)
		defer cancel()
		flow, err := s.connect(ctx, transport, host, hostPort)
		o.c.mu.Lock()
		defer o.c.mu.Unlock()
		switch {
		case o.stage == ended:
		case err != nil:
			s.log.Warn("trunk host not reached", "trunk", t.Name, "err", err)
			o.over(phone.CauseUnreachable, 0, "the trunk's host is not reached")
		default:
			o.inviteTrunk(flow, d, from, host, hostPort, port)
		}
	})
}

// connect resolves a host and finds the way there.
func (s *Server) connect(ctx context.Context, transport, host string, port uint16) (stack.Flow, error) {
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = s.opts.Resolve(ctx, host); err != nil {
		return stack.Flow{}, err
	}
	err := error(stack.ErrNoFlow)
	for _, ip := range ips {
		var flow stack.Flow
		if flow, err = s.stack.Connect(ctx, transport, netip.AddrPortFrom(ip.Unmap(), port)); err == nil {
			return flow, nil
		}
	}
	return stack.Flow{}, err
}

// callerID is who a call by a trunk comes from.
func (o *outLeg) callerID(t *directory.Trunk, d phone.Dial) phone.E164 {
	facts := o.c.in.facts
	switch {
	case t.CallerID.Fixed != "":
		return t.CallerID.Fixed
	case t.CallerID.Original || facts.Number == 0:
		return d.From
	}
	return facts.Called
}

func (o *outLeg) inviteTrunk(flow stack.Flow, d phone.Dial, from phone.E164, host string, hostPort uint16, port int) {
	at := host
	if ip, err := netip.ParseAddr(host); err == nil {
		at = hostText(ip)
	}
	o.d.remote = "<sip:" + string(d.To.Number) + "@" + at + ">"
	if hostPort != 5060 {
		at = fmt.Sprintf("%s:%d", at, hostPort)
	}
	o.d.target = "sip:" + string(d.To.Number) + "@" + at
	if flow.Reliable() {
		o.d.target += ";transport=tcp"
	}
	d.Display = "" // what a lookup says of a caller is for our own people
	o.invite(flow, d, from, port)
}

// invite builds the INVITE from nothing but what is named here, and sends it.
func (o *outLeg) invite(flow stack.Flow, d phone.Dial, from phone.E164, port int) {
	s := o.c.s
	o.d.flow, o.d.callID, o.d.localTag, o.d.cseq = flow, stack.NewTag(), stack.NewTag(), 0
	o.d.local = "<sip:" + string(from) + "@" + s.address.host(flow) + ">"
	display := quoted(d.Display)
	if from == "" { // RFC 3323 §4.1.1.3
		o.d.local = "<sip:anonymous@anonymous.invalid>"
		if display == "" {
			display = `"Anonymous" `
		}
	}
	r := s.request(&o.d, "INVITE")
	r.From = display + r.From
	r.MaxForwards = d.MaxForwards
	r.Headers = []stack.Header{s.contact(flow), {Name: "Allow", Value: allowed}, {Name: "Accept", Value: "application/sdp"}}
	if from == "" && !o.person {
		r.Headers = append(r.Headers, stack.Header{Name: "Privacy", Value: "id"})
	}
	r.ContentType, r.Body = "application/sdp", o.c.offer.Write(&o.origin, s.address.toward(flow), port)
	o.source = flow.Remote.Addr()
	s.guard.hold(o.source)
	tx, err := s.stack.Send(flow, r, o.owner(), o.response)
	if err != nil {
		s.log.Warn("INVITE not sent", "call", o.c.id, "leg", o.id, "err", err)
		o.over(phone.CauseUnreachable, 0, "the INVITE could not be sent")
		o.release()
		return
	}
	o.tx = tx
}

// response takes in what comes back for the INVITE.
func (o *outLeg) response(res *sip.Response, err error) {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	switch {
	case o.hungup != "" && o.stage == early && (err != nil || res.StatusCode >= 300):
		status := 0
		if err == nil {
			status = res.StatusCode
		}
		o.over(o.hungup, status, "")
		o.release()
	case err != nil:
		o.over(phone.CauseUnreachable, 0, "no answer from the network")
		o.release()
	case res.StatusCode < 180:
	case res.StatusCode < 200: // every one becomes 180, once (ARCHITECTURE, media rule 4)
		if !o.rang && o.stage == early && o.hungup == "" {
			o.rang = true
			o.emit(phone.Event{Kind: phone.LegRinging})
		}
	case res.StatusCode < 300:
		o.accepted(res)
	default:
		o.over(causeOf(res.StatusCode, o.person), res.StatusCode, "")
		o.release()
	}
}

// accepted handles a 2xx: the first makes the dialog; one of another branch of a
// fork, or that comes after hanging up, gets ACK and BYE (RFC 3261 §13.2.2.4).
func (o *outLeg) accepted(res *sip.Response) {
	tag := tagOf(res.To().Params)
	if o.d.remoteTag != "" {
		if tag != o.d.remoteTag && o.forks < maxForks {
			o.forks++
			other := o.established(res, tag)
			o.ack(&other, "")
			o.sendBye(&other, phone.CauseElsewhere, func() {})
		}
		return
	}
	o.d = o.established(res, tag)
	o.holdHop()
	o.ack(&o.d, tag)
	if o.hungup != "" || o.stage == ended { // the answer crossed the CANCEL (§9.1)
		cause := cmp.Or(o.hungup, phone.CauseElsewhere)
		o.over(cause, res.StatusCode, "answered too late")
		o.bye(cause)
		return
	}
	answer, err := media.Parse(res.Body())
	if err != nil {
		o.over(phone.CauseNoCodec, res.StatusCode, "no usable session description")
		o.bye(phone.CauseNoCodec)
		return
	}
	o.answer = answer
	o.stage = confirmed
	o.listen()
	o.emit(phone.Event{Kind: phone.LegAnswered})
}

// maxForks is how many further answers to one INVITE get a BYE of their own.
const maxForks = 10

// established is the dialog that a 2xx makes (§12.1.2).
func (o *outLeg) established(res *sip.Response, tag string) dialog {
	d := o.d
	d.remoteTag = tag
	d.routes = routeSet(res, true)
	if target, ok := remoteTarget(res); ok {
		d.target = target
	}
	if !o.person {
		o.c.s.nextHop(&d)
	}
	return d
}

// ack acknowledges a 2xx; tag is that of the dialog whose ACK is to be repeated.
func (o *outLeg) ack(d *dialog, tag string) {
	r := o.c.s.request(d, "ACK")
	r.CSeq = inviteCSeq
	o.tx.SendACK(d.flow, r, tag)
}

// inviteCSeq is the number of every INVITE that begins a leg.
const inviteCSeq = 1

// Hangup ends the leg: with CANCEL, as soon as a provisional response allows it,
// or with BYE. After CANCEL the phone may ring until it has given its final
// response, so that LegEnded waits for that, for at most Timer B or H (32 s).
func (o *outLeg) Hangup(cause phone.Cause) {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	switch o.stage {
	case early:
		if o.tx == nil { // the INVITE was not sent yet, and now never is
			o.over(cause, 0, "")
			return
		}
		if o.hungup == "" {
			o.hungup = cause
			o.tx.Cancel(reason(cause)) // a 2xx that crosses it is seen to in accepted
		}
	case confirmed:
		o.over(cause, 0, "")
		o.bye(cause)
	}
}

// over is end with what an outgoing leg has beside.
func (o *outLeg) over(cause phone.Cause, status int, detail string) {
	o.end(cause, status, detail)
	o.answer = nil
	delete(o.c.outs, o)
	if o.stop != nil {
		o.stop()
	}
	o.c.settle()
}
