package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/ringpath/ringpath/internal/api"
	"github.com/ringpath/ringpath/internal/phone"
)

// server is one HTTP listener.
type server struct {
	http   *http.Server
	ln     net.Listener
	failed chan error // Serve's error, unless it was closed
}

// serve answers on a listener until the app closes.
func (a *App) serve(ln net.Listener, h http.Handler) {
	s := &server{
		ln: ln, failed: make(chan error, 1),
		http: &http.Server{
			Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
			WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
			ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		},
	}
	a.web = append(a.web, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
	a.onClose(func() error {
		err := within(5*time.Second, s.http.Shutdown)
		if errors.Is(err, context.DeadlineExceeded) {
			err = s.http.Close()
		}
		<-done
		return err
	})
}

// webFailed gets the error of the first HTTP listener that stops by itself.
func (a *App) webFailed() <-chan error { return a.web[0].failed }

// HTTPAddr is where the APIs answer.
func (a *App) HTTPAddr() netip.AddrPort { return addrPort(a.web[0].ln.Addr()) }

// openAPI opens the HTTP listeners and the socket for commands on this machine.
func (a *App) openAPI(context.Context) error {
	s := a.settings
	ln, err := listen(s.HTTP.Listen)
	if err != nil {
		return err
	}
	bases := ownBases(addrPort(ln.Addr()))
	public := s.HTTP.PublicURL
	if public == "" {
		public = bases[0]
	}
	own := []netip.AddrPort{addrPort(ln.Addr())}
	var metrics net.Listener
	if s.Metrics.Listen != "" {
		if metrics, err = listen(s.Metrics.Listen); err != nil {
			return errors.Join(err, ln.Close())
		}
		own = append(own, addrPort(metrics.Addr()))
	}
	a.api = api.New(api.Deps{
		Directory: a.Directory, Records: a.Records, Keys: a.Keys, Lookups: a.lookups,
		Live: a.exchange.Live, State: a.presence.State, Ready: a.ready, Health: a.health,
		Metrics: a.metrics, PublicURL: public,
		RatePerMin: s.V1.RatePerMin, Trusted: s.HTTP.Proxies(),
		OwnMetrics: metrics != nil, Version: a.options.Version, Logger: a.log,
	})
	a.serve(ln, a.api.Handler())
	if metrics != nil {
		a.serve(metrics, a.metrics.Handler())
	}
	for _, l := range s.SIP.Listen {
		if ap, err := netip.ParseAddrPort(l.Addr); err == nil && l.Network == "tcp" {
			own = append(own, ap)
		}
	}
	if err := a.outbound.SetOwn(a.api.V1(), own, append(bases, public)...); err != nil {
		return err
	}
	return a.openSocket()
}

// ownBases are the URLs by which lookups may name our own /v1: the listen
// address, and loopback where we listen on every address.
func ownBases(addr netip.AddrPort) []string {
	if !addr.Addr().IsUnspecified() {
		return []string{"http://" + addr.String()}
	}
	port := fmt.Sprint(addr.Port())
	return []string{"http://127.0.0.1:" + port, "http://localhost:" + port, "http://[::1]:" + port}
}

func listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &phone.Error{Kind: phone.Unreachable, Text: "cannot listen for HTTP on " + addr, Err: err}
	}
	return ln, nil
}

// openSocket opens the data directory's socket, through which commands of this
// machine act as the owner. A socket that a crash left behind is replaced; one
// that answers belongs to another server on the same data.
func (a *App) openSocket() error {
	path := filepath.Join(a.settings.Data, "ringpath.sock")
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = conn.Close()
		return &phone.Error{Kind: phone.Conflict, Text: "another server is running on the data directory " + a.settings.Data}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replace the old socket: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("open the socket for commands: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, ln.Close())
	}
	a.serve(ln, a.api.Owner())
	return nil
}

// ready says why calls cannot be served now.
func (a *App) ready() error {
	switch {
	case a.exchange.Draining():
		return errors.New("draining")
	case a.Records.Full():
		return errors.New("call records can be kept nowhere: is the disk full?")
	}
	return nil
}

// health adds what an operator wants to know at a glance.
func (a *App) health() []api.Check {
	s := a.Records.Stats()
	records := api.Check{Name: "records", OK: !s.Failing && s.Dropped == 0}
	if s.Failing {
		records.Detail = fmt.Sprintf("the database takes nothing; %d entries wait in memory, %d bytes in the spill file", s.Queued, s.Spilled)
	}
	if s.Dropped > 0 {
		records.Detail = fmt.Sprintf("%d entries were lost since the start", s.Dropped)
	}
	return []api.Check{records, {Name: "sip", OK: true, Detail: fmt.Sprintf("%d phones registered, %d calls", a.registrar.Count(), a.exchange.Active())}}
}
