package api

import (
	"time"

	"github.com/ringpath/ringpath/internal/record"
)

func summaryOf(c *record.Call) CallSummary {
	return CallSummary{
		ID: c.ID, Direction: c.Direction, Status: c.Status, Caller: c.Caller, CallerName: c.CallerName,
		CallerUser: c.CallerUser, Called: c.Called, Number: c.Number, Trunk: c.Trunk, SIPCallID: c.SIPCallID,
		StartedAt: c.StartedAt.UTC(), AnsweredAt: known(c.AnsweredAt), EndedAt: known(c.EndedAt),
		User: c.User, External: c.External, Cause: c.Cause, EndedBy: c.EndedBy, Missed: c.Missed,
		Teams: c.Teams, Erased: c.Erased,
	}
}

func detailOf(c *record.Call) CallDetail {
	d := CallDetail{CallSummary: summaryOf(c), Steps: []callStep{}, Offers: []callOffer{}}
	for _, n := range c.Steps {
		d.Steps = append(d.Steps, stepOf(n))
	}
	for _, o := range c.Offers {
		d.Offers = append(d.Offers, callOffer{
			Step: o.Step, User: o.User, External: o.External, Phone: o.Phone, At: o.At.UTC(),
			RangAt: known(o.RangAt), EndedAt: known(o.EndedAt), Result: o.Result, Status: o.Status,
		})
	}
	return d
}

func stepOf(n record.Note) callStep {
	s := callStep{
		At: n.At.UTC(), Flow: n.Flow, Step: n.Step, Kind: n.Kind, Exit: n.Exit, Reason: n.Reason,
		Value: n.Value, Show: n.Show,
	}
	if n.Target != nil {
		s.Target = n.Target.String()
	}
	if n.Dur > 0 {
		s.Took = n.Dur.Round(time.Microsecond).String()
	}
	return s
}

func messagesOf(messages []record.Message) []sipMessage {
	all := make([]sipMessage, 0, len(messages))
	for _, m := range messages {
		all = append(all, sipMessage{At: m.At.UTC(), Sent: m.Sent, From: m.From, To: m.To, Raw: string(m.Raw)})
	}
	return all
}

// known is nil for a time that has not come.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
