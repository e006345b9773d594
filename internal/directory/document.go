package directory

import (
	"fmt"
	"strings"

	"github.com/ringpath/ringpath/internal/document"
)

// Version of the document's form.
const Version = 1

// Document is the written form of a directory, or of a part of it: what it does
// not name, it does not touch. The zero Document names nothing.
type Document struct {
	root *document.Node // a map of sections; nil: empty. Secrets hang on nodes, see secretOf
}

// section is a part of the document: a list of entries of one kind.
type section struct {
	kind    Kind
	name    string
	secrets []string // names of the fields, at whatever depth, that are secrets
}

// sections in the document's order. The company is a map of its own.
var sections = []section{
	{kind: KindUser, name: "users", secrets: []string{"password"}},
	{kind: KindTeam, name: "teams"},
	{kind: KindTrunk, name: "trunks", secrets: []string{"password"}},
	{kind: KindNumber, name: "numbers"},
	{kind: KindCredential, name: "credentials", secrets: []string{"password", "token", "value"}},
	{kind: KindFlow, name: "flows"},
}

const companySection = "company"

// laterSections are in the specification, but not in this version.
var laterSections = []string{"sounds", "people", "webhooks", "presets", "tags", "schedules"}

// Parse reads a document that came from elsewhere, YAML or JSON. Name stands in
// faults; vars are what {var: NAME} stands for. Secrets must be there as
// {value: …} or {stored: true}: nothing of this machine's environment or files
// is read (ReadFiles does that). All faults of form come at once; what refers
// to what is checked when it is planned or applied.
func Parse(name string, text []byte, vars map[string]string) (Document, document.Faults) {
	return parse(name, text, vars, remote{})
}

func parse(name string, text []byte, vars map[string]string, from secretSource) (Document, document.Faults) {
	root, faults := document.Parse(name, text)
	if root == nil {
		return Document{}, faults
	}
	faults = append(faults, root.Substitute(vars)...)
	r := &shape{root: root, faults: faults}
	if root.Type != document.Map {
		r.fault(root.Place, "", document.CodeType, "a directory document is a set of fields: version, company, users, …")
		return Document{}, r.faults
	}
	r.check(from)
	r.faults.Sort()
	if r.faults.Fatal() {
		return Document{}, r.faults
	}
	root.Delete("version")
	return Document{root: root}, r.faults
}

// shape checks that sections are what sections are, and reads the secrets.
type shape struct {
	root   *document.Node
	faults document.Faults
}

