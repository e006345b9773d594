package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
)

// Pretended is a call that is tried out.
type Pretended struct {
	Caller  string            `json:"caller" maxLength:"40" example:"+14155550123" doc:"E.164, or anonymous for a withheld number"`
	At      time.Time         `json:"at,omitzero" doc:"When the call comes in; left out: now"`
	Trunk   string            `json:"trunk,omitempty" maxLength:"200" doc:"The trunk it comes by"`
	Inputs  map[string]string `json:"inputs,omitempty" doc:"input.NAME in templates"`
	Headers map[string]string `json:"headers,omitempty" doc:"sip.NAME in templates"`
	Confirm bool              `json:"confirm,omitempty" doc:"Send requests that may change something at the other end: a POST that is not idempotent"`
}

type testInput struct {
	Body struct {
		Pretended
		Called string          `json:"called,omitempty" maxLength:"40" doc:"One of our numbers, E.164; left out: the first that has the flow"`
		Flow   string          `json:"flow,omitempty" maxLength:"200" doc:"A stored step: its flow"`
		Step   string          `json:"step,omitempty" maxLength:"200" doc:"and its name; left out: the flow's first lookup"`
		Lookup json.RawMessage `json:"lookup,omitempty" doc:"Or a lookup given here, written as in a ring_to_api step; ringing and otherwise are passed over"`
	}
}

type testOutput struct {
	Body struct {
		Flow       string      `json:"flow,omitempty"`
		Step       string      `json:"step,omitempty"`
		Exit       lookup.Exit `json:"exit" enum:"matched,no_match,unknown_target,failed"`
		Reason     string      `json:"reason,omitempty"`
		Value      string      `json:"value,omitempty"`
		Target     string      `json:"target,omitempty" example:"user 456"`
		Candidates []string    `json:"candidates" doc:"All who would ring"`
		Took       string      `json:"took" example:"212ms"`
		Trace      lookup.View `json:"trace"`
	}
}

type tryInput struct {
	Body struct {
		Pretended
		Number string `json:"number" maxLength:"40" doc:"One of our numbers, E.164: its flow is tried"`
	}
}

type tryOutput struct {
	Body flow.Timeline
}

func (s *Server) lookupOperations(h huma.API) {
	add(s, h, operation{Method: http.MethodPost, Path: "/api/lookups/test", Scope: access.APIWrite, Tag: "lookups",
		Summary: "Test a lookup", About: "Runs a lookup as a call would, and shows its trace. Rings nobody."}, s.testLookup)
	add(s, h, operation{Method: http.MethodPost, Path: "/api/flows/try", Scope: access.APIWrite, Tag: "lookups",
		Summary: "Try a flow", About: "Plays a whole call through in which nobody answers: which steps, whom each would ring with everybody as they are now, how long. Lookups are really asked; nobody rings."}, s.tryFlow)
}

func (s *Server) testLookup(ctx context.Context, in *testInput) (*testOutput, error) {
	b, snapshot := &in.Body, s.Directory.Snapshot()
	called, err := calledNumber(snapshot, b.Called, b.Flow)
	if err != nil {
		return nil, err
	}
	facts, err := s.facts(&b.Pretended, called)
	if err != nil {
		return nil, err
	}
	out := &testOutput{}
	var l *lookup.Lookup
	if len(b.Lookup) > 0 {
		l, err = s.givenLookup(b.Lookup)
	} else {
		out.Body.Flow = b.Flow
		out.Body.Step, l, err = storedLookup(snapshot, b.Flow, b.Step)
	}
	if err != nil {
		return nil, err
	}
	if l.Unsafe() && !b.Confirm {
		return nil, errConfirm("the lookup sends a POST that may change something at the API: confirm that it may be sent")
	}
	request := s.machine(snapshot).Question(facts, inputs(b.Inputs))
	request.Test = true
	result := s.Lookups.Run(ctx, l, request)
	o := &out.Body
	o.Exit, o.Reason, o.Value = result.Exit, string(result.Reason), result.Value
	o.Took = result.Dur.Round(time.Microsecond).String()
	o.Candidates = []string{}
	for _, t := range result.Candidates {
		o.Candidates = append(o.Candidates, t.String())
	}
	if !result.Target.IsZero() {
		o.Target = result.Target.String()
	}
	o.Trace = result.Trace.View()
	return out, nil
}

