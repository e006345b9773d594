package lookup

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Bounds of a Spec's lists.
const (
	maxPathList = 10
	maxShow     = 10
	maxHeaders  = 32
	maxRows     = 1000
)

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
	// the settings allow that host. Nil, where no settings are known: not checked
	// before a request is made.
	AllowsPlain func(host, port string) bool
	// Stored says that the Spec was accepted before. What only the settings
	// refuse since then is a warning, CodeSettings: its lookup ends in an exit
	// that says why, and the calls go on.
	Stored bool
}

// CodeSettings is the code of warnings about a stored Spec that needs a setting
// which is gone.
const CodeSettings = "setting_gone"

// Lookup is a checked Spec, ready to be run. It never changes and may be run by
// any number of calls at once.
type Lookup struct {
	disabled      bool
	method        string
	url           urlTemplate
	headers       []header
	body          bodyTemplate
	credential    string // name; empty: none
	kind, ids     string
	paths         []*path // the values', then the facts'
	values        int     // how many of paths are the values'
	facts         []string
	rows          map[string]row
	takeAll       bool
	allowExternal bool
	emptyOn       []int
	timeout       time.Duration
	retries       int
	idempotent    bool
}

type header struct {
	name  string // canonical
	parts []part
}

// Compile checks a Spec and parses all of it. The Lookup is nil when one of the
// faults is more than a warning.
func Compile(s Spec, env Env) (*Lookup, []Fault) {
	c := compiler{Spec: s, env: env, l: &Lookup{}}
	c.templates = templates{env: &c.env, faults: &c.list}
	c.later()
	c.request()
	c.policy()
	c.response()
	if c.list.fatal() {
		return nil, c.list
	}
	return c.l, c.list
}

// Unsafe says that running the lookup may change something at the API: a POST
// that is not idempotent. A test asks before it sends one.
func (l *Lookup) Unsafe() bool { return l.method == http.MethodPost && !l.idempotent }

// Timeout is how long a run takes at most.
func (l *Lookup) Timeout() time.Duration { return l.timeout }

// compiler collects faults and the Lookup.
type compiler struct {
	Spec
	templates
	env  Env
	list faults
	l    *Lookup
}

// later refuses what this version does not carry out, rather than ignore it.
func (c *compiler) later() {
	if c.Requests != nil {
		c.list.add("/requests", "not_in_this_version", "several requests are not carried out yet; write one request with url")
	}
	if c.Cache != nil {
		c.list.add("/cache", "not_in_this_version", "answers are not cached yet; leave cache out")
	}
}

func (c *compiler) request() {
	l := c.l
	l.disabled = c.Enabled != nil && !*c.Enabled
	l.idempotent = c.Idempotent
	switch l.method = strings.ToUpper(c.Method); l.method {
	case "":
		l.method = http.MethodGet
	case http.MethodGet, http.MethodPost:
	default:
		c.list.add("/method", "unknown_value", "%q: the method is GET or POST", c.Method)
	}
	if c.Spec.URL != "" || c.Requests == nil {
		l.url, _ = c.url("/url", c.Spec.URL)
	}
	if c.Body != nil {
		if l.method == http.MethodPost {
			l.body, _ = c.body(c.BodyType, c.Body)
		} else {
			c.list.add("/body", "unexpected", "a body needs the method POST")
		}
	} else if c.BodyType != "" {
		c.list.add("/body_type", "unexpected", "there is no body that this could be the type of")
	}
	credential := c.credential()
	c.headers(credential)
}

// refusedHeaders are set by the program or by HTTP itself.
var refusedHeaders = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Connection",
	"Accept-Encoding", "Expect", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Upgrade",
}

// RefusedHeader says that nobody but the program itself sets this header.
func RefusedHeader(name string) bool {
	return slices.Contains(refusedHeaders, http.CanonicalHeaderKey(name))
}

func (c *compiler) headers(credential Credential) {
	if len(c.Headers) > maxHeaders {
		c.list.add("/headers", "too_many", "%d headers at most", maxHeaders)
		return
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		at := pointerTo("/headers", name)
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !isToken(name):
			c.list.add(at, "bad_header", "%q is no header name", name)
		case RefusedHeader(name):
			c.list.add(at, "refused_header", "%s is set by the program itself", canonical)
		case canonical == credential.header():
			c.list.add(at, "refused_header", "%s is set by the credential %s", canonical, credential.Name)
		case seen[canonical]:
			c.list.add(at, "duplicate", "%s stands here twice", canonical)
		}
		seen[canonical] = true
		text := c.Headers[name]
		if strings.ContainsAny(text, "\r\n\x00") {
			c.list.add(at, "bad_header", "a header value is one line")
			continue
		}
		parts, _ := c.parse(at, text, inHeader)
		c.check(at, parts, inHeader)
		c.l.headers = append(c.l.headers, header{canonical, parts})
	}
}

