package exchange

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/ring"
)

const (
	// unansweredMargin is how long before the trunk's max_unanswered a step ends,
	// so that the flow can still end the call in its own words.
	unansweredMargin = 5 * time.Second
	// defaultUnanswered bounds calls that came by no trunk (from our own phones).
	defaultUnanswered = 90 * time.Second
)

// ring carries out a ringing step and says in event how it went.
func (c *call) ring(ctx context.Context, a flow.Action, event *flow.Event) {
	event.Kind = flow.RingDone
	ticket := c.x.Presence.Enter(c.facts.ID, c.priority(), c.facts.StartedAt)
	c.tickets = append(c.tickets, ticket)
	told := false
	req := ring.Request{
		Parties: c.parties(a), Settings: a.Settings, Latest: c.latest(),
		Presence: ticket, Dialer: &dialer{call: c, display: c.display(a)}, Ends: &c.ends,
		Ringing: func() {
			if !told { // every further phone of the step says nothing new
				told = true
				c.ringCaller()
			}
		},
	}
	res := ring.Run(ctx, req)
	c.noteOffers(a.Step, res.Offers)
	c.releaseTrunks(res.By.External)
	event.Outcome, event.Declined = flow.Outcome(res.Outcome), res.Declined
	if res.Outcome == ring.Answered {
		event.By = target(res.By)
		if !c.join(res.Leg, event.By) {
			event.Outcome, event.By = flow.Failed, phone.Target{}
			c.rec.Offers[c.answeredOffer()].Result = string(ring.Failed)
			ticket.Close()
		}
	}
	c.publish()
}

// parties are the users and outside numbers of an action's targets, each once,
// without those who declined this call.
func (c *call) parties(a flow.Action) (parties []ring.Party) {
	add := func(p ring.Party) {
		if !slices.Contains(parties, p) && !slices.Contains(c.state.Declined, p.User) {
			parties = append(parties, p)
		}
	}
	for _, t := range a.Targets {
		switch t.Kind {
		case phone.ToUser:
			add(ring.Party{User: t.User})
		case phone.ToExternal:
			add(ring.Party{External: t.External})
		case phone.ToTeam:
			team, _ := c.snapshot.Team(t.Team)
			for _, id := range team.Members {
				add(ring.Party{User: id})
			}
			if !slices.Contains(c.rec.Teams, t.Team) {
				c.rec.Teams = append(c.rec.Teams, t.Team)
			}
		}
	}
	return parties
}

func target(p ring.Party) phone.Target {
	if p.User != 0 {
		return phone.UserTarget(p.User)
	}
	return phone.ExternalTarget(p.External)
}

// latest is when ringing must be over: a trunk gives up an unanswered call.
func (c *call) latest() time.Time {
	limit := defaultUnanswered
	if t, ok := c.snapshot.Trunk(c.facts.Trunk); ok && t.MaxUnanswered > 0 {
		limit = t.MaxUnanswered
	}
	return c.facts.StartedAt.Add(limit - unansweredMargin)
}

func (c *call) priority() int {
	n, _ := c.snapshot.Number(c.facts.Number)
	return n.Priority
}

// display is what the phones that ring show beside the caller's number.
func (c *call) display(a flow.Action) string {
	if len(a.Show) == 0 {
		return c.facts.CallerName
	}
	names := make([]string, 0, len(a.Show))
	for name := range a.Show {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = a.Show[name]
	}
	return strings.Join(names, ", ")
}

// noteOffers puts the INVITEs of a step into the record.
func (c *call) noteOffers(step string, attempts []ring.Attempt) {
	for _, a := range attempts {
		o := record.Offer{
			Step: step, User: a.Party.User, External: a.Party.External, Phone: a.To.Contact.Username,
			At: a.At, RangAt: a.RangAt, EndedAt: a.EndedAt, Result: string(a.Result), Status: a.Status,
		}
		if a.To.Trunk != "" {
			o.Phone = a.To.Trunk
		}
		if c.firstRung.IsZero() || a.At.Before(c.firstRung) {
			c.firstRung = a.At
		}
		c.rec.Offers = append(c.rec.Offers, o)
	}
}

func (c *call) answeredOffer() int {
	return slices.IndexFunc(c.rec.Offers, func(o record.Offer) bool { return o.Result == string(ring.Answered) })
}

// dialer reaches the parties of one ringing step.
type dialer struct {
	call    *call
	display string
}

func (d *dialer) Destinations(p ring.Party) []phone.Destination {
	if p.External != "" {
		trunk, ok := d.call.snapshot.Route(p.External)
		if !ok {
			return nil
		}
		return []phone.Destination{{Trunk: trunk, Number: p.External}}
	}
	var to []phone.Destination
	for _, contact := range d.call.x.Network.Contacts(p.User) {
		to = append(to, phone.Destination{Contact: contact})
	}
	return to
}

var errTrunkFull = errors.New("the trunk's limit of calls is reached")

func (d *dialer) Dial(to phone.Destination) (phone.Leg, error) {
	c := d.call
	dial := phone.Dial{
		Call: c.facts.ID, Caller: c.leg, To: to,
		From: c.facts.Caller, Display: d.display, MaxForwards: 70,
	}
	if l, ok := c.leg.(interface{ MaxForwards() int }); ok {
		dial.MaxForwards = l.MaxForwards() - 1
	}
	if to.Trunk == "" {
		return c.x.Network.Dial(c.ctx, dial)
	}
	trunk, ok := c.snapshot.Trunk(to.Trunk)
	if !ok || !c.x.trunks.acquire(to.Trunk, trunk.Outbound) {
		return nil, errTrunkFull
	}
	c.outgoing = append(c.outgoing, to)
	dial.Display = "" // what an API says of a caller is for our own people
	return c.x.Network.Dial(c.ctx, dial)
}

// releaseTrunks gives back the call's places on trunks, but for the one by
// which the outside number keep is reached (empty: none).
func (c *call) releaseTrunks(keep phone.E164) {
	c.outgoing = slices.DeleteFunc(c.outgoing, func(d phone.Destination) bool {
		if d.Number == keep {
			return false
		}
		c.x.trunks.release(d.Trunk)
		return true
	})
}
