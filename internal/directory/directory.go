package directory

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// Options of a Directory. The zero value is useful.
type Options struct {
	PassHeaders []string // sip.pass_headers: what templates may read as sip.NAME
	// AllowsPlain says that a credential may go to host:port without TLS, because
	// the settings allow that host; nil: to loopback only.
	AllowsPlain func(host, port string) bool
	Now         func() time.Time // nil: time.Now
	Logger      *slog.Logger     // nil: none
}

// Directory owns the current snapshot. Apply, Plan and Export run one at a
// time; Snapshot never waits for them.
type Directory struct {
	store   Store
	box     *secret.Box
	options Options
	current atomic.Pointer[Snapshot]

	mu          sync.Mutex // held while planning, applying and telling subscribers
	stored      contents   // what the current snapshot was made of
	seq         sequences
	subscribers []func(old, new *Snapshot)
}

// Open loads what is stored. What this version cannot carry out, and a secret
// that the box cannot open, is an error that names it. A lookup that the
// settings refuse since it was stored is a line in the log: its calls must not
// stop all others.
func Open(ctx context.Context, store Store, box *secret.Box, o Options) (*Directory, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	all, seq, rev, err := load(ctx, store, box)
	if err != nil {
		return nil, err
	}
	s, faults := build(all, rev, o)
	if faults.Fatal() {
		return nil, fmt.Errorf("the stored directory cannot be used by this version: %w", faults)
	}
	for _, f := range faults {
		if f.Code == lookup.CodeSettings {
			o.Logger.WarnContext(ctx, "a stored flow needs a setting that is gone", "fault", f.String())
		}
	}
	d := &Directory{store: store, box: box, options: o, stored: all, seq: seq}
	d.current.Store(s)
	return d, nil
}

// Snapshot is the current picture. It never blocks.
func (d *Directory) Snapshot() *Snapshot { return d.current.Load() }

// OnChange has f called after each change, one at a time, before Apply returns.
// It must not call back into Apply, Plan, Export or OnChange.
func (d *Directory) OnChange(f func(old, new *Snapshot)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.subscribers = append(d.subscribers, f)
}

// Plan says what Apply would change, and changes nothing.
func (d *Directory) Plan(_ context.Context, doc Document, o ApplyOptions) (Plan, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, _, warnings, err := d.prepare(doc, o)
	if err != nil {
		return Plan{}, err
	}
	return Plan{Revision: d.Snapshot().Rev(), Changes: m.changes(), Warnings: warnings}, nil
}

// Apply puts a document in, whole or not at all: the directory that results is
// checked, stored in one transaction, made the current snapshot, and told to
// subscribers. A document with faults gives document.Faults as the error. When
// nothing changes, nothing is stored and the revision stays.
func (d *Directory) Apply(ctx context.Context, doc Document, o ApplyOptions) (Plan, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, next, warnings, err := d.prepare(doc, o)
	if err != nil {
		return Plan{}, err
	}
	old := d.Snapshot()
	plan := Plan{Revision: old.Rev(), Changes: m.changes(), Warnings: warnings}
	if len(plan.Changes) == 0 {
		return plan, nil
	}
	changes, seq, err := m.save(plan.Changes, d.box)
	if err != nil {
		return Plan{}, err
	}
	if next.rev, err = d.store.SaveDirectory(ctx, old.Rev(), changes); err != nil {
		return Plan{}, fmt.Errorf("store the directory: %w", err)
	}
	plan.Revision = next.rev
	d.stored, d.seq = m.settled(), seq
	d.current.Store(next)
	for _, f := range d.subscribers {
		f(old, next)
	}
	return plan, nil
}

// prepare makes the directory that would result and checks it as a whole.
func (d *Directory) prepare(doc Document, o ApplyOptions) (*merge, *Snapshot, []Fault, error) {
	if rev := d.Snapshot().Rev(); o.Revision != 0 && o.Revision != rev {
		return nil, nil, nil, &phone.Error{Kind: phone.Conflict,
			Text: fmt.Sprintf("the document was made for revision %d, the directory is at %d: plan again", o.Revision, rev)}
	}
	m, err := put(d.stored, d.seq, doc, o, d.options.Now())
	if err != nil {
		return nil, nil, nil, err
	}
	next, faults := build(m.now, d.Snapshot().Rev()+1, d.options)
	faults = append(m.faults, faults...)
	faults.Sort()
	if faults.Fatal() {
		return nil, nil, nil, faults
	}
	return m, next, m.news(faults), nil
}

// Export writes everything out, secrets as {stored: true}.
func (d *Directory) Export(context.Context) (Document, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stored.document(), nil
}

// Check validates a document without a server, as if it were put into an empty
// directory: secrets that are {stored: true} count as there. The Snapshot is
// nil when a fault is more than a warning.
func (doc Document) Check(o Options) (*Snapshot, document.Faults) {
	if o.Now == nil {
		o.Now = time.Now
	}
	m, err := put(contents{}, nil, doc, ApplyOptions{}, o.Now())
	if err != nil {
		return nil, document.Faults{{Message: err.Error()}}
	}
	s, faults := build(m.now, 0, o)
	faults = append(m.faults, faults...)
	faults = slices.DeleteFunc(faults, func(f Fault) bool { return f.Code == codeMissingSecret && doc.keepsStored(f.Pointer) })
	faults.Sort()
	if faults.Fatal() {
		return nil, faults
	}
	return s, faults
}

// keepsStored says that {stored: true} stands at a pointer.
func (doc Document) keepsStored(pointer string) bool {
	n, _ := doc.root.At(pointer)
	return text(n, "stored") == "true"
}

// CompileLookup checks a ring_to_api step that stands in no flow, for a test: a
// YAML or JSON text with the fields of ring_to_api. The Lookup is nil when a
// fault is more than a warning.
func (d *Directory) CompileLookup(name string, text []byte) (*lookup.Lookup, document.Faults) {
	root, faults := document.Parse(name, text)
	if root == nil {
		return nil, faults
	}
	var spec flow.RingToAPISpec
	dec := document.Decoder{Faults: faults}
	dec.Decode(root, "", &spec)
	s := d.Snapshot()
	env := lookup.Env{HeaderNames: d.options.PassHeaders, Credentials: s, AllowsPlain: d.options.AllowsPlain}
	compiled, found := lookup.Compile(spec.Lookup, flow.LookupEnv(s, env))
	faults = dec.Faults
	for _, f := range found {
		_, at := root.At(f.Pointer)
		faults = append(faults, Fault{File: at.File, Line: at.Line, Column: at.Column, Pointer: f.Pointer, Code: f.Code, Message: f.Message, Warning: f.Warning})
	}
	faults.Sort()
	if faults.Fatal() {
		return nil, faults
	}
	return compiled, faults
}
