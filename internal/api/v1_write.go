package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/phone"
)

// apply puts a part of a directory document in, as `ringpath apply` would:
// checked with everything that it touches, stored whole or not at all.
func (a *ask) apply(part object, o directory.ApplyOptions) (directory.Plan, error) {
	part["version"] = 1
	text, err := json.Marshal(part)
	if err != nil {
		return directory.Plan{}, err
	}
	doc, faults := directory.Parse("", text, nil)
	if faults.Fatal() {
		return directory.Plan{}, faultsAsTrouble(faults)
	}
	plan, err := a.server.Directory.Apply(a.r.Context(), doc, o)
	if errors.As(err, &faults) {
		return plan, faultsAsTrouble(faults)
	}
	if err == nil {
		a.server.logChange(a.r.Context(), plan, a.who)
	}
	return plan, err
}

// faultsAsTrouble words what stands against a change: all of it, in one text.
func faultsAsTrouble(faults document.Faults) error {
	var texts []string
	for _, f := range faults {
		if !f.Warning {
			texts = append(texts, fieldOf(f.Pointer)+f.Message)
		}
	}
	return unprocessable("%s", strings.Join(texts, "; "))
}

// fieldOf is "email: " of "/users/0/email".
func fieldOf(pointer string) string {
	parts := strings.Split(pointer, "/")
	if len(parts) < 4 {
		return ""
	}
	return parts[3] + ": "
}

// created is the id that a change gave to the entry of a kind that it added.
func created(plan directory.Plan, kind directory.Kind) int64 {
	for _, c := range plan.Changes {
		if c.Kind == kind && c.Act == directory.Created {
			return c.ID
		}
	}
	return 0
}

// userBody is what may be written of a user. A name comes whole or in two parts.
type userBody struct {
	Email     *string `json:"email"`
	Name      *string `json:"name"`
	FirstName *string `json:"first_name"`
	LastName  *string `json:"last_name"`
}

// later are fields of the other API that this version cannot set. They are
// refused rather than ignored, unless they say what is so anyhow.
var (
	laterUser   = map[string][]string{"availability_status": {"available"}, "substatus": {"always_opened"}, "wrap_up_time": {"0"}, "is_admin": {"false"}, "role_ids": {"[]"}, "time_zone": nil, "language": nil}
	laterNumber = map[string][]string{"priority": {"0"}, "open": {"true"}, "availability_status": {"open"}, "is_ivr": {"false"}, "live_recording_activated": {"false"}, "messages": {"{}"}, "digits": nil}
	laterTeam   = map[string][]string{"image_url": nil}
)

// write reads the body into a struct and refuses what cannot be set. same is
// the object as it is: a client that sends it back whole changes nothing.
func (a *ask) write(into any, later map[string][]string, same any) error {
	var raw json.RawMessage
	if err := a.body(&raw); err != nil {
		return err
	}
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(raw, &sent); err != nil {
		return badRequest("the body must be a JSON object: %s", jsonFault(err))
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return badRequest("the body must be a JSON object: %s", jsonFault(err))
	}
	is := map[string]json.RawMessage{}
	if text, err := json.Marshal(same); err == nil {
		_ = json.Unmarshal(text, &is) // a null leaves the map empty
	}
	for name, harmless := range later {
		value := strings.Trim(string(sent[name]), `"`)
		if value == "" || value == "null" || slices.Contains(harmless, value) || value == strings.Trim(string(is[name]), `"`) {
			continue
		}
		return unprocessable("%s cannot be changed in this version: leave it out", name)
	}
	return nil
}

// entry is the user as a document writes them.
func (b *userBody) entry(now phone.User) object {
	e := object{}
	if b.Email != nil {
		e["email"] = *b.Email
	}
	switch {
	case b.Name != nil:
		e["name"] = *b.Name
	case b.FirstName != nil || b.LastName != nil:
		first, last, _ := strings.Cut(now.Name, " ")
		if b.FirstName != nil {
			first = *b.FirstName
		}
		if b.LastName != nil {
			last = *b.LastName
		}
		e["name"] = strings.TrimSpace(first + " " + last)
	}
	return e
}

func createUser(a *ask) (any, error) {
	var b userBody
	if err := a.write(&b, laterUser, nil); err != nil {
		return nil, err
	}
	e := b.entry(phone.User{})
	if e["email"] == nil || e["name"] == nil {
		return nil, badRequest("a user needs email, and name or first_name and last_name")
	}
	if _, taken := a.UserByEmail(*b.Email); taken {
		return nil, unprocessable("email: another user has it")
	}
	plan, err := a.apply(object{"users": []object{e}}, directory.ApplyOptions{})
	if err != nil {
		return nil, err
	}
	return a.server.userAnswer(phone.UserID(created(plan, directory.KindUser)))
}

