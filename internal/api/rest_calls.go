package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// CallSummary is a call as lists of /api show it. (huma sees embedded structs
// only when they are exported.)
type CallSummary struct {
	ID         phone.CallID        `json:"id"`
	Direction  record.Direction    `json:"direction" enum:"inbound,outbound"`
	Status     record.Status       `json:"status" enum:"initial,answered,done"`
	Caller     phone.E164          `json:"caller" doc:"E.164; empty: withheld"`
	CallerName string              `json:"caller_name,omitempty"`
	CallerUser phone.UserID        `json:"caller_user,omitempty"`
	Called     phone.E164          `json:"called"`
	Number     phone.NumberID      `json:"number,omitempty" doc:"The number of ours that was dialled first"`
	Trunk      string              `json:"trunk,omitempty"`
	SIPCallID  string              `json:"sip_call_id,omitempty"`
	StartedAt  time.Time           `json:"started_at"`
	AnsweredAt *time.Time          `json:"answered_at"`
	EndedAt    *time.Time          `json:"ended_at"`
	User       phone.UserID        `json:"user,omitempty" doc:"Who answered; outbound: who dialled"`
	External   phone.E164          `json:"external,omitempty" doc:"The outside number that answered"`
	Cause      phone.Cause         `json:"cause,omitempty"`
	EndedBy    string              `json:"ended_by,omitempty"`
	Missed     record.MissedReason `json:"missed,omitempty"`
	Teams      []phone.TeamID      `json:"teams,omitempty"`
	Erased     bool                `json:"erased,omitempty"`
}

// CallDetail is one call with every step, its reason, and who was rung.
type CallDetail struct {
	CallSummary
	Steps  []callStep  `json:"steps"`
	Offers []callOffer `json:"offers"`
}

type callStep struct {
	At     time.Time         `json:"at"`
	Flow   string            `json:"flow,omitempty"`
	Step   string            `json:"step,omitempty"`
	Kind   string            `json:"kind"`
	Exit   string            `json:"exit,omitempty"`
	Reason string            `json:"reason,omitempty"`
	Value  string            `json:"value,omitempty" doc:"What the lookup's path found"`
	Target string            `json:"target,omitempty"`
	Took   string            `json:"took,omitempty" example:"212ms"`
	Show   map[string]string `json:"show,omitempty"`
}

type callOffer struct {
	Step     string       `json:"step,omitempty"`
	User     phone.UserID `json:"user,omitempty"`
	External phone.E164   `json:"external,omitempty"`
	Phone    string       `json:"phone,omitempty"`
	At       time.Time    `json:"at"`
	RangAt   *time.Time   `json:"rang_at"`
	EndedAt  *time.Time   `json:"ended_at"`
	Result   string       `json:"result"`
	Status   int          `json:"status,omitempty"`
}

// callTrace is the trace of one lookup of a call.
type callTrace struct {
	Step  string          `json:"step"`
	At    time.Time       `json:"at"`
	Trace json.RawMessage `json:"trace"`
}

type sipMessage struct {
	At   time.Time `json:"at"`
	Sent bool      `json:"sent" doc:"By us"`
	From string    `json:"from"`
	To   string    `json:"to"`
	Raw  string    `json:"raw"`
}

type callsInput struct {
	State     string    `query:"state" enum:"live,ended" doc:"Left out: both"`
	Direction string    `query:"direction" enum:"inbound,outbound"`
	Number    string    `query:"number" doc:"The whole number of the outside party"`
	User      int64     `query:"user" minimum:"1" doc:"Id of who answered, or dialled"`
	From      time.Time `query:"from" doc:"Begun at this time or later"`
	To        time.Time `query:"to" doc:"Begun before this time"`
	Limit     int       `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"1–200; default 50"`
	Cursor    string    `query:"cursor" maxLength:"64" doc:"next_cursor of the page before"`
}

type callsOutput struct {
	Body struct {
		Calls      []CallSummary `json:"calls" doc:"Newest first"`
		Total      int           `json:"total" doc:"From this page on"`
		NextCursor string        `json:"next_cursor,omitempty"`
	}
}

type callInput struct {
	ID int64 `path:"id" minimum:"1"`
}

type callOutput struct {
	ETag string `header:"ETag"`
	Body CallDetail
}

type tracesOutput struct {
	Body struct {
		Traces []callTrace `json:"traces"`
	}
}

type messagesOutput struct {
	Body struct {
		Messages []sipMessage `json:"messages"`
	}
}

