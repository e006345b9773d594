package stack

import (
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Client is a client transaction.
type Client struct {
	stack  *Stack
	key    string
	flow   Flow
	invite bool
	owner  int64

	mu     sync.Mutex
	on     func(*sip.Response, error) // the user; nil once it has heard all
	state  clientState
	req    *Request // until the final response
	wire   []byte   // repeated while calling
	pause  time.Duration
	again  *time.Timer // timers A, E
	end    *time.Timer // timers B, F, D, M, and the wait after CANCEL
	ack    []byte      // repeated for each further final response
	ackBy  Flow        // how ack goes
	ackTag string      // of the 2xx that ack is for
	cancel *cancelling // asked for: sent, or waiting for a provisional response
}

// clientState follows figures 5 and 6 of RFC 3261 with RFC 6026.
type clientState int

const (
	clientCalling    clientState = iota
	clientProceeding             // a provisional response came
	clientCompleted              // INVITE, refused: repeats the ACK
	clientAccepted               // INVITE, 2xx: hands all of them up
	clientTerminated
)

type cancelling struct {
	reason string
	sent   bool
}

func clientKey(branch, method string) string { return branch + " " + method }

// Send sends a request in a transaction of its own. on is called with each
// response, in order, and with an error if there is no final one (ErrTimeout, or
// the flow's); to an INVITE, further 2xx may follow. It is called without locks
// held, and not before Send has returned for errors of sending: those Send
// returns.
func (s *Stack) Send(f Flow, r *Request, owner int64, on func(*sip.Response, error)) (*Client, error) {
	wire := r.Wire()
	t := &Client{
		stack: s, key: clientKey(r.Branch, r.Method), flow: f, invite: r.Method == "INVITE", owner: owner, on: on,
		req: r, wire: wire,
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrNoFlow
	}
	s.clients[t.key] = t
	s.mu.Unlock()

	t.mu.Lock()
	defer t.mu.Unlock()
	if err := s.send(f, f.Remote, wire, owner); err != nil {
		t.clear()
		t.forget()
		return nil, err
	}
	if !f.Reliable() {
		t.pause = T1
		t.again = time.AfterFunc(T1, t.repeat)
	}
	t.end = time.AfterFunc(Lifetime, t.expire)
	return t, nil
}

// SendACK sends the ACK of a 2xx, which is a transaction of no kind (§13.2.2.4).
// It is sent again for each repetition of the 2xx with this To tag.
func (t *Client) SendACK(f Flow, r *Request, tag string) {
	wire := r.Wire()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ack == nil && t.state == clientAccepted {
		t.ack, t.ackTag, t.ackBy = wire, tag, f
	}
	_ = t.stack.send(f, f.Remote, wire, t.owner)
}

// Cancel sends CANCEL with a Reason (RFC 3326), as soon as a provisional response
// has come (§9.1); nothing after a final one. If no final response follows
// within Lifetime, the transaction ends with ErrTimeout.
func (t *Client) Cancel(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancel != nil || t.state > clientProceeding {
		return
	}
	t.cancel = &cancelling{reason: reason}
	if t.state == clientProceeding {
		t.sendCancel()
	}
}

// sendCancel is called with t.mu held.
func (t *Client) sendCancel() {
	t.cancel.sent = true
	var extra []Header
	if t.cancel.reason != "" {
		extra = append(extra, Header{"Reason", t.cancel.reason})
	}
	r := t.req.sibling("CANCEL", t.req.To, extra...)
	_, _ = t.stack.Send(t.flow, r, t.owner, func(*sip.Response, error) {})
	stop(t.end)
	t.end = time.AfterFunc(Lifetime, t.expire)
}

// receive takes in a response.
func (t *Client) receive(res *sip.Response, f Flow, raw []byte) {
	if t.stack.opts.Tap != nil && t.owner != 0 {
		if raw == nil {
			raw = []byte(res.String())
		}
		t.stack.see(t.owner, false, f, raw)
	}
	if on := t.step(res); on != nil {
		on(res, nil)
	}
}

// step moves the state on, and gives the user that is to see the response.
func (t *Client) step(res *sip.Response) func(*sip.Response, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	on := t.on
	if !t.move(res) {
		return nil
	}
	return on
}

// move is step with t.mu held.
func (t *Client) move(res *sip.Response) bool {
	switch {
	case t.state == clientTerminated:
		return false
	case t.state == clientAccepted:
		return t.another2xx(res)
	case t.state == clientCompleted:
		if res.StatusCode >= 300 {
			_ = t.stack.send(t.flow, t.flow.Remote, t.ack, t.owner)
		}
		return false
	case res.StatusCode < 200:
		t.provisional()
		return true
	case !t.invite:
		t.clear()
		t.forget()
		return true
	case res.StatusCode < 300:
		t.quiet(clientAccepted)
		t.end = time.AfterFunc(Lifetime, t.expire) // M
		return true
	}
	t.refused(res)
	return true
}

func (t *Client) provisional() {
	first := t.state == clientCalling
	t.state = clientProceeding
	if !t.invite {
		t.pause = T2 // the running timer E goes off as it is (§17.1.2.2)
		return
	}
	if first {
		stop(t.again)
		stop(t.end) // how long it may ring is the user's affair
		t.wire = nil
	}
	if t.cancel != nil && !t.cancel.sent {
		t.sendCancel()
	}
}

func (t *Client) another2xx(res *sip.Response) bool {
	if res.StatusCode < 200 || res.StatusCode >= 300 {
		return false
	}
	if t.ack != nil && Param(res.To().Params, "tag") == t.ackTag {
		_ = t.stack.send(t.ackBy, t.ackBy.Remote, t.ack, t.owner)
		return false
	}
	return true
}

// refused acknowledges a final response of 300 and above (§17.1.1.3).
func (t *Client) refused(res *sip.Response) {
	t.ack = t.req.sibling("ACK", res.To().Value()).Wire()
	_ = t.stack.send(t.flow, t.flow.Remote, t.ack, t.owner)
	t.quiet(clientCompleted)
	t.on = nil
	if t.flow.Reliable() {
		t.state = clientTerminated
		t.forget()
		return
	}
	t.end = time.AfterFunc(Lifetime, t.expire) // D
}

// quiet ends what a request under way does; t.mu is held.
func (t *Client) quiet(next clientState) {
	t.state, t.req, t.wire, t.cancel = next, nil, nil, nil
	stop(t.again)
	stop(t.end)
}

func (t *Client) repeat() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state > clientProceeding || t.wire == nil {
		return
	}
	_ = t.stack.send(t.flow, t.flow.Remote, t.wire, t.owner)
	switch {
	case t.invite:
		t.pause *= 2
	case t.state == clientProceeding:
		t.pause = T2
	default:
		t.pause = min(2*t.pause, T2)
	}
	t.again.Reset(t.pause)
}

func (t *Client) expire() { t.fail(ErrTimeout) }

// fail ends the transaction; the user hears of it unless it has had its answer.
func (t *Client) fail(err error) {
	t.mu.Lock()
	on := t.on
	if t.state > clientProceeding {
		on = nil
	}
	t.clear()
	t.mu.Unlock()
	t.forget()
	if on != nil {
		on(nil, err)
	}
}

// clear is called with t.mu held.
func (t *Client) clear() {
	t.quiet(clientTerminated)
	t.ack, t.on = nil, nil
}

// waits says that there is no final response yet.
func (t *Client) waits() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state <= clientProceeding
}

// drop ends the transaction without telling anybody.
func (t *Client) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
}

func (t *Client) forget() {
	t.stack.mu.Lock()
	defer t.stack.mu.Unlock()
	if t.stack.clients[t.key] == t {
		delete(t.stack.clients, t.key)
	}
}
