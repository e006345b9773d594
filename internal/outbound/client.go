package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of every request.
const (
	MaxHeaderBytes = 64 << 10         // of a response's status line and headers
	DefaultConnect = time.Second      // DNS, connect and TLS together
	idleTimeout    = 30 * time.Second // a connection kept for the next request
	idlePerHost    = 64
)

// Options say what may be reached. The zero value allows public addresses only.
type Options struct {
	// Allow are networks ("10.0.0.0/8"), addresses, or host:port that may be
	// dialled beside public addresses. A metadata address must be named alone.
	Allow []string
	// Resolver turns a name into addresses; nil: the system's. Used by tests.
	Resolver func(ctx context.Context, host string) ([]netip.Addr, error)
	RootCAs  *x509.CertPool // whom TLS trusts; nil: the system's
}

// Client is safe for use by any number of goroutines.
type Client struct {
	guard     *Guard
	transport *http.Transport
	own       atomic.Pointer[ownServer]
	serving   sync.WaitGroup // requests to ourselves
}

// New makes a client. It fails only when Options.Allow cannot be read.
func New(o Options) (*Client, error) {
	guard, err := newGuard(o.Allow)
	if err != nil {
		return nil, err
	}
	d := &dialer{guard: guard, resolve: o.Resolver, tls: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs}}
	if d.resolve == nil {
		d.resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	// HTTP/1.1 only: one request a connection keeps timings, limits and the
	// question "was a byte sent" simple, and shuts out HTTP/2's floods.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &Client{guard: guard, transport: &http.Transport{
		DialContext:            d.plain,
		DialTLSContext:         d.secure,
		Protocols:              protocols,
		MaxIdleConns:           1024,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: MaxHeaderBytes,
		DisableCompression:     true, // who reads the body decompresses it, within a limit
	}}, nil
}

// Close drops idle connections and waits for requests to ourselves.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
	c.serving.Wait()
}

// Do sends one request and returns once its headers are there. No redirect is
// followed. connect bounds DNS, connect and TLS together (0: DefaultConnect);
// everything else ends with ctx. t, if not nil, is filled as things happen.
// Errors are *Error.
func (c *Client) Do(ctx context.Context, req *http.Request, connect time.Duration, t *Timings) (*http.Response, error) {
	if t == nil {
		t = new(Timings)
	}
	if connect <= 0 {
		connect = DefaultConnect
	}
	switch own := c.own.Load(); own.judge(req.URL) {
	case inProcess:
		t.set(func(t *Timings) { t.Address = InProcess })
		return c.serveOwn(ctx, own, req, t)
	case forbidden:
		return nil, &Error{Class: Blocked, Unsent: true, Err: ErrBlocked}
	}
	a := &attempt{timings: t, connect: connect, start: time.Now()}
	ctx = context.WithValue(ctx, attemptKey{}, a)
	resp, err := c.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, a.hooks())))
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	return resp, nil
}

// failed makes an *Error of what the transport said.
func (a *attempt) failed(ctx context.Context, err error) error {
	out := &Error{Class: ClassOf(err), Unsent: !a.sent.Load(), Err: err}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		out.Class = Cancelled
	case ctx.Err() != nil:
		out.Class = Timeout
	case out.Class == Reset && a.received() >= MaxHeaderBytes:
		out.Class = TooLarge
	}
	return out
}

// AllowsPlain says that the settings name this host, so that a credential may go
// there without TLS, or that it is ourselves and no network is involved.
func (c *Client) AllowsPlain(host, port string) bool {
	hostport := net.JoinHostPort(strings.ToLower(host), port)
	if c.guard.hosts[hostport] {
		return true
	}
	if own := c.own.Load(); own != nil && own.bases["http://"+hostport] {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && contains(c.guard.networks, ip.Unmap())
}
