package api

import (
	"slices"
	"strconv"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// The objects of /v1. Inside another object each is abridged, so that a page of
// 50 calls stays well under the 256 KiB that a lookup reads of an answer.

type userInside struct {
	ID                 phone.UserID `json:"id"`
	DirectLink         string       `json:"direct_link"`
	Name               string       `json:"name"`
	Email              string       `json:"email"`
	Available          bool         `json:"available"`
	AvailabilityStatus string       `json:"availability_status"`
	CreatedAt          *string      `json:"created_at"`
	TimeZone           string       `json:"time_zone"`
	Language           string       `json:"language"`
}

// userV2 is a user of /v2, which has no numbers.
type userV2 struct {
	userInside
	Substatus  string `json:"substatus"`
	WrapUpTime int    `json:"wrap_up_time"` // seconds
}

type userObject struct {
	userV2
	Numbers []numberInside `json:"numbers"`
}

type teamInside struct {
	ID         phone.TeamID `json:"id"`
	DirectLink string       `json:"direct_link"`
	Name       string       `json:"name"`
	CreatedAt  *string      `json:"created_at"`
}

type teamObject struct {
	teamInside
	Users []userInside `json:"users"`
}

type numberInside struct {
	ID                     phone.NumberID `json:"id"`
	DirectLink             string         `json:"direct_link"`
	Name                   string         `json:"name"`
	Digits                 string         `json:"digits"`
	Country                string         `json:"country"`
	TimeZone               string         `json:"time_zone"`
	Open                   bool           `json:"open"`
	AvailabilityStatus     string         `json:"availability_status"`
	IsIVR                  bool           `json:"is_ivr"`
	LiveRecordingActivated bool           `json:"live_recording_activated"`
	Priority               int            `json:"priority"`
	CreatedAt              *string        `json:"created_at"`
}

type numberObject struct {
	numberInside
	Messages struct{}     `json:"messages"` // no announcements in this version
	Users    []userInside `json:"users"`
}

type participant struct {
	ID          *int64  `json:"id"`
	Type        string  `json:"type"` // user, external
	Name        *string `json:"name"`
	PhoneNumber *string `json:"phone_number"`
}

type callObject struct {
	ID            phone.CallID         `json:"id"`
	SID           string               `json:"sid"`
	DirectLink    string               `json:"direct_link"`
	Direction     record.Direction     `json:"direction"`
	Status        record.Status        `json:"status"`
	MissedReason  *record.MissedReason `json:"missed_call_reason"`
	StartedAt     int64                `json:"started_at"`
	AnsweredAt    *int64               `json:"answered_at"`
	EndedAt       *int64               `json:"ended_at"`
	Duration      int64                `json:"duration"` // seconds, ringing included; 0 until it ended
	RawDigits     string               `json:"raw_digits"`
	Voicemail     *string              `json:"voicemail"`
	Recording     *string              `json:"recording"`
	Asset         *string              `json:"asset"`
	Archived      bool                 `json:"archived"`
	Cost          string               `json:"cost"`
	Number        *numberInside        `json:"number"`
	User          *userInside          `json:"user"`
	AssignedTo    *userInside          `json:"assigned_to"`
	TransferredBy *userInside          `json:"transferred_by"`
	TransferredTo *userInside          `json:"transferred_to"`
	Contact       *struct{}            `json:"contact"` // there are no contacts
	Teams         []teamInside         `json:"teams"`
	Comments      []struct{}           `json:"comments"`
	Tags          []struct{}           `json:"tags"`
	Participants  []participant        `json:"participants"`
}

// People is what the objects need of a directory's snapshot.
type People interface {
	User(phone.UserID) (phone.User, bool)
	UserByEmail(string) (phone.User, bool)
	Users() []phone.User // by id
	Team(phone.TeamID) (phone.Team, bool)
	Teams() []phone.Team
	Number(phone.NumberID) (phone.Number, bool)
	Numbers() []phone.Number
	Region() string // ISO 3166: how national numbers are read
}

// view shows one snapshot of the directory, and calls in its light.
type view struct {
	People
	rev      int64 // of the snapshot
	company  company
	assigned func(phone.Number) []phone.UserID // whom a number's flow names
	state    func(phone.UserID) phone.Availability
	base     string // public URL, without a slash at the end
	ours     *spellings

	// Calls of a page have the same few people and numbers.
	users    map[phone.UserID]userInside
	numbers  map[phone.NumberID]numberInside
	spelling map[phone.E164]string
	// Every user of a list is looked for among the users of every number.
	assignees map[phone.NumberID][]phone.UserID
}

type company struct {
	Name, TimeZone string
}

// remember is what known has under key, made the first time it is asked for.
func remember[K comparable, V any](known *map[K]V, key K, make func() V) V {
	if v, ok := (*known)[key]; ok {
		return v
	}
	if *known == nil {
		*known = map[K]V{}
	}
	v := make()
	(*known)[key] = v
	return v
}

func (v *view) userInside(u phone.User) userInside {
	return remember(&v.users, u.ID, func() userInside { return v.newUserInside(u) })
}

func (v *view) newUserInside(u phone.User) userInside {
	state := v.state(u.ID)
	return userInside{
		ID: u.ID, DirectLink: v.link("users", int64(u.ID)), Name: u.Name, Email: u.Email,
		Available: state == phone.Available, AvailabilityStatus: setting(state),
		CreatedAt: isoTime(u.CreatedAt), TimeZone: v.company.TimeZone, Language: "en-US",
	}
}

func (v *view) userV2(u phone.User) userV2 {
	substatus := "always_opened"
	if v.state(u.ID) == phone.Unavailable {
		substatus = "always_closed"
	}
	return userV2{userInside: v.userInside(u), Substatus: substatus, WrapUpTime: int(u.WrapUp / time.Second)}
}

func (v *view) user(u phone.User) userObject {
	o := userObject{userV2: v.userV2(u), Numbers: []numberInside{}}
	for _, n := range v.Numbers() {
		if slices.Contains(v.numberUsers(n), u.ID) {
			o.Numbers = append(o.Numbers, v.numberInside(n))
		}
	}
	return o
}

func (v *view) teamInside(t phone.Team) teamInside {
	return teamInside{ID: t.ID, DirectLink: v.link("teams", int64(t.ID)), Name: t.Name, CreatedAt: isoTime(t.CreatedAt)}
}

func (v *view) team(t phone.Team) teamObject {
	return teamObject{teamInside: v.teamInside(t), Users: v.usersInside(t.Members)}
}

func (v *view) usersInside(ids []phone.UserID) []userInside {
	users := []userInside{}
	for _, id := range ids {
		if u, ok := v.User(id); ok {
			users = append(users, v.userInside(u))
		}
	}
	return users
}

func (v *view) numberInside(n phone.Number) numberInside {
	return remember(&v.numbers, n.ID, func() numberInside { return v.newNumberInside(n) })
}

func (v *view) newNumberInside(n phone.Number) numberInside {
	digits := v.ours.of(n.Digits)
	return numberInside{
		ID: n.ID, DirectLink: v.link("numbers", int64(n.ID)), Name: n.Name, Digits: digits.international,
		Country: digits.region, TimeZone: v.company.TimeZone, Open: true, AvailabilityStatus: "open",
		Priority: n.Priority, CreatedAt: isoTime(n.CreatedAt),
	}
}

func (v *view) number(n phone.Number) numberObject {
	return numberObject{numberInside: v.numberInside(n), Users: v.usersInside(v.numberUsers(n))}
}

func (v *view) numberUsers(n phone.Number) []phone.UserID {
	return remember(&v.assignees, n.ID, func() []phone.UserID { return v.assigned(n) })
}

func (v *view) call(c *record.Call) callObject {
	o := callObject{
		ID: c.ID, SID: clip(c.SIPCallID, 200), DirectLink: v.link("calls", int64(c.ID)),
		Direction: c.Direction, Status: c.Status, StartedAt: c.StartedAt.Unix(),
		AnsweredAt: unixTime(c.AnsweredAt), EndedAt: unixTime(c.EndedAt),
		RawDigits: v.rawDigits(c), Archived: c.Archived, Cost: "0",
		Number: v.callNumber(c), User: v.callUser(c.User),
		Teams: []teamInside{}, Comments: []struct{}{}, Tags: []struct{}{}, Participants: v.participants(c),
	}
	if !c.EndedAt.IsZero() {
		o.Duration = max(c.EndedAt.Unix()-c.StartedAt.Unix(), 0)
	}
	if c.Missed != "" {
		o.MissedReason = &c.Missed
	}
	for _, id := range c.Teams {
		if t, ok := v.Team(id); ok {
			o.Teams = append(o.Teams, v.teamInside(t))
		}
	}
	return o
}

// callUser is who answered. Somebody who has left the company since keeps their
// id, so that a lookup which finds it says "unknown user" and not "nobody".
func (v *view) callUser(id phone.UserID) *userInside {
	if id == 0 {
		return nil
	}
	u, ok := v.User(id)
	if !ok {
		return &userInside{ID: id, DirectLink: v.link("users", int64(id)), Name: "(deleted user)",
			AvailabilityStatus: "unavailable", TimeZone: v.company.TimeZone, Language: "en-US"}
	}
	inside := v.userInside(u)
	return &inside
}

func (v *view) callNumber(c *record.Call) *numberInside {
	if c.Number == 0 {
		return nil
	}
	n, ok := v.Number(c.Number)
	if ok {
		inside := v.numberInside(n)
		return &inside
	}
	// Deleted since; an inbound call still knows what was dialled.
	n = phone.Number{ID: c.Number, Name: "(deleted number)"}
	if c.Direction == record.Inbound {
		n.Digits = c.Called
	}
	inside := v.newNumberInside(n)
	return &inside
}

func (v *view) participants(c *record.Call) []participant {
	digits := v.rawDigits(c)
	all := []participant{{Type: "external", PhoneNumber: &digits}}
	if c.External != "" && c.External != c.Outside() && !c.Erased {
		number := v.international(c.External)
		all = append(all, participant{Type: "external", PhoneNumber: &number})
	}
	if u := v.callUser(c.User); u != nil {
		id := int64(u.ID)
		all = append(all, participant{ID: &id, Type: "user", Name: &u.Name})
	}
	return all
}

// availability in the words of /v1/users/availabilities.
func availability(a phone.Availability) string {
	switch a {
	case phone.Available:
		return "available"
	case phone.RingingNow, phone.InCall:
		return "in_call"
	case phone.WrappingUp:
		return "after_call_work"
	case phone.Unavailable:
		return "do_not_disturb"
	}
	return "offline"
}

// setting is what the user chose, as opposed to what they are doing.
func setting(a phone.Availability) string {
	if a == phone.Unavailable {
		return "unavailable"
	}
	return "available"
}

func (v *view) link(kind string, id int64) string {
	return v.base + "/v1/" + kind + "/" + strconv.FormatInt(id, 10)
}

// rawDigits is the outside party as the API writes it.
func (v *view) rawDigits(c *record.Call) string {
	switch {
	case c.Erased:
		return "erased"
	case c.Outside() == "":
		return "anonymous"
	}
	return v.international(c.Outside())
}

// international is the spaced form, "+1 415-555-0123".
func (v *view) international(n phone.E164) string {
	return remember(&v.spelling, n, func() string { return spell(n) })
}

// isoTime is ISO 8601 in UTC with milliseconds, null for "not known".
func isoTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return &text
}

func unixTime(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	s := t.Unix()
	return &s
}
