package stack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Bounds of connections.
const (
	maxConns     = 4096
	maxStrangers = 1024 // of them
	maxQueued    = 64   // messages waiting for a slow peer; more, and it is cut off

	// idleKnown is longer than a phone may take to register again, idleStranger as
	// long as a transaction.
	idleKnown    = time.Hour + time.Minute
	idleStranger = Lifetime
)

// tcpEnd is one connection. Its reader closes it; others ask for that through
// close.
type tcpEnd struct {
	stack         *Stack
	conn          net.Conn
	local, remote netip.AddrPort
	out           chan []byte // sent by anybody, never closed; the buffer is what a slow peer may owe
	done          chan struct{}
	once          sync.Once
}

// ServeTCP begins to accept connections; the listener is the stack's from now on.
func (s *Stack) ServeTCP(l net.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.listeners = append(s.listeners, l)
	s.work.Go(func() { s.accept(l) })
	return nil
}

func (s *Stack) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			if !s.opts.Admit("tcp", addrPort(conn.RemoteAddr()), nil) {
				_ = conn.Close()
				continue
			}
			_, _ = s.addConn(conn)
		case s.isClosed():
			return
		case errors.Is(err, net.ErrClosed):
			s.log.Error("sip listener ended: no connections arrive on it any more", "addr", l.Addr().String(), "err", err)
			return
		default: // out of file descriptors, connection gone before it was taken
			select {
			case <-time.After(100 * time.Millisecond):
			case <-s.done:
				return
			}
		}
	}
}

func (s *Stack) addConn(conn net.Conn) (*tcpEnd, error) {
	c := &tcpEnd{
		stack: s, conn: conn,
		local: addrPort(conn.LocalAddr()), remote: addrPort(conn.RemoteAddr()),
		out: make(chan []byte, maxQueued), done: make(chan struct{}),
	}
	if s.crowded(c.remote) {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: too many connections", ErrNoFlow)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= maxConns || s.conns[c.remote] != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: too many connections", ErrNoFlow)
	}
	s.conns[c.remote] = c
	s.work.Go(c.read)
	s.work.Go(c.drain)
	return c, nil
}

// crowded says that a source is a stranger and that there are enough of those.
func (s *Stack) crowded(from netip.AddrPort) bool {
	s.mu.Lock()
	all := make([]netip.AddrPort, 0, len(s.conns))
	for remote := range s.conns {
		all = append(all, remote)
	}
	s.mu.Unlock()
	if len(all) < maxStrangers || s.opts.Known(from) {
		return false
	}
	strangers := 0
	for _, remote := range all {
		if !s.opts.Known(remote) {
			strangers++
		}
	}
	return strangers >= maxStrangers
}

// idle is how long a connection may be silent.
func (s *Stack) idle(from netip.AddrPort) time.Duration {
	if s.opts.Known(from) {
		return idleKnown
	}
	return idleStranger
}

func (c *tcpEnd) flow() Flow {
	return Flow{Transport: "tcp", Local: c.local, Remote: c.remote, end: c}
}

func (c *tcpEnd) close() {
	c.once.Do(func() {
		close(c.done)
		_ = c.conn.Close()
	})
}

// write queues a copy.
func (c *tcpEnd) write(b []byte, _ netip.AddrPort) error {
	select {
	case <-c.done:
		return ErrNoFlow
	default:
	}
	select {
	case c.out <- bytes.Clone(b):
		return nil
	default:
		c.close()
		return fmt.Errorf("%w: the peer does not read", ErrNoFlow)
	}
}

func (c *tcpEnd) drain() {
	for {
		select {
		case b := <-c.out:
			_ = c.conn.SetWriteDeadline(time.Now().Add(Lifetime))
			if _, err := c.conn.Write(b); err != nil {
				c.close()
				return
			}
		case <-c.done:
			return
		}
	}
}

func (c *tcpEnd) read() {
	defer c.stack.lost(c)
	defer c.close()
	stream := c.stack.parser.NewSIPStream()
	defer stream.Close()
	buf := make([]byte, 4096)
	for {
		_ = c.conn.SetReadDeadline(time.Now().Add(c.stack.idle(c.remote)))
		n, err := c.conn.Read(buf)
		if err != nil {
			return
		}
		data := buf[:n]
		if stream.Buffer().Len() == 0 && isKeepAlive(data) {
			if bytes.Equal(data, []byte("\r\n\r\n")) { // ping and pong of RFC 5626 §3.5.1
				_ = c.write([]byte("\r\n"), c.remote)
			}
			continue
		}
		if !c.stack.opts.Admit("tcp", c.remote, data) {
			return
		}
		if err := c.messages(stream, data); err != nil {
			c.stack.opts.Malformed(c.remote, err)
			return // where the next message begins is lost with this one
		}
	}
}

// messages handles those that data completes.
func (c *tcpEnd) messages(stream *sip.ParserStream, data []byte) error {
	_, _ = stream.Write(data)
	for stream.Buffer().Len() > 0 {
		msg, err := next(stream)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil // the rest is still to come
		}
		if err != nil {
			return err
		}
		if m, ok := msg.(Message); !ok || !Clean(m) {
			return errMalformed
		}
		c.stack.message(msg, c.flow(), nil)
	}
	return nil
}

func next(stream *sip.ParserStream) (msg sip.Message, err error) {
	defer func() { // as in parse
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errMalformed, r)
		}
	}()
	msg, _, err = stream.ParseNext()
	return msg, err
}

// lost ends the client transactions of a connection that is gone.
func (s *Stack) lost(c *tcpEnd) {
	s.mu.Lock()
	if s.conns[c.remote] == c {
		delete(s.conns, c.remote)
	}
	var orphans []*Client
	for _, t := range s.clients {
		if t.flow.end == c {
			orphans = append(orphans, t)
		}
	}
	s.mu.Unlock()
	for _, t := range orphans {
		t.fail(ErrNoFlow)
	}
}
