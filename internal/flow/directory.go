package flow

import (
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
)

// Directory is what flows need to know of users, teams and numbers: one
// unchanging picture, the same for the whole life of a call. *directory.Snapshot
// is one.
type Directory interface {
	People
	Rev() int64
	Flow(name string) (*Flow, bool)
	// Keep says how much of a lookup's answers a call may keep.
	Keep() Keep
}

// People are the part of a Directory that names are resolved in; flows are
// checked against it.
type People interface {
	User(phone.UserID) (phone.User, bool)
	UserByEmail(email string) (phone.User, bool) // compared without case
	UserByExternal(space, id string) (phone.User, bool)
	Team(phone.TeamID) (phone.Team, bool)
	TeamByName(name string) (phone.Team, bool)
	TeamByExternal(space, id string) (phone.Team, bool)
	Number(phone.NumberID) (phone.Number, bool)
	NumberByDigits(phone.E164) (phone.Number, bool)
	Region() string // ISO 3166, how national numbers are read; empty: not at all
	// Route is the trunk by which an outside number may be rung: the longest of
	// all prefixes and deny entries decides. Emergency and short numbers never.
	Route(phone.E164) (trunk string, ok bool)
}

// Keep is how much of a lookup a call keeps (spec/privacy.md).
type Keep struct {
	Trace   bool           // false: company.keep.traces is 0d
	Answers lookup.Answers // company.answers; AnswersNone when company.keep.answers is 0d
}
