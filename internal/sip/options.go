package sip

import (
	"context"
	"log/slog"
	"net"
	"net/netip"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/media"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/registrar"
)

// DefaultMaxCalls is how many calls are taken at once.
const DefaultMaxCalls = 10000

// Listener is where messages arrive: an address to listen on, or a socket that
// is ready (tests), which then belongs to the Server.
type Listener struct {
	Network string // "udp" or "tcp"
	Addr    string // "0.0.0.0:5060"
	Packet  net.PacketConn
	Stream  net.Listener
}

// Directory is what is asked of the company's directory.
// *directory.Snapshot does it.
type Directory interface {
	Region() string
	NumberByDigits(phone.E164) (phone.Number, bool)
	Number(phone.NumberID) (phone.Number, bool)
	User(phone.UserID) (phone.User, bool)
	Account(username string) (directory.Account, bool)
	Trunk(name string) (*directory.Trunk, bool)
	TrunkFor(netip.AddrPort) (*directory.Trunk, bool)
}

var _ Directory = (*directory.Snapshot)(nil)

// Options of a Server.
type Options struct {
	Listen []Listener
	// Domain is the realm, and the host part of addresses of ours; empty: realm
	// "ringpath", and the address that the peer reaches us at.
	Domain string
	// PublicAddress is written in Via, Contact and SDP toward everybody outside
	// LocalNetworks; invalid: our address on the way to the peer is.
	PublicAddress netip.Addr
	LocalNetworks []netip.Prefix // loopback always counts as local
	Digest        registrar.Algorithms
	PassHeaders   []string // of an INVITE, which CallFacts.Headers may hold
	MaxCalls      int      // 0: DefaultMaxCalls; above it calls get 503

	Handler   phone.Handler
	Directory func() Directory // the current snapshot
	Registrar *registrar.Registrar
	Media     *media.Relay

	// Draining, if set and true, refuses new calls with 503.
	Draining func() bool
	// Tap, if set, gets every message of every call, credentials masked.
	Tap func(record.Message)
	// Count, if set, hears of every response that is sent.
	Count func(method string, status int)
	// Resolve finds the addresses of a trunk's host. Nil: DNS.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Connect opens TCP connections to trunks. Nil: the network's.
	Connect func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	Logger  *slog.Logger // nil: none
}

func (o *Options) fill() {
	if o.MaxCalls == 0 {
		o.MaxCalls = DefaultMaxCalls
	}
	if o.Draining == nil {
		o.Draining = func() bool { return false }
	}
	if o.Count == nil {
		o.Count = func(string, int) {}
	}
	if o.Resolve == nil {
		o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}
