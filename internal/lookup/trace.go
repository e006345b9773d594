package lookup

import (
	"encoding/json"
	"maps"
	"net/http"
	"time"

	"github.com/ringpath/ringpath/internal/outbound"
	"github.com/ringpath/ringpath/internal/phone"
)

// Answers is how much of an API's answers a call keeps: company.answers.
type Answers string

const (
	AnswersFull   Answers = "full"   // up to a limit of bytes
	AnswersChosen Answers = "chosen" // only the values that path and show hit
	AnswersNone   Answers = "none"
)

// Trace is everything that happened in one lookup (lookup.md section 7). It is
// cheap to make: masking and JSON happen when View or MarshalJSON is called. It
// holds secrets until then: never print one.
type Trace struct {
	exit       Exit
	reason     Reason
	params     map[string]string
	host       string
	attempts   []*attempt
	candidates []candidate
	chosen     int // index of the candidate that matched
	show       map[string]string
	budget     time.Duration
	spent      time.Duration
	masks      masks
	keep       int     // bytes of an answer
	answers    Answers // empty: full
	test       bool
}

// attempt is one request and what came of it.
type attempt struct {
	msg        *message
	method     string
	timings    outbound.Timings
	body       time.Duration
	status     int
	reason     Reason
	err        error
	unsent     bool
	respHeader http.Header
	answer     []byte
	whole      bool
}

// candidate is one value that a path hit.
type candidate struct {
	path, pointer string
	start, end    int
	value, mapped string
	read          string
	target        phone.Target
	state         phone.Availability
	reason        Reason
}

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
	Error     Reason            `json:"error,omitempty"`  // why this attempt gave nothing to read
	Detail    string            `json:"detail,omitempty"` // what the network said: a certificate's fault, …
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

// Cut shortens what View shows of the answer to limit bytes, around the chosen
// node where there is one; AnswersChosen and AnswersNone show less.
func (t *Trace) Cut(limit int, answers Answers) { t.keep, t.answers = limit, answers }

// MarshalJSON is View as JSON.
func (t *Trace) MarshalJSON() ([]byte, error) { return json.Marshal(t.View()) }

// View masks secrets and puts the trace into words.
func (t *Trace) View() View {
	m := t.masks
	v := View{
		TraceVersion: TraceVersion,
		Exit:         t.exit, Reason: t.reason,
		Params:   maps.Clone(t.params), // masked already, as show and the candidates' values are
		Show:     t.show,
		Attempts: make([]AttemptView, len(t.attempts)), Candidates: make([]CandidateView, len(t.candidates)),
		Cache: "off", Breaker: "off",
		BudgetMS: millis(t.budget), SpentMS: millis(t.spent),
	}
	for i, a := range t.attempts {
		v.Attempts[i] = t.attempt(m, a, i == len(t.attempts)-1)
	}
	for i := range t.candidates {
		v.Candidates[i] = t.candidates[i].view(m)
	}
	if t.answers == AnswersNone {
		v.Show = nil
		delete(v.Params, "value")
		delete(v.Params, "location")
		for i := range v.Candidates {
			c := &v.Candidates[i]
			c.Pointer, c.Value, c.Mapped, c.Read = "", "", "", "" // a pointer holds names of the answer's fields
		}
	}
	v.Sentence, v.Help = t.sentence(v.Params)
	return v
}

// earlierKeep is how much is shown of an answer that another attempt followed.
const earlierKeep = 256

func (t *Trace) attempt(m masks, a *attempt, last bool) AttemptView {
	wait, dns, connect, tls, first, address := a.timings.Read()
	body, _ := m.window(a.msg.body, 0, 0, t.keep)
	v := AttemptView{
		Request: RequestView{Method: a.method, URL: m.text(a.msg.url.String()),
			Headers: m.headers(a.msg.header), Body: body},
		Address: address,
		Timings: TimingsView{Wait: millis(wait), DNS: millis(dns), Connect: millis(connect),
			TLS: millis(tls), FirstByte: millis(first), Body: millis(a.body)},
		Status: a.status,
		Error:  a.reason,
	}
	full := t.answers == "" || t.answers == AnswersFull
	if a.err != nil && (full || a.unsent) { // what came back and is no HTTP stands in the error
		v.Detail = m.clip(a.err.Error(), maxValue)
	}
	if !full {
		v.Truncated = len(a.answer) > 0
		return v
	}
	v.Headers = m.headers(a.respHeader)
	limit, start, end := earlierKeep, 0, 0
	if last {
		limit = t.keep
		if t.exit == Matched {
			start, end = t.candidates[t.chosen].start, t.candidates[t.chosen].end
		}
	}
	v.Answer, v.Offset = m.window(a.answer, start, end, limit)
	v.Truncated = a.status != 0 && (!a.whole || v.Offset > 0 || len(a.answer) > limit)
	return v
}

func (c *candidate) view(m masks) CandidateView {
	v := CandidateView{Path: c.path, Pointer: m.text(c.pointer), Value: c.value, Mapped: m.text(c.mapped),
		Read: c.read, State: string(c.state), Reason: c.reason}
	if !c.target.IsZero() {
		v.Target = c.target.String()
	}
	return v
}

// millis rounds to microseconds.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
