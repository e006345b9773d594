package sip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/registrar"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// Server is a phone.Network of SIP phones and trunks.
type Server struct {
	opts    Options
	log     *slog.Logger
	stack   *stack.Stack
	digest  *registrar.Digest
	guard   *guard
	address *addresses
	tcpPort uint16         // of the first TCP listener, for Contact and Via; 0 none
	work    sync.WaitGroup // calls being served, hosts being resolved

	mu       sync.Mutex         // guards what follows; taken after a call's lock, never before
	legs     map[string]*leg    // by their local tag: who may get requests within a dialog
	merging  map[string]bool    // INVITEs under way, by what is the same in their copies
	early    map[string]bool    // CANCELs that came before their INVITE
	calls    map[*call]struct{} // that have a leg which has not ended
	lastCall phone.CallID
	closed   bool

	malformed, banned sampler
}

// Listen opens the listeners and begins to take calls.
func Listen(o Options) (*Server, error) {
	o.fill()
	s := &Server{
		opts: o, log: o.Logger,
		legs: map[string]*leg{}, merging: map[string]bool{}, early: map[string]bool{}, calls: map[*call]struct{}{},
	}
	s.guard = newGuard(s.trusted, s.noteBan)
	s.digest = registrar.NewDigest(registrar.DigestOptions{Realm: o.Domain, Algorithms: o.Digest, Account: s.account})
	so := stack.Options{
		Admit: s.guard.admit, Handle: s.handle, Malformed: s.noteMalformed,
		Known: s.known, Dial: o.Connect, Logger: o.Logger,
	}
	if o.Tap != nil {
		so.Tap = s.tap
	}
	s.stack = stack.New(so)
	sockets, err := open(o.Listen)
	if err != nil {
		return nil, err
	}
	var addrs []net.Addr
	for _, l := range sockets {
		addrs = append(addrs, l.addr())
		if l.Stream != nil && s.tcpPort == 0 {
			if ap, err := netip.ParseAddrPort(l.addr().String()); err == nil {
				s.tcpPort = ap.Port()
			}
		}
	}
	s.address = newAddresses(&o, addrs)
	for _, l := range sockets {
		if l.Packet != nil {
			err = errors.Join(err, s.stack.ServeUDP(l.Packet))
		} else {
			err = errors.Join(err, s.stack.ServeTCP(l.Stream))
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.stack.Close())
	}
	return s, nil
}

// open makes the sockets of the listeners, all or none.
func open(ls []Listener) (ready []Listener, err error) {
	for _, l := range ls {
		if l.Packet == nil && l.Stream == nil {
			switch network := l.Network + family(l.Addr); l.Network {
			case "udp":
				l.Packet, err = net.ListenPacket(network, l.Addr)
			case "tcp":
				l.Stream, err = net.Listen(network, l.Addr)
			default:
				err = fmt.Errorf("listen on %s://%s: unknown transport", l.Network, l.Addr)
			}
		}
		if err != nil {
			for _, r := range ready {
				_ = r.close()
			}
			return nil, &phone.Error{Kind: phone.Unreachable, Text: "cannot listen for SIP on " + l.Network + "://" + l.Addr, Err: err}
		}
		ready = append(ready, l)
	}
	return ready, nil
}

// family keeps an IPv4 listener from being a dual-stack one.
func family(addr string) string {
	if ap, err := netip.ParseAddrPort(addr); err == nil && ap.Addr().Is4() {
		return "4"
	}
	return ""
}

func (l Listener) addr() net.Addr {
	if l.Packet != nil {
		return l.Packet.LocalAddr()
	}
	return l.Stream.Addr()
}

func (l Listener) close() error {
	if l.Packet != nil {
		return l.Packet.Close()
	}
	return l.Stream.Close()
}

// Addrs are the addresses listened on, in the order of Options.Listen by kind.
func (s *Server) Addrs() []net.Addr { return s.stack.Addrs() }

// Contacts are the registered phones of a user.
func (s *Server) Contacts(user phone.UserID) []phone.Contact {
	return s.opts.Registrar.Contacts(user)
}

// Calls is how many calls have a leg that lives.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// Idle says that nothing is left of any call: no leg, no transaction.
func (s *Server) Idle() bool {
	s.mu.Lock()
	busy := len(s.legs) + len(s.merging) + len(s.calls)
	s.mu.Unlock()
	return busy == 0 && s.stack.Transactions() == 0 && s.guard.holding() == 0
}

// Shutdown ends all calls and waits, until ctx ends, for the other parties to
// have heard of it; then it closes.
func (s *Server) Shutdown(ctx context.Context) error {
	s.hangUpAll()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.stack.Pending() > 0 && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return s.Close()
}

// Close ends all calls at once, and the listeners. When it returns, nothing of
// the server runs.
func (s *Server) Close() error {
	s.hangUpAll()
	err := s.stack.Close()
	for _, c := range s.living() {
		c.abandon()
	}
	s.work.Wait()
	return err
}

func (s *Server) hangUpAll() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, c := range s.living() {
		c.hangUp(phone.CauseInterrupted)
	}
}

// alive says that Close was not called yet, so that work may be begun.
func (s *Server) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed
}

// living are the calls that have a leg which has not ended.
func (s *Server) living() []*call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.calls))
}

