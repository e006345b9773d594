package config

import (
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Settings are what the operator decides. Default has the defaults; make others
// with Load, which checks them.
type Settings struct {
	Data    string        `yaml:"data"` // folder of the database, key file, sounds, recordings; default ./data
	HTTP    HTTP          `yaml:"http"`
	SIP     SIP           `yaml:"sip"`
	Media   Media         `yaml:"media"`
	Lookup  Lookup        `yaml:"lookup"`
	V1      V1            `yaml:"v1"`
	Metrics Metrics       `yaml:"metrics"`
	Log     Log           `yaml:"log"`
	Drain   time.Duration `yaml:"drain"` // how long running calls may go on after SIGTERM; default 10m
}

// HTTP is where the APIs are.
type HTTP struct {
	Listen         string   `yaml:"listen"`          // address:port; default 127.0.0.1:8080
	PublicURL      string   `yaml:"public_url"`      // used in links; empty: the listen address
	TrustedProxies []string `yaml:"trusted_proxies"` // networks whose X-Forwarded-For is believed
}

// Later: TLS is not in this version.
func (HTTP) Later() map[string][]string { return map[string][]string{"tls": nil} }

// Proxies are the trusted proxies.
func (h HTTP) Proxies() []netip.Prefix { return prefixes(h.TrustedProxies) }

// SIP is where phones and trunks are.
type SIP struct {
	Listen        []Listener `yaml:"listen"`         // default udp and tcp on port 5060 of all addresses
	Domain        string     `yaml:"domain"`         // the realm of phones; empty: any address of ours
	PublicAddress string     `yaml:"public_address"` // in Via, Contact and SDP toward the world; empty: our own
	LocalNetworks []string   `yaml:"local_networks"` // toward these our local address is written; default the private IPv4 ones
	Digest        string     `yaml:"digest"`         // both (default), sha-256, md5
	PassHeaders   []string   `yaml:"pass_headers"`   // headers of an INVITE that templates may read as sip.NAME
}

// Later: TLS is not in this version.
func (SIP) Later() map[string][]string { return map[string][]string{"tls": nil} }

// Public is PublicAddress; invalid when there is none.
func (s SIP) Public() netip.Addr {
	a, _ := netip.ParseAddr(s.PublicAddress)
	return a
}

// Local are LocalNetworks.
func (s SIP) Local() []netip.Prefix { return prefixes(s.LocalNetworks) }

// Listener is one address for SIP. Its text is a URL, udp://0.0.0.0:5060.
type Listener struct {
	Network string // udp, tcp
	Addr    string // 0.0.0.0:5060, [::]:5060
}

// String is the URL.
func (l Listener) String() string { return l.Network + "://" + l.Addr }

// Media is how sound is carried.
type Media struct {
	Ports string `yaml:"ports"` // UDP ports for RTP and RTCP, "low-high"; default 20000-29999
	Mode  string `yaml:"mode"`  // relay
}

// Range is the ports as numbers.
func (m Media) Range() (low, high int) {
	a, b, _ := strings.Cut(m.Ports, "-")
	low, errLow := strconv.Atoi(a)
	high, errHigh := strconv.Atoi(b)
	if errLow != nil || errHigh != nil {
		return 0, 0
	}
	return low, high
}

// Lookup is what lookups may reach.
type Lookup struct {
	Allow []string `yaml:"allow"` // networks, addresses or host:port beside public addresses
}

// V1 is the Aircall-compatible API.
type V1 struct {
	RatePerMin int `yaml:"rate_per_min"` // requests of a key in a minute; default 600
}

// Metrics is where /metrics is.
type Metrics struct {
	Listen string `yaml:"listen"` // an address of its own; empty: beside the APIs, with a key
}

// Log is what is logged, and how.
type Log struct {
	Level   slog.Level `yaml:"level"`   // debug, info (default), warn, error
	Format  string     `yaml:"format"`  // text (default), json
	Numbers string     `yaml:"numbers"` // masked (default), full
}

// Default are the settings without any file.
func Default() Settings {
	return Settings{
		Data: "./data",
		HTTP: HTTP{Listen: "127.0.0.1:8080"},
		SIP: SIP{
			Listen:        []Listener{{"udp", "0.0.0.0:5060"}, {"tcp", "0.0.0.0:5060"}},
			LocalNetworks: []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"},
			Digest:        "both",
		},
		Media: Media{Ports: "20000-29999", Mode: "relay"},
		V1:    V1{RatePerMin: 600},
		Log:   Log{Format: "text", Numbers: "masked"},
		Drain: 10 * time.Minute,
	}
}

// prefixes reads networks and single addresses; Load has checked them.
func prefixes(texts []string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		if p, err := parsePrefix(text); err == nil {
			all = append(all, p)
		}
	}
	return all
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}
