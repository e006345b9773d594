package flow

import (
	"strconv"
	"strings"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/phone"
)

// target resolves what a document names.
func (c *compiler) target(t TargetSpec, at string) (phone.Target, bool) {
	kind, text := t.set()
	people := c.env.People
	switch phone.TargetKind(kind) {
	case phone.ToUser:
		if u, ok := FindUser(people, text); ok {
			return phone.UserTarget(u.ID), true
		}
		c.fault(document.Join(at, kind), CodeUnknownName, "there is no user %q: write the id or the e-mail address of one under users", text)
	case phone.ToTeam:
		team, ok := findTeam(people, text)
		if !ok {
			c.fault(document.Join(at, kind), CodeUnknownName, "there is no team %q: write the name or the id of one under teams", text)
			break
		}
		if len(team.Members) == 0 {
			c.warn(document.Join(at, kind), CodeUnreachable, "the team %s has no members: nobody will ring", team.Name)
		}
		return phone.TeamTarget(team.ID), true
	case phone.ToNumber:
		if n, ok := FindNumber(people, text); ok {
			return phone.NumberTarget(n.ID), true
		}
		c.fault(document.Join(at, kind), CodeUnknownName, "there is no number %q of ours: write the digits (+ and country code) or the id of one under numbers", text)
	case phone.ToExternal:
		return c.external(text, document.Join(at, kind))
	default:
		c.fault(at, CodeTarget, "a target is exactly one of {user: …}, {team: …}, {number: …}, {external: …}; several people are a team")
	}
	return phone.Target{}, false
}

// external resolves an outside number; one of ours is that number.
func (c *compiler) external(text, at string) (phone.Target, bool) {
	digits, err := phone.ParseE164(text)
	if err != nil {
		c.fault(at, CodeNumber, "%q is no phone number: write +, country code and number, for example +14155550123", text)
		return phone.Target{}, false
	}
	if n, ok := c.env.People.NumberByDigits(digits); ok {
		return phone.NumberTarget(n.ID), true
	}
	if _, ok := c.env.People.Route(digits); !ok {
		c.fault(at, CodeNotAllowed, "no trunk may dial %s: name its beginning in outbound.prefixes of one", digits)
		return phone.Target{}, false
	}
	return phone.ExternalTarget(digits), true
}

// FindUser finds a user as documents name one: by id (digits only) or e-mail.
func FindUser(p People, text string) (phone.User, bool) {
	if strings.Contains(text, "@") {
		return p.UserByEmail(text)
	}
	id, ok := parseID(text)
	if !ok {
		return phone.User{}, false
	}
	return p.User(phone.UserID(id))
}

func findTeam(p People, text string) (phone.Team, bool) {
	if id, ok := parseID(text); ok {
		return p.Team(phone.TeamID(id))
	}
	return p.TeamByName(text)
}

// FindNumber finds a number of ours as documents name one: by id (digits only) or E.164.
func FindNumber(p People, text string) (phone.Number, bool) {
	if id, ok := parseID(text); ok {
		return p.Number(phone.NumberID(id))
	}
	n, err := phone.ParseE164(text)
	if err != nil {
		return phone.Number{}, false
	}
	return p.NumberByDigits(n)
}

// parseID reads digits only, as ids are written.
func parseID(text string) (int64, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	id, err := strconv.ParseInt(text, 10, 64)
	return id, err == nil
}
