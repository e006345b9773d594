package flow

import (
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
)

// resolver turns what an API's answer named into a target (lookup.md sections
// 4 and 5). It searches only where the answer pointed: an owner 456 of a CRM is
// not our user 456.
type resolver struct {
	people       People
	availability func(phone.UserID) phone.Availability // nil: not known
}

func (r resolver) resolve(n lookup.Named) (phone.Target, phone.Availability, lookup.Reason) {
	switch n.Kind {
	case phone.ToUser:
		return r.user(n)
	case phone.ToTeam:
		if t, ok := r.team(n); ok {
			return phone.TeamTarget(t.ID), "", ""
		}
		return phone.Target{}, "", lookup.ReasonUnknownTeam
	case phone.ToNumber:
		return r.number(n)
	case phone.ToExternal:
		return r.external(n)
	}
	return phone.Target{}, "", lookup.ReasonWrongKind
}

func (r resolver) user(n lookup.Named) (phone.Target, phone.Availability, lookup.Reason) {
	u, ok := r.findUser(n)
	if !ok {
		return phone.Target{}, "", lookup.ReasonUnknownUser
	}
	var a phone.Availability
	if r.availability != nil {
		a = r.availability(u.ID)
	}
	return phone.UserTarget(u.ID), a, ""
}

func (r resolver) findUser(n lookup.Named) (phone.User, bool) {
	switch {
	case n.By == lookup.ByEmail:
		return r.people.UserByEmail(n.Text)
	case n.By != lookup.ByID:
		return phone.User{}, false
	case n.Space != lookup.Own:
		return r.people.UserByExternal(n.Space, n.Text)
	}
	id, ok := parseID(n.Text)
	if !ok {
		return phone.User{}, false
	}
	return r.people.User(phone.UserID(id))
}

func (r resolver) team(n lookup.Named) (phone.Team, bool) {
	switch {
	case n.By == lookup.ByName:
		return r.people.TeamByName(n.Text)
	case n.By != lookup.ByID:
		return phone.Team{}, false
	case n.Space != lookup.Own:
		return r.people.TeamByExternal(n.Space, n.Text)
	}
	id, ok := parseID(n.Text)
	if !ok {
		return phone.Team{}, false
	}
	return r.people.Team(phone.TeamID(id))
}

func (r resolver) number(n lookup.Named) (phone.Target, phone.Availability, lookup.Reason) {
	if n.By == lookup.ByID || n.By == lookup.ByIDOrNumber {
		if id, ok := parseID(n.Text); ok {
			if own, ok := r.people.Number(phone.NumberID(id)); ok {
				return phone.NumberTarget(own.ID), "", ""
			}
		}
	}
	if n.Number == "" {
		return phone.Target{}, "", lookup.ReasonBadNumber
	}
	if own, ok := r.people.NumberByDigits(n.Number); ok {
		return phone.NumberTarget(own.ID), "", ""
	}
	return phone.Target{}, "", lookup.ReasonUnknownNumber
}

// external is an outside number, unless it is one of ours: then the call stays
// in the house.
func (r resolver) external(n lookup.Named) (phone.Target, phone.Availability, lookup.Reason) {
	if n.Number == "" {
		return phone.Target{}, "", lookup.ReasonBadNumber
	}
	if own, ok := r.people.NumberByDigits(n.Number); ok {
		return phone.NumberTarget(own.ID), "", ""
	}
	if _, ok := r.people.Route(n.Number); !ok {
		return phone.Target{}, "", lookup.ReasonNotAllowed
	}
	return phone.ExternalTarget(n.Number), "", ""
}
