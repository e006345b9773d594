package stack

import (
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Incoming is a request that no transaction knew.
type Incoming struct {
	Request *sip.Request
	Flow    Flow   // Remote is the packet's source
	Raw     []byte // the datagram, until Handle returns; nil over TCP
	// Broken, if not 0, is the status that a request deserves of which only the
	// headers could be read that an answer repeats.
	Broken int
	stack  *Stack
	key    string
}

// Reply answers without a transaction: once, and again whenever the request is
// repeated (RFC 3261 §8.2.7).
func (in *Incoming) Reply(wire []byte) {
	_ = in.stack.send(in.Flow, in.replyTo(), wire, 0)
}

// Head is what a response to it repeats.
func (in *Incoming) Head() *Head { return NewHead(in.Request, in.Flow.Remote) }

// Begin makes the request's transaction, for which the owner answers from now
// on; the tap knows its messages by owner.
func (in *Incoming) Begin(owner int64) *Server {
	t := &Server{
		stack: in.stack, key: in.key, flow: in.Flow, to: in.replyTo(),
		invite: in.Request.IsInvite(), owner: owner,
	}
	s := in.stack
	s.mu.Lock()
	if !s.closed && in.key != "" {
		s.servers[in.key] = t
	}
	s.mu.Unlock()
	in.See(owner)
	return t
}

// See shows the request to the tap as its owner's.
func (in *Incoming) See(owner int64) {
	if in.stack.opts.Tap == nil || owner == 0 {
		return
	}
	raw := in.Raw
	if raw == nil {
		raw = []byte(in.Request.String())
	}
	in.stack.see(owner, false, in.Flow, raw)
}

// Cancels is the INVITE transaction that a CANCEL is for (§9.2), nil if there is
// none.
func (in *Incoming) Cancels() *Server {
	t := in.stack.server(serverKey(in.Request, "INVITE"))
	if t == nil || t.flow.Remote.Addr() != in.Flow.Remote.Addr() {
		return nil
	}
	return t
}

// replyTo is where responses go: over UDP the packet's source, with the port of
// the Via unless that asks for the source's (§18.2.2, RFC 3581 §4).
func (in *Incoming) replyTo() netip.AddrPort {
	via := in.Request.Via()
	if in.Flow.Reliable() {
		return in.Flow.Remote
	}
	if _, rport := lookup(via.Params, "rport"); rport {
		return in.Flow.Remote
	}
	port := via.Port
	if port <= 0 || port > 65535 {
		port = 5060
	}
	return netip.AddrPortFrom(in.Flow.Remote.Addr(), uint16(port))
}

// serverKey finds the transaction of a request (§17.2.3). Requests of RFC 2543
// have no branch to go by. Empty: the request cannot have a transaction.
func serverKey(req *sip.Request, method string) string {
	v := req.Via()
	if v == nil || req.CSeq() == nil || req.CallID() == nil || req.From() == nil {
		return ""
	}
	if method == "ACK" {
		method = "INVITE"
	}
	port := v.Port
	if port <= 0 {
		port = 5060
	}
	sentBy := v.Host + ":" + strconv.Itoa(port)
	if branch := Param(v.Params, "branch"); strings.HasPrefix(branch, cookie) && len(branch) > len(cookie) {
		return branch + " " + sentBy + " " + method
	}
	return strings.Join([]string{
		"2543", req.CallID().Value(), Param(req.From().Params, "tag"),
		strconv.FormatUint(uint64(req.CSeq().SeqNo), 10), sentBy, method,
	}, " ")
}

// serverState follows figures 7 and 8 of RFC 3261 with RFC 6026.
type serverState int

const (
	proceeding serverState = iota
	accepted               // INVITE, 2xx sent: repeats it until Acked, then swallows INVITEs
	completed              // another final was sent: repeats it until the ACK, or on request
	confirmed              // INVITE, ACK came: swallows ACKs
	terminated
)

// Server is a server transaction.
type Server struct {
	stack  *Stack
	key    string
	flow   Flow
	to     netip.AddrPort
	invite bool
	owner  int64

	mu    sync.Mutex
	state serverState
	last  []byte // the last response, to repeat; nil when that is over
	pause time.Duration
	again *time.Timer // repeats last: timer G, or that of §13.3.1.4
	end   *time.Timer // timers H, I, J, L
	lost  func()

	cancelled bool
	onCancel  func()
}

// Respond sends a response: provisional ones any number of times, then one final.
// After that it is ErrFinal.
func (t *Server) Respond(status int, wire []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != proceeding {
		return ErrFinal
	}
	t.last = wire
	if status >= 200 {
		t.final(status)
	}
	return t.stack.send(t.flow, t.to, wire, t.owner)
}

// Answer is Respond with a 2xx to an INVITE: it is repeated until Acked, and lost
// is called when no ACK has come within Lifetime (§13.3.1.4).
func (t *Server) Answer(wire []byte, lost func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != proceeding {
		return ErrFinal
	}
	t.last, t.lost = wire, lost
	t.final(200)
	return t.stack.send(t.flow, t.to, wire, t.owner)
}

// final is called with t.mu held.
func (t *Server) final(status int) {
	t.onCancel = nil // comes too late (§9.2); and what it holds need not wait for the timers
	switch {
	case t.invite && status < 300:
		t.state = accepted
		t.repeatAfter(T1)
		t.endAfter(Lifetime) // L
	case t.invite:
		t.state = completed
		if !t.flow.Reliable() {
			t.repeatAfter(T1) // G
		}
		t.endAfter(Lifetime) // H
	case t.flow.Reliable():
		t.state, t.last = terminated, nil // J is 0: nothing is repeated
		t.forget()
	default:
		t.state = completed
		t.endAfter(Lifetime) // J
	}
}

// OnCancel says what is to happen when the INVITE is cancelled; at once if it has
// been. What that means, given what was sent already, is for f to decide.
func (t *Server) OnCancel(f func()) {
	t.mu.Lock()
	t.onCancel = f
	now := t.cancelled
	t.mu.Unlock()
	if now {
		go f() // the user may hold a lock that f takes
	}
}

// Cancel notes that the INVITE was cancelled.
func (t *Server) Cancel() {
	t.mu.Lock()
	f := t.onCancel
	t.cancelled = true
	t.mu.Unlock()
	if f != nil {
		f()
	}
}

// Owner is who Begin gave it to.
func (t *Server) Owner() int64 { return t.owner }

// Acked ends the repetition of a 2xx. It says whether this ACK was the first.
func (t *Server) Acked() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.state == accepted && t.last != nil
	if first {
		t.last, t.lost = nil, nil
		t.again.Stop()
	}
	return first
}