func updateUser(a *ask) (any, error) {
	u, err := a.pathUser("id")
	if err != nil {
		return nil, err
	}
	var b userBody
	if err := a.write(&b, laterUser, a.user(u)); err != nil {
		return nil, err
	}
	e := b.entry(u)
	e["id"] = u.ID
	if _, err := a.apply(object{"users": []object{e}}, directory.ApplyOptions{}); err != nil {
		return nil, err
	}
	return a.server.userAnswer(u.ID)
}

// userAnswer is the user after a change.
func (s *Server) userAnswer(id phone.UserID) (any, error) {
	v := s.view()
	u, ok := v.User(id)
	if !ok {
		return nil, notFound("user", id.String())
	}
	return object{"user": v.user(u)}, nil
}

// deleteUser also takes the user out of teams; a flow that names them keeps
// them, and the answer says which.
func deleteUser(a *ask) (any, error) {
	u, err := a.pathUser("id")
	if err != nil {
		return nil, err
	}
	var teams []object
	for _, t := range a.Teams() {
		if slices.Contains(t.Members, u.ID) {
			teams = append(teams, teamEntry(t.ID, without(t.Members, u.ID)))
		}
	}
	part := object{}
	if teams != nil {
		part["teams"] = teams
	}
	_, err = a.apply(part, directory.ApplyOptions{
		Remove:   []directory.Ref{{Kind: directory.KindUser, ID: int64(u.ID)}},
		Revision: a.rev,
	})
	return nil, err
}

// nameBody is what may be written of a team or a number.
type nameBody struct {
	Name *string `json:"name"`
}

func createTeam(a *ask) (any, error) {
	var b nameBody
	if err := a.write(&b, laterTeam, nil); err != nil {
		return nil, err
	}
	if b.Name == nil {
		return nil, badRequest("a team needs name")
	}
	for _, t := range a.Teams() {
		if strings.EqualFold(t.Name, *b.Name) {
			return nil, unprocessable("name: another team has it")
		}
	}
	part := object{"teams": []object{{"name": *b.Name, "members": []phone.UserID{}}}}
	plan, err := a.apply(part, directory.ApplyOptions{})
	if err != nil {
		return nil, err
	}
	return a.server.teamAnswer(phone.TeamID(created(plan, directory.KindTeam)))
}

func updateTeam(a *ask) (any, error) {
	t, err := a.pathTeam()
	if err != nil {
		return nil, err
	}
	var b nameBody
	if err := a.write(&b, laterTeam, a.team(t)); err != nil {
		return nil, err
	}
	e := object{"id": t.ID}
	if b.Name != nil {
		e["name"] = *b.Name
	}
	if _, err := a.apply(object{"teams": []object{e}}, directory.ApplyOptions{}); err != nil {
		return nil, err
	}
	return a.server.teamAnswer(t.ID)
}

func (s *Server) teamAnswer(id phone.TeamID) (any, error) {
	v := s.view()
	t, ok := v.Team(id)
	if !ok {
		return nil, notFound("team", id.String())
	}
	return object{"team": v.team(t)}, nil
}

func deleteTeam(a *ask) (any, error) {
	t, err := a.pathTeam()
	if err != nil {
		return nil, err
	}
	_, err = a.apply(object{}, directory.ApplyOptions{
		Remove: []directory.Ref{{Kind: directory.KindTeam, ID: int64(t.ID)}},
	})
	return nil, err
}

func joinTeam(a *ask) (any, error) {
	return a.changeMembers(func(members []phone.UserID, id phone.UserID) []phone.UserID {
		if slices.Contains(members, id) {
			return members
		}
		return append(slices.Clone(members), id)
	})
}

func leaveTeam(a *ask) (any, error) { return a.changeMembers(without) }

// maxRaces is how often a change is tried when others change the directory at
// the same moment.
const maxRaces = 5

// changeMembers writes a team's members anew, for the revision that was read:
// of two changes at the same moment none is lost.
func (a *ask) changeMembers(change func([]phone.UserID, phone.UserID) []phone.UserID) (any, error) {
	for race := 1; ; race++ {
		t, err := a.pathTeam()
		if err != nil {
			return nil, err
		}
		u, err := a.pathUser("user_id")
		if err != nil {
			return nil, err
		}
		part := object{"teams": []object{teamEntry(t.ID, change(t.Members, u.ID))}}
		_, err = a.apply(part, directory.ApplyOptions{Revision: a.rev})
		if err == nil || phone.KindOf(err) != phone.Conflict || race == maxRaces {
			return nil, err
		}
		a.view = a.server.view()
	}
}

