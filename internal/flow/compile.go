package flow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/ring"
)

// Codes of faults in flows, beside those of documents and lookups.
const (
	CodeNoName      = "no_name"
	CodeStepKind    = "step_kind"    // not exactly one kind
	CodeSameName    = "name_taken"   // two steps of one name
	CodeUnknownStep = "unknown_step" // next names none
	CodeCycle       = "cycle"        // a call could go round for ever
	CodeNoWayOut    = "no_way_out"   // a call could end with nobody rung and no hang_up
	CodeUnreachable = "unreachable"  // a warning
	CodeTarget      = "bad_target"   // not exactly one, or none that can stand here
	CodeUnknownName = "dangling"     // a name that refers to nothing
	CodeNumber      = "not_e164"
	CodeRange       = "out_of_range"
	CodeNotAllowed  = "not_allowed" // no trunk may dial it
)

const maxFlowSteps = 200 // steps of one flow: more than a call can run

// Flow is a checked flow, ready to be walked. It never changes.
type Flow struct {
	ID    int64
	Name  string
	steps []step
	index map[string]int // name → steps
}

// Steps are the names of the steps, in the document's order, made ones included.
func (f *Flow) Steps() []string {
	names := make([]string, len(f.steps))
	for i := range f.steps {
		names[i] = f.steps[i].name
	}
	return names
}

// Lookup is the compiled lookup of a ring_to_api step; empty name: the first.
func (f *Flow) Lookup(step string) (name string, l *lookup.Lookup, ok bool) {
	for i := range f.steps {
		if s := &f.steps[i]; s.kind == ringToAPI && (step == "" || s.name == step) {
			return s.name, s.lookup, true
		}
	}
	return "", nil, false
}

// The kinds of steps, as documents and notes write them.
const (
	ringToAPI  = "ring_to_api"
	ringTo     = "ring_to"
	redirectTo = "redirect_to"
	hangUp     = "hang_up"
)

// step is one step, all names resolved.
type step struct {
	name      string
	kind      string
	next      int // index; len(steps): the end
	settings  ring.Settings
	lookup    *lookup.Lookup
	otherwise map[lookup.Exit]phone.Target // missing: next
	target    phone.Target                 // ring_to, redirect_to
	cause     phone.Cause                  // hang_up
}

// Env is what a flow is checked against.
type Env struct {
	People People
	Lookup lookup.Env // completed by LookupEnv
}

// compiler collects the faults of one flow. Pointers begin at the flow.
type compiler struct {
	env    Env
	flow   *Flow
	faults document.Faults
}

