package exchange

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/presence"
	"github.com/ringpath/ringpath/internal/record"
)

// Records takes the account of calls; record.Writer does. None of its methods
// may block or touch a disk.
type Records interface {
	Opened(record.Call)
	Changed(record.Call)
	Ended(record.Call)
	Dialog(record.Dialog)
	DialogClosed(phone.LegID)
	Full() bool // nothing more can be kept: new calls are refused
}

// Options are the parts that an Exchange works with. All but Ended are required.
type Options struct {
	Network  phone.Network
	Presence *presence.Presence
	Records  Records
	// Directory is the snapshot that calls which begin now keep for their life.
	Directory func() *directory.Snapshot
	// Machine is the step machine over a snapshot.
	Machine func(*directory.Snapshot) *flow.Machine
	Logger  *slog.Logger
	Number  func(phone.E164) string // how logs write a number: masked or not
	Ended   func(*record.Call)      // told each record when it is closed, for metrics
}

// Exchange runs the calls of a Network. It is a phone.Handler.
type Exchange struct {
	Options
	trunks trunks

	mu       sync.Mutex
	calls    map[phone.CallID]*call
	draining bool
	idle     chan struct{} // closed when draining and no call is left
}

// New returns an Exchange that is ready for calls.
func New(o Options) *Exchange {
	return &Exchange{
		Options: o,
		calls:   make(map[phone.CallID]*call),
		idle:    make(chan struct{}),
	}
}

// Serve carries one call from its INVITE to its record, and returns when
// nothing of it is left.
func (x *Exchange) Serve(leg phone.IncomingLeg) {
	c, ok := x.begin(leg)
	if !ok {
		return
	}
	defer x.dismiss(c)
	c.run()
}

// begin makes a call of a leg, or refuses it.
func (x *Exchange) begin(leg phone.IncomingLeg) (*call, bool) {
	c := newCall(x, leg)
	if why := x.admit(c); why != "" {
		leg.Hangup(why)
		drain(leg)
		return nil, false
	}
	return c, true
}

// admit puts the call among the running ones, or says why not.
func (x *Exchange) admit(c *call) phone.Cause {
	if x.Records.Full() {
		return phone.CauseOverload
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.draining {
		return phone.CauseDraining
	}
	x.calls[c.facts.ID] = c
	return ""
}

func (x *Exchange) dismiss(c *call) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.calls, c.facts.ID)
	x.checkIdle()
}

func (x *Exchange) checkIdle() {
	if !x.draining || len(x.calls) > 0 {
		return
	}
	select {
	case <-x.idle:
	default:
		close(x.idle)
	}
}

// Live are the records of the running calls as they are now, in no order.
func (x *Exchange) Live() []record.Call {
	x.mu.Lock()
	defer x.mu.Unlock()
	live := make([]record.Call, 0, len(x.calls))
	for _, c := range x.calls {
		if r := c.public.Load(); r != nil && r.Status != record.Done {
			live = append(live, *r)
		}
	}
	return live
}

// Active is how many calls are running.
func (x *Exchange) Active() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.calls)
}

// Draining says that new calls are refused.
func (x *Exchange) Draining() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.draining
}

// hangUpGrace is how long Drain waits for calls that it hung up: a phone that has
// fallen silent would keep it for 32 s (RFC 3261 Timer F).
const hangUpGrace = 5 * time.Second

// Drain refuses new calls and waits until the running ones have ended by
// themselves. When ctx is done first, it hangs up the rest and gives them
// hangUpGrace. It says how many it had to hang up; closing the network ends what
// is left of them.
func (x *Exchange) Drain(ctx context.Context) (hungUp int) {
	x.mu.Lock()
	x.draining = true
	x.checkIdle()
	x.mu.Unlock()
	select {
	case <-x.idle:
		return 0
	case <-ctx.Done():
	}
	x.mu.Lock()
	hungUp = len(x.calls)
	for _, c := range x.calls {
		c.stop()
	}
	x.mu.Unlock()
	timer := time.NewTimer(hangUpGrace)
	defer timer.Stop()
	select {
	case <-x.idle:
	case <-timer.C:
	}
	return hungUp
}

// drain reads a leg out that was hung up.
func drain(leg phone.Leg) {
	for range leg.Events() {
	}
}

// trunks counts the calls that go out by each trunk (directory.Outbound).
type trunks struct {
	mu    sync.Mutex
	usage map[string]*usage
}

type usage struct {
	active  int
	started []time.Time // within the last minute, oldest first; MaxPerMinute at most
}

// acquire takes a place on a trunk for one call, or says that a limit is reached.
func (t *trunks) acquire(name string, limits directory.Outbound) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.usage == nil {
		t.usage = make(map[string]*usage)
	}
	u := t.usage[name]
	if u == nil {
		u = &usage{}
		t.usage[name] = u
	}
	now := time.Now()
	for len(u.started) > 0 && now.Sub(u.started[0]) >= time.Minute {
		u.started = u.started[1:]
	}
	if u.active >= limits.MaxConcurrent || len(u.started) >= limits.MaxPerMinute {
		return false
	}
	u.active++
	u.started = append(u.started, now)
	return true
}

func (t *trunks) release(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.usage[name].active--
}
