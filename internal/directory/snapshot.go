package directory

import (
	"net/netip"
	"strings"

	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// Snapshot is the directory at one revision, checked, with its flows compiled.
// It never changes: read it from anywhere, keep it as long as a call lasts, and
// leave the slices and maps that it returns as they are.
type Snapshot struct {
	rev     int64
	company Company

	users   []phone.User // by id
	teams   []phone.Team
	numbers []phone.Number
	trunks  []Trunk // in the document's order

	userIndex      map[phone.UserID]int
	userByEmail    map[string]int // lower case
	userByExternal map[externalID]int
	accounts       map[string]Account // by username
	teamIndex      map[phone.TeamID]int
	teamByName     map[string]int
	teamByExternal map[externalID]int
	numberIndex    map[phone.NumberID]int
	numberByDigits map[phone.E164]int
	trunkByName    map[string]int
	trunkBySource  sourceIndex
	rules          []rules // of trunks, beside them
	credentials    map[string]lookup.Credential
	secrets        []secret.Text // of credentials
	flows          map[string]*flow.Flow
	flowNames      []string
}

// externalID is somebody's id in another system.
type externalID struct{ space, id string }

// Rev is the directory's revision, which grows with each change; 0: never stored.
func (s *Snapshot) Rev() int64 { return s.rev }

// Company is what holds for everybody.
func (s *Snapshot) Company() Company { return s.company }

// Region is how national numbers are read: company.default_region.
func (s *Snapshot) Region() string { return s.company.DefaultRegion }

// Keep is how much of a lookup a call keeps.
func (s *Snapshot) Keep() flow.Keep {
	k := flow.Keep{Trace: s.company.Keep.Traces > 0, Answers: s.company.Answers}
	if s.company.Keep.Answers == 0 {
		k.Answers = lookup.AnswersNone
	}
	return k
}

// Users are all users, by id.
func (s *Snapshot) Users() []phone.User { return s.users }

// User finds a user by id.
func (s *Snapshot) User(id phone.UserID) (phone.User, bool) {
	return at(s.users, s.userIndex, id)
}

// UserByEmail finds a user by e-mail, without case.
func (s *Snapshot) UserByEmail(email string) (phone.User, bool) {
	return at(s.users, s.userByEmail, strings.ToLower(email))
}

// UserByExternal finds a user by their id in another system: "hubspot", "77001".
func (s *Snapshot) UserByExternal(space, id string) (phone.User, bool) {
	return at(s.users, s.userByExternal, externalID{space, id})
}

// UserByPhone finds the user who has the phone with this username.
func (s *Snapshot) UserByPhone(username string) (phone.User, bool) {
	return s.User(s.accounts[username].User)
}

// Account finds a phone's login by its username.
func (s *Snapshot) Account(username string) (Account, bool) {
	a, ok := s.accounts[username]
	return a, ok
}

// Teams are all teams, by id.
func (s *Snapshot) Teams() []phone.Team { return s.teams }

// Team finds a team by id.
func (s *Snapshot) Team(id phone.TeamID) (phone.Team, bool) {
	return at(s.teams, s.teamIndex, id)
}

// TeamByName finds a team by name, without case.
func (s *Snapshot) TeamByName(name string) (phone.Team, bool) {
	return at(s.teams, s.teamByName, strings.ToLower(name))
}

// TeamByExternal finds a team by its id in another system.
func (s *Snapshot) TeamByExternal(space, id string) (phone.Team, bool) {
	return at(s.teams, s.teamByExternal, externalID{space, id})
}

// Numbers are all our numbers, by id.
func (s *Snapshot) Numbers() []phone.Number { return s.numbers }

// Number finds one of our numbers by id.
func (s *Snapshot) Number(id phone.NumberID) (phone.Number, bool) {
	return at(s.numbers, s.numberIndex, id)
}

// NumberByDigits finds one of our numbers.
func (s *Snapshot) NumberByDigits(n phone.E164) (phone.Number, bool) {
	return at(s.numbers, s.numberByDigits, n)
}

// Trunks are all trunks, in the document's order.
func (s *Snapshot) Trunks() []Trunk { return s.trunks }

// Trunk finds a trunk by name.
func (s *Snapshot) Trunk(name string) (*Trunk, bool) {
	i, ok := s.trunkByName[name]
	if !ok {
		return nil, false
	}
	return &s.trunks[i], true
}

// TrunkFor finds the trunk whose requests come from source: the most specific
// of all entries counts, an entry with a port before one without.
func (s *Snapshot) TrunkFor(source netip.AddrPort) (*Trunk, bool) {
	i, ok := s.trunkBySource.find(source)
	if !ok {
		return nil, false
	}
	return &s.trunks[i], true
}

// Flow finds a compiled flow by name.
func (s *Snapshot) Flow(name string) (*flow.Flow, bool) {
	f, ok := s.flows[name]
	return f, ok
}

// Flows are the names of all flows, in the document's order.
func (s *Snapshot) Flows() []string { return s.flowNames }

func at[K comparable, V any](all []V, index map[K]int, key K) (V, bool) {
	if i, ok := index[key]; ok {
		return all[i], true
	}
	var none V
	return none, false
}

// Credential finds a credential, with its secret, by name.
func (s *Snapshot) Credential(name string) (lookup.Credential, bool) {
	c, ok := s.credentials[name]
	return c, ok
}

// Secrets are those of all credentials, which traces mask wherever they stand.
// Phones' passwords are none of them: to look for thousands in each trace would
// cost more than the lookup, and no API has business to know them.
func (s *Snapshot) Secrets() []secret.Text { return s.secrets }

var (
	_ flow.Directory     = (*Snapshot)(nil)
	_ lookup.Credentials = (*Snapshot)(nil)
	_ lookup.Secrets     = (*Snapshot)(nil)
)
