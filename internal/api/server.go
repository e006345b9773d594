package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// Records are the accounts of calls; *record.Writer keeps them.
type Records interface {
	// Find returns a page of calls, those that ended a moment ago included, and
	// how many there are on all pages.
	Find(context.Context, record.Query) ([]record.Call, int, error)
	// Call returns one call with its notes' Detail; phone.NotFound if there is none.
	Call(context.Context, phone.CallID) (record.Call, error)
	Messages(context.Context, phone.CallID) ([]record.Message, error)
	// Personal gives each call of an outside number; Erase takes the number out.
	Personal(ctx context.Context, number phone.E164, each func(record.Account) error) error
	Erase(ctx context.Context, number phone.E164) (record.Erased, error)
}

// Deps is what the server answers from. All are needed unless said otherwise.
type Deps struct {
	Directory *directory.Directory
	Records   Records
	Keys      *access.Keys
	Lookups   *lookup.Engine // for lookups/test and flows/try
	Live      func() []record.Call
	// State of a user to routing now; presence knows.
	State func(phone.UserID) phone.Availability
	// Ready says why calls cannot be served now; nil: they can.
	Ready func() error
	// Health adds lines to /api/health; may be nil.
	Health  func() []Check
	Metrics *Metrics

	PublicURL  string         // what links begin with, http://127.0.0.1:8080
	RatePerMin int            // of each key on /v1; 0: no limit
	Trusted    []netip.Prefix // proxies whose X-Forwarded-For is believed
	// OwnMetrics: /metrics has a listener of its own, so it is not served here.
	OwnMetrics bool
	Version    string // of the program
	Logger     *slog.Logger
	Now        func() time.Time // nil: time.Now
}

// Server answers everything that comes by HTTP. It keeps nothing but the counts
// of the rate limit, answers to repeated requests, and how our numbers are written.
type Server struct {
	Deps
	log     *slog.Logger
	started time.Time
	limit   *limiter
	ours    spellings
	once    once
	handler http.Handler
	inside  http.Handler
}

// New puts the server together. Deps are not touched before the first request.
func New(d Deps) *Server {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Health == nil {
		d.Health = func() []Check { return nil }
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{Deps: d, log: d.Logger, started: d.Now(), limit: &limiter{perMinute: d.RatePerMin, now: d.Now}, once: once{now: d.Now}}
	s.inside = s.v1(false)
	s.handler = secured(sameOrigin(d.PublicURL).Handler(s.routes()))
	return s
}

// sameOrigin keeps pages of other sites, open in somebody's browser, from
// changing anything here. Programs send no Origin and are not meant.
func sameOrigin(publicURL string) *http.CrossOriginProtection {
	p := http.NewCrossOriginProtection()
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, problem(http.StatusForbidden, "cross_origin", "a page of another site sent this request"))
	}))
	if u, err := url.Parse(publicURL); err == nil && u.Host != "" {
		_ = p.AddTrustedOrigin(u.Scheme + "://" + u.Host) // a proxy may have changed Host
	}
	return p
}

// Handler answers everything, for the listeners that strangers reach.
func (s *Server) Handler() http.Handler { return s.handler }

// V1 answers the requests that this server's own lookups make to /v1: keys and
// scopes hold, the rate limit does not.
func (s *Server) V1() http.Handler { return s.inside }

// Owner answers everything as the owner, for the data directory's socket:
// whoever may open that file may do everything.
func (s *Server) Owner() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), ownerKey, true)))
	})
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	s.rest(mux)
	s.pages(mux)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	if !s.OwnMetrics {
		mux.Handle("GET /metrics", s.keyed(access.APIRead, s.Metrics.Handler()))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, problem(http.StatusNotFound, "not_found", "there is nothing here: /docs/v1 and /docs/api list what there is"))
	})
	v1 := s.v1(true)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not by the mux, which would redirect paths that it wants to clean.
		if strings.HasPrefix(r.URL.Path, "/v1/") || strings.HasPrefix(r.URL.Path, "/v2/") {
			v1.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// ready says whether calls can be served, and to strangers nothing more.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.Ready(); err != nil {
		s.log.DebugContext(r.Context(), "not ready", "err", err)
		say(w, http.StatusServiceUnavailable, "not ready")
		return
	}
	say(w, http.StatusOK, "ok")
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// secured adds the headers that keep a browser from doing anything with our
// answers but showing them.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !strings.HasPrefix(r.URL.Path, "/docs/") {
			h.Set("Cache-Control", "no-store")
		}
		next.ServeHTTP(w, r)
	})
}

// view is the directory as it is now.
func (s *Server) view() *view {
	snapshot := s.Directory.Snapshot()
	return &view{
		People:   snapshot,
		company:  company{Name: snapshot.Company().Name, TimeZone: snapshot.Company().TimeZone},
		rev:      snapshot.Rev(),
		state:    s.State,
		base:     s.base(),
		ours:     &s.ours,
		assigned: func(n phone.Number) []phone.UserID { return assigned(snapshot, n) },
	}
}

// assigned are the users of a number. The other API assigns them by hand; here a
// flow says whom a number rings, so they are those whom its flow names, alone or
// by their team. Whom a lookup will name nobody knows before the call.
func assigned(d *directory.Snapshot, n phone.Number) []phone.UserID {
	f, ok := d.Flow(n.Flow)
	if !ok {
		return nil
	}
	var ids []phone.UserID
	for _, t := range f.Targets() {
		switch t.Kind {
		case phone.ToUser:
			ids = append(ids, t.User)
		case phone.ToTeam:
			team, _ := d.Team(t.Team)
			ids = append(ids, team.Members...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
