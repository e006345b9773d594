package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/ring"
)

// TryRequest is a call that is only thought of.
type TryRequest struct {
	Call       phone.CallFacts   // StartedAt is the time that it comes in
	Vars       map[string]string // input.* and saved.*
	Unanswered time.Duration     // how long its trunk lets it ring altogether; 0: no limit
	Confirmed  bool              // lookups may send a POST that is not idempotent
}

// Timeline is what would happen to a call that nobody answers.
type Timeline struct {
	Caller phone.E164  `json:"caller,omitempty"` // empty: withheld
	Called phone.E164  `json:"called,omitempty"`
	At     time.Time   `json:"at"`
	Steps  []Moment    `json:"steps"`
	Cause  phone.Cause `json:"cause"` // how the call would end
	After  Span        `json:"after"` // and when
}

// Moment is one thing that would happen.
type Moment struct {
	After  Span            `json:"after"` // since the call came in
	Flow   string          `json:"flow,omitempty"`
	Step   string          `json:"step,omitempty"`
	Kind   string          `json:"kind"` // ring_to_api, ring, redirect_to, hang_up, end
	Exit   string          `json:"exit,omitempty"`
	Reason string          `json:"reason,omitempty"`
	Value  string          `json:"value,omitempty"`
	Target string          `json:"target,omitempty"`
	Who    []Rung          `json:"who,omitempty"` // ring: everybody whom the step could ring
	For    Span            `json:"for,omitempty"` // how long it takes
	Trace  json.RawMessage `json:"trace,omitempty"`
}

// Rung is somebody whom a step could ring.
type Rung struct {
	User     phone.UserID       `json:"user,omitempty"`
	External phone.E164         `json:"external,omitempty"`
	Name     string             `json:"name,omitempty"`
	State    phone.Availability `json:"state,omitempty"`
	Rings    bool               `json:"rings"`
}

// Span is a duration that JSON shows as text, "3s".
type Span time.Duration

// String rounds to milliseconds.
func (s Span) String() string { return time.Duration(s).Round(time.Millisecond).String() }

// MarshalText is String.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = Span(d)
	return err
}

// Try plays a call through with nobody answering. Its lookups are real, but
// tests; it rings nobody. Error: *UnsafeError.
func (m *Machine) Try(ctx context.Context, r TryRequest) (Timeline, error) {
	t := &trial{timeline: Timeline{Caller: r.Call.Caller, Called: r.Call.Called, At: r.Call.StartedAt, Steps: []Moment{}}}
	t.machine = *m
	t.machine.try, t.machine.confirmed = true, r.Confirmed
	t.machine.Now = func() time.Time { return r.Call.StartedAt.Add(t.elapsed) }
	if r.Unanswered > 0 {
		t.latest = r.Call.StartedAt.Add(r.Unanswered)
	}
	s := Start(r.Call)
	s.Vars = r.Vars
	e := Event{Kind: Begin}
	for {
		res, err := t.machine.Next(ctx, s, e)
		if err != nil {
			return Timeline{}, err
		}
		for _, n := range res.Notes {
			t.note(n)
		}
		if res.Do.Kind != Ring {
			t.timeline.Cause, t.timeline.After = res.Do.Cause, Span(t.elapsed)
			return t.timeline, ctx.Err()
		}
		s = res.State
		e = Event{Kind: RingDone, Seq: res.Do.Seq, Outcome: t.ring(res.Do)}
	}
}

// trial is one Try.
type trial struct {
	machine  Machine
	timeline Timeline
	elapsed  time.Duration
	latest   time.Time
}

func (t *trial) note(n record.Note) {
	if n.Kind == ringTo {
		return // said when the ringing was
	}
	moment := Moment{After: Span(t.elapsed), Flow: n.Flow, Step: n.Step, Kind: n.Kind, Exit: n.Exit, Reason: n.Reason,
		Value: n.Value, For: Span(n.Dur), Trace: n.Detail}
	if n.Target != nil {
		moment.Target = n.Target.String()
	}
	t.elapsed += n.Dur
	t.timeline.Steps = append(t.timeline.Steps, moment)
}

