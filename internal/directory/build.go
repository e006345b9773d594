package directory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones are checked, also on machines that have none

	"github.com/nyaruka/phonenumbers"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
)

// Codes of faults in directories, beside those of documents, flows and lookups.
const (
	codeTaken   = "taken"   // unique, and somebody else has it
	codeMissing = "missing" // a field that must be there
	codeRange   = "out_of_range"
	codeNotE164 = "not_e164"
	codeDangles = "dangling" // a name that refers to nothing
)

// builder makes a Snapshot of entries, and collects what is wrong with them.
type builder struct {
	s       *Snapshot
	faults  document.Faults
	entry   *entry          // the one being read
	flows   map[string]bool // names taken, also by flows with faults
	options Options
}

// build checks the whole directory. The Snapshot is of use only when no fault
// is more than a warning.
func build(all contents, rev int64, o Options) (*Snapshot, document.Faults) {
	b := &builder{options: o, flows: map[string]bool{}, s: &Snapshot{
		rev: rev, company: defaultCompany(),
		userIndex: map[phone.UserID]int{}, userByEmail: map[string]int{}, userByExternal: map[externalID]int{}, accounts: map[string]Account{},
		teamIndex: map[phone.TeamID]int{}, teamByName: map[string]int{}, teamByExternal: map[externalID]int{},
		numberIndex: map[phone.NumberID]int{}, numberByDigits: map[phone.E164]int{}, trunkByName: map[string]int{},
		trunkBySource: newSourceIndex(), credentials: map[string]lookup.Credential{}, flows: map[string]*flow.Flow{},
	}}
	var numbers []numberRef
	each(b, all[KindCompany], b.company)
	each(b, byID(all[KindUser]), b.user)
	each(b, byID(all[KindTeam]), b.team)
	each(b, byID(all[KindNumber]), func(f numberForm) { numbers = append(numbers, b.number(f)) })
	each(b, all[KindTrunk], b.trunk)
	b.s.trunkBySource.sort()
	each(b, all[KindCredential], b.credential)
	each(b, all[KindFlow], b.flow)
	for _, n := range numbers {
		b.numberFlow(n)
	}
	b.faults.Sort()
	return b.s, b.faults
}

// each decodes entries and hands them to read.
func each[F any](b *builder, entries []*entry, read func(F)) {
	for _, e := range entries {
		var form F
		var d document.Decoder
		d.Decode(e.node, e.pointer, &form)
		for _, f := range d.Faults {
			b.faults.Add(f)
		}
		b.entry = e
		read(form)
	}
}

func byID(entries []*entry) []*entry {
	return slices.SortedFunc(slices.Values(entries), func(a, b *entry) int { return cmp.Compare(a.id, b.id) })
}

// fault reports something at a pointer inside the current entry.
func (b *builder) fault(pointer, code, format string, args ...any) {
	b.report(document.Fault{Pointer: pointer, Code: code, Message: fmt.Sprintf(format, args...)})
}

// report gives a fault, whose pointer begins at the current entry, its place.
func (b *builder) report(f document.Fault) {
	_, place := b.entry.node.At(f.Pointer)
	if place.Line == 0 { // a stored field of an entry that the document names, or made by us
		place = b.entry.node.Place
	}
	if place.Line == 0 {
		f.Message = fmt.Sprintf("stored %s %s: %s", b.entry.kind, b.entry.label(), f.Message)
	}
	f.File, f.Line, f.Column = place.File, place.Line, place.Column
	f.Pointer = b.entry.pointer + f.Pointer
	b.faults.Add(f)
}

// short keeps what a document says within what can be shown.
func (b *builder) short(pointer, text string, limit int) {
	if len(text) > limit || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		b.fault(pointer, document.CodeValue, "at most %d bytes on one line", limit)
	}
}

const maxName = 200 // bytes

func defaultCompany() Company {
	const day = 24 * time.Hour
	return Company{
		Name: "Ringpath", TimeZone: "UTC", Answers: lookup.AnswersFull,
		Keep: Keep{Calls: 365 * day, Traces: 90 * day, Answers: 7 * day, SIP: 7 * day, Recordings: 90 * day, Voicemail: 90 * day, Audit: 730 * day},
	}
}

func (b *builder) company(f companyForm) {
	c := &b.s.company
	b.short("/name", f.Name, maxName)
	c.Name = cmp.Or(f.Name, c.Name)
	c.TimeZone = cmp.Or(f.TimeZone, c.TimeZone)
	if _, err := time.LoadLocation(c.TimeZone); err != nil || c.TimeZone == "Local" {
		b.fault("/time_zone", document.CodeValue, "there is no time zone %q: write one of the IANA list, for example Europe/Paris", f.TimeZone)
	}
	c.DefaultRegion = b.region("/default_region", f.DefaultRegion)
	switch a := lookup.Answers(f.Answers); a {
	case "":
	case lookup.AnswersFull, lookup.AnswersChosen, lookup.AnswersNone:
		c.Answers = a
	default:
		b.fault("/answers", document.CodeValue, "there is no %q: write full, chosen or none", f.Answers)
	}
	for _, k := range []struct {
		name string
		from *time.Duration
		to   *time.Duration
	}{
		{"calls", f.Keep.Calls, &c.Keep.Calls}, {"traces", f.Keep.Traces, &c.Keep.Traces}, {"answers", f.Keep.Answers, &c.Keep.Answers},
		{"sip", f.Keep.SIP, &c.Keep.SIP}, {"recordings", f.Keep.Recordings, &c.Keep.Recordings},
		{"voicemail", f.Keep.Voicemail, &c.Keep.Voicemail}, {"audit", f.Keep.Audit, &c.Keep.Audit},
	} {
		switch {
		case k.from == nil:
		case *k.from < 0 || *k.from > 36500*24*time.Hour:
			b.fault("/keep/"+k.name, codeRange, "between 0d (not kept) and 36500d")
		default:
			*k.to = *k.from
		}
	}
}

// region checks an ISO 3166 code.
func (b *builder) region(pointer, code string) string {
	if code != "" && phonenumbers.GetCountryCodeForRegion(code) == 0 {
		b.fault(pointer, document.CodeValue, "there is no region %q: write two capital letters, for example US", code)
		return ""
	}
	return code
}

// e164 reads a number that must be written exactly.
func (b *builder) e164(pointer, text string) phone.E164 {
	n, err := phone.ParseE164(text)
	if err != nil {
		b.fault(pointer, codeNotE164, "%q is no phone number: write +, country code and number, for example +14155550123", text)
	}
	return n
}

// name checks the name that others refer to.
func (b *builder) name(text string, taken bool) bool {
	b.short("/name", text, maxName)
	switch {
	case strings.TrimSpace(text) == "":
		b.fault("/name", codeMissing, "a %s needs a name", b.entry.kind)
	case taken:
		b.fault("/name", codeTaken, "another %s has the name %q", b.entry.kind, text)
	default:
		return true
	}
	return false
}

// external enters ids of other systems.
func (b *builder) external(ids map[string]string, index map[externalID]int, at int) {
	for space, id := range ids {
		pointer := document.Join("/external_ids", space)
		key := externalID{space, id}
		_, taken := index[key]
		switch {
		case id == "":
			b.fault(pointer, document.CodeValue, "the id in %s is empty: leave it out", space)
		case space == lookup.Own:
			b.fault(pointer, document.CodeValue, "ids in %s are the field id: name another system", space)
		case taken:
			b.fault(pointer, codeTaken, "another %s has the id %q in %s", b.entry.kind, id, space)
		default:
			index[key] = at
		}
	}
}
