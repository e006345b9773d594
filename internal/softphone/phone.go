package softphone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// Options of a Phone.
type Options struct {
	// Account is user@host or user@host:port (5060). Empty: the phone does not
	// register, it only listens and calls, as a carrier does.
	Account  string
	Password secret.Text
	// Server is the host:port that requests are sent to. Empty: the account's.
	Server string
	// Transport is "udp" (when empty) or "tcp".
	Transport string
	// Listen is our own address. Zero: the one that leads to the server, or
	// 127.0.0.1 without a server; port 0: a free one.
	Listen netip.AddrPort
	// Expires is how long a registration is asked for, 300 s when 0. It is renewed
	// at half of what the server grants.
	Expires time.Duration
	// Lines is how many calls it takes at a time, 1 when 0; more get 486.
	Lines int
	Behaviour
	// OnEvent is told what happens, one event at a time. It must be quick and must
	// not call the phone. Nil: nobody is.
	OnEvent func(Event)
	// Logger gets protocol faults. Nil: nobody does.
	Logger *slog.Logger
}

// Behaviour is what a phone does with a call.
type Behaviour struct {
	// AnswerAfter is how long it rings before it answers, or refuses. Negative: it
	// rings until the caller gives up.
	AnswerAfter time.Duration
	// Reject is the final status it refuses with, 300–699. 0: it answers.
	Reject int
	// HangUpAfter is how long it talks. 0: until the other side hangs up.
	HangUpAfter time.Duration
	// Tone is what it plays in a call, in Hz. 0: 440. Negative: nothing.
	Tone float64
}

// Phone is a SIP phone.
type Phone struct {
	options Options
	name    string // in events and logs
	user    string // of the account
	domain  string // of the account, with its port
	server  string
	stack   *stack

	registered chan struct{} // closed at the first registration

	ctx  context.Context // of all calls; cancelled to end them
	stop context.CancelFunc

	mu        sync.Mutex // guards what follows
	behaviour Behaviour
	dialogs   map[string]*dialog // by key
	incoming  int                // of them, the calls to us
	closing   bool
	active    sync.WaitGroup // calls: added under mu and not when closing

	telling sync.Mutex // held while OnEvent runs
}

// New checks the options and takes a port, so that Addr is known; Run or Close
// must follow.
func New(o Options) (*Phone, error) {
	user, domain, registers := strings.Cut(o.Account, "@")
	if o.Account != "" && (!registers || user == "" || domain == "") || strings.ContainsFunc(o.Account, breaks) {
		return nil, invalid("the account %q is not of the form user@host", o.Account)
	}
	if o.Reject != 0 && (o.Reject < 300 || o.Reject > 699) {
		return nil, invalid("%d is not a status to refuse with: 300–699", o.Reject)
	}
	if o.Server == "" {
		o.Server = domain
	}
	server, err := withPort(o.Server)
	if err != nil {
		return nil, err
	}
	s, err := openStack(o.Transport, o.Listen, server, o.Logger)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Phone{
		options:    o,
		name:       user,
		user:       user,
		domain:     domain,
		server:     server,
		stack:      s,
		registered: make(chan struct{}),
		ctx:        ctx,
		stop:       stop,
		behaviour:  o.Behaviour,
		dialogs:    map[string]*dialog{},
	}
	if user == "" {
		p.name = s.addr.String()
	}
	p.handle()
	return p, nil
}

// Addr is where the phone listens.
func (p *Phone) Addr() netip.AddrPort { return p.stack.addr }

// Registered is closed when the server has first taken the registration.
func (p *Phone) Registered() <-chan struct{} { return p.registered }

// Behave changes what is done with the calls that come from now on.
func (p *Phone) Behave(b Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviour = b
}

// Run registers, serves calls and keeps the registration until ctx is done; then
// it hangs up, un-registers and returns nil. When the first registration fails,
// it returns why.
func (p *Phone) Run(ctx context.Context) error {
	defer p.Close()
	p.stack.serve()
	if p.user == "" {
		<-ctx.Done()
		return nil
	}
	r := newRegistration(p)
	if err := r.keep(ctx); err != nil {
		return err
	}
	p.endCalls()
	r.remove(context.WithoutCancel(ctx))
	return nil
}

// Close ends all calls and frees the port. Safe to call twice.
func (p *Phone) Close() error {
	p.endCalls()
	p.stack.close()
	return nil
}

// endCalls hangs up and waits until every call has.
func (p *Phone) endCalls() {
	p.mu.Lock()
	p.closing = true
	p.mu.Unlock()
	p.stop()
	p.active.Wait()
}

// begin enters a call, unless the phone is closing.
func (p *Phone) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return false
	}
	p.active.Add(1)
	return true
}

// tell hands an event to whoever wants it.
func (p *Phone) tell(e Event) {
	if p.options.OnEvent == nil {
		return
	}
	p.telling.Lock()
	defer p.telling.Unlock()
	e.Phone, e.At = p.name, time.Now()
	p.options.OnEvent(e)
}

// withPort adds SIP's port to a host that has none.
func withPort(server string) (string, error) {
	if server == "" {
		return "", nil
	}
	if addr, err := netip.ParseAddr(strings.Trim(server, "[]")); err == nil {
		return netip.AddrPortFrom(addr, 5060).String(), nil
	}
	if !strings.Contains(server, ":") {
		return server + ":5060", nil
	}
	if _, _, err := net.SplitHostPort(server); err != nil {
		return "", invalid("%q is not a host:port", server)
	}
	return server, nil
}

func invalid(format string, a ...any) error {
	return &phone.Error{Kind: phone.Invalid, Text: fmt.Sprintf(format, a...)}
}

// unreachable says that a server does not answer.
func unreachable(server string, err error) error {
	return &phone.Error{Kind: phone.Unreachable, Text: "nobody answers at " + server, Err: err}
}

// errNoCodec becomes 488.
var errNoCodec = errors.New("no codec in common: this phone speaks G.711 only")
