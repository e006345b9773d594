package softphone

import (
	"errors"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/media"
)

// handle says what is done with requests.
func (p *Phone) handle() {
	s := p.stack.server
	s.OnInvite(p.onInvite)
	s.OnAck(func(req *sip.Request, _ sip.ServerTransaction) {
		if d := p.find(req); d != nil {
			select {
			case d.acked <- struct{}{}:
			default:
			}
		}
	})
	s.OnBye(func(req *sip.Request, tx sip.ServerTransaction) {
		d := p.find(req)
		if d == nil {
			reply(tx, req, 481, "", nil)
			return
		}
		reply(tx, req, 200, "", nil)
		d.finish(HungUpThere, 0)
	})
	// one that found its INVITE was answered by sipgo
	s.OnCancel(func(req *sip.Request, tx sip.ServerTransaction) { reply(tx, req, 481, "", nil) })
	s.OnOptions(func(req *sip.Request, tx sip.ServerTransaction) { reply(tx, req, 200, "", nil) })
	s.OnNoRoute(func(req *sip.Request, tx sip.ServerTransaction) {
		res := sip.NewResponseFromRequest(req, 405, reasons[405], nil)
		res.AppendHeader(sip.NewHeader("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS"))
		_ = tx.Respond(res)
	})
}

var reasons = map[int]string{
	180: "Ringing", 200: "OK", 400: "Bad Request", 405: "Method Not Allowed", 480: "Temporarily Unavailable",
	481: "Call/Transaction Does Not Exist", 486: "Busy Here", 488: "Not Acceptable Here",
	500: "Server Internal Error", 503: "Service Unavailable", 600: "Busy Everywhere", 603: "Decline",
}

// reply answers a request. Tag is ours for the To header; empty: any.
func reply(tx sip.ServerTransaction, req *sip.Request, status int, tag string, with func(*sip.Response)) {
	reason := reasons[status]
	if reason == "" {
		reason = "Refused"
	}
	res := sip.NewResponseFromRequest(req, status, reason, nil)
	if tag != "" && res.To() != nil {
		res.To().Params.Add("tag", tag)
	}
	if with != nil {
		with(res)
	}
	_ = tx.Respond(res) // a caller that is gone sends CANCEL or nothing
}

// onInvite runs for as long as the call: sipgo ends a transaction when its
// handler returns.
func (p *Phone) onInvite(req *sip.Request, tx sip.ServerTransaction) {
	if !p.begin() {
		reply(tx, req, 480, "", nil)
		return
	}
	defer p.active.Done()
	if req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil || req.Contact() == nil {
		reply(tx, req, 400, "", nil)
		return
	}
	if req.To().Params.Has("tag") {
		p.again(req, tx)
		return
	}
	offer, err := media.Parse(req.Body())
	if err != nil {
		reply(tx, req, refusal(err), "", nil)
		return
	}
	d, err := p.incomingDialog(req)
	if err != nil {
		reply(tx, req, 500, "", nil)
		return
	}
	defer d.voice.close()
	body, err := d.voice.answer(offer)
	if err != nil {
		reply(tx, req, 488, "", nil)
		return
	}
	if !p.add(d, true) {
		reply(tx, req, 486, "", nil)
		return
	}
	d.ring(req, tx, body)
	d.voice.close()
	p.drop(d, true)
	end, status := d.outcome()
	d.tell(Event{Kind: Ended, End: end, Status: status})
}

// refusal is the status for a description that cannot be.
func refusal(err error) int {
	if errors.Is(err, media.ErrSDP) {
		return 400
	}
	return 488
}

func (p *Phone) incomingDialog(req *sip.Request) (*dialog, error) {
	d, err := newDialog(p)
	if err != nil {
		return nil, err
	}
	d.callID = *req.CallID()
	to := *req.To()
	d.local = sip.FromHeader{Address: *to.Address.Clone(), DisplayName: to.DisplayName, Params: to.Params.Clone()}
	d.local.Params.Add("tag", sip.GenerateTagN(16))
	d.remote = req.From().AsTo()
	d.target = *req.Contact().Address.Clone()
	d.routes = routeSet(req)
	d.about = Event{
		Call: string(d.callID),
		From: req.From().Address.User,
		Name: strings.Trim(req.From().DisplayName, `"`),
		To:   req.Recipient.User,
	}
	return d, nil
}

