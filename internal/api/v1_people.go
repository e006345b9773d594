package api

import (
	"net/http"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/phone"
)

func ping(*ask) (any, error) { return pong(), nil }

func pong() object { return object{"ping": "pong"} }

func getCompany(a *ask) (any, error) { return a.companyObject(), nil }

func (v *view) companyObject() object {
	return object{"company": object{
		"name":          v.company.Name,
		"users_count":   len(v.Users()),
		"numbers_count": len(v.Numbers()),
	}}
}

func listUsers(a *ask) (any, error) {
	return listOf(a, "users", a.Users(), a.user)
}

func getUser(a *ask) (any, error) {
	u, err := a.pathUser("id")
	if err != nil {
		return nil, err
	}
	return object{"user": a.user(u)}, nil
}

func listUsersV2(a *ask) (any, error) {
	return listOf(a, "users", a.Users(), a.userV2)
}

func getUserV2(a *ask) (any, error) {
	u, err := a.pathUser("id")
	if err != nil {
		return nil, err
	}
	return object{"user": a.userV2(u)}, nil
}

// userAvailability is a row of the list of availabilities.
type userAvailability struct {
	ID           phone.UserID `json:"id"`
	Availability string       `json:"availability"`
}

func (v *view) availabilityOf(u phone.User) userAvailability {
	return userAvailability{ID: u.ID, Availability: availability(v.state(u.ID))}
}

func listAvailabilities(a *ask) (any, error) {
	return listOf(a, "users", a.Users(), a.availabilityOf)
}

func getAvailability(a *ask) (any, error) {
	u, err := a.pathUser("id")
	if err != nil {
		return nil, err
	}
	return object{"availability": availability(a.state(u.ID))}, nil
}

func listTeams(a *ask) (any, error) {
	return listOf(a, "teams", a.Teams(), a.team)
}

func getTeam(a *ask) (any, error) {
	t, err := a.pathTeam()
	if err != nil {
		return nil, err
	}
	return object{"team": a.team(t)}, nil
}

func listNumbers(a *ask) (any, error) {
	return listOf(a, "numbers", a.Numbers(), a.number)
}

func getNumber(a *ask) (any, error) {
	n, err := a.pathNumber()
	if err != nil {
		return nil, err
	}
	return object{"number": a.number(n)}, nil
}

// noContacts is the empty list: this version keeps no contacts.
func noContacts(a *ask) (any, error) {
	return listOf(a, "contacts", []object{}, func(o object) object { return o })
}

func getContact(a *ask) (any, error) { return nil, notFound("contact", a.r.PathValue("id")) }

// listOf is one page of what the snapshot has, each shown as an object.
func listOf[T, O any](a *ask, name string, all []T, show func(T) O) (any, error) {
	g := a.params.page()
	if a.params.err != nil {
		return nil, a.params.err
	}
	objects := []O{}
	for _, thing := range part(all, g) {
		objects = append(objects, show(thing))
	}
	return a.list(g, name, objects, len(objects), len(all)), nil
}

// peopleEndpoints are the rows of the table about the directory.
func peopleEndpoints() []endpoint {
	paging := []param{
		{"page", "query", "integer", "which page, from 1; default 1"},
		{"per_page", "query", "integer", "how many on a page, 1–50; default 20"},
	}
	wantUser := []param{{"id", "path", "integer or e-mail", "the user"}}
	wantID := []param{{"id", "path", "integer", "its id"}}
	get := func(path, title, about string, params []param, example func(*view) any, serve func(*ask) (any, error)) endpoint {
		return endpoint{Method: http.MethodGet, Path: path, Scope: access.V1Read, Title: title, About: about,
			Params: params, Example: example, serve: serve}
	}
	return []endpoint{
		get("/v1/ping", "Ping", "Says that the key works.", nil,
			func(*view) any { return pong() }, ping),
		get("/v1/company", "Get the company", "Its name and how much it has.", nil,
			func(v *view) any { return v.companyObject() }, getCompany),
		get("/v1/users", "List users", "All users, by id.", paging,
			func(v *view) any { return exampleList("users", []userObject{v.user(v.Users()[0])}) }, listUsers),
		get("/v1/users/{id}", "Get a user", "One user. available says whether a call would ring them now.", wantUser,
			func(v *view) any { return object{"user": v.user(v.Users()[0])} }, getUser),
		get("/v1/users/availabilities", "List availabilities", "What each user is doing: available, offline, do_not_disturb, in_call or after_call_work.", paging,
			func(v *view) any {
				return exampleList("users", []userAvailability{v.availabilityOf(v.Users()[0])})
			}, listAvailabilities),
		get("/v1/users/{id}/availability", "Get a user's availability", "What the user is doing.", wantUser,
			func(v *view) any { return object{"availability": availability(v.state(v.Users()[0].ID))} }, getAvailability),
		get("/v1/teams", "List teams", "All teams, by id.", paging,
			func(v *view) any { return exampleList("teams", []teamObject{v.team(v.Teams()[0])}) }, listTeams),
		get("/v1/teams/{id}", "Get a team", "One team with its users.", wantID,
			func(v *view) any { return object{"team": v.team(v.Teams()[0])} }, getTeam),
		get("/v1/numbers", "List numbers", "All numbers of the company, by id. A number's users are those whom its flow names, alone or by their team.", paging,
			func(v *view) any { return exampleList("numbers", []numberObject{v.number(v.Numbers()[0])}) }, listNumbers),
		get("/v1/numbers/{id}", "Get a number", "One number.", wantID,
			func(v *view) any { return object{"number": v.number(v.Numbers()[0])} }, getNumber),
		get("/v1/contacts", "List contacts", "Always empty: contacts stay in your CRM.", paging,
			func(*view) any { return exampleList("contacts", []object{}) }, noContacts),
		get("/v1/contacts/search", "Search contacts", "Always empty: contacts stay in your CRM.", paging,
			func(*view) any { return exampleList("contacts", []object{}) }, noContacts),
		get("/v1/contacts/{id}", "Get a contact", "Always a 404: contacts stay in your CRM.", wantID, nil, getContact),
		get("/v2/users", "List users (v2)", "As /v1/users, without numbers.", paging,
			func(v *view) any { return exampleList("users", []userV2{v.userV2(v.Users()[0])}) }, listUsersV2),
		get("/v2/users/{id}", "Get a user (v2)", "As /v1/users/:id, without numbers.", wantUser,
			func(v *view) any { return object{"user": v.userV2(v.Users()[0])} }, getUserV2),
	}
}