func (r *shape) fault(at document.Place, pointer, code, format string, args ...any) {
	r.faults.Add(Fault{File: at.File, Line: at.Line, Column: at.Column, Pointer: pointer, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (r *shape) check(from secretSource) {
	switch v := r.root.Get("version"); {
	case v == nil:
		r.fault(r.root.Place, "/version", document.CodeValue, "the version of the document's form is missing: write version: %d", Version)
	case v.Text != fmt.Sprint(Version):
		r.fault(v.Place, "/version", document.CodeValue, "there is no version %q of the document's form: write version: %d", v.Text, Version)
	}
	for _, f := range r.root.Fields {
		at := document.Join("", f.Name)
		s, known := sectionNamed(f.Name)
		switch {
		case f.Name == "version":
		case f.Name == companySection:
			if f.Value.Type != document.Map && f.Value.Type != document.Null {
				r.fault(f.Value.Place, at, document.CodeType, "company is a set of fields: name, time_zone, …")
			}
		case !known && contains(laterSections, f.Name):
			r.fault(f.Place, at, document.CodeNotYet, "the section %q is not in this version: leave it out", f.Name)
		case !known:
			r.fault(f.Place, at, document.CodeUnknown, "there is no section %q%s", f.Name, document.Suggest(f.Name, sectionNames()))
		default:
			r.section(s, f.Value, at, from)
		}
	}
}

func (r *shape) section(s section, list *document.Node, at string, from secretSource) {
	if list.Type == document.Null {
		*list = document.Node{Type: document.List, Place: list.Place} // "users:" with nothing under it
	}
	if list.Type != document.List {
		r.fault(list.Place, at, document.CodeType, "%s is a list: begin each entry with a dash", s.name)
		return
	}
	for i, entry := range list.Items {
		at := document.Join(at, i)
		if entry.Type != document.Map {
			r.fault(entry.Place, at, document.CodeType, "an entry of %s is a set of fields", s.name)
			continue
		}
		eachSecret(s, entry, at, func(n *document.Node, at string) { r.secret(n, at, from) })
	}
}

func sectionNamed(name string) (section, bool) {
	for _, s := range sections {
		if s.name == name {
			return s, true
		}
	}
	return section{}, false
}

func sectionOf(kind Kind) section {
	for _, s := range sections {
		if s.kind == kind {
			return s
		}
	}
	return section{kind: kind, name: string(kind)}
}

func sectionNames() []string {
	names := []string{companySection}
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// Overlay puts over on top of d: entries that both name are one, with over's
// fields; a list within an entry is replaced whole, null takes a field away.
func (d Document) Overlay(over Document) Document {
	switch {
	case d.root == nil:
		return over
	case over.root == nil:
		return d
	}
	out := Document{root: d.root.Clone()}
	for _, f := range over.root.Fields {
		base := out.root.Get(f.Name)
		if base == nil {
			out.root.Set(f.Name, f.Value.Clone())
			continue
		}
		if f.Name == companySection {
			overlay(base, f.Value)
			continue
		}
		index := identities{}
		for i, entry := range base.Items {
			index.add(i, entry)
		}
		for _, entry := range f.Value.Items {
			if i := index.match(entry); i >= 0 {
				overlay(base.Items[i], entry)
			} else {
				index.add(len(base.Items), entry)
				base.Items = append(base.Items, entry.Clone())
			}
		}
	}
	return out
}

// overlay puts the fields of over into base. Maps with fixed fields are gone
// into; lists and maps of names are replaced whole; null takes away.
func overlay(base, over *document.Node) {
	base.Place = over.Place
	for _, f := range over.Fields {
		old := base.Get(f.Name)
		switch {
		case f.Value.Type == document.Null:
			base.Delete(f.Name)
		case old != nil && old.Type == document.Map && f.Value.Type == document.Map && (f.Name == "keep" || f.Name == "outbound"):
			overlay(old, f.Value)
		default:
			f.Value = f.Value.Clone()
			base.Put(f)
		}
	}
}

// identities finds entries by what makes them themselves: the id, else the
// e-mail address or name, else (of numbers) the digits; without case.
type identities map[string]int

// several stands for more than one entry of a name.
const several = -2

var identityFields = []string{"id", "email", "name", "digits"}

func (x identities) add(at int, e *document.Node) {
	for _, field := range identityFields {
		key := identityKey(field, text(e, field))
		if other, taken := x[key]; taken && other != at {
			x[key] = several
			continue
		}
		x[key] = at
	}
}

// forget takes an entry out, before its fields change.
func (x identities) forget(at int, e *document.Node) {
	for _, field := range identityFields {
		if key := identityKey(field, text(e, field)); x[key] == at {
			delete(x, key)
		}
	}
}

// match finds the entry that e is: -1 for none, several for several.
func (x identities) match(e *document.Node) int {
	for _, field := range identityFields {
		want := text(e, field)
		if want == "" {
			continue
		}
		if at, ok := x[identityKey(field, want)]; ok {
			return at
		}
		return -1 // the first of them is the identity
	}
	return -1
}

func identityKey(field, text string) string { return field + ":" + strings.ToLower(text) }

// entries are the entries of a section; nil when the document does not have it.
func (d Document) entries(s section) []*document.Node {
	if n := d.root.Get(s.name); n != nil {
		return n.Items
	}
	return nil
}

// Empty says that the document names nothing.
func (d Document) Empty() bool { return d.root == nil || len(d.root.Fields) == 0 }

// JSON writes the document, secrets as {stored: true}.
func (d Document) JSON() ([]byte, error) { return d.versioned().MarshalJSON() }

// YAML writes the document, secrets as {stored: true}.
func (d Document) YAML() ([]byte, error) { return d.versioned().YAML(), nil }

func (d Document) versioned() *document.Node {
	root := document.NewMap()
	if d.root != nil {
		root = d.root.Clone()
	}
	root.SetFirst("version", document.NewInt(Version))
	return root
}
