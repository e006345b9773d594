package api

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/phone"
)

// The other API assigns users to numbers. Here a flow says whom a number rings,
// so a number's users are those whom its flow names, alone or by their team;
// whom a lookup will name nobody knows before the call.

// assignments remembers who is assigned to which number at one revision.
type assignments struct {
	mu    sync.Mutex
	rev   int64
	users map[phone.NumberID][]phone.UserID // nil: not worked out yet
}

// at works them out once for each revision.
func (a *assignments) at(ctx context.Context, d *directory.Directory, s *directory.Snapshot) (map[phone.NumberID][]phone.UserID, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users != nil && a.rev == s.Rev() {
		return a.users, nil
	}
	doc, err := d.Export(ctx)
	if err != nil {
		return nil, err
	}
	text, err := doc.JSON()
	if err != nil {
		return nil, err
	}
	var flows flowTargets
	if err := json.Unmarshal(text, &flows); err != nil {
		return nil, err
	}
	a.rev, a.users = s.Rev(), flows.assign(s)
	return a.users, nil
}

// flowTargets is what flows name, out of an exported document.
type flowTargets struct {
	Flows []struct {
		Name  string `json:"name"`
		Steps []struct {
			RingTo    namedTarget `json:"ring_to"`
			RingToAPI struct {
				Otherwise anyTarget `json:"otherwise"`
			} `json:"ring_to_api"`
		} `json:"steps"`
	} `json:"flows"`
}

// namedTarget is {user: …} or {team: …}; other targets are not people of ours.
type namedTarget struct {
	User scalar `json:"user"`
	Team scalar `json:"team"`
}

// anyTarget is one target, `next`, or one of these for each exit.
type anyTarget []namedTarget

func (t *anyTarget) UnmarshalJSON(text []byte) error {
	var one namedTarget
	if json.Unmarshal(text, &one) == nil && one != (namedTarget{}) {
		*t = anyTarget{one}
		return nil
	}
	var exits map[string]json.RawMessage
	if json.Unmarshal(text, &exits) != nil {
		return nil // next
	}
	for _, text := range exits {
		var exit namedTarget
		if json.Unmarshal(text, &exit) == nil {
			*t = append(*t, exit)
		}
	}
	return nil
}

// scalar is a text or a number, as text.
type scalar string

func (s *scalar) UnmarshalJSON(text []byte) error {
	if unquoted, err := strconv.Unquote(string(text)); err == nil {
		text = []byte(unquoted)
	}
	*s = scalar(text)
	return nil
}

func (f flowTargets) assign(s *directory.Snapshot) map[phone.NumberID][]phone.UserID {
	byFlow := make(map[string][]phone.UserID, len(f.Flows))
	for _, flow := range f.Flows {
		var ids []phone.UserID
		for _, step := range flow.Steps {
			ids = append(ids, step.RingTo.users(s)...)
			for _, t := range step.RingToAPI.Otherwise {
				ids = append(ids, t.users(s)...)
			}
		}
		slices.Sort(ids)
		byFlow[flow.Name] = slices.Compact(ids)
	}
	users := make(map[phone.NumberID][]phone.UserID)
	for _, n := range s.Numbers() {
		users[n.ID] = byFlow[n.Flow]
	}
	return users
}

// users are the people behind a target.
func (t namedTarget) users(s *directory.Snapshot) []phone.UserID {
	if id, err := strconv.ParseInt(string(t.User), 10, 64); err == nil {
		return []phone.UserID{phone.UserID(id)}
	}
	if u, ok := s.UserByEmail(string(t.User)); ok && strings.Contains(string(t.User), "@") {
		return []phone.UserID{u.ID}
	}
	team, ok := s.TeamByName(string(t.Team))
	if id, err := strconv.ParseInt(string(t.Team), 10, 64); err == nil {
		team, ok = s.Team(phone.TeamID(id))
	}
	if !ok {
		return nil
	}
	return team.Members
}
