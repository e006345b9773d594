package api

import (
	"net/url"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// exampleTime is the moment at which the documentation's examples play.
var exampleTime = time.Date(2026, time.March, 2, 9, 30, 0, 0, time.UTC)

// endpoints is the table of /v1.
func endpoints() []endpoint {
	all := callEndpoints()
	all = append(all, peopleEndpoints()...)
	return append(all, writeEndpoints()...)
}

// exampleView is a small company, in which the documentation's examples are made.
func exampleView(base string) *view {
	return &view{
		People:   examplePeople{},
		company:  company{Name: "Example Ltd", TimeZone: "Europe/Paris"},
		assigned: func(phone.Number) []phone.UserID { return []phone.UserID{456} },
		state:    func(phone.UserID) phone.Availability { return phone.Available },
		base:     base,
		ours:     &spellings{},
	}
}

func exampleList(name string, things any) list {
	return list{page{Number: 1, Size: defaultPerPage}.meta(1, 1, "", url.Values{}), name, things}
}

func exampleCall() *record.Call {
	return &record.Call{
		ID: phone.CallID(exampleTime.UnixMicro()), Direction: record.Inbound, Status: record.Done,
		Caller: "+14155550123", Called: "+14155550100", Number: 1, Trunk: "carrier",
		SIPCallID: "a84b4c76e66710@192.0.2.7", StartedAt: exampleTime,
		AnsweredAt: exampleTime.Add(6 * time.Second), EndedAt: exampleTime.Add(96 * time.Second),
		User: 456, Cause: phone.CauseNormal, EndedBy: "caller", Teams: []phone.TeamID{7},
	}
}

// examplePeople is one user in one team with one number.
type examplePeople struct{}

func (examplePeople) Users() []phone.User {
	return []phone.User{{ID: 456, Name: "Ada Agent", Email: "ada@example.com", CreatedAt: exampleTime.AddDate(0, -1, 0)}}
}

func (examplePeople) Teams() []phone.Team {
	return []phone.Team{{ID: 7, Name: "Support", Members: []phone.UserID{456}, CreatedAt: exampleTime.AddDate(0, -1, 0)}}
}

func (examplePeople) Numbers() []phone.Number {
	return []phone.Number{{ID: 1, Name: "Main line", Digits: "+14155550100", Flow: "main", CreatedAt: exampleTime.AddDate(0, -1, 0)}}
}

func (p examplePeople) User(id phone.UserID) (phone.User, bool)       { return p.Users()[0], id == 456 }
func (p examplePeople) Team(id phone.TeamID) (phone.Team, bool)       { return p.Teams()[0], id == 7 }
func (p examplePeople) Number(id phone.NumberID) (phone.Number, bool) { return p.Numbers()[0], id == 1 }
func (p examplePeople) UserByEmail(email string) (phone.User, bool) {
	return p.Users()[0], email == p.Users()[0].Email
}
func (examplePeople) Region() string { return "US" }
