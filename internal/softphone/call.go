package softphone

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/media"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// CallOptions say how a call is made.
type CallOptions struct {
	From string // user part of the From header: a number in E.164. Empty: anonymous
	Name string // display name
	To   string // user part of the Request-URI
	// Server is the host:port that is called; empty: the phone's own server.
	Server string
	// User and Password answer a challenge; empty: those of the phone's account.
	// Without them a challenge ends the call with its 401 or 407.
	User     string
	Password secret.Text
	Tone     float64 // Hz; 0: 440, negative: nothing
	// Hold is how long it talks before it hangs up, 3 s when 0; negative: until
	// the other side does.
	Hold time.Duration
	// CancelAfter is how long it waits for an answer before it gives up; 0: 120 s.
	CancelAfter time.Duration

	// The rest is for Call alone; a Phone has its own.
	Transport string         // "udp" when empty, or "tcp"
	Listen    netip.AddrPort // our address, by which the server knows a trunk; see Options
	OnEvent   func(Event)
	Logger    *slog.Logger
}

// Bounds and defaults of CallOptions.
const (
	defaultTalk = 3 * time.Second
	defaultRing = 120 * time.Second
	maxRings    = 64 // provisional responses that a result holds
)

// CallResult is what became of a call.
type CallResult struct {
	CallID      string
	Status      int           // the final response: 200, 486 …; 487 after CANCEL
	Reason      string        // its phrase
	Provisional []Provisional // 100, 180 … in order; no more than 64
	PDD         time.Duration // from the INVITE to the first 180 or 183; 0: none came
	Setup       time.Duration // from the INVITE to its final response
	Talked      time.Duration // from the answer to the end
	Heard       []float64     // tones in Hz, in order; 0 is silence after one
	Received    int64         // packets of sound
	End         End           // how it ended
}

// Provisional is a response before the final one.
type Provisional struct {
	Status int
	After  time.Duration // the INVITE
}

// Call calls without a phone: it opens a port, calls, and closes it. Cancelling
// ctx gives up or hangs up. An error means that nothing can be said of the call;
// a refusal is none.
func Call(ctx context.Context, o CallOptions) (CallResult, error) {
	p, err := New(Options{Server: o.Server, Transport: o.Transport, Listen: o.Listen, OnEvent: o.OnEvent, Logger: o.Logger})
	if err != nil {
		return CallResult{}, err
	}
	if o.From != "" {
		p.name = o.From
	}
	defer p.Close()
	p.stack.serve()
	return p.Call(ctx, o)
}

// Call calls from the phone's own port, while Run runs.
func (p *Phone) Call(ctx context.Context, o CallOptions) (CallResult, error) {
	if o.Server == "" {
		o.Server = p.server
	}
	server, err := withPort(o.Server)
	if err != nil {
		return CallResult{}, err
	}
	if server == "" || o.To == "" {
		return CallResult{}, invalid("a call needs a server and whom to call")
	}
	for _, text := range []string{o.To, o.From, o.Name} {
		if strings.ContainsFunc(text, breaks) || text != o.Name && strings.ContainsAny(text, "@:; ") {
			return CallResult{}, invalid("%q cannot be part of a SIP address", text)
		}
	}
	if o.User == "" {
		o.User, o.Password = p.user, p.options.Password
	}
	if !p.begin() {
		return CallResult{}, &phone.Error{Kind: phone.Conflict, Text: "the phone is closed"}
	}
	defer p.active.Done()
	if err := p.stack.await(ctx); err != nil {
		return CallResult{}, err
	}
	d, err := newDialog(p)
	if err != nil {
		return CallResult{}, err
	}
	defer d.voice.close()
	// ended by whoever asked for the call, or by the phone
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	c := &attempt{dialog: d, options: o, server: server}
	return c.run(ctx)
}