// storedLookup is a step of the directory.
func storedLookup(d *directory.Snapshot, flowName, step string) (string, *lookup.Lookup, error) {
	f, ok := d.Flow(flowName)
	if !ok {
		return "", nil, invalidAt("/flow", "there is no flow of this name; say flow, or give a lookup")
	}
	name, l, ok := f.Lookup(step)
	if !ok {
		return "", nil, invalidAt("/step", "this flow has no ring_to_api step of this name")
	}
	return name, l, nil
}

// givenLookup checks a lookup that is in the request, as a ring_to_api step: with
// all its faults, each with its line and column in what was sent.
func (s *Server) givenLookup(text json.RawMessage) (*lookup.Lookup, error) {
	l, faults := s.Directory.CompileLookup("lookup", text)
	if l != nil {
		return l, nil
	}
	p := problem(http.StatusUnprocessableEntity, string(phone.Invalid), "the lookup cannot be run")
	for _, f := range faults {
		f.Pointer = "/lookup" + f.Pointer
		p.Errors = append(p.Errors, f)
	}
	return nil, p
}

func (s *Server) tryFlow(ctx context.Context, in *tryInput) (*tryOutput, error) {
	b, snapshot := &in.Body, s.Directory.Snapshot()
	if b.Number == "" {
		return nil, invalidAt("/number", "say which of our numbers is called")
	}
	number, err := calledNumber(snapshot, b.Number, "")
	if err != nil {
		return nil, err
	}
	facts, err := s.facts(&b.Pretended, number)
	if err != nil {
		return nil, err
	}
	request := flow.TryRequest{Call: facts, Vars: inputs(b.Inputs), Confirmed: b.Confirm}
	if t, ok := snapshot.Trunk(facts.Trunk); ok {
		request.Unanswered = t.MaxUnanswered - unansweredMargin
	}
	timeline, err := s.machine(snapshot).Try(ctx, request)
	var unsafe *flow.UnsafeError
	if errors.As(err, &unsafe) {
		return nil, errConfirm(unsafe.Error())
	}
	if err != nil {
		return nil, err
	}
	return &tryOutput{Body: timeline}, nil
}

// machine walks the flows of one snapshot.
func (s *Server) machine(d *directory.Snapshot) *flow.Machine {
	return &flow.Machine{Directory: d, Lookups: s.Lookups, Availability: s.State, Now: s.Now}
}

// inputs are the variables of a flow's state that stand for collected digits.
func inputs(named map[string]string) map[string]string {
	vars := make(map[string]string, len(named))
	for name, value := range named {
		vars["input."+name] = value
	}
	return vars
}

// unansweredMargin is how long before a trunk gives an unanswered call up the
// last step ends.
const unansweredMargin = 5 * time.Second

func errConfirm(text string) error { return problem(http.StatusConflict, "confirm", "%s", text) }

// calledNumber finds the number that a pretended call dials; without digits the
// first that has the flow, and none when there is none.
func calledNumber(d *directory.Snapshot, digits, flowName string) (phone.Number, error) {
	if digits == "" && flowName != "" {
		for _, n := range d.Numbers() {
			if n.Flow == flowName {
				return n, nil
			}
		}
	}
	if digits == "" {
		return phone.Number{}, nil
	}
	e164, err := phone.ParseE164(digits)
	if err != nil {
		return phone.Number{}, &phone.Error{Kind: phone.Invalid, Text: "the number called: " + phone.ErrNumber.Error()}
	}
	n, ok := d.NumberByDigits(e164)
	if !ok {
		return phone.Number{}, &phone.Error{Kind: phone.NotFound, Text: "the number " + digits + " is not one of ours"}
	}
	return n, nil
}

// facts are those of a pretended call.
func (s *Server) facts(p *Pretended, called phone.Number) (phone.CallFacts, error) {
	at := p.At
	if at.IsZero() {
		at = s.Now()
	}
	f := phone.CallFacts{
		ID: phone.CallID(at.UnixMicro()), Called: called.Digits, Number: called.ID, Trunk: p.Trunk,
		Headers: make(map[string]string, len(p.Headers)), StartedAt: at.UTC(),
	}
	for name, value := range p.Headers {
		f.Headers[strings.ToLower(name)] = value // as templates know them
	}
	if p.Caller == "anonymous" || p.Caller == "withheld" {
		return f, nil
	}
	caller, err := phone.ParseE164(p.Caller)
	if err != nil {
		return f, invalidAt("/caller", phone.ErrNumber.Error()+", or anonymous")
	}
	f.Caller = caller
	return f, nil
}
