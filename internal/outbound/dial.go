package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// fallbackDelay is the head start of the first address family (RFC 8305 §5).
const fallbackDelay = 300 * time.Millisecond

// dialer resolves, checks and connects. The check stands in the socket's own
// control hook, after the last name lookup, so that no answer of the DNS can
// change between check and connect.
type dialer struct {
	guard   *Guard
	resolve func(context.Context, string) ([]netip.Addr, error)
	tls     *tls.Config
}

func (d *dialer) plain(ctx context.Context, _, hostport string) (net.Conn, error) {
	return d.dial(ctx, hostport, nil)
}

func (d *dialer) secure(ctx context.Context, _, hostport string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	conf := d.tls.Clone()
	conf.ServerName = host
	return d.dial(ctx, hostport, conf)
}

// dial does DNS, connect and TLS within one limit, the one that the request set.
func (d *dialer) dial(ctx context.Context, hostport string, conf *tls.Config) (net.Conn, error) {
	t, within := attemptOf(ctx)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := d.connect(ctx, hostport, t)
	if err != nil {
		return nil, classed(ctx, err)
	}
	if conf == nil {
		return &countedConn{Conn: conn}, nil
	}
	start := time.Now()
	secured := tls.Client(conn, conf)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		err = classed(ctx, err)
		if e := (*Error)(nil); errors.As(err, &e) && (e.Class == Reset || e.Class == Refused) {
			e.Class = TLS // the other side hung up on our handshake
		}
		return nil, err
	}
	t.set(func(t *Timings) { t.TLS = time.Since(start) })
	return &countedConn{Conn: secured}, nil
}

// classed names the cause; the dialling deadline wins over what it led to.
func classed(ctx context.Context, err error) error {
	class := ClassOf(err)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && class != Blocked {
		class = Timeout
	}
	return &Error{Class: class, Unsent: true, Err: err}
}

func (d *dialer) connect(ctx context.Context, hostport string, t *Timings) (net.Conn, error) {
	host, port, err := splitPort(hostport)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	addrs, err := d.addresses(ctx, host)
	t.set(func(t *Timings) { t.DNS = time.Since(start) })
	if err != nil {
		return nil, err
	}
	start = time.Now()
	conn, err := d.race(ctx, strings.ToLower(hostport), port, addrs)
	t.set(func(t *Timings) {
		t.Connect = time.Since(start)
		t.Address = netip.AddrPortFrom(addrs[0].Unmap(), port).String()
		if err == nil {
			t.Address = conn.RemoteAddr().String()
		}
	})
	return conn, err
}

func (d *dialer) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	addrs, err := d.resolve(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	if err != nil {
		if e := (*net.DNSError)(nil); !errors.As(err, &e) && ctx.Err() == nil {
			err = &net.DNSError{Err: err.Error(), Name: host}
		}
		return nil, err
	}
	return addrs, nil
}

// race tries the first address's family, and the other one too when that takes
// longer than fallbackDelay or fails (RFC 8305).
func (d *dialer) race(ctx context.Context, hostport string, port uint16, addrs []netip.Addr) (net.Conn, error) {
	var first, second []netip.Addr
	for _, a := range addrs {
		if a.Unmap().Is4() == addrs[0].Unmap().Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	if len(second) == 0 {
		return d.sequence(ctx, hostport, port, first)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result) // each try sends once; drained below
	try := func(list []netip.Addr) {
		conn, err := d.sequence(ctx, hostport, port, list)
		results <- result{conn, err}
	}
	go try(first)
	timer := time.NewTimer(fallbackDelay)
	defer timer.Stop()
	running, started := 1, false
	var firstErr error
	for {
		select {
		case <-timer.C:
		case r := <-results:
			running--
			if r.err == nil {
				cancel()
				if running > 0 {
					if other := <-results; other.err == nil {
						_ = other.conn.Close()
					}
				}
				return r.conn, nil
			}
			if firstErr == nil {
				firstErr = r.err
			}
		}
		if !started {
			started = true
			running++
			go try(second)
		} else if running == 0 {
			return nil, firstErr
		}
	}
}

// sequence dials one address after the other; each gets its share of the time left.
func (d *dialer) sequence(ctx context.Context, hostport string, port uint16, addrs []netip.Addr) (net.Conn, error) {
	var firstErr error
	for i, a := range addrs {
		conn, err := d.one(ctx, hostport, netip.AddrPortFrom(a.Unmap(), port), len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		if firstErr == nil {
			firstErr = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, firstErr
}

func (d *dialer) one(ctx context.Context, hostport string, addr netip.AddrPort, share int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && share > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(share))
		defer cancel()
	}
	nd := net.Dialer{
		KeepAlive: 15 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !d.guard.permits(hostport, to) {
				return fmt.Errorf("%w: %s", ErrBlocked, address)
			}
			return nil
		},
	}
	return nd.DialContext(ctx, "tcp", addr.String())
}

func splitPort(hostport string) (string, uint16, error) {
	host, text, err := net.SplitHostPort(hostport)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return host, uint16(port), err
}

// countedConn counts what came in, so that an answer whose headers never end can
// be told from one that broke off.
type countedConn struct {
	net.Conn
	read atomic.Int64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}