// breaks says that a character would end what it is written into.
func breaks(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`"<>\`, r) }

// attempt is a call that we make.
type attempt struct {
	*dialog
	options   CallOptions
	server    string
	invite    *sip.Request
	sent      time.Time
	leaving   bool // it is time to give up
	cancelled bool // CANCEL was sent
	result    CallResult
}

func (c *attempt) run(ctx context.Context) (CallResult, error) {
	c.prepare()
	c.phone.add(c.dialog, false)
	defer c.phone.drop(c.dialog, false)
	who := login{user: c.options.User, password: c.options.Password.Reveal()}
	res, err := c.ask(ctx)
	for err == nil && challenged(res) && who.user != "" {
		if c.invite, err = who.authorize(c.invite, res); err == nil {
			res, err = c.ask(ctx)
		}
	}
	if err != nil {
		return c.result, err
	}
	c.result.Status, c.result.Reason = res.StatusCode, res.Reason
	c.result.Setup = time.Since(c.sent)
	switch {
	case res.IsSuccess() && c.cancelled: // it crossed our CANCEL
		c.hangUp(Cancelled)
	case res.IsSuccess():
		c.talkUntil(ctx, res.Body())
	case c.cancelled:
		c.finish(Cancelled, 0)
	default:
		c.finish(Failed, res.StatusCode)
	}
	c.voice.close()
	c.result.End, _ = c.outcome()
	c.result.Heard = c.tones()
	c.result.Received = c.voice.received.Load()
	c.tell(Event{Kind: Ended, End: c.result.End, Status: c.result.Status})
	return c.result, nil
}

func challenged(res *sip.Response) bool { return res.StatusCode == 401 || res.StatusCode == 407 }

// talkUntil talks until the call's time is over, or ctx is done.
func (c *attempt) talkUntil(ctx context.Context, body []byte) {
	answered := time.Now()
	defer func() { c.result.Talked = time.Since(answered) }()
	d, err := media.Parse(body)
	if err == nil {
		err = c.voice.follow(d)
	}
	if err != nil { // an answer that we cannot do: RFC 3261 §13.2.2.4
		c.hangUp(Failed)
		return
	}
	limit := c.options.Hold
	if limit == 0 {
		limit = defaultTalk
	}
	c.talk(ctx, c.options.Tone, max(limit, 0))
}

// prepare makes the INVITE.
func (c *attempt) prepare() {
	o, p := c.options, c.phone
	uri := sip.Uri{Scheme: "sip"}
	_ = sip.ParseUri("sip:"+c.server, &uri) // checked by withPort
	uri.User = o.To
	from := sip.Uri{Scheme: "sip", User: o.From, Host: host(p.stack.addr.Addr())}
	if p.user != "" { // a phone of ours calls as itself
		_ = sip.ParseUri("sip:"+p.domain, &from)
		from.User, from.Port = p.user, 0
	}
	if from.User == "" {
		from.User, from.Host = "anonymous", "anonymous.invalid" // RFC 3323 §4.1.1.3
	}
	c.callID = newCallID()
	c.local = sip.FromHeader{DisplayName: o.Name, Address: from, Params: sip.HeaderParams{{K: "tag", V: sip.GenerateTagN(16)}}}
	to := *uri.Clone()
	to.Port = 0
	c.remote = sip.ToHeader{Address: to}
	c.target = uri
	c.about = Event{Call: string(c.callID), From: from.User, Name: o.Name, To: o.To}
	c.result.CallID = string(c.callID)

	c.invite = c.request(sip.INVITE)
	c.invite.SetDestination(c.server)
	c.invite.AppendHeader(p.stack.contact(from.User))
	c.invite.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	c.invite.SetBody(c.voice.offer())
}

// ask sends the INVITE and waits for its final response, giving up with CANCEL
// when it is time.
func (c *attempt) ask(ctx context.Context) (*sip.Response, error) {
	c.sent = time.Now()
	tx, err := c.phone.stack.client.TransactionRequest(ctx, c.invite)
	if err != nil {
		return nil, unreachable(c.server, err)
	}
	res, err := c.await(ctx, tx)
	if err == nil && res.IsSuccess() {
		c.confirm(res, tx)
		return res, nil
	}
	tx.Terminate()
	return res, err
}

// await reads responses until the final one.
func (c *attempt) await(ctx context.Context, tx sip.ClientTransaction) (*sip.Response, error) {
	limit := c.options.CancelAfter
	if limit == 0 {
		limit = defaultRing
	}
	silent, enough, stop := time.After(answerWithin), time.After(limit), ctx.Done()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
			c.provisional(res)
			if !c.cancelled {
				silent = nil
			}
		case <-tx.Done():
			return nil, unreachable(c.server, tx.Err())
		case <-silent:
			return nil, unreachable(c.server, errSilent)
		case <-stop:
			stop, c.leaving = nil, true
		case <-enough:
			enough, c.leaving = nil, true
		}
		// before any response CANCEL must not be sent (RFC 3261 §9.1)
		if c.leaving && !c.cancelled && len(c.result.Provisional) > 0 {
			c.cancel()
			silent = time.After(answerWithin)
		}
	}
}

func (c *attempt) provisional(res *sip.Response) {
	after := time.Since(c.sent)
	if len(c.result.Provisional) < maxRings {
		c.result.Provisional = append(c.result.Provisional, Provisional{res.StatusCode, after})
	}
	if c.result.PDD == 0 && (res.StatusCode == 180 || res.StatusCode == 183) {
		c.result.PDD = after
	}
}

// cancel gives the call up; its final response comes to the INVITE.
func (c *attempt) cancel() {
	c.cancelled = true
	req := sip.NewRequest(sip.CANCEL, *c.invite.Recipient.Clone())
	req.AppendHeader(sip.HeaderClone(c.invite.Via()))
	req.AppendHeader(sip.HeaderClone(c.invite.From()))
	req.AppendHeader(sip.HeaderClone(c.invite.To()))
	req.AppendHeader(sip.HeaderClone(c.invite.CallID()))
	req.AppendHeader(&sip.CSeqHeader{SeqNo: c.invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	req.SetTransport(c.phone.stack.network)
	req.SetDestination(c.server)
	c.voice.running.Go(func() { _, _ = c.phone.do(c.voice.context, req) })
}

// confirm takes the answer in: it sends the ACK, and sends it again for every
// repeated 2xx until the call is over.
func (c *attempt) confirm(res *sip.Response, tx sip.ClientTransaction) {
	c.remote = *res.To()
	if contact := res.Contact(); contact != nil {
		c.target = *contact.Address.Clone()
	}
	c.routes = routeSet(res)
	slices.Reverse(c.routes) // RFC 3261 §12.1.2
	c.mu.Lock()
	c.seq = c.invite.CSeq().SeqNo
	c.mu.Unlock()
	client, ack := c.phone.stack.client, c.request(sip.ACK)
	_ = client.WriteRequest(ack) // lost: the 2xx comes again
	c.voice.running.Go(func() {
		defer tx.Terminate()
		for {
			select {
			case <-tx.Responses():
				_ = client.WriteRequest(ack)
			case <-tx.Done():
				return
			case <-c.voice.context.Done():
				return
			}
		}
	})
}
