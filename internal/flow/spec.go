package flow

import (
	"strings"
	"time"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/lookup"
)

// Spec is a flow as it stands in a document.
type Spec struct {
	ID    int64      `yaml:"id"` // stable; made when left out
	Name  string     `yaml:"name"`
	Steps []StepSpec `yaml:"steps"`
}

// StepSpec is one step: exactly one of the kinds.
type StepSpec struct {
	Name       string          `yaml:"name"` // unique in the flow; made when left out
	RingToAPI  *RingToAPISpec  `yaml:"ring_to_api"`
	RingTo     *RingToSpec     `yaml:"ring_to"`
	RedirectTo *RedirectToSpec `yaml:"redirect_to"`
	HangUp     *HangUpSpec     `yaml:"hang_up"`
	Next       string          `yaml:"next"` // a step's name; empty: the one below
}

// Later are the fields of a step that this version does not carry out.
func (StepSpec) Later() map[string][]string {
	return map[string][]string{
		"play": nil, "menu": nil, "input": nil, "voicemail": nil, "time_rule": nil,
		"condition": nil, "set": nil, "record": nil, "queue": nil, "exits": nil,
	}
}

// RingToAPISpec asks an API whom to ring, and rings them.
type RingToAPISpec struct {
	Lookup    lookup.Spec   `yaml:",inline"`
	Ringing   RingingSpec   `yaml:"ringing"`
	Otherwise OtherwiseSpec `yaml:"otherwise"`
}

// RingToSpec rings one target: a user, a team or an outside number.
type RingToSpec struct {
	Target  TargetSpec  `yaml:",inline"`
	Ringing RingingSpec `yaml:"ringing"`
}

// RedirectToSpec hands the call to another of our numbers and its flow.
type RedirectToSpec struct {
	Number string `yaml:"number"` // E.164 or id
}

// HangUpSpec ends the call.
type HangUpSpec struct {
	Cause string `yaml:"cause"` // unavailable (default), busy, rejected, unknown
}

// RingingSpec is ring.Settings as a document writes it.
type RingingSpec struct {
	Rule    string        `yaml:"rule"`
	RingFor time.Duration `yaml:"ring_for"` // 5s–3600s; 0: 30s
}

// Later are the settings that this version does not carry out; the values
// listed change nothing and are accepted.
func (RingingSpec) Later() map[string][]string {
	return map[string][]string{
		"ring_even_if_busy": {"false", "off"}, "ring_each_for": {"30s"},
		"music": {"ringback"}, "announce": {"off", "false", "0", "0s"},
	}
}

// TargetSpec is a target as a document writes it: {user: 456}, {user: e-mail},
// {team: name or id}, {number: E.164 or id}, {external: E.164}. Exactly one
// field is set; none is "next".
type TargetSpec struct {
	User     string `yaml:"user"`
	Team     string `yaml:"team"`
	Number   string `yaml:"number"`
	External string `yaml:"external"`
}

// set says which field of the target is set; several make it "".
func (t TargetSpec) set() (kind, text string) {
	for _, f := range [][2]string{{"user", t.User}, {"team", t.Team}, {"number", t.Number}, {"external", t.External}} {
		switch {
		case f[1] == "":
		case kind != "":
			return "", ""
		default:
			kind, text = f[0], f[1]
		}
	}
	return kind, text
}

// OtherwiseSpec is where a call goes when a lookup matched nobody: one target
// for every exit, or one per exit. The zero value is `next` for all.
type OtherwiseSpec struct {
	All  *TargetSpec
	Exit map[string]*TargetSpec // no_match, unknown_target, failed; nil or missing: next
}

// otherwiseExits are the exits that otherwise may name.
var otherwiseExits = []lookup.Exit{lookup.NoMatch, lookup.UnknownTarget, lookup.Failed}

// UnmarshalNode reads `next`, a target, or a target or `next` per exit.
func (o *OtherwiseSpec) UnmarshalNode(n *document.Node, pointer string, d *document.Decoder) {
	if n.Type != document.Map || !namesExit(n) {
		o.All = decodeTarget(n, pointer, d)
		return
	}
	o.Exit = make(map[string]*TargetSpec, len(n.Fields))
	for _, f := range n.Fields {
		at := document.Join(pointer, f.Name)
		if !isExit(f.Name) {
			d.Fault(f.Place, at, document.CodeUnknown, "there is no exit %q: there are no_match, unknown_target, failed", f.Name)
			continue
		}
		o.Exit[f.Name] = decodeTarget(f.Value, at, d)
	}
}

// decodeTarget reads a target; `next` and nothing give nil.
func decodeTarget(n *document.Node, pointer string, d *document.Decoder) *TargetSpec {
	switch {
	case n.Type == document.Null, n.Type == document.Scalar && n.Text == "next":
		return nil
	case n.Type != document.Map:
		d.Fault(n.Place, pointer, document.CodeType,
			"write a target, for example {team: Support}, {user: agent@example.com}, {number: +14155550100} or {external: +33123456789}, or next")
		return nil
	}
	t := new(TargetSpec)
	d.Decode(n, pointer, t)
	return t
}

func namesExit(n *document.Node) bool {
	for _, f := range n.Fields {
		if isExit(f.Name) || strings.HasSuffix(f.Name, "_match") || f.Name == "matched" {
			return true
		}
	}
	return false
}

func isExit(name string) bool {
	for _, e := range otherwiseExits {
		if string(e) == name {
			return true
		}
	}
	return false
}