// ring is ring.Decide with nobody answering.
func (t *trial) ring(a Action) Outcome {
	who, candidates := t.who(a)
	now := t.machine.Now()
	p := ring.Begin(now, a.Settings, t.latest)
	d, p := ring.Decide(now, a.Settings, candidates, p)
	for _, party := range d.Parties {
		for i := range who {
			if who[i].User == party.User && who[i].External == party.External {
				who[i].Rings = true
			}
		}
	}
	moment := Moment{After: Span(t.elapsed), Flow: a.Flow, Step: a.Step, Kind: string(Ring), Who: who}
	if d.Act != ring.Done {
		moment.For = Span(p.Deadline.Sub(now))
		t.elapsed += p.Deadline.Sub(now)
		d, _ = ring.Decide(p.Deadline, a.Settings, candidates, p)
	}
	moment.Exit = string(d.Outcome)
	t.timeline.Steps = append(t.timeline.Steps, moment)
	return Outcome(d.Outcome)
}

// who are the people and outside numbers behind an action's targets, each once.
func (t *trial) who(a Action) (who []Rung, candidates []ring.Candidate) {
	seen := map[ring.Party]bool{}
	add := func(party ring.Party) {
		if seen[party] {
			return
		}
		seen[party] = true
		r := Rung{User: party.User, External: party.External}
		if u, ok := t.machine.Directory.User(party.User); ok {
			r.Name, r.State = u.Name, phone.Available
			if t.machine.Availability != nil {
				r.State = t.machine.Availability(u.ID)
			}
		}
		who = append(who, r)
		candidates = append(candidates, ring.Candidate{Party: party, State: r.State})
	}
	for _, target := range a.Targets {
		switch target.Kind {
		case phone.ToUser:
			add(ring.Party{User: target.User})
		case phone.ToExternal:
			add(ring.Party{External: target.External})
		case phone.ToTeam:
			team, _ := t.machine.Directory.Team(target.Team)
			for _, id := range team.Members {
				add(ring.Party{User: id})
			}
		}
	}
	return who, candidates
}

// Text is the timeline for people, one line a step.
func (t Timeline) Text() string {
	var b strings.Builder
	for _, m := range t.Steps {
		fmt.Fprintf(&b, "%8s  ", m.After)
		if m.Step != "" {
			fmt.Fprintf(&b, "%s: ", m.Step)
		}
		switch m.Kind {
		case string(Ring):
			b.WriteString(m.ringText())
		case ringToAPI:
			b.WriteString("asks the API: " + strings.ReplaceAll(m.Exit, "_", " "))
			if m.Reason != "" {
				b.WriteString(" (" + m.Reason + ")")
			}
			if m.Target != "" {
				b.WriteString(", " + m.Target)
			}
			fmt.Fprintf(&b, ", in %s", m.For)
		case redirectTo:
			fmt.Fprintf(&b, "to %s", m.Target)
			if m.Reason != "" {
				b.WriteString(": refused (" + m.Reason + ")")
			}
		case hangUp:
			b.WriteString("hangs up: " + m.Exit)
		default:
			fmt.Fprintf(&b, "the call ends: %s (%s)", m.Exit, m.Reason)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (m Moment) ringText() string {
	var rings, not []string
	for _, w := range m.Who {
		name := w.Name
		if w.External != "" {
			name = string(w.External)
		}
		if w.Rings {
			rings = append(rings, name)
		} else {
			not = append(not, name+" is "+strings.ReplaceAll(string(w.State), "_", " "))
		}
	}
	text := "nobody rings"
	if len(rings) > 0 {
		text = fmt.Sprintf("rings %s for %s", strings.Join(rings, ", "), m.For)
	}
	if len(not) > 0 {
		text += "; " + strings.Join(not, ", ")
	}
	return text
}
