package lookup

import (
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// Exit is how a lookup ended; there are no others.
type Exit string

const (
	Matched       Exit = "matched"        // a target was found, whether or not anybody there is free
	NoMatch       Exit = "no_match"       // the API knows nobody
	UnknownTarget Exit = "unknown_target" // the API named somebody whom we do not know
	Failed        Exit = "failed"         // there was no usable answer
)

// Reason says why a lookup ended as it did. Matched has none.
type Reason string

const (
	ReasonNoCallerNumber Reason = "no_caller_number"
	ReasonEmptyVariable  Reason = "empty_variable"
	ReasonPathMissing    Reason = "path_missing"
	ReasonPathNull       Reason = "path_null"
	ReasonEmptyList      Reason = "empty_list"
	ReasonEmptyBody      Reason = "empty_body"
	ReasonEmptyStatus    Reason = "empty_status"

	ReasonUnknownUser   Reason = "unknown_user"
	ReasonUnknownTeam   Reason = "unknown_team"
	ReasonUnknownNumber Reason = "unknown_number"
	ReasonBadNumber     Reason = "bad_number"
	ReasonNotAllowed    Reason = "not_allowed"
	ReasonWrongKind     Reason = "wrong_kind"

	ReasonDisabled       Reason = "disabled"
	ReasonUnsafeValue    Reason = "unsafe_value"
	ReasonTimeout        Reason = "timeout"
	ReasonDNS            Reason = "dns"
	ReasonRefused        Reason = "refused"
	ReasonReset          Reason = "reset"
	ReasonTLS            Reason = "tls"
	ReasonRedirect       Reason = "redirect"
	ReasonHTTP401        Reason = "http_401"
	ReasonHTTP403        Reason = "http_403"
	ReasonHTTP404        Reason = "http_404"
	ReasonHTTP429        Reason = "http_429"
	ReasonHTTP4xx        Reason = "http_4xx"
	ReasonHTTP5xx        Reason = "http_5xx"
	ReasonNotJSON        Reason = "not_json"
	ReasonTooLarge       Reason = "too_large"
	ReasonTooDeep        Reason = "too_deep"
	ReasonBlockedAddress Reason = "blocked_address"
	ReasonOverloaded     Reason = "overloaded"
	ReasonMissingSecret  Reason = "missing_secret"
	// ReasonCancelled: the call ended during the lookup, so nobody acts on the exit.
	ReasonCancelled Reason = "cancelled"
)

// Outcome is the result of one lookup.
type Outcome struct {
	Exit   Exit
	Reason Reason       // empty when matched
	Value  string       // the value that decided: the match's, or the first that named nobody
	Target phone.Target // matched: whom to ring
	// Candidates are all targets found, in order and without doubles, at most 10:
	// with `take: all` everybody, else Target alone. Empty unless matched.
	Candidates []phone.Target
	Show       map[string]string // response.show: facts for whoever is rung; nil when there are none
	Trace      *Trace
	Dur        time.Duration // how long it took
}
