package demo

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/app"
	"github.com/ringpath/ringpath/internal/config"
	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
	"github.com/ringpath/ringpath/internal/softphone"
	"github.com/ringpath/ringpath/internal/standin"
)

//go:embed directory.yaml
var directoryTemplate string

// Numbers of the demo's company, and its people.
const (
	tutorialNumber = "+14155550101" // asks our own Search Calls for the last agent
	crmNumber      = "+14155550102" // asks the stand-in CRM
	salesNumber    = "+14155550103" // rings the sales team
	bobsNumber     = "+14155550104" // rings Bob
	firstNumber    = "+14155550105" // asks for calls[0].user.id
	anyNumber      = "+14155550106" // asks for calls[*].user.id
	outsideNumber  = "+33123456789" // somebody outside, behind the carrier
	yourNumber     = "+14155550299" // who your own softphone is

	ann  = "Ann"
	bob  = "Bob"
	cleo = "Cleo"
	you  = "you"

	carrierName = "outside number" // how reports name whoever answers behind the carrier
)

// tones tell in Hz who is heard. None is a harmonic of another.
var tones = map[string]float64{ann: 620, bob: 780, cleo: 940, carrierName: 1100}

const callerTone = 440

// world is the program and everything around it.
type world struct {
	app     *app.App
	crm     *standin.CRM
	carrier *softphone.Phone            // calls, and answers outside numbers
	agents  map[string]*softphone.Phone // by name
	data    string                      // directory
	yours   string                      // password of your own softphone
	token   string                      // the CRM's bearer token
	running []*runner                   // in the order they were started

	mu     sync.Mutex
	out    func(format string, a ...any) // tells what happens on the phones
	caller phone.E164                    // of the call that is being made
	events []softphone.Event             // of agents and carrier, since the last watch
}

// runner is a part of the world that runs until it is stopped.
type runner struct {
	stop context.CancelFunc
	done chan struct{} // closed when it has ended
	err  error         // why, once done
}

func (w *world) run(part func(context.Context) error) *runner {
	ctx, stop := context.WithCancel(context.Background())
	r := &runner{stop: stop, done: make(chan struct{})}
	w.running = append(w.running, r)
	go func() {
		defer close(r.done)
		r.err = part(ctx)
	}()
	return r
}

// open builds the world and waits until every phone is registered.
func open(ctx context.Context, log io.Writer, say func(string, ...any)) (w *world, err error) {
	w = &world{agents: map[string]*softphone.Phone{}, token: random(), out: say}
	w.crm = standin.NewCRM(standin.CRMOptions{Token: w.token})
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("the demo cannot begin: %w", err), w.close())
		}
	}()
	if w.data, err = os.MkdirTemp("", "ringpath-demo-"); err != nil {
		return w, err
	}
	if err := w.crm.Start(); err != nil {
		return w, err
	}
	if w.carrier, err = softphone.New(softphone.Options{
		Lines:     4,
		Behaviour: softphone.Behaviour{AnswerAfter: 400 * time.Millisecond, Tone: tones[carrierName]},
		OnEvent:   w.seen(carrierName),
	}); err != nil {
		return w, err
	}
	w.run(w.carrier.Run)
	if err := w.openApp(ctx, log); err != nil {
		return w, err
	}
	return w, w.openAgents(ctx)
}

// openApp starts the program itself, as `ringpath serve` does, and applies the
// demo's directory.
func (w *world) openApp(ctx context.Context, log io.Writer) (err error) {
	settings := config.Default()
	settings.Data = w.data
	settings.HTTP.Listen = "127.0.0.1:0"
	settings.SIP.Listen = []config.Listener{{Network: "udp", Addr: "127.0.0.1:0"}}
	low := 10000 + 500*rand.N(40) // so that two demos at once seldom meet
	settings.Media.Ports = fmt.Sprintf("%d-%d", low, low+499)
	settings.Lookup.Allow = []string{w.crm.Addr()}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if w.app, err = app.Open(ctx, app.Options{Settings: settings, Version: "demo", Logger: logger}); err != nil {
		return err
	}
	w.run(func(ctx context.Context) error { return w.app.Run(ctx, ctx) })
	key, token, err := w.app.Keys.Create(ctx, "the tutorial's lookups", access.V1Read)
	if err != nil {
		return err
	}
	w.yours = random()
	var text bytes.Buffer
	if err := template.Must(template.New("directory").Parse(directoryTemplate)).Execute(&text, map[string]string{
		"HTTP": w.app.HTTPAddr().String(), "Carrier": w.carrier.Addr().String(),
		"KeyID": key.ID, "Token": token, "CRM": w.crm.Addr(), "CRMToken": w.token,
		"Password": w.yours,
	}); err != nil {
		return err
	}
	doc, faults := directory.Parse("the demo's directory", text.Bytes(), nil)
	if faults.Fatal() {
		return faults
	}
	_, err = w.app.Directory.Apply(ctx, doc, directory.ApplyOptions{})
	return err
}

