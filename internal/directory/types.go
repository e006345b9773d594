package directory

import (
	"net/netip"
	"time"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// Fault is something wrong in a document, and what would be right.
type Fault = document.Fault

// Company is what holds for everybody.
type Company struct {
	Name          string
	TimeZone      string         // IANA name; default UTC
	DefaultRegion string         // ISO 3166, how national numbers are read; empty: not at all
	Answers       lookup.Answers // how much of an API's answer a call keeps; default full
	Keep          Keep
}

// Keep is how long things are kept; 0: not at all (spec/privacy.md).
type Keep struct {
	Calls      time.Duration // default 365 days
	Traces     time.Duration // default 90 days
	Answers    time.Duration // default 7 days
	SIP        time.Duration // default 7 days
	Recordings time.Duration // default 90 days
	Voicemail  time.Duration // default 90 days
	Audit      time.Duration // default 730 days
}

// Trunk is a way to the telephone network: a carrier or another phone system.
// Values are shared by readers of a snapshot: never change one.
type Trunk struct {
	ID            int64
	Name          string
	Networks      []Network      // whose INVITEs are this trunk's
	Hosts         []string       // where our calls go, in order: host, host:port, address
	Transport     string         // udp (default), tcp
	NumberFrom    []string       // request_uri, to, p_called_party_id, header:NAME (lower case); default request_uri, to
	DefaultNumber phone.NumberID // for calls that name none of ours; 0: they get 404
	CallerFrom    []string       // from
	DefaultRegion string         // how its national numbers are read; default the company's
	CallerID      CallerID
	MaxUnanswered time.Duration // default 90s
	Outbound      Outbound
}

// Network is a source of a trunk: addresses, or one address and port.
type Network struct {
	Prefix netip.Prefix
	Port   uint16 // 0: any
}

// CallerID is what stands in the From of calls to the outside: our number that
// was dialled (the zero value), the original caller, or Fixed.
type CallerID struct {
	Original bool
	Fixed    phone.E164
}

// Outbound says which numbers a trunk may dial, and how many at once.
type Outbound struct {
	Prefixes      []string // "+33"; none: no calls
	Deny          []string
	MaxConcurrent int // default 10
	MaxPerMinute  int // default 30
}

// Account is a phone's login.
type Account struct {
	User     phone.UserID
	Username string
	Password secret.Text
}