// handle is where every request begins that no transaction knows.
func (s *Server) handle(in *stack.Incoming) {
	req := in.Request
	switch {
	case req.Via() == nil:
		return // an answer would reach nobody
	case in.Broken != 0 || !stack.Complete(req):
		s.refuseBroken(in)
		return
	case req.IsAck():
		s.ack(in)
		return
	}
	if r := validate(req); r != nil {
		s.refuse(in, r.status, r.headers...)
		return
	}
	switch tag := tagOf(req.To().Params); {
	case req.IsCancel():
		s.cancel(in)
	case req.Method == sip.REGISTER:
		s.register(in)
	case tag != "":
		s.inDialog(in, tag)
	default:
		s.newRequest(in)
	}
}

// refuseBroken answers a request that cannot be read, if it comes from somebody
// whom we know; a stranger's is dropped.
func (s *Server) refuseBroken(in *stack.Incoming) {
	if !s.known(in.Flow.Remote) || in.Request.IsAck() {
		return
	}
	s.refuse(in, max(in.Broken, 400))
}

// newRequest handles a request outside a dialog.
func (s *Server) newRequest(in *stack.Incoming) {
	method := string(in.Request.Method)
	if method == "BYE" {
		s.refuse(in, 481)
		return
	}
	if method == "OPTIONS" && s.known(in.Flow.Remote) {
		s.options(in)
		return
	}
	who, ok := s.identify(in)
	switch {
	case !ok:
	case method == "INVITE":
		s.invite(in, who)
	case method == "OPTIONS":
		s.options(in)
	default:
		s.refuseMethod(in)
	}
}

// options says that we are here, or that we are about to go.
func (s *Server) options(in *stack.Incoming) {
	if s.opts.Draining() {
		e := endingOf(phone.CauseDraining)
		s.refuse(in, e.status, e.headers()...)
		return
	}
	s.refuse(in, 200, stack.Header{Name: "Allow", Value: allowed}, stack.Header{Name: "Accept", Value: "application/sdp"})
}

// refuseMethod answers a method that is not carried out. REFER, SUBSCRIBE,
// MESSAGE and their like reach nobody, whoever sends them.
func (s *Server) refuseMethod(in *stack.Incoming) {
	s.refuse(in, methodStatus(string(in.Request.Method)), stack.Header{Name: "Allow", Value: allowed})
}

func methodStatus(method string) int {
	if known[strings.ToUpper(method)] {
		return 405
	}
	return 501
}

// cancel answers a CANCEL and hands it to the INVITE that it is for.
func (s *Server) cancel(in *stack.Incoming) {
	if tx := in.Cancels(); tx != nil {
		in.See(tx.Owner())
		s.refuse(in, 200)
		tx.Cancel()
		return
	}
	if s.known(in.Flow.Remote) {
		s.rememberCancel(in)
	}
	s.refuse(in, 481)
}

// earlyFor is how long a CANCEL waits for an INVITE that it overtook, and
// maxEarly how many do.
const (
	earlyFor = 2 * time.Second
	maxEarly = 1000
)

func (s *Server) rememberCancel(in *stack.Incoming) {
	key := mergeKey(in.Request)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.early) >= maxEarly || s.early[key] {
		return
	}
	s.early[key] = true
	time.AfterFunc(earlyFor, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.early, key)
	})
}

// cancelledEarly says that an INVITE was cancelled before it came.
func (s *Server) cancelledEarly(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.early[key]
}

// mergeKey is what copies of one request have in common that took different ways
// (RFC 3261 §8.2.2.2).
func mergeKey(req *sip.Request) string {
	return fmt.Sprintf("%s %s %d", req.CallID().Value(), tagOf(req.From().Params), req.CSeq().SeqNo)
}

// refuse answers without a transaction and without memory: a repeated request
// gets the same again. (It serves 200 to OPTIONS and CANCEL too.)
func (s *Server) refuse(in *stack.Incoming, status int, headers ...stack.Header) {
	s.opts.Count(string(in.Request.Method), status)
	in.Reply(in.Head().Wire(stack.Response{Status: status, Tag: s.address.tag(in), Headers: headers}))
}

// newCallID is the time in microseconds, moved on where two would share it.
func (s *Server) newCallID(now time.Time) phone.CallID {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastCall = max(s.lastCall+1, phone.CallID(now.UnixMicro()))
	return s.lastCall
}

// trusted says what a source is without looking into its messages.
func (s *Server) trusted(from netip.AddrPort) (trunk, registered bool) {
	_, trunk = s.opts.Directory().TrunkFor(from)
	return trunk, !trunk && s.opts.Registrar.Holds(from.Addr())
}

// known says that a source is a trunk's, or has a phone registered.
func (s *Server) known(from netip.AddrPort) bool {
	trunk, registered := s.trusted(from)
	return trunk || registered
}

// noteBan logs that a source is dropped, one line in ten seconds.
func (s *Server) noteBan(from netip.Addr, why string) {
	if n := s.banned.take(time.Now()); n > 0 {
		s.log.Warn("sources of SIP messages dropped", "count", n, "last", from.String(), "why", why)
	}
}

// noteMalformed logs one malformed message in ten seconds, with how many there
// were; never its text.
func (s *Server) noteMalformed(from netip.AddrPort, err error) {
	if n := s.malformed.take(time.Now()); n > 0 {
		s.log.Warn("malformed SIP messages", "count", n, "last_from", from.Addr().String())
	}
}

// sampler lets one event pass in samplePause and counts the others.
type sampler struct {
	mu    sync.Mutex
	last  time.Time
	count int
}

const samplePause = 10 * time.Second

func (p *sampler) take(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	if now.Sub(p.last) < samplePause {
		return 0
	}
	n := p.count
	p.last, p.count = now, 0
	return n
}
