package directory

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/phone"
)

const minPassword = 12 // characters of a phone's password

var usernameForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (b *builder) user(f userForm) {
	u := phone.User{
		ID: phone.UserID(b.entry.id), Name: cmp.Or(f.Name, f.Email), Email: f.Email,
		ExternalIDs: f.ExternalIDs, CreatedAt: b.entry.createdAt,
	}
	at := len(b.s.users)
	b.short("/name", f.Name, maxName)
	if u.Name == "" {
		b.fault("/name", codeMissing, "a user needs a name or an e-mail address")
	}
	b.email(f.Email, at)
	b.external(f.ExternalIDs, b.s.userByExternal, at)
	if f.CallerNumber != "" {
		u.CallerNumber = b.e164("/caller_number", f.CallerNumber)
	}
	for i, p := range f.Phones {
		if b.phone(document.Join("/phones", i), p, u) {
			u.Phones = append(u.Phones, p.Username)
		}
	}
	b.s.userIndex[u.ID] = at
	b.s.users = append(b.s.users, u)
}

func (b *builder) email(email string, at int) {
	if email == "" {
		return
	}
	key := strings.ToLower(email)
	local, domain, _ := strings.Cut(email, "@")
	_, taken := b.s.userByEmail[key]
	switch {
	case local == "" || domain == "" || len(email) > 254 || strings.ContainsAny(domain, "@ ") || strings.ContainsAny(email, " \t\r\n"):
		b.fault("/email", document.CodeValue, "%q is no e-mail address", email)
	case taken:
		b.fault("/email", codeTaken, "another user has the e-mail address %s", email)
	default:
		b.s.userByEmail[key] = at
	}
}

func (b *builder) phone(pointer string, p phoneForm, u phone.User) bool {
	_, taken := b.s.accounts[p.Username]
	switch {
	case !usernameForm.MatchString(p.Username):
		b.fault(document.Join(pointer, "username"), document.CodeValue, "%q is no username: 1 to 64 of A-Z a-z 0-9 . _ -", p.Username)
		return false
	case taken:
		b.fault(document.Join(pointer, "username"), codeTaken, "another phone has the username %s", p.Username)
		return false
	}
	password := p.Password.text.Reveal()
	at := document.Join(pointer, "password")
	switch {
	case p.Password.text.Empty():
		b.missingSecret(at, "the phone "+p.Username, p.Password)
	case len([]rune(password)) < minPassword:
		b.fault(at, codeSecret, "the password of %s is too short: %d characters or more", p.Username, minPassword)
	case strings.EqualFold(password, p.Username):
		b.fault(at, codeSecret, "the password of %s is its username: choose another", p.Username)
	}
	b.s.accounts[p.Username] = Account{User: u.ID, Username: p.Username, Password: p.Password.text}
	return true
}

func (b *builder) missingSecret(pointer, what string, s secretForm) {
	if s.written {
		b.fault(pointer, codeMissingSecret, "no secret is stored for %s: write {env: NAME}, {file: PATH} or {value: …}", what)
		return
	}
	b.fault(pointer, codeMissingSecret, "the secret of %s is missing: write {env: NAME}, {file: PATH} or {value: …}", what)
}

func (b *builder) team(f teamForm) {
	t := phone.Team{ID: phone.TeamID(b.entry.id), Name: f.Name, ExternalIDs: f.ExternalIDs, CreatedAt: b.entry.createdAt}
	at := len(b.s.teams)
	key := strings.ToLower(f.Name)
	if _, err := strconv.ParseInt(f.Name, 10, 64); err == nil {
		b.fault("/name", document.CodeValue, "a team's name is not only digits: {team: %s} would mean its id", f.Name)
	} else if _, taken := b.s.teamByName[key]; b.name(f.Name, taken) {
		b.s.teamByName[key] = at
	}
	for i, m := range f.Members {
		pointer := document.Join("/members", i)
		u, ok := flow.FindUser(b.s, m)
		switch {
		case !ok:
			b.fault(pointer, codeDangles, "there is no user %q: write the id or the e-mail address of one under users", m)
		case slices.Contains(t.Members, u.ID):
			b.fault(pointer, codeTaken, "%s is in the team already", m)
		default:
			t.Members = append(t.Members, u.ID)
		}
	}
	b.external(f.ExternalIDs, b.s.teamByExternal, at)
	b.s.teamIndex[t.ID] = at
	b.s.teams = append(b.s.teams, t)
}

// numberRef is a number whose flow is checked once the flows are there.
type numberRef struct {
	entry *entry
	flow  string
}

func (b *builder) number(f numberForm) numberRef {
	n := phone.Number{
		ID: phone.NumberID(b.entry.id), Name: cmp.Or(f.Name, f.Digits), Flow: f.Flow, KeepSIP: f.KeepSIP,
		Digits: b.e164("/digits", f.Digits), CreatedAt: b.entry.createdAt,
	}
	b.short("/name", f.Name, maxName)
	if _, taken := b.s.numberByDigits[n.Digits]; taken && n.Digits != "" {
		b.fault("/digits", codeTaken, "another number has the digits %s", n.Digits)
	}
	at := len(b.s.numbers)
	b.s.numberByDigits[n.Digits] = at
	b.s.numberIndex[n.ID] = at
	b.s.numbers = append(b.s.numbers, n)
	return numberRef{entry: b.entry, flow: f.Flow}
}

func (b *builder) numberFlow(n numberRef) {
	b.entry = n.entry
	switch {
	case n.flow == "":
		b.fault("/flow", codeMissing, "a number needs a flow that its calls follow: name one under flows")
	case !b.flows[n.flow]:
		b.fault("/flow", codeDangles, "there is no flow %q%s", n.flow, document.Suggest(n.flow, b.s.flowNames))
	}
}

func (b *builder) flow(spec flow.Spec) {
	if b.name(spec.Name, b.flows[spec.Name]) {
		b.flows[spec.Name] = true
		b.s.flowNames = append(b.s.flowNames, spec.Name)
	}
	spec.ID = b.entry.id
	compiled, faults := flow.Compile(spec, flow.Env{People: b.s, Lookup: b.lookupEnv()})
	for _, f := range faults {
		if f.Code != flow.CodeNoName { // said already
			b.report(f)
		}
	}
	if compiled != nil {
		b.s.flows[spec.Name] = compiled
		nameSteps(b.entry.node, compiled.Steps())
	}
}

// nameSteps writes the names that were made into the entry, so that they stay
// what they are and export shows them.
func nameSteps(n *document.Node, names []string) {
	for i, step := range n.Get("steps").Items {
		if name := step.Get("name"); name == nil || name.Text == "" {
			step.SetFirst("name", document.NewText(names[i]))
		}
	}
}
