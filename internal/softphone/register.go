package softphone

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/phone"
)

const (
	// answerWithin is how long a server may take for its first answer; a request
	// is repeated four times in it (RFC 3261 §17.1.2.2).
	answerWithin = 5 * time.Second
	// leaveWithin is how long saying good-bye may take.
	leaveWithin = 2 * time.Second
	// againAfter is the pause after a failed renewal.
	againAfter = 5 * time.Second
	// defaultExpires is asked for when Options say nothing.
	defaultExpires = 300 * time.Second
)

// registration is our binding at a registrar (RFC 3261 §10.2).
type registration struct {
	phone  *Phone
	callID sip.CallIDHeader
	tag    string
	seq    uint32
}

func newRegistration(p *Phone) *registration {
	return &registration{phone: p, callID: newCallID(), tag: sip.GenerateTagN(16)}
}

// keep registers and renews until ctx is done. An error is the first
// registration's.
func (r *registration) keep(ctx context.Context) error {
	p := r.phone
	granted, err := r.send(ctx, r.expires())
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("register %s: %w", p.options.Account, err)
	}
	close(p.registered)
	p.tell(Event{Kind: Registered})
	for {
		wait := granted / 2
		if err != nil {
			wait = againAfter
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		var next time.Duration
		if next, err = r.send(ctx, r.expires()); err == nil {
			granted = next
		} else if ctx.Err() == nil {
			p.tell(Event{Kind: RegistrationLost, Err: err})
		}
	}
}

// remove un-registers; a server that is gone is no error.
func (r *registration) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveWithin)
	defer cancel()
	_, _ = r.send(ctx, 0)
}

func (r *registration) expires() time.Duration {
	if e := r.phone.options.Expires; e > 0 {
		return e
	}
	return defaultExpires
}

// send registers once and returns what was granted.
func (r *registration) send(ctx context.Context, expires time.Duration) (time.Duration, error) {
	p := r.phone
	if err := p.stack.await(ctx); err != nil {
		return 0, err
	}
	req := r.request(expires)
	defer func() { r.seq = req.CSeq().SeqNo }()
	who := login{user: p.user, password: p.options.Password.Reveal()}
	for {
		res, err := p.do(ctx, req)
		switch {
		case err != nil:
			return 0, err
		case res.IsSuccess():
			return granted(res, p.stack.contact(p.user), expires), nil
		case !challenged(res):
			return 0, &phone.Error{Kind: phone.Denied, Text: fmt.Sprintf("the server answered %d %s", res.StatusCode, res.Reason)}
		}
		next, err := who.authorize(req, res)
		if err != nil {
			return 0, err
		}
		req = next
	}
}

// do sends a request and waits for its final response.
func (p *Phone) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin, errSilent)
	defer cancel()
	res, err := p.stack.client.Do(ctx, req)
	if err == nil {
		return res, nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errSilent) {
		return nil, cause
	}
	return nil, unreachable(req.Destination(), err)
}

var errSilent = errors.New("no answer came")

func (r *registration) request(expires time.Duration) *sip.Request {
	p := r.phone
	registrar := sip.Uri{Scheme: "sip"}
	// the account was checked by New; its host may be a name
	_ = sip.ParseUri("sip:"+p.domain, &registrar)
	aor := *registrar.Clone()
	aor.User, aor.Port = p.user, 0
	r.seq++
	req := sip.NewRequest(sip.REGISTER, registrar)
	req.AppendHeader(&sip.FromHeader{Address: aor, Params: sip.HeaderParams{{K: "tag", V: r.tag}}})
	req.AppendHeader(&sip.ToHeader{Address: aor})
	req.AppendHeader(&r.callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: r.seq, MethodName: sip.REGISTER})
	req.AppendHeader(p.stack.contact(p.user))
	req.AppendHeader(sip.NewHeader("Expires", strconv.Itoa(int(expires.Seconds()))))
	req.SetTransport(p.stack.network)
	req.SetDestination(p.server)
	return req
}

// granted is how long the server keeps the binding: the expires parameter of our
// contact, else the Expires header, else what was asked (RFC 3261 §10.2.4).
func granted(res *sip.Response, own *sip.ContactHeader, asked time.Duration) time.Duration {
	text := ""
	if h := res.GetHeader("Expires"); h != nil {
		text = h.Value()
	}
	for _, h := range res.GetHeaders("Contact") {
		for one := range strings.SplitSeq(h.Value(), ",") {
			_, params, ours := strings.Cut(one, own.Address.Addr())
			if _, after, ok := strings.Cut(strings.ToLower(params), ";expires="); ours && ok {
				text, _, _ = strings.Cut(after, ";")
			}
		}
	}
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil || seconds == 0 {
		return asked
	}
	return time.Duration(seconds) * time.Second
}
