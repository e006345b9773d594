package softphone

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/phone"
)

// stack is the SIP transport of a phone: sipgo on one socket of ours.
type stack struct {
	network string // "UDP" or "TCP"
	addr    netip.AddrPort
	ua      *sipgo.UserAgent
	client  *sipgo.Client
	server  *sipgo.Server

	packets  net.PacketConn // UDP
	listener net.Listener   // TCP: where a server may connect to

	start   sync.Once
	ready   chan struct{} // closed when requests can be sent
	running sync.WaitGroup
	stop    sync.Once
}

func openStack(transport string, listen netip.AddrPort, server string, log *slog.Logger) (*stack, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if !listen.Addr().IsValid() || listen.Addr().IsUnspecified() {
		addr, err := route(server)
		if err != nil {
			return nil, err
		}
		listen = netip.AddrPortFrom(addr, listen.Port())
	}
	s := &stack{ready: make(chan struct{})}
	if err := s.bind(transport, listen); err != nil {
		return nil, err
	}
	if err := s.wire(log); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// route is our address on the way to a server.
func route(server string) (netip.Addr, error) {
	if server == "" {
		return netip.MustParseAddr("127.0.0.1"), nil
	}
	c, err := net.Dial("udp", server) // sends nothing
	if err != nil {
		return netip.Addr{}, unreachable(server, err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

func (s *stack) bind(transport string, listen netip.AddrPort) (err error) {
	switch strings.ToLower(transport) {
	case "", "udp":
		s.network = "UDP"
		if s.packets, err = net.ListenPacket("udp", listen.String()); err == nil {
			s.addr = netip.MustParseAddrPort(s.packets.LocalAddr().String())
		}
	case "tcp":
		s.network = "TCP"
		if s.listener, err = net.Listen("tcp", listen.String()); err == nil {
			s.addr = netip.MustParseAddrPort(s.listener.Addr().String())
		}
	default:
		return invalid("%q is not a transport: udp or tcp", transport)
	}
	if err != nil {
		return &phone.Error{Kind: phone.Conflict, Text: fmt.Sprintf("cannot listen at %s", listen), Err: err}
	}
	return nil
}

func (s *stack) wire(log *slog.Logger) (err error) {
	s.ua, err = sipgo.NewUA(
		sipgo.WithUserAgent("ringpath-softphone"),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(log)),
		sipgo.WithUserAgentTransactionLayerOptions(
			sip.WithTransactionLayerLogger(log),
			// late responses, such as a 2xx again after the call
			sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {}),
		),
	)
	if err != nil {
		return err
	}
	if s.server, err = sipgo.NewServer(s.ua, sipgo.WithServerLogger(log)); err != nil {
		return err
	}
	options := []sipgo.ClientOption{sipgo.WithClientLogger(log), sipgo.WithClientNAT()}
	if s.packets != nil { // requests leave from the socket that we listen on
		options = append(options, sipgo.WithClientConnectionAddr(s.addr.String()))
	}
	s.client, err = sipgo.NewClient(s.ua, options...)
	return err
}

// serve begins to read; it returns at once.
func (s *stack) serve() {
	s.start.Do(func() {
		if s.packets == nil {
			close(s.ready)
			s.running.Go(func() { _ = s.server.ServeTCP(s.listener) })
			return
		}
		s.running.Go(func() { _ = s.server.ServeUDP(&announced{PacketConn: s.packets, ready: s.ready}) })
	})
}

// announced tells when sipgo first reads: only then does it know the socket, and
// a request sent before would open another one.
type announced struct {
	net.PacketConn
	once  sync.Once
	ready chan struct{}
}

func (a *announced) ReadFrom(b []byte) (int, net.Addr, error) {
	a.once.Do(func() { close(a.ready) })
	return a.PacketConn.ReadFrom(b)
}

// await waits until requests can be sent.
func (s *stack) await(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *stack) close() {
	s.stop.Do(func() {
		if s.ua != nil {
			_ = s.ua.Close()
		}
		if s.packets != nil {
			_ = s.packets.Close()
		}
		if s.listener != nil {
			_ = s.listener.Close()
		}
	})
	s.running.Wait()
}

// contact is our own URI.
func (s *stack) contact(user string) *sip.ContactHeader {
	uri := sip.Uri{Scheme: "sip", User: user, Host: host(s.addr.Addr()), Port: int(s.addr.Port())}
	if s.network == "TCP" {
		uri.UriParams = sip.HeaderParams{{K: "transport", V: "tcp"}}
	}
	return &sip.ContactHeader{Address: uri}
}

// host writes an address as a URI does.
func host(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}
