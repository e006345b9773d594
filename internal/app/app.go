package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/api"
	"github.com/ringpath/ringpath/internal/config"
	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/exchange"
	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/media"
	"github.com/ringpath/ringpath/internal/outbound"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/presence"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/registrar"
	"github.com/ringpath/ringpath/internal/secret"
	"github.com/ringpath/ringpath/internal/sip"
	"github.com/ringpath/ringpath/internal/store"
)

// Options say which program to put together.
type Options struct {
	Settings config.Settings
	Version  string
	Document directory.Document // applied before the first call; may be empty
	Logger   *slog.Logger       // nil: none
}

// App is the whole program. Its exported parts are for whoever starts it.
type App struct {
	Directory *directory.Directory
	Records   *record.Writer
	Keys      *access.Keys

	options     Options
	settings    config.Settings
	log         *slog.Logger
	presence    *presence.Presence
	registrar   *registrar.Registrar
	outbound    *outbound.Client
	lookups     *lookup.Engine
	relay       *media.Relay
	exchange    *exchange.Exchange
	sip         *sip.Server
	metrics     *api.Metrics
	api         *api.Server
	web         []*server
	work        sync.WaitGroup  // background work of the app itself
	interrupted []record.Dialog // still to be closed with a BYE
	closers     []func() error  // in the order of opening
}

// Open opens everything: the data directory, the database, every listener. When
// it returns without an error, calls are being taken; Run must follow. What was
// opened before an error is closed again.
func Open(ctx context.Context, o Options) (*App, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &App{options: o, settings: o.Settings, log: o.Logger, metrics: api.NewMetrics()}
	for _, open := range []func(context.Context) error{
		a.openStore, a.openLookups, a.openCalls, a.openAPI, a.findInterrupted, a.openSIP, a.closeInterrupted,
	} {
		if err := open(ctx); err != nil {
			return nil, errors.Join(err, a.close())
		}
	}
	return a, nil
}

func (a *App) onClose(f func() error) { a.closers = append(a.closers, f) }

// close closes what was opened, the last first.
func (a *App) close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(errs...)
}

// openStore opens what is kept: key file, database, directory, keys, records.
func (a *App) openStore(ctx context.Context) error {
	dir := a.settings.Data
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	box, err := secret.OpenBox(filepath.Join(dir, "key"))
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, filepath.Join(dir, "ringpath.db"))
	if err != nil {
		return err
	}
	a.onClose(db.Close)
	o, err := DirectoryOptions(a.settings)
	if err != nil {
		return err
	}
	o.Logger = a.log
	if a.Directory, err = directory.Open(ctx, db, box, o); err != nil {
		return err
	}
	if doc := a.options.Document; !doc.Empty() {
		if _, err := a.Directory.Apply(ctx, doc, directory.ApplyOptions{}); err != nil {
			return err
		}
	}
	if a.Keys, err = access.Open(ctx, db); err != nil {
		return err
	}
	a.background(a.Keys.Run)
	a.Records, err = record.Open(db, record.Options{
		Spill: filepath.Join(dir, "records.spill"), Logger: a.log,
		Keep: func() record.Keep {
			k := a.Directory.Snapshot().Company().Keep
			return record.Keep{Calls: k.Calls, Traces: k.Traces, Answers: k.Answers, SIP: k.SIP}
		},
		Marked: func(id phone.NumberID) bool {
			n, _ := a.Directory.Snapshot().Number(id)
			return n.KeepSIP
		},
	})
	if err != nil {
		return err
	}
	a.onClose(func() error { return within(10*time.Second, a.Records.Close) })
	return nil
}

// DirectoryOptions are the settings that directory documents are checked by. It
// fails only when lookup.allow cannot be read.
func DirectoryOptions(s config.Settings) (directory.Options, error) {
	// A client of its own, which asks nobody: it knows what the settings allow.
	client, err := outbound.New(outbound.Options{Allow: s.Lookup.Allow})
	if err != nil {
		return directory.Options{}, err
	}
	if s.HTTP.PublicURL != "" {
		if err := client.SetOwn(nil, nil, s.HTTP.PublicURL); err != nil {
			return directory.Options{}, err
		}
	}
	return directory.Options{PassHeaders: s.SIP.PassHeaders, AllowsPlain: client.AllowsPlain}, nil
}

// background runs f until the app closes, before anything opened earlier does.
func (a *App) background(f func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	a.onClose(func() error {
		stop()
		<-done
		return nil
	})
}

func within(limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return f(ctx)
}

func (a *App) openLookups(context.Context) (err error) {
	if a.outbound, err = outbound.New(outbound.Options{Allow: a.settings.Lookup.Allow}); err != nil {
		return err
	}
	a.onClose(func() error { a.outbound.Close(); return nil })
	a.lookups = lookup.NewEngine(a.outbound)
	a.lookups.Asked = a.metrics.Lookup
	return nil
}

// openCalls makes what runs calls; it is not reached by anybody yet.
func (a *App) openCalls(context.Context) error {
	a.presence = presence.New()
	a.registrar = registrar.New(registrar.Options{OnChange: a.phonesChanged})
	a.Directory.OnChange(a.forgetPhones)
	a.onClose(func() error { a.registrar.Close(); return nil })
	low, high := a.settings.Media.Range()
	a.relay = media.NewRelay(media.Options{MinPort: low, MaxPort: high, Logger: a.log})
	a.onClose(a.relay.Close)
	a.exchange = exchange.New(exchange.Options{
		Network: network{a}, Presence: a.presence, Records: a.Records,
		Directory: a.Directory.Snapshot, Machine: a.machine,
		Logger: a.log, Number: a.logNumber, Ended: a.metrics.CallEnded,
	})
	a.metrics.Gauge("active_calls", "Calls going on now.", a.exchange.Active)
	a.metrics.Gauge("registrations", "Phones registered now.", a.registrar.Count)
	return nil
}

