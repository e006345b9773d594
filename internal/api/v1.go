package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/phone"
)

// maxV1Body bounds what is sent to /v1: a user, a team or a number.
const maxV1Body = 64 << 10

// endpoint is one row of the table that /v1, its documentation and its tests
// are made from.
type endpoint struct {
	Method string
	Path   string // as http.ServeMux writes it
	Scope  access.Scope
	Title  string
	About  string
	Params []param // of the query and the body
	Body   string  // an example of what is sent; empty: nothing
	Status int     // of success; 0: 200
	// Example makes the body of an example answer with the code that makes real
	// ones; nil where there is no body.
	Example func(v *view) any
	serve   func(a *ask) (any, error)
}

// param documents one parameter.
type param struct {
	Name, In, Type, About string
}

// status of success.
func (e *endpoint) status() int {
	if e.Status == 0 {
		return http.StatusOK
	}
	return e.Status
}

// object is an answer of one named thing, {"user":{…}}.
type object map[string]any

// list is an answer of a page of things, {"meta":{…},"users":[…]}, meta first.
type list struct {
	meta   meta
	name   string
	things any
}

// MarshalJSON implements json.Marshaler.
func (l list) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // links stay as they read
	b.WriteString(`{"meta":`)
	if err := enc.Encode(l.meta); err != nil {
		return nil, err
	}
	b.Truncate(b.Len() - 1) // the encoder's line feed
	b.WriteString(`,"` + l.name + `":`)
	if err := enc.Encode(l.things); err != nil {
		return nil, err
	}
	b.Truncate(b.Len() - 1)
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (a *ask) list(g page, name string, things any, count, total int) list {
	address := a.server.base() + a.r.URL.EscapedPath()
	return list{g.meta(count, total, address, a.params.values), name, things}
}

// ask is one request to /v1 on its way to an answer.
type ask struct {
	r      *http.Request
	server *Server
	who    identity
	params *params
	*view
}

// v1 serves the table. limited says whether keys have a rate limit: the
// program's own lookups have none, for a call that looks itself up must not
// starve.
func (s *Server) v1(limited bool) http.Handler {
	mux := http.NewServeMux()
	for _, e := range endpoints() {
		mux.HandleFunc(e.Method+" "+e.Path, func(w http.ResponseWriter, r *http.Request) {
			s.answer(w, r, &e, limited)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, errNoPath.Status, errNoPath)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.limit.take("").header(w.Header())
		// A path that the mux would clean and redirect is one that we do not know.
		if p := r.URL.Path; strings.Contains(p, "//") || strings.Contains(p, "/.") {
			writeJSON(w, errNoPath.Status, errNoPath)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// answer signs in, counts, serves and renders.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, e *endpoint, limited bool) {
	body, err := s.serveV1(w, r, e, limited)
	if err == nil {
		writeJSON(w, e.status(), body)
		return
	}
	if phone.KindOf(err) == phone.Internal && !isV1Error(err) && r.Context().Err() == nil {
		s.log.ErrorContext(r.Context(), "request failed", "path", e.Path, "err", err)
	}
	answer := v1Of(err)
	if answer.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	if answer.Status == http.StatusTooManyRequests {
		// Both limits count by the minutes of the clock.
		w.Header().Set("Retry-After", strconv.FormatInt(60-s.Now().Unix()%60, 10))
	}
	writeJSON(w, answer.Status, answer)
}

func isV1Error(err error) bool {
	var e *v1Error
	return errors.As(err, &e)
}

func (s *Server) serveV1(w http.ResponseWriter, r *http.Request, e *endpoint, limited bool) (any, error) {
	who, refused := s.signIn(r, e.Scope)
	if limited && who.key != "" {
		q := s.limit.take(who.key)
		q.header(w.Header())
		if q.over {
			return nil, tooMany("this key has used its requests of the running minute: X-AircallApi-Reset says when it may ask again")
		}
	}
	if refused != nil {
		return nil, v1Refusal(refused)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxV1Body)
	a := &ask{r: r, server: s, who: who, params: readParams(r.URL.RawQuery), view: s.view()}
	if a.params.err != nil {
		return nil, a.params.err
	}
	return e.serve(a)
}

// v1Refusal words a refusal at the door: nothing given, or the wrong thing.
func v1Refusal(err error) error {
	switch {
	case errors.Is(err, errNoCredential):
		return errUnauthorized
	case errors.Is(err, access.ErrLimited):
		return tooMany(access.ErrLimited.Text)
	}
	return errForbidden
}

// body reads the JSON body, whatever its Content-Type says: many clients send none.
func (a *ask) body(into any) error {
	data, err := io.ReadAll(a.r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return trouble(http.StatusRequestEntityTooLarge, "the body is larger than 64 KiB")
	case err != nil:
		return badRequest("the body could not be read")
	}
	if err := json.Unmarshal(data, into); err != nil {
		return badRequest("the body must be a JSON object: %s", jsonFault(err))
	}
	return nil
}

// jsonFault words an error of encoding/json without naming Go types.
func jsonFault(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return "it is broken at byte " + strconv.FormatInt(syntax.Offset, 10)
	case errors.As(err, &kind):
		return clip(kind.Field, 40) + " has the wrong type: " + kind.Value
	}
	return "it ends too early"
}

// pathID is an integer of the path, zero when it is none.
func (a *ask) pathID(name string) int64 {
	id, err := strconv.ParseInt(a.r.PathValue(name), 10, 64)
	if err != nil || id < 1 {
		return 0
	}
	return id
}

// pathUser finds the user that the path names by id or by e-mail.
func (a *ask) pathUser(name string) (phone.User, error) {
	text := a.r.PathValue(name)
	u, ok := a.User(phone.UserID(a.pathID(name)))
	if strings.Contains(text, "@") {
		u, ok = a.UserByEmail(text)
	}
	if !ok {
		return phone.User{}, notFound("user", text)
	}
	return u, nil
}

func (a *ask) pathTeam() (phone.Team, error) {
	t, ok := a.Team(phone.TeamID(a.pathID("id")))
	if !ok {
		return phone.Team{}, notFound("team", a.r.PathValue("id"))
	}
	return t, nil
}

func (a *ask) pathNumber() (phone.Number, error) {
	n, ok := a.Number(phone.NumberID(a.pathID("id")))
	if !ok {
		return phone.Number{}, notFound("number", a.r.PathValue("id"))
	}
	return n, nil
}

// sourceOf is the address that a request came from, passing over the proxies
// that the settings trust; the zero Addr for requests made in process.
func sourceOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	port, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	from := port.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(from, trusted); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		from = hop.Unmap()
	}
	return from
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// base is the public URL that links begin with.
func (s *Server) base() string { return strings.TrimSuffix(s.PublicURL, "/") }