func (c *compiler) fault(pointer, code, format string, args ...any) {
	c.faults = append(c.faults, document.Fault{Pointer: pointer, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (c *compiler) warn(pointer, code, format string, args ...any) {
	c.fault(pointer, code, format, args...)
	c.faults[len(c.faults)-1].Warning = true
}

// LookupEnv completes what a lookup alone is checked against.
func LookupEnv(people People, env lookup.Env) lookup.Env {
	env.Region = people.Region()
	env.Resolve = resolver{people: people}.resolve
	return env
}

// Compile checks a flow and parses all of it: nothing is parsed during a call.
// Faults' pointers begin at the flow ("/steps/0/next"). With a fault that is
// more than a warning the Flow is nil.
func Compile(spec Spec, env Env) (*Flow, document.Faults) {
	env.Lookup = LookupEnv(env.People, env.Lookup)
	c := &compiler{env: env, flow: &Flow{ID: spec.ID, Name: spec.Name}}
	if strings.TrimSpace(spec.Name) == "" {
		c.fault("", CodeNoName, "a flow needs a name: numbers refer to it")
	}
	if len(spec.Steps) > maxFlowSteps {
		c.fault("/steps", CodeRange, "a flow has at most %d steps", maxFlowSteps)
		return nil, c.faults
	}
	c.name(spec.Steps)
	for i, s := range spec.Steps {
		c.step(i, s, document.Join("/steps", i))
	}
	c.ways()
	if c.faults.Fatal() {
		return nil, c.faults
	}
	return c.flow, c.faults
}

// name gives every step its name; those that have none get their kind's, with
// a number where it is taken.
func (c *compiler) name(specs []StepSpec) {
	f := c.flow
	f.steps = make([]step, len(specs))
	f.index = make(map[string]int, len(specs))
	for i, s := range specs {
		if s.Name == "" {
			continue
		}
		if other, taken := f.index[s.Name]; taken {
			c.fault(document.Join("/steps", i, "name"), CodeSameName, "step %d has the name %q already: names are unique within a flow", other+1, s.Name)
			continue
		}
		if s.Name == "next" || len(s.Name) > 200 {
			c.fault(document.Join("/steps", i, "name"), document.CodeValue, "a step's name has at most 200 bytes and is not the word next")
		}
		f.steps[i].name, f.index[s.Name] = s.Name, i
	}
	for i, s := range specs {
		if s.Name != "" {
			continue
		}
		kind := s.kind()
		name := kind
		for k := 2; ; k++ {
			if _, taken := f.index[name]; !taken {
				break
			}
			name = fmt.Sprintf("%s %d", kind, k)
		}
		f.steps[i].name, f.index[name] = name, i
	}
}

// kind is the step's kind; "step" when it has not exactly one.
func (s *StepSpec) kind() string {
	kind := ""
	for name, set := range map[string]bool{
		ringToAPI: s.RingToAPI != nil, ringTo: s.RingTo != nil,
		redirectTo: s.RedirectTo != nil, hangUp: s.HangUp != nil,
	} {
		switch {
		case !set:
		case kind != "":
			return "step"
		default:
			kind = name
		}
	}
	if kind == "" {
		return "step"
	}
	return kind
}

func (c *compiler) step(i int, s StepSpec, at string) {
	out := &c.flow.steps[i]
	out.kind, out.next = s.kind(), i+1
	switch out.kind {
	case ringToAPI:
		c.ringToAPI(out, s.RingToAPI, document.Join(at, ringToAPI))
	case ringTo:
		c.ringTo(out, s.RingTo, document.Join(at, ringTo))
	case redirectTo:
		c.redirectTo(out, s.RedirectTo, document.Join(at, redirectTo))
	case hangUp:
		c.hangUp(out, s.HangUp, document.Join(at, hangUp))
	default:
		c.fault(at, CodeStepKind, "a step is exactly one of ring_to_api, ring_to, redirect_to, hang_up (an empty one is written hang_up: {})")
	}
	if s.Next == "" {
		return
	}
	next, ok := c.flow.index[s.Next]
	switch {
	case !ok:
		c.fault(document.Join(at, "next"), CodeUnknownStep, "there is no step %q in this flow%s", s.Next, document.Suggest(s.Next, c.flow.Steps()))
	case out.kind == hangUp:
		c.fault(document.Join(at, "next"), document.CodeValue, "hang_up ends the call: nothing comes next")
	default:
		out.next = next
	}
}

func (c *compiler) ringToAPI(out *step, s *RingToAPISpec, at string) {
	compiled, faults := lookup.Compile(s.Lookup, c.env.Lookup)
	for _, f := range faults {
		c.faults = append(c.faults, document.Fault{Pointer: at + f.Pointer, Code: f.Code, Message: f.Message, Warning: f.Warning})
	}
	out.lookup = compiled
	out.settings = c.ringing(s.Ringing, document.Join(at, "ringing"))
	out.otherwise = make(map[lookup.Exit]phone.Target, len(otherwiseExits))
	for _, exit := range otherwiseExits {
		t, where := s.Otherwise.Exit[string(exit)], document.Join(at, "otherwise", string(exit))
		if s.Otherwise.All != nil {
			t, where = s.Otherwise.All, document.Join(at, "otherwise")
		}
		if t == nil {
			continue
		}
		if target, ok := c.target(*t, where); ok {
			out.otherwise[exit] = target
		}
		if s.Otherwise.All != nil { // one fault for all exits
			for _, other := range otherwiseExits {
				out.otherwise[other] = out.otherwise[exit]
			}
			break
		}
	}
}

func (c *compiler) ringTo(out *step, s *RingToSpec, at string) {
	out.settings = c.ringing(s.Ringing, document.Join(at, "ringing"))
	if s.Target.Number != "" {
		c.fault(document.Join(at, "number"), CodeTarget, "a number of ours has a flow of its own: write redirect_to: {number: %q}", s.Target.Number)
		return
	}
	out.target, _ = c.target(s.Target, at)
}

func (c *compiler) redirectTo(out *step, s *RedirectToSpec, at string) {
	out.target, _ = c.target(TargetSpec{Number: s.Number}, at)
}

// hangUpCauses are the causes that a document may name.
var hangUpCauses = []phone.Cause{phone.CauseUnavailable, phone.CauseBusy, phone.CauseRejected, phone.CauseUnknown}

func (c *compiler) hangUp(out *step, s *HangUpSpec, at string) {
	out.cause = phone.Cause(s.Cause)
	if s.Cause == "" {
		out.cause = phone.CauseUnavailable
	}
	if !slices.Contains(hangUpCauses, out.cause) {
		c.fault(document.Join(at, "cause"), document.CodeValue, "there is no cause %q: there are unavailable, busy, rejected, unknown", s.Cause)
	}
}

func (c *compiler) ringing(s RingingSpec, at string) ring.Settings {
	rule := ring.Rule(s.Rule)
	switch {
	case rule == "", rule == ring.Simultaneous:
	case slices.Contains(ring.LaterRules, rule):
		c.fault(document.Join(at, "rule"), document.CodeNotYet, "the rule %s is not in this version: write simultaneous", rule)
	default:
		c.fault(document.Join(at, "rule"), document.CodeValue, "there is no rule %q: write simultaneous", s.Rule)
	}
	if s.RingFor != 0 && (s.RingFor < ring.MinRingFor || s.RingFor > ring.MaxRingFor) {
		c.fault(document.Join(at, "ring_for"), CodeRange, "ring_for is between 5s and 3600s, not %s", s.RingFor)
	}
	return ring.Settings{Rule: rule, RingFor: s.RingFor}
}
