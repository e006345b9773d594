package flow

import (
	"time"
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

// OtherwiseSpec is where a call goes when a lookup matched nobody: one target
// for every exit, or one per exit. The zero value is `next` for all.
type OtherwiseSpec struct {
	All  *TargetSpec
	Exit map[string]TargetSpec // no_match, unknown_target, failed; missing: next
}