func teamEntry(id phone.TeamID, members []phone.UserID) object {
	return object{"id": id, "members": members}
}

func without(ids []phone.UserID, id phone.UserID) []phone.UserID {
	rest := []phone.UserID{}
	for _, other := range ids {
		if other != id {
			rest = append(rest, other)
		}
	}
	return rest
}

func updateNumber(a *ask) (any, error) {
	n, err := a.pathNumber()
	if err != nil {
		return nil, err
	}
	var b nameBody
	if err := a.write(&b, laterNumber, a.number(n)); err != nil {
		return nil, err
	}
	e := object{"id": n.ID}
	if b.Name != nil {
		e["name"] = *b.Name
	}
	if _, err := a.apply(object{"numbers": []object{e}}, directory.ApplyOptions{}); err != nil {
		return nil, err
	}
	v := a.server.view()
	if n, ok := v.Number(n.ID); ok {
		return object{"number": v.number(n)}, nil
	}
	return nil, notFound("number", n.ID.String())
}

// writeEndpoints are the rows of the table that change the directory.
func writeEndpoints() []endpoint {
	user := []param{
		{"email", "body", "text", "unique; needed for a new user"},
		{"name", "body", "text", "the whole name; or first_name and last_name"},
	}
	wantUser := param{"id", "path", "integer or e-mail", "the user"}
	wantID := param{"id", "path", "integer", "its id"}
	name := param{"name", "body", "text", "unique"}
	member := []param{wantID, {"user_id", "path", "integer or e-mail", "the user"}}
	exampleUser := func(v *view) any { return object{"user": v.user(v.Users()[0])} }
	exampleTeam := func(v *view) any { return object{"team": v.team(v.Teams()[0])} }
	rows := []endpoint{
		{Method: http.MethodPost, Path: "/v1/users", Title: "Create a user", Status: http.StatusCreated, Params: user,
			About: "The user has no phone yet: phones and their passwords are set by `ringpath apply`.",
			Body:  `{"email":"ada@example.com","first_name":"Ada","last_name":"Agent"}`, Example: exampleUser, serve: createUser},
		{Method: http.MethodPut, Path: "/v1/users/{id}", Title: "Update a user", Params: append([]param{wantUser}, user...),
			About: "Only what the body names changes.",
			Body:  `{"last_name":"Adams"}`, Example: exampleUser, serve: updateUser},
		{Method: http.MethodDelete, Path: "/v1/users/{id}", Title: "Delete a user", Status: http.StatusNoContent, Params: []param{wantUser},
			About: "Also takes them out of their teams. A user whom a flow names is kept: 422.", serve: deleteUser},
		{Method: http.MethodPost, Path: "/v1/teams", Title: "Create a team", Status: http.StatusCreated, Params: []param{name},
			About: "A new team has no members.",
			Body:  `{"name":"Support"}`, Example: exampleTeam, serve: createTeam},
		{Method: http.MethodPut, Path: "/v1/teams/{id}", Title: "Update a team", Params: []param{wantID, name},
			About: "Changes its name.",
			Body:  `{"name":"Support"}`, Example: exampleTeam, serve: updateTeam},
		{Method: http.MethodDelete, Path: "/v1/teams/{id}", Title: "Delete a team", Status: http.StatusNoContent, Params: []param{wantID},
			About: "A team that a flow names is kept: 422.", serve: deleteTeam},
		{Method: http.MethodPost, Path: "/v1/teams/{id}/users/{user_id}", Title: "Add a user to a team", Status: http.StatusNoContent, Params: member,
			About: "As its last member. One who is in it already stays where they are.", serve: joinTeam},
		{Method: http.MethodDelete, Path: "/v1/teams/{id}/users/{user_id}", Title: "Remove a user from a team", Status: http.StatusNoContent, Params: member,
			About: "One who is not in it changes nothing.", serve: leaveTeam},
		{Method: http.MethodPut, Path: "/v1/numbers/{id}", Title: "Update a number",
			Params: []param{wantID, {"name", "body", "text", "what it is called"}},
			About:  "Changes its name.",
			Body:   `{"name":"Main line"}`, Example: func(v *view) any { return object{"number": v.number(v.Numbers()[0])} }, serve: updateNumber},
	}
	for i := range rows {
		rows[i].Scope = access.V1Write
	}
	return rows
}