func (c *compiler) credential() Credential {
	c.l.credential = c.Spec.Credential
	if c.Spec.Credential == "" || c.env.Credentials == nil {
		return Credential{}
	}
	cred, ok := c.env.Credentials.Credential(c.Spec.Credential)
	if !ok {
		c.list.add("/credential", "unknown_credential", "there is no credential %q", c.Spec.Credential)
		return Credential{}
	}
	u := &c.l.url
	switch {
	case u.host == "":
	case !cred.allows(u.scheme, u.host, u.port):
		c.list.add("/credential", "credential_host", "the credential %s may go to %s only, not to %s:%s; change its hosts or the url",
			cred.Name, strings.Join(cred.Hosts, ", "), u.host, u.port)
	case u.scheme != "http" || isLoopback(u.host) || c.env.AllowsPlain == nil || c.env.AllowsPlain(u.host, u.port):
	case c.env.Stored:
		c.list.warn("/credential", CodeSettings, "lookup.allow does not name %s:%s any more, and without https the credential %s is not sent there: the exit is always failed, blocked_address",
			u.host, u.port, cred.Name)
	default:
		c.list.add("/credential", "plain_http", "without https the credential %s would cross the network unencrypted; write https://, or let the operator add %s:%s to lookup.allow",
			cred.Name, u.host, u.port)
	}
	if cred.In == "query" && slices.Contains(u.names, cred.Key) {
		c.list.add("/url", "refused_parameter", "the parameter %s is set by the credential %s", cred.Key, cred.Name)
	}
	return cred
}

// isLoopback says that a host is this machine, whatever the network does.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

func (c *compiler) policy() {
	l := c.l
	if l.timeout = time.Duration(c.Timeout); l.timeout == 0 {
		l.timeout = DefaultTimeout
	}
	if l.timeout < MinTimeout || l.timeout > MaxTimeout {
		c.list.add("/timeout", "out_of_range", "%s: a timeout is %s to %s", l.timeout, MinTimeout, MaxTimeout)
	}
	l.retries = DefaultRetries
	if c.Retries != nil {
		l.retries = *c.Retries
	}
	if l.retries < 0 || l.retries > MaxRetries {
		c.list.add("/retries", "out_of_range", "%d: retries are 0 to %d", l.retries, MaxRetries)
	}
}

func (c *compiler) response() {
	l, r := c.l, &c.Response
	switch l.kind = r.Type; l.kind {
	case "":
		l.kind = typeUser
	case typeUser, typeTeam, typeNumber, typeExternal, typeAuto:
	default:
		c.list.add("/response/type", "unknown_value", "%q: the type is user, team, number, external or auto", r.Type)
	}
	if l.ids = r.IDs; l.ids == "" {
		l.ids = Own
	}
	l.allowExternal = r.AllowExternal
	switch r.Take {
	case "", "first":
	case "all":
		l.takeAll = true
	default:
		c.list.add("/response/take", "unknown_value", "%q: take is first or all", r.Take)
	}
	if l.emptyOn = r.EmptyOn; l.emptyOn == nil {
		l.emptyOn = []int{http.StatusNoContent}
	}
	for i, status := range r.EmptyOn {
		if status < 200 || status > 599 {
			c.list.add(fmt.Sprintf("/response/empty_on/%d", i), "out_of_range", "%d is no HTTP status of an answer", status)
		}
	}
	c.paths()
	c.show()
	c.rows()
}

func (c *compiler) paths() {
	list := c.Response.Path
	switch {
	case list == nil && c.l.kind == typeAuto:
		list = Paths{""}
	case len(list) == 0:
		c.list.add("/response/path", "required", `where the value stands is missing, for example calls[0].user.id ("" is the whole answer)`)
	case len(list) > maxPathList:
		c.list.add("/response/path", "too_many", "%d paths at most", maxPathList)
		return
	}
	for i, text := range list {
		at := "/response/path"
		if len(list) > 1 {
			at += "/" + itoa(i)
		}
		c.path(at, text, c.l.holds)
	}
	c.l.values = len(c.l.paths)
}

func (c *compiler) path(at, text string, holds func([]byte) bool) {
	p, err := compilePath(text)
	if err != nil {
		c.list.add(at, "bad_path", "%q: %s", text, err)
		return
	}
	p.holds = holds
	c.l.paths = append(c.l.paths, p)
}

func (c *compiler) show() {
	if len(c.Response.Show) > maxShow {
		c.list.add("/response/show", "too_many", "%d facts at most", maxShow)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.Response.Show)) {
		c.path(pointerTo("/response/show", name), c.Response.Show[name], isFact)
		c.l.facts = append(c.l.facts, name)
	}
}

func (c *compiler) rows() {
	if len(c.Response.Map) > maxRows {
		c.list.add("/response/map", "too_many", "%d rows at most", maxRows)
		return
	}
	c.l.rows = make(map[string]row, len(c.Response.Map))
	for _, key := range slices.Sorted(maps.Keys(c.Response.Map)) {
		to := c.Response.Map[key]
		r := row{value: strings.TrimSpace(to.Value)}
		if to.Kind != "" {
			r = c.target(pointerTo("/response/map", key), to)
		}
		c.l.rows[strings.TrimSpace(key)] = r
	}
}

// target compiles a row that gives a target.
func (c *compiler) target(at string, to MapTo) row {
	r := row{value: to.Kind + " " + to.Value, isTarget: true}
	var reason Reason
	r.target, reason = ReadTarget(to.Kind, to.Value, c.env.Region)
	switch {
	case reason == ReasonWrongKind:
		c.list.add(at, "bad_target", "%s", errMapTarget)
		return r
	case reason == "" && c.env.Resolve != nil:
		_, _, reason = c.env.Resolve(r.target)
	}
	if reason != "" {
		c.list.add(at, string(reason), "%s", targetFault(reason, to.Value))
	}
	return r
}

// isToken says that s is a header's name (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isIdent(c) && strings.IndexByte("!#$%&'*+-.^`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
