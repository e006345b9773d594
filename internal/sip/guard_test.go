package sip

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringpath/ringpath/internal/sip/stack"
)

func newTestGuard(registered map[string]bool) *guard {
	return newGuard(func(a netip.AddrPort) (bool, bool) {
		return a.Addr().String() == "198.51.100.1", registered[a.Addr().String()]
	}, func(netip.Addr, string) {})
}

var options = []byte("OPTIONS sip:x SIP/2.0\r\n\r\n")

func TestGuardCountsStrangers(t *testing.T) {
	tests := []struct {
		name   string
		source func(i int) string
		data   []byte
		pass   int // of 40 in one window
	}{
		{"one address", func(int) string { return "203.0.113.1:5060" }, options, 16},
		{"one address, many ports", func(i int) string { return fmt.Sprint("203.0.113.1:", 5000+i) }, options, 16},
		{"one IPv6 network", func(i int) string { return fmt.Sprintf("[2001:db8:1:2::%x]:5060", i) }, options, 16},
		{"many IPv6 networks", func(i int) string { return fmt.Sprintf("[2001:db8:1:%x::1]:5060", i) }, options, 40},
		{"a trunk", func(int) string { return "198.51.100.1:5060" }, options, 40},
		{"a registered phone", func(int) string { return "192.0.2.20:5060" }, options, 40},
		{"several requests at once", func(int) string { return "203.0.113.1:5060" }, []byte("A x SIP/2.0\r\n\r\nB x SIP/2.0\r\n\r\n"), 8},
		{"nonsense", func(int) string { return "203.0.113.1:5060" }, []byte{0, 1, 2}, 0},
		{"nonsense of a trunk", func(int) string { return "198.51.100.1:5060" }, []byte("\x16\x03\x01"), 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(*testing.T) {
				g := newTestGuard(map[string]bool{"192.0.2.20": true})
				pass := 0
				for i := range 40 {
					if g.admit("udp", netip.MustParseAddrPort(test.source(i)), test.data) {
						pass++
					}
				}
				if pass != test.pass {
					t.Errorf("%d of 40 pass, want %d", pass, test.pass)
				}
			})
		})
	}
}

func TestGuardForgetsAndExempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registered := map[string]bool{}
		g := newTestGuard(registered)
		from := netip.MustParseAddrPort("203.0.113.1:5060")
		burst := func() (pass int) {
			for range 20 {
				if g.admit("udp", from, options) {
					pass++
				}
			}
			return pass
		}
		for i := range strangerPatience {
			if got := burst(); got != 16 {
				t.Errorf("%d pass in window %d", got, i)
			}
			if i < strangerPatience-1 {
				time.Sleep(strangerWindow)
			}
		}
		time.Sleep(ignoredFor - 1)
		if got := burst(); got != 0 {
			t.Errorf("%d pass while ignored", got)
		}
		g.hold(from.Addr())
		if got := burst(); got != 20 {
			t.Errorf("%d pass while the peer of a call", got)
		}
		g.release(from.Addr())
		time.Sleep(1 * time.Nanosecond)
		if got := burst(); got != 16 {
			t.Errorf("%d pass when it is over", got)
		}
		for range failedLimit {
			g.failed(from)
		}
		registered["203.0.113.1"] = true
		if got := burst(); got != 20 {
			t.Errorf("%d of a registered phone pass", got)
		}
	})
}

// An office whose phones all start at once, and then one that pauses between its
// bursts: never ignored.
func TestGuardIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGuard(nil)
		from := netip.MustParseAddrPort("203.0.113.1:5060")
		for window := range 20 {
			pass := 0
			for range 40 {
				if g.admit("udp", from, options) {
					pass++
				}
			}
			if pass != 16 {
				t.Fatalf("%d pass in window %d", pass, window)
			}
			time.Sleep(strangerWindow)
			if window%4 == 3 { // a quiet window
				time.Sleep(strangerWindow)
			}
		}
	})
}

func TestGuardIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGuard(nil)
		for i := range maxSources + 500 {
			a := netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
			if !g.admit("udp", netip.AddrPortFrom(a, 5060), options) {
				t.Fatalf("source %d is refused", i)
			}
		}
		if got := len(g.sources); got > maxSources {
			t.Errorf("%d sources are remembered, at most %d", got, maxSources)
		}
	})
}

func TestOurAddress(t *testing.T) {
	local := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	tests := []struct {
		name, public, listen, remote, want string
	}{
		{"no public address", "", "10.1.1.1:5060", "198.51.100.1:5060", "10.1.1.1"},
		{"toward the world", "203.0.113.9", "10.1.1.1:5060", "198.51.100.1:5060", "203.0.113.9"},
		{"toward a local network", "203.0.113.9", "10.1.1.1:5060", "10.2.2.2:5060", "10.1.1.1"},
		{"toward this machine", "203.0.113.9", "127.0.0.1:5060", "127.0.0.1:6060", "127.0.0.1"},
		{"a wildcard listener", "", "0.0.0.0:5060", "127.0.0.1:6060", "127.0.0.1"},
		{"IPv6", "", "[2001:db8::1]:5060", "[2001:db8::2]:5060", "2001:db8::1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := Options{LocalNetworks: local}
			if test.public != "" {
				o.PublicAddress = netip.MustParseAddr(test.public)
			}
			a := newAddresses(&o, nil)
			f := stack.Flow{Transport: "udp", Local: netip.MustParseAddrPort(test.listen), Remote: netip.MustParseAddrPort(test.remote)}
			if got := a.toward(f).String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if !a.isOurs(test.want, f) || a.isOurs("192.0.2.77", f) || a.isOurs("elsewhere.example", f) {
				t.Error("isOurs is wrong")
			}
		})
	}
}

func TestParseHost(t *testing.T) {
	tests := []struct {
		in, host string
		port     uint16
	}{
		{"sip.carrier.example", "sip.carrier.example", 5060},
		{"sip.carrier.example:5070", "sip.carrier.example", 5070},
		{"192.0.2.1", "192.0.2.1", 5060},
		{"192.0.2.1:5070", "192.0.2.1", 5070},
		{"[2001:db8::1]:5070", "2001:db8::1", 5070},
		{"[2001:db8::1]", "2001:db8::1", 5060},
	}
	for _, test := range tests {
		if host, port := parseHost(test.in); host != test.host || port != test.port {
			t.Errorf("%s: %s, %d; want %s, %d", test.in, host, port, test.host, test.port)
		}
	}
}
