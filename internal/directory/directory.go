package directory

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringpath/ringpath/internal/secret"
)

// Options of a Directory. The zero value is useful.
type Options struct {
	HeaderNames []string // sip.pass_headers: what templates may read as sip.NAME
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
	subscribers []func(old, new *Snapshot)
}

// Open loads what is stored. What a former version stored and this one cannot
// carry out is an error that names it.
func Open(ctx context.Context, store Store, box *secret.Box, o Options) (*Directory, error) {
	return nil, errors.ErrUnsupported
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
func (d *Directory) Plan(ctx context.Context, doc Document, o ApplyOptions) (Plan, error) {
	return Plan{}, errors.ErrUnsupported
}

// Apply puts a document in, whole or not at all: the directory that results is
// checked, stored in one transaction, made the current snapshot, and told to
// subscribers. A document with faults gives document.Faults as the error.
func (d *Directory) Apply(ctx context.Context, doc Document, o ApplyOptions) (Plan, error) {
	return Plan{}, errors.ErrUnsupported
}

// Export writes everything out, secrets as {stored: true}.
func (d *Directory) Export(ctx context.Context) (Document, error) {
	return Document{}, errors.ErrUnsupported
}