// absorb handles a request of this transaction. False: an ACK that is none of
// it, but of the dialog.
func (t *Server) absorb(in *Incoming) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if in.Request.IsAck() {
		if t.state != completed {
			return t.state == confirmed
		}
		in.See(t.owner)
		t.state, t.last = confirmed, nil
		stop(t.again)
		if t.flow.Reliable() {
			t.endAfter(0)
		} else {
			t.endAfter(T4) // I
		}
		return true
	}
	in.See(t.owner)
	if t.last != nil && t.state != accepted {
		_ = t.stack.send(t.flow, t.to, t.last, t.owner)
	}
	return true
}

func (t *Server) repeatAfter(d time.Duration) {
	t.pause = d
	t.again = time.AfterFunc(d, t.repeat)
}

func (t *Server) repeat() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil || t.state != accepted && t.state != completed {
		return
	}
	_ = t.stack.send(t.flow, t.to, t.last, t.owner)
	t.pause = min(2*t.pause, T2)
	t.again.Reset(t.pause)
}

func (t *Server) endAfter(d time.Duration) {
	stop(t.end)
	t.end = time.AfterFunc(d, t.expire)
}

func (t *Server) expire() {
	t.mu.Lock()
	lost := t.lost
	t.clear()
	t.mu.Unlock()
	t.forget()
	if lost != nil {
		lost()
	}
}

// clear is called with t.mu held.
func (t *Server) clear() {
	t.state, t.last, t.lost, t.onCancel = terminated, nil, nil, nil
	stop(t.again)
	stop(t.end)
}

// waits says that the ACK of a final response has not come.
func (t *Server) waits() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.invite && t.last != nil && (t.state == accepted || t.state == completed)
}

// drop ends the transaction without telling anybody.
func (t *Server) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
}

func (t *Server) forget() {
	t.stack.mu.Lock()
	defer t.stack.mu.Unlock()
	if t.stack.servers[t.key] == t {
		delete(t.stack.servers, t.key)
	}
}

func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}
