package lookup

// Env is what a Spec is checked against.
type Env struct {
	HeaderNames []string    // sip.pass_headers, any case: names after "sip."
	Inputs      []string    // names of earlier input steps
	Saved       []string    // names saved by earlier lookups
	Region      string      // company.default_region
	Credentials Credentials // nil: credentials are not checked
	// Resolve checks the targets of response.map; nil: they are not checked.
	Resolve Resolve
	// AllowsPlain says that a credential may go to host:port without TLS, because
	// the settings allow that host; nil: to loopback only.
	AllowsPlain func(host, port string) bool
}

// Lookup is a checked Spec, ready to be run. It never changes and may be run by
// any number of calls at once.
type Lookup struct {
	disabled bool
}

// Compile checks a Spec and parses all of it. The Lookup is nil when one of the
// faults is more than a warning.
func Compile(s Spec, env Env) (*Lookup, []Fault) {
	return &Lookup{}, nil
}

// Unsafe says that running the lookup may change something at the API: a POST
// that is not idempotent. A test asks before it sends one.
func (l *Lookup) Unsafe() bool { return false }