// openAgents registers a phone for each agent.
func (w *world) openAgents(ctx context.Context) error {
	// Bob is the quickest, so that it is he who is "the last agent" later on.
	answers := map[string]time.Duration{ann: 1200 * time.Millisecond, bob: 700 * time.Millisecond, cleo: 1600 * time.Millisecond}
	for name, after := range answers {
		user := strings.ToLower(name)
		p, err := softphone.New(softphone.Options{
			Account: user + "@" + w.app.SIPAddr().String(), Password: secret.New(w.yours + user),
			Behaviour: softphone.Behaviour{AnswerAfter: after, Tone: tones[name]},
			OnEvent:   w.seen(name),
		})
		if err != nil {
			return err
		}
		w.agents[name] = p
		r := w.run(p.Run)
		select {
		case <-p.Registered():
		case <-r.done:
			return fmt.Errorf("%s's phone: %w", name, r.err)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Second):
			return &phone.Error{Kind: phone.Timeout, Text: name + "'s phone did not register within 10 s"}
		}
	}
	return nil
}

// seen notes what happens on a phone, and tells it.
func (w *world) seen(name string) func(softphone.Event) {
	return func(e softphone.Event) {
		e.Phone = name
		w.mu.Lock()
		defer w.mu.Unlock()
		w.tell(e)
		w.events = append(w.events, e)
	}
}

// tell says in words what happens to a call that rings a phone; w.mu is held.
func (w *world) tell(e softphone.Event) {
	rang := func(ev softphone.Event) bool { return ev.Kind == softphone.Ringing && ev.Call == e.Call }
	switch {
	case e.Kind == softphone.Ringing:
		if !slices.ContainsFunc(w.events, func(ev softphone.Event) bool { return ev.Kind == softphone.Ringing }) {
			w.tellLookup()
		}
		w.out("    %s rings", e.Phone)
	case !slices.ContainsFunc(w.events, rang): // the caller's own leg
	case e.Kind == softphone.Answered:
		w.out("    %s answers", e.Phone)
	case e.Kind == softphone.Ended && e.End == softphone.Elsewhere:
		w.out("    %s stops: another phone answered", e.Phone)
	case e.Kind == softphone.Ended && e.End == softphone.Cancelled:
		w.out("    %s stops: the caller gave up", e.Phone)
	}
}

// tellLookup says what the running call's lookup came to.
func (w *world) tellLookup() {
	for _, c := range w.app.Live() {
		if c.Caller != w.caller {
			continue
		}
		for _, n := range c.Steps {
			if n.Kind != "ring_to_api" || n.Exit == "" {
				continue
			}
			reason, target := "", ""
			if n.Reason != "" {
				reason = " (" + n.Reason + ")"
			}
			if n.Target != nil {
				target = " → " + n.Target.String()
			}
			w.out("    the lookup, %v ms: %s%s%s", inMillis(n.Dur), n.Exit, reason, target)
			return
		}
	}
}

// watch forgets what the phones have seen so far: another caller calls.
func (w *world) watch(caller phone.E164) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events, w.caller = nil, caller
}

// close ends everything, in reverse order, and removes the data.
func (w *world) close() error {
	var errs []error
	for _, r := range slices.Backward(w.running) {
		r.stop()
		<-r.done
		errs = append(errs, r.err)
	}
	errs = append(errs, w.crm.Close())
	if w.data != "" {
		errs = append(errs, os.RemoveAll(w.data))
	}
	return errors.Join(errs...)
}

// passwordFile writes your softphone's password where commands can read it.
func (w *world) passwordFile() (string, error) {
	path := filepath.Join(w.data, you+".password")
	return path, os.WriteFile(path, []byte(w.yours+"\n"), 0o600)
}
