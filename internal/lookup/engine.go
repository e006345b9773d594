package lookup

import (
	"context"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ringpath/ringpath/internal/outbound"
	"github.com/ringpath/ringpath/internal/phone"
)

// Vars are what templates may say of a call (lookup.md section 2).
type Vars struct {
	Call       phone.CallFacts
	NumberName string            // calledNumber.name: of our number that was dialled
	Input      map[string]string // input.NAME
	Saved      map[string]string // saved.NAME
}

// Resolve turns what an answer named into a target. A Reason other than "" says
// why there is none: unknown_user, unknown_team, unknown_number, bad_number or
// not_allowed. Availability is a user's at this moment, for the trace; empty
// where it says nothing.
type Resolve func(Named) (phone.Target, phone.Availability, Reason)

// Request is one call's question.
type Request struct {
	Vars
	Region      string      // company.default_region, how national numbers are read; empty: not at all
	Credentials Credentials // of the directory revision that the call began with
	Resolve     Resolve     // required
	Test        bool        // "Test response": its trace keeps 64 KiB of an answer, whatever Cut says
}

// Limits of an Engine.
const (
	maxPerOrigin   = 50 // requests under way to one scheme+host+port
	maxLargeTraces = 10 // traces a second that keep 16 KiB (spec/privacy.md)
)

// Engine asks. It may serve any number of calls at once. Make it with NewEngine.
type Engine struct {
	// Asked, if set before the first Run, hears how long each lookup took that
	// tried to reach its host, retries included; not of tests. Host is as in the URL.
	Asked func(host string, took time.Duration)

	client *outbound.Client
	large  *rate.Limiter

	mu   sync.Mutex
	busy map[string]int // scheme://host:port → requests under way; guarded by mu
}

// NewEngine makes an engine that reaches APIs by client.
func NewEngine(client *outbound.Client) *Engine {
	return &Engine{client: client, large: rate.NewLimiter(maxLargeTraces, maxLargeTraces), busy: map[string]int{}}
}

// Run asks once. It never fails: an Outcome is always one of the four exits. It
// ends within the lookup's timeout, and at once when ctx is cancelled.
func (e *Engine) Run(ctx context.Context, l *Lookup, r Request) Outcome {
	x := run{engine: e, l: l, req: &r, start: time.Now()}
	x.trace = &Trace{budget: l.timeout, keep: otherKeep, test: r.Test}
	if r.Test {
		x.trace.keep = testKeep
	}
	if l.disabled {
		return x.end(Failed, ReasonDisabled)
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	if !x.render() {
		return x.out
	}
	body, ok := x.fetch(ctx)
	if ok {
		x.choose(ctx, body)
	}
	if e.Asked != nil && !r.Test && len(x.trace.attempts) > 0 {
		e.Asked(net.JoinHostPort(l.url.host, l.url.port), x.out.Dur)
	}
	return x.out
}

// take reserves one of a server's slots.
func (e *Engine) take(server string) (release func(), ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy[server] >= maxPerOrigin {
		return nil, false
	}
	e.busy[server]++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.busy[server]--; e.busy[server] == 0 {
			delete(e.busy, server)
		}
	}, true
}

// How much of an answer a trace keeps (spec/privacy.md), in bytes.
const (
	matchedKeep = 2 << 10
	otherKeep   = 16 << 10
	testKeep    = 64 << 10
)

// Cut shortens a call's trace to what the call may keep: with AnswersFull 2 KiB
// around the chosen node when matched, 16 KiB otherwise, but that for ten calls
// a second only. A test's trace is not cut.
func (e *Engine) Cut(t *Trace, answers Answers) {
	if t.test {
		return
	}
	limit := matchedKeep
	if t.exit != Matched && e.large.Allow() {
		limit = otherKeep
	}
	t.Cut(limit, answers)
}
