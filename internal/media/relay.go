package media

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// ErrNoPorts says that every port of the range is in use or was a moment ago:
// the call gets 503, or its next step, but never silence.
var ErrNoPorts = &phone.Error{Kind: phone.Busy, Text: "no media ports are free"}

// Bounds and defaults of Options.
const (
	DefaultMinPort = 20000
	DefaultMaxPort = 29999
)

// Options of a Relay.
type Options struct {
	// MinPort and MaxPort are the range of UDP ports, both included, 1024–65535.
	// A side of a call takes two: RTP on an even port, RTCP on the next.
	// Zero: 20000–29999, which is enough for 2,500 calls.
	MinPort, MaxPort int
	// Addr is where the sockets are bound. Zero: every address of the machine.
	Addr netip.Addr
	// ListenPacket opens a socket. Nil: UDP. Tests give an in-memory network.
	ListenPacket func(netip.AddrPort) (net.PacketConn, error)
	// Logger: nil logs nothing.
	Logger *slog.Logger
}

// Relay hands out sessions on a range of ports. It is safe for concurrent use.
type Relay struct {
	options Options
	log     *slog.Logger

	mu       sync.Mutex // guards ports and what follows
	ports    ports
	sessions map[*Session]struct{}
	closed   bool
}

// NewRelay makes a relay; it opens nothing yet.
func NewRelay(o Options) *Relay {
	if o.MinPort == 0 && o.MaxPort == 0 {
		o.MinPort, o.MaxPort = DefaultMinPort, DefaultMaxPort
	}
	if !o.Addr.IsValid() {
		o.Addr = netip.IPv6Unspecified()
	}
	if o.ListenPacket == nil {
		o.ListenPacket = listenUDP
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Relay{
		options:  o,
		log:      o.Logger,
		ports:    newPorts(o.MinPort, o.MaxPort),
		sessions: map[*Session]struct{}{},
	}
}

// Open begins a call's media with its caller-side ports. ErrNoPorts when there
// are none.
func (r *Relay) Open() (*Session, error) {
	s := &Session{relay: r}
	p, err := r.openPair()
	if err != nil {
		return nil, err
	}
	s.sides[CallerSide].pair = p
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed { // closed between openPair and here
		p.close()
		return nil, net.ErrClosed
	}
	r.sessions[s] = struct{}{}
	return s, nil
}

// Sessions is how many are open.
func (r *Relay) Sessions() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sessions)
}

// Close closes all sessions. Open fails from then on.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	open := make([]*Session, 0, len(r.sessions))
	for s := range r.sessions {
		open = append(open, s)
	}
	r.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
	r.cool()
	return nil
}

// pair is an RTP socket and its RTCP socket on the next port.
type pair struct {
	port      int
	rtp, rtcp conn
	closed    bool
}

// maxBinds is how many ports openPair tries that another program may hold.
const maxBinds = 32

// openPair takes a free port, with the sockets that it kept or new ones.
func (r *Relay) openPair() (*pair, error) {
	for range maxBinds {
		f, err := r.take()
		if err != nil {
			return nil, err
		}
		if f.pair != nil {
			if f.pair.deadline(time.Time{}) == nil {
				return f.pair, nil
			}
			f.pair.close() // a network without deadlines
		}
		p, err := r.bind(f.port)
		if err == nil {
			return p, nil
		}
		r.put(freePort{port: f.port})
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			r.log.Warn("media port is held by another program", "port", f.port)
		case errors.Is(err, syscall.EMFILE) && r.cool(): // files are scarce: rest without them
		default:
			return nil, fmt.Errorf("%w: %w", ErrNoPorts, err)
		}
	}
	return nil, fmt.Errorf("%w: other programs hold them", ErrNoPorts)
}

func (r *Relay) bind(port int) (*pair, error) {
	rtp, err := r.listen(port)
	if err != nil {
		return nil, err
	}
	rtcp, err := r.listen(port + 1)
	if err != nil {
		rtp.close()
		return nil, err
	}
	return &pair{port: port, rtp: rtp, rtcp: rtcp}, nil
}

func (r *Relay) listen(port int) (conn, error) {
	c, err := r.options.ListenPacket(netip.AddrPortFrom(r.options.Addr, uint16(port)))
	if err != nil {
		return nil, err
	}
	return wrap(c), nil
}

// deadline ends what reads the sockets, or, when zero, lets it read.
func (p *pair) deadline(at time.Time) error {
	return errors.Join(p.rtp.SetReadDeadline(at), p.rtcp.SetReadDeadline(at))
}

func (p *pair) close() {
	p.closed = true
	p.rtp.close()
	p.rtcp.close()
}

func (r *Relay) take() (freePort, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return freePort{}, net.ErrClosed
	}
	f, ok := r.ports.take(time.Now())
	if !ok {
		return freePort{}, ErrNoPorts
	}
	return f, nil
}

// rest gives a port back with its sockets, which nobody reads any more.
func (r *Relay) rest(p *pair) {
	f := freePort{port: p.port, pair: p}
	if p.closed {
		f.pair = nil
	}
	r.put(f)
}

func (r *Relay) put(f freePort) {
	r.mu.Lock()
	f.since = time.Now()
	kept := r.ports.put(f)
	if r.closed && kept && f.pair != nil {
		defer r.cool()
	}
	r.mu.Unlock()
	if !kept {
		f.pair.close()
	}
}

// cool closes the sockets of ports that rest, and says whether there were any.
func (r *Relay) cool() bool {
	r.mu.Lock()
	pairs := r.ports.cool()
	r.mu.Unlock()
	for _, p := range pairs {
		p.close()
	}
	return len(pairs) > 0
}