// ring tells the caller that it rings, answers or refuses when it is time, and
// returns when the call is over.
func (d *dialog) ring(req *sip.Request, tx sip.ServerTransaction, body []byte) {
	p := d.phone
	tag, _ := d.local.Params.Get("tag")
	cancelled := make(chan *sip.Request, 1)
	if !tx.OnCancel(func(r *sip.Request) { cancelled <- r }) {
		d.finish(Cancelled, 0)
		return
	}
	contact := func(res *sip.Response) { res.AppendHeader(p.stack.contact(p.user)) }
	reply(tx, req, 180, tag, contact)
	d.tell(Event{Kind: Ringing})

	p.mu.Lock()
	b := p.behaviour
	p.mu.Unlock()
	var decide <-chan time.Time
	if b.AnswerAfter >= 0 {
		decide = time.After(b.AnswerAfter)
	}
	select {
	case r := <-cancelled:
		d.finish(cancelReason(r), 0)
		return
	case <-p.ctx.Done():
		reply(tx, req, 480, tag, nil)
		d.finish(Rejected, 480)
		return
	case <-decide:
	}
	if b.Reject != 0 {
		reply(tx, req, b.Reject, tag, nil)
		d.finish(Rejected, b.Reject)
		return
	}
	switch end := d.accept(req, tx, tag, body, cancelled); end {
	case "":
		d.talk(p.ctx, b.Tone, b.HangUpAfter)
	case HungUpHere, Failed:
		d.hangUp(end)
	default:
		d.finish(end, 0)
	}
}

// accept answers with 200 and repeats it until the ACK comes (RFC 3261
// §13.3.1.4). It returns why there is no call, or "".
func (d *dialog) accept(req *sip.Request, tx sip.ServerTransaction, tag string, body []byte, cancelled <-chan *sip.Request) End {
	ok := func(res *sip.Response) {
		res.AppendHeader(d.phone.stack.contact(d.phone.user))
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody(body)
	}
	wait := sip.T1
	lost := time.After(64 * sip.T1)
	for {
		reply(tx, req, 200, tag, ok)
		select {
		case <-d.acked:
			return ""
		case r := <-cancelled: // it was quicker than our 200, which sipgo then did not send
			return cancelReason(r)
		case <-d.over: // BYE, perhaps ahead of the ACK
			return HungUpThere
		case <-d.phone.ctx.Done():
			return HungUpHere
		case <-lost:
			return Failed
		case <-time.After(wait):
			wait = min(2*wait, sip.T2)
		}
	}
}

// cancelReason reads why a CANCEL came (RFC 3326 §2).
func cancelReason(cancel *sip.Request) End {
	if h := cancel.GetHeader("Reason"); h != nil {
		value := strings.ReplaceAll(strings.ToLower(h.Value()), " ", "")
		if strings.HasPrefix(value+";", "sip;cause=200;") {
			return Elsewhere
		}
	}
	return Cancelled
}

// again answers a re-INVITE: hold and resume.
func (p *Phone) again(req *sip.Request, tx sip.ServerTransaction) {
	d := p.find(req)
	if d == nil {
		reply(tx, req, 481, "", nil)
		return
	}
	offer, err := media.Parse(req.Body())
	if err != nil {
		reply(tx, req, refusal(err), "", nil)
		return
	}
	body, err := d.hold(offer)
	if err != nil {
		reply(tx, req, 488, "", nil)
		return
	}
	select { // an ACK that came twice before
	case <-d.acked:
	default:
	}
	if d.accept(req, tx, "", body, nil) == Failed {
		d.hangUp(Failed)
	}
}
