package stack

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Timers of RFC 3261 §17.1.1.1 and its table 4.
const (
	T1 = 500 * time.Millisecond // round trip
	T2 = 4 * time.Second        // longest pause between retransmissions
	T4 = 5 * time.Second        // how long a message may stay in the network

	// Lifetime is 64·T1: timers B, F, H, J, L and M.
	Lifetime = 64 * T1
)

// MaxMessage is the longest message read, in bytes.
const MaxMessage = 64<<10 - 1

var (
	// ErrTimeout says that no final response came within Lifetime.
	ErrTimeout = errors.New("no answer from the network")
	// ErrFinal says that the transaction has had its final response.
	ErrFinal = errors.New("a final response was sent already")
	// ErrNoFlow says that there is no way to the peer: its connection is closed,
	// or no listener has its address family.
	ErrNoFlow = errors.New("no connection to the peer")
)

// Options of a Stack.
type Options struct {
	// Admit says whether bytes from a source are read at all: a datagram before
	// it is parsed, or a new connection (data nil). Nil: all are.
	Admit func(transport string, source netip.AddrPort, data []byte) bool
	// Handle takes each request that no transaction knows, in the order of
	// arrival of its socket. It holds no control characters (Clean). Handle must
	// not block: the socket waits for it.
	Handle func(*Incoming)
	// Malformed, if set, hears of messages that could not be parsed.
	Malformed func(source netip.AddrPort, err error)
	// Tap, if set, sees every message that has an owner, retransmissions too.
	// raw is only valid during the call.
	Tap func(m Seen)
	// Known says that a source is somebody whom we deal with: its connections may
	// be silent for longer and are not counted with those of strangers. Nil: all
	// are.
	Known func(source netip.AddrPort) bool
	// Dial opens connections to trunks. Nil: TCP, within 5 s.
	Dial func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	// Logger: nil logs nothing.
	Logger *slog.Logger
}

// Seen is one message as it went over the wire.
type Seen struct {
	Owner int64 // whose transaction it belongs to, never 0
	Sent  bool  // by us
	Flow  Flow
	Raw   []byte // credentials included: mask them before keeping it
}

// Stack is a set of listeners, connections and transactions. It is safe for
// concurrent use.
type Stack struct {
	opts   Options
	log    *slog.Logger
	parser *sip.Parser
	done   chan struct{}
	work   sync.WaitGroup // readers and writers

	mu        sync.Mutex // guards what follows; never held while calling out
	udp       []*udpEnd
	listeners []net.Listener
	conns     map[netip.AddrPort]*tcpEnd
	servers   map[string]*Server
	clients   map[string]*Client
	closed    bool
}

// New makes a stack without listeners.
func New(o Options) *Stack {
	if o.Admit == nil {
		o.Admit = func(string, netip.AddrPort, []byte) bool { return true }
	}
	if o.Malformed == nil {
		o.Malformed = func(netip.AddrPort, error) {}
	}
	if o.Known == nil {
		o.Known = func(netip.AddrPort) bool { return true }
	}
	if o.Dial == nil {
		o.Dial = dialTCP
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Stack{
		opts:    o,
		log:     o.Logger,
		parser:  sip.NewParser(),
		done:    make(chan struct{}),
		conns:   map[netip.AddrPort]*tcpEnd{},
		servers: map[string]*Server{},
		clients: map[string]*Client{},
	}
}

// Close closes all sockets and connections and forgets all transactions,
// without telling their users. When it returns, nothing of the stack runs.
func (s *Stack) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.done)
	servers, clients, conns := s.servers, s.clients, s.conns
	s.servers, s.clients, s.conns = map[string]*Server{}, map[string]*Client{}, map[netip.AddrPort]*tcpEnd{}
	s.mu.Unlock()
	var err error
	for _, l := range s.listeners {
		err = errors.Join(err, l.Close())
	}
	for _, u := range s.udp {
		err = errors.Join(err, u.conn.Close())
	}
	for _, c := range conns {
		c.close()
	}
	for _, t := range servers {
		t.drop()
	}
	for _, t := range clients {
		t.drop()
	}
	s.work.Wait()
	return err
}

// Transactions is how many live: 0 when everything is over.
func (s *Stack) Transactions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.servers) + len(s.clients)
}

// Pending is how many transactions wait for the other party: for an answer, or
// for the ACK of ours.
func (s *Stack) Pending() (n int) {
	s.mu.Lock()
	servers, clients := slices.Collect(maps.Values(s.servers)), slices.Collect(maps.Values(s.clients))
	s.mu.Unlock()
	for _, t := range servers {
		if t.waits() {
			n++
		}
	}
	for _, t := range clients {
		if t.waits() {
			n++
		}
	}
	return n
}

// Addrs are the addresses listened on.
func (s *Stack) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []net.Addr
	for _, u := range s.udp {
		all = append(all, u.conn.LocalAddr())
	}
	for _, l := range s.listeners {
		all = append(all, l.Addr())
	}
	return all
}

// message sorts a parsed message to its transaction, or hands it up.
func (s *Stack) message(msg sip.Message, f Flow, raw []byte) {
	switch m := msg.(type) {
	case *sip.Request:
		s.request(m, f, raw)
	case *sip.Response:
		s.response(m, f, raw)
	}
}

func (s *Stack) request(req *sip.Request, f Flow, raw []byte) {
	in := &Incoming{Request: req, Flow: f, Raw: raw, stack: s, key: serverKey(req, string(req.Method))}
	if t := s.server(in.key); in.key != "" && t != nil && t.absorb(in) {
		return
	}
	s.opts.Handle(in)
}

func (s *Stack) server(key string) *Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.servers[key]
}

func (s *Stack) response(res *sip.Response, f Flow, raw []byte) {
	if !Complete(res) {
		s.opts.Malformed(f.Remote, errMalformed)
		return
	}
	key := clientKey(Param(res.Via().Params, "branch"), string(res.CSeq().MethodName))
	s.mu.Lock()
	t := s.clients[key]
	s.mu.Unlock()
	if t != nil {
		t.receive(res, f, raw)
	}
}

// send writes a message and shows it to the tap.
func (s *Stack) send(f Flow, to netip.AddrPort, wire []byte, owner int64) error {
	if f.end == nil {
		return ErrNoFlow
	}
	f.Remote = to
	s.see(owner, true, f, wire)
	return f.end.write(wire, to)
}

func (s *Stack) see(owner int64, sent bool, f Flow, raw []byte) {
	if s.opts.Tap != nil && owner != 0 {
		s.opts.Tap(Seen{Owner: owner, Sent: sent, Flow: f, Raw: raw})
	}
}