func (s *Server) callOperations(h huma.API) {
	add(s, h, operation{Method: http.MethodGet, Path: "/api/calls", Scope: access.APIRead, Tag: "calls",
		Summary: "List calls", About: "Calls going on and past ones, newest first."}, s.listCalls)
	add(s, h, operation{Method: http.MethodGet, Path: "/api/calls/{id}", Scope: access.APIRead, Tag: "calls",
		Summary: "Get a call", About: "One call with every step and its reason, and who was rung."}, s.getCall)
	add(s, h, operation{Method: http.MethodGet, Path: "/api/calls/{id}/trace", Scope: access.APIRead, Tag: "calls",
		Summary: "Get a call's lookup traces", About: "What each lookup asked, got and made of it. With `api:read` alone the answers of the APIs are left out."}, s.getTraces)
	add(s, h, operation{Method: http.MethodGet, Path: "/api/calls/{id}/messages", Scope: access.APIWrite, Tag: "calls",
		Summary: "Get a call's SIP messages", About: "As they went over the wire, credentials masked; kept for the days that company.keep.sip says."}, s.getMessages)
}

func (s *Server) listCalls(ctx context.Context, in *callsInput) (*callsOutput, error) {
	q, before, err := s.callsQuery(in)
	if err != nil {
		return nil, err
	}
	find := s.Records.Find
	if in.State == "live" {
		find = s.findLive
	}
	calls, total, err := find(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &callsOutput{}
	out.Body.Total = total
	out.Body.Calls = make([]CallSummary, 0, len(calls))
	for i := range calls {
		if c := &calls[i]; before == 0 || c.ID < before {
			out.Body.Calls = append(out.Body.Calls, summaryOf(c))
		}
	}
	if n := len(calls); n > 0 && n < total {
		out.Body.NextCursor = writeCursor(calls[n-1].ID)
	}
	return out, nil
}

// callsQuery is what the parameters ask for; before is the cursor, 0 for none.
func (s *Server) callsQuery(in *callsInput) (q record.Query, before phone.CallID, err error) {
	q = record.Query{
		Direction: record.Direction(in.Direction), User: phone.UserID(in.User),
		From: in.From, To: in.To, Order: record.NewestFirst, Limit: in.Limit, Bare: true,
	}
	if in.State != "live" {
		q.Statuses = append(q.Statuses, record.Done)
	}
	if in.State != "ended" {
		q.Statuses = append(q.Statuses, record.Initial, record.Answered)
	}
	if in.Number != "" {
		q.Outside, err = phone.ParseNumber(in.Number, s.Directory.Snapshot().Region())
		if err != nil {
			return q, 0, invalidAt("?number", phone.ErrNumber.Error())
		}
	}
	if in.Cursor != "" {
		if before, err = readCursor(in.Cursor); err != nil {
			return q, 0, err
		}
		// An id is the call's start in microseconds, moved on a little where two
		// calls share it: so this bound leaves none out.
		if at := time.UnixMicro(int64(before)); q.To.IsZero() || at.Before(q.To) {
			q.To = at
		}
	}
	return q, before, nil
}

// findLive is Find over the calls that are going on at this moment.
func (s *Server) findLive(_ context.Context, q record.Query) ([]record.Call, int, error) {
	calls := slices.DeleteFunc(s.Live(), func(c record.Call) bool { return !q.Match(&c) })
	slices.SortFunc(calls, func(a, b record.Call) int { return cmp.Compare(b.ID, a.ID) })
	return calls[:min(len(calls), q.Limit)], len(calls), nil
}

// A cursor is the last call of the page before. It is written so that nobody
// is tempted to make one.
func writeCursor(id phone.CallID) string {
	return base64.RawURLEncoding.EncodeToString([]byte(id.String()))
}

func readCursor(text string) (phone.CallID, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		var id int64
		if id, err = strconv.ParseInt(string(raw), 10, 64); err == nil && id > 0 {
			return phone.CallID(id), nil
		}
	}
	return 0, invalidAt("?cursor", "not a next_cursor of this list")
}

func (s *Server) getCall(ctx context.Context, in *callInput) (*callOutput, error) {
	c, err := s.Records.Call(ctx, phone.CallID(in.ID))
	if err != nil {
		return nil, err
	}
	return &callOutput{ETag: `"` + strconv.FormatInt(c.Version, 10) + `"`, Body: detailOf(&c)}, nil
}

func (s *Server) getTraces(ctx context.Context, in *callInput) (*tracesOutput, error) {
	c, err := s.Records.Call(ctx, phone.CallID(in.ID))
	if err != nil {
		return nil, err
	}
	out := &tracesOutput{}
	out.Body.Traces = []callTrace{}
	for _, n := range c.Steps {
		if len(n.Detail) == 0 {
			continue
		}
		trace := n.Detail
		if !signedIn(ctx).full { // may read calls, but not what a CRM says of people
			trace = record.StripAnswers(trace)
		}
		out.Body.Traces = append(out.Body.Traces, callTrace{Step: n.Step, At: n.At, Trace: trace})
	}
	return out, nil
}

func (s *Server) getMessages(ctx context.Context, in *callInput) (*messagesOutput, error) {
	if _, err := s.Records.Call(ctx, phone.CallID(in.ID)); err != nil {
		return nil, err
	}
	messages, err := s.Records.Messages(ctx, phone.CallID(in.ID))
	if err != nil {
		return nil, err
	}
	out := &messagesOutput{}
	out.Body.Messages = messagesOf(messages)
	return out, nil
}
