package sip

import (
	"strings"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// find is the leg that a request within a dialog is for: tags, Call-ID and where
// it comes from must be right (RFC 3261 §12.2.2).
func (s *Server) find(in *stack.Incoming, tag string) *leg {
	s.mu.Lock()
	l := s.legs[tag]
	s.mu.Unlock()
	if l == nil {
		return nil
	}
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	req := in.Request
	if l.d.callID != req.CallID().Value() || l.d.remoteTag != tagOf(req.From().Params) {
		return nil
	}
	if from := in.Flow.Remote.Addr(); from == l.source || from == l.d.flow.Remote.Addr() {
		return l
	}
	if t, ok := s.opts.Directory().TrunkFor(in.Flow.Remote); ok && l.trunk != "" && t.Name == l.trunk {
		return l
	}
	return nil
}

// ack hands an ACK to the leg whose 2xx it is for. There is no answer to an ACK.
func (s *Server) ack(in *stack.Incoming) {
	l := s.find(in, tagOf(in.Request.To().Params))
	if l == nil {
		return
	}
	in.See(l.owner())
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	seq := in.Request.CSeq().SeqNo
	if l == &l.c.in.leg && (l.stage == answered || l.c.in.byeCause != "") {
		l.c.in.acked()
		return
	}
	if r := l.asks; r != nil && r.cseq == seq {
		r.tx.Acked()
		if r.done {
			l.asks = nil
		}
	}
}

// inDialog handles a request within a dialog.
func (s *Server) inDialog(in *stack.Incoming, tag string) {
	l := s.find(in, tag)
	if l == nil {
		s.refuse(in, 481)
		return
	}
	req := in.Request
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if uint64(req.CSeq().SeqNo) < l.d.remoteCSeq { // out of order (§12.2.2); repetitions do not get here
		s.refuse(in, 500)
		return
	}
	l.d.remoteCSeq = uint64(req.CSeq().SeqNo) + 1
	if l.trunk == "" && in.Flow.Remote.Addr() == l.source {
		l.d.flow = in.Flow // its NAT may have given it another port
	}
	switch string(req.Method) {
	case "BYE":
		l.answer(in, 200)
		l.byeCame()
	case "INVITE":
		l.reinvite(in)
	case "OPTIONS":
		l.answer(in, 200, stack.Header{Name: "Allow", Value: allowed}, stack.Header{Name: "Accept", Value: "application/sdp"})
	default:
		l.answer(in, methodStatus(string(req.Method)), stack.Header{Name: "Allow", Value: allowed})
	}
}

// answer ends a request of the leg's party other than INVITE, in a transaction:
// its repetition must not look out of order.
func (l *leg) answer(in *stack.Incoming, status int, headers ...stack.Header) {
	l.c.s.opts.Count(string(in.Request.Method), status)
	_ = in.Begin(l.owner()).Respond(status, in.Head().Wire(stack.Response{Status: status, Headers: headers}))
}

// byeCame ends a leg whose party has hung up.
func (l *leg) byeCame() {
	in := l.c.in
	if l == &in.leg {
		if in.stage == early { // §15.1.2: its INVITE is answered too
			in.refuse(487, phone.CauseCancelled)
			return
		}
		in.byeCause = ""
		in.tx.Acked() // whoever says BYE has had the answer
		in.over(phone.CauseNormal, 0, "")
	} else {
		for o := range l.c.outs {
			if &o.leg == l {
				o.over(phone.CauseNormal, 0, "")
			}
		}
	}
	l.deafen()
	l.release()
}

// isHold says that a direction keeps the other party from being heard.
func isHold(direction string) bool {
	return strings.EqualFold(direction, "sendonly") || strings.EqualFold(direction, "inactive")
}
