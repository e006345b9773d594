package softphone

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/uuid"

	"github.com/ringpath/ringpath/internal/media"
)

// dialog is one call on our side (RFC 3261 §12). The goroutine of answer or Call
// owns it; others only end it.
type dialog struct {
	phone  *Phone
	callID sip.CallIDHeader
	local  sip.FromHeader // us, with our tag
	remote sip.ToHeader   // them, with their tag once it is known
	target sip.Uri        // where requests go: their Contact
	routes []string       // Route values, in order
	voice  *voice
	about  Event // its call, From, Name and To

	acked chan struct{} // an ACK came; buffered for one, more are not needed
	over  chan struct{} // closed when the call is over

	mu     sync.Mutex // guards what follows
	seq    uint32     // of our last request
	ended  bool
	end    End
	status int
	held   bool
	heard  []float64
}

func newDialog(p *Phone) (*dialog, error) {
	v, err := openVoice(p.stack.addr.Addr())
	if err != nil {
		return nil, err
	}
	return &dialog{phone: p, voice: v, acked: make(chan struct{}, 1), over: make(chan struct{})}, nil
}

// key names a dialog among ours: two of them share a Call-ID when a phone calls
// itself.
func key(callID, localTag string) string { return callID + " " + localTag }

func (d *dialog) key() string {
	tag, _ := d.local.Params.Get("tag")
	return key(string(d.callID), tag)
}

// add makes the dialog known to requests that come in. It is refused when all
// lines are taken by calls to us.
func (p *Phone) add(d *dialog, incoming bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if incoming && p.incoming >= max(1, p.options.Lines) {
		return false
	}
	if incoming {
		p.incoming++
	}
	p.dialogs[d.key()] = d
	return true
}

func (p *Phone) drop(d *dialog, incoming bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if incoming {
		p.incoming--
	}
	delete(p.dialogs, d.key())
}

// find is the dialog that a request from the other side belongs to, or nil
// (RFC 3261 §12.2.2).
func (p *Phone) find(req *sip.Request) *dialog {
	if req.CallID() == nil || req.To() == nil || req.From() == nil {
		return nil
	}
	local, _ := req.To().Params.Get("tag")
	remote, _ := req.From().Params.Get("tag")
	p.mu.Lock()
	d := p.dialogs[key(string(*req.CallID()), local)]
	p.mu.Unlock()
	if d == nil {
		return nil
	}
	if tag, _ := d.remote.Params.Get("tag"); tag != remote {
		return nil
	}
	return d
}

// finish ends the call; only the first reason counts.
func (d *dialog) finish(end End, status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return
	}
	d.ended, d.end, d.status = true, end, status
	close(d.over)
}

// outcome is how the call ended.
func (d *dialog) outcome() (End, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.end, d.status
}

// tones are those heard so far.
func (d *dialog) tones() []float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.heard)
}

// tell reports something that happened in the call.
func (d *dialog) tell(e Event) {
	e.Call, e.From, e.Name, e.To = d.about.Call, d.about.From, d.about.Name, d.about.To
	d.phone.tell(e)
}

// talk tells that the call is up, plays and listens, and returns when it is over.
// When hangUpAfter (0: never) has passed, or ctx is done, it hangs up.
func (d *dialog) talk(ctx context.Context, frequency float64, hangUpAfter time.Duration) {
	switch {
	case frequency == 0:
		frequency = 440
	case frequency < 0:
		frequency = 0
	}
	d.tell(Event{Kind: Answered})
	d.voice.start(frequency, func(f float64) {
		d.mu.Lock()
		d.heard = append(d.heard, f)
		d.mu.Unlock()
		d.tell(Event{Kind: Heard, Tone: f})
	})
	var enough <-chan time.Time
	if hangUpAfter > 0 {
		enough = time.After(hangUpAfter)
	}
	select {
	case <-d.over:
		return
	case <-enough:
	case <-ctx.Done():
	}
	d.hangUp(HungUpHere)
}

// hangUp ends an answered call with BYE; a party that is gone is no error.
func (d *dialog) hangUp(end End) {
	defer d.finish(end, 0)
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	_, _ = d.phone.stack.client.Do(ctx, d.request(sip.BYE))
}

// request makes the next request in the dialog (RFC 3261 §12.2.1.1). An ACK has
// the number of the INVITE that it answers, which is the last one.
func (d *dialog) request(method sip.RequestMethod) *sip.Request {
	d.mu.Lock()
	if method != sip.ACK {
		d.seq++
	}
	seq := d.seq
	d.mu.Unlock()
	req := sip.NewRequest(method, *d.target.Clone())
	for _, r := range d.routes {
		req.AppendHeader(sip.NewHeader("Route", r))
	}
	local, remote := d.local, d.remote
	local.Params, remote.Params = local.Params.Clone(), remote.Params.Clone()
	id := d.callID
	req.AppendHeader(&local)
	req.AppendHeader(&remote)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: method})
	req.SetTransport(d.phone.stack.network)
	req.SetDestination(d.hop())
	return req
}

// hop is where requests of the dialog are sent: the first route, else the target.
func (d *dialog) hop() string {
	uri := d.target
	if len(d.routes) > 0 {
		text := strings.Trim(d.routes[0], "<> ")
		text, _, _ = strings.Cut(text, ">")
		var first sip.Uri
		if sip.ParseUri(text, &first) == nil {
			uri = first
		}
	}
	if uri.Port == 0 {
		uri.Port = 5060
	}
	return uri.HostPort()
}

// routeSet is the Record-Route values of a message, in its order.
func routeSet(m sip.Message) []string {
	var routes []string
	for _, h := range m.GetHeaders("Record-Route") {
		for r := range strings.SplitSeq(h.Value(), ",") {
			routes = append(routes, strings.TrimSpace(r))
		}
	}
	return routes
}

// hold follows a re-INVITE's description and tells of hold and resume.
func (d *dialog) hold(offer *media.Description) ([]byte, error) {
	body, err := d.voice.answer(offer)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	changed := d.held != offer.Held()
	d.held = offer.Held()
	d.mu.Unlock()
	switch {
	case changed && offer.Held():
		d.tell(Event{Kind: Held})
	case changed:
		d.tell(Event{Kind: Resumed})
	}
	return body, nil
}

func newCallID() sip.CallIDHeader { return sip.CallIDHeader(uuid.NewString()) }
