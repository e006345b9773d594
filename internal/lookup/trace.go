package lookup

// Answers is how much of an API's answers a call keeps: company.answers.
type Answers string

const (
	AnswersFull   Answers = "full"   // up to a limit of bytes
	AnswersChosen Answers = "chosen" // only the values that path and show hit
	AnswersNone   Answers = "none"
)

// Trace is everything that happened in one lookup (lookup.md section 7). It is
// cheap to make: masking and JSON happen when View or MarshalJSON is called.
type Trace struct{ answers Answers }

// TraceVersion is the version of View's JSON.
const TraceVersion = 1

// View is a Trace as JSON shows it, secrets masked.
type View struct {
	TraceVersion int               `json:"trace_version"`
	Exit         Exit              `json:"exit"`
	Reason       Reason            `json:"reason,omitempty"`
	Params       map[string]string `json:"params,omitempty"`
	Sentence     string            `json:"sentence"`
	Help         string            `json:"help,omitempty"` // a page of ours that explains it
	Attempts     []AttemptView     `json:"attempts"`
	Candidates   []CandidateView   `json:"candidates"`
	Show         map[string]string `json:"show,omitempty"`
	Cache        string            `json:"cache"`   // "off"
	Breaker      string            `json:"breaker"` // "off"
	BudgetMS     float64           `json:"budget_ms"`
	SpentMS      float64           `json:"spent_ms"`
}

// AttemptView is one request and what came of it.
type AttemptView struct {
	Request   RequestView       `json:"request"`
	Address   string            `json:"address,omitempty"` // ip:port, or "in process"
	Timings   TimingsView       `json:"timings_ms"`
	Status    int               `json:"status,omitempty"`
	Error     string            `json:"error,omitempty"` // the reason that there is no status or no whole answer
	Headers   map[string]string `json:"headers,omitempty"`
	Answer    string            `json:"answer,omitempty"`
	Offset    int               `json:"answer_offset,omitempty"` // where in the body Answer begins
	Truncated bool              `json:"truncated,omitempty"`     // Answer is not the whole body
}

// RequestView is a request as it was sent, secrets masked.
type RequestView struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
}

// TimingsView says where the time went, in milliseconds.
type TimingsView struct {
	Wait      float64 `json:"wait"`
	DNS       float64 `json:"dns"`
	Connect   float64 `json:"connect"`
	TLS       float64 `json:"tls"`
	FirstByte float64 `json:"first_byte"`
	Body      float64 `json:"body"`
}

// CandidateView is one value that a path hit.
type CandidateView struct {
	Path    string `json:"path"`
	Pointer string `json:"pointer"` // RFC 6901, where in the answer
	Value   string `json:"value"`
	Mapped  string `json:"mapped,omitempty"` // what response.map made of it
	Read    string `json:"read,omitempty"`   // a phone number as it was understood
	Target  string `json:"target,omitempty"` // "user 456"
	State   string `json:"state,omitempty"`  // the user's availability
	Reason  Reason `json:"reason,omitempty"` // why it is nobody
}

// View masks secrets and puts the trace into words.
func (t *Trace) View() View { return View{TraceVersion: TraceVersion} }

// Cut shortens the answer that View shows: to max bytes, around the chosen node
// where there is one.
func (t *Trace) Cut(max int, answers Answers) { t.answers = answers }