// phonesChanged hears of each registration that came or went. A phone behind an
// address of a trunk would make its calls as that trunk: somebody should know.
func (a *App) phonesChanged(user phone.UserID, registered int) {
	a.presence.SetPhones(user, registered)
	for _, c := range a.registrar.Contacts(user) {
		if t, ok := a.Directory.Snapshot().TrunkFor(c.Source); ok {
			a.log.Warn("a trunk's networks contain a registered phone: its calls count as the trunk's", "trunk", t.Name, "phone", c.Username)
		}
	}
}

// forgetPhones un-registers the phones whose login a change of the directory has
// taken away or altered.
func (a *App) forgetPhones(old, new *directory.Snapshot) {
	a.registrar.Retain(func(username string, user phone.UserID) bool {
		before, _ := old.Account(username)
		now, ok := new.Account(username)
		return ok && now.User == user && now.Password.Reveal() == before.Password.Reveal()
	})
}

func (a *App) machine(s *directory.Snapshot) *flow.Machine {
	return &flow.Machine{Directory: s, Lookups: a.lookups, Availability: a.presence.State}
}

// logNumber is how logs write a number.
func (a *App) logNumber(n phone.E164) string {
	if a.settings.Log.Numbers == "full" {
		return string(n)
	}
	return n.Masked()
}

// network is the SIP server to the exchange, which is made first: no call can
// come before both are there.
type network struct{ a *App }

func (n network) Contacts(user phone.UserID) []phone.Contact { return n.a.registrar.Contacts(user) }

func (n network) Dial(ctx context.Context, d phone.Dial) (phone.Leg, error) {
	return n.a.sip.Dial(ctx, d)
}

// openSIP opens the SIP listeners: from now on calls come in.
func (a *App) openSIP(context.Context) error {
	s := a.settings.SIP
	opened := make(chan struct{})
	o := sip.Options{
		Domain: s.Domain, PublicAddress: s.Public(), LocalNetworks: s.Local(),
		Digest: registrar.Algorithms(s.Digest), PassHeaders: s.PassHeaders,
		Handler:   handler{a.exchange, opened},
		Directory: func() sip.Directory { return a.Directory.Snapshot() },
		Registrar: a.registrar, Media: a.relay,
		Draining: a.exchange.Draining, Tap: a.Records.Message, Count: a.metrics.SIPResponse,
		Logger: a.log,
	}
	for _, l := range s.Listen {
		o.Listen = append(o.Listen, sip.Listener{Network: l.Network, Addr: l.Addr})
	}
	server, err := sip.Listen(o)
	if err != nil {
		return err
	}
	a.sip = server
	close(opened)
	a.onClose(func() error { return within(lastWords, server.Shutdown) })
	return nil
}

// lastWords is how long the program waits, when it ends, for the other parties to
// answer its BYEs: three repetitions.
const lastWords = 5 * time.Second

// handler holds calls back that come while the SIP server is still being opened.
type handler struct {
	phone.Handler
	opened <-chan struct{}
}

func (h handler) Serve(leg phone.IncomingLeg) {
	<-h.opened
	h.Handler.Serve(leg)
}

// findInterrupted closes the records of calls that a crash cut off. It comes
// after the socket, which proves that no other server uses the data, and before
// the first new call.
func (a *App) findInterrupted(ctx context.Context) (err error) {
	a.interrupted, err = a.Records.Interrupted(ctx)
	return err
}

// closeInterrupted sends a BYE to each dialog that was up when the program was
// last killed.
func (a *App) closeInterrupted(context.Context) error {
	for _, d := range a.interrupted {
		a.work.Go(func() {
			err := within(32*time.Second, func(ctx context.Context) error { return a.sip.CloseDialog(ctx, d) })
			a.log.Info("closed a dialog of an interrupted call", "call", d.Call, "leg", d.Leg, "err", err)
		})
	}
	a.interrupted = nil
	a.onClose(func() error { a.work.Wait(); return nil })
	return nil
}

// Run serves until drain is done; then new calls are refused and the running
// ones may end by themselves, for settings.drain at most or until insist is
// done. Everything is closed when it returns.
func (a *App) Run(drain, insist context.Context) error {
	var failed error
	select {
	case <-drain.Done():
	case failed = <-a.webFailed():
	}
	a.log.Info("draining", "calls", a.exchange.Active())
	ctx, cancel := context.WithTimeout(insist, a.settings.Drain)
	if a.exchange.Drain(ctx) > 0 {
		// The BYEs have just gone out: a moment for their answers, and to repeat them.
		failed = errors.Join(failed, within(byeGrace, a.sip.Shutdown))
	}
	cancel()
	return errors.Join(failed, a.close())
}

// byeGrace is how long the end of the program waits for calls that it hung up.
const byeGrace = 2 * time.Second

// Live are the records of the running calls as they are now.
func (a *App) Live() []record.Call { return a.exchange.Live() }

// SIPAddr is the address of the first SIP listener.
func (a *App) SIPAddr() netip.AddrPort { return addrPort(a.sip.Addrs()[0]) }

func addrPort(addr net.Addr) netip.AddrPort {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
