package directory

import (
	"strings"

	"github.com/ringpath/ringpath/internal/document"
)

// referredBy are the fields by which documents refer to entries of a kind.
var referredBy = map[Kind]string{
	KindUser: "email", KindTeam: "name", KindNumber: "digits", KindFlow: "name", KindCredential: "name",
}

// references are the fields in which entries name those of a kind, wherever
// they stand; templates and facts are no references.
var (
	references = map[string]Kind{
		"user": KindUser, "members": KindUser, "team": KindTeam, "number": KindNumber, "default_number": KindNumber,
		"flow": KindFlow, "credential": KindCredential,
	}
	noReferences = []string{"headers", "body", "show", "external_ids"}
)

// renaming is old text → new text, by kind. Old texts are in lower case.
type renaming map[Kind]map[string]string

// rename lets what is stored follow the entries to which the document gives
// another name: a new e-mail address must not break a team.
func (m *merge) rename() {
	names := renaming{}
	for kind, field := range referredBy {
		for _, e := range m.now[kind] {
			if e.stored == nil || !e.named {
				continue
			}
			before, after := text(e.stored.node, field), text(e.node, field)
			if before == "" || before == after {
				continue
			}
			if after == "" {
				after = text(e.node, "id")
			}
			if names[kind] == nil {
				names[kind] = map[string]string{}
			}
			names[kind][strings.ToLower(before)] = after
		}
	}
	if len(names) == 0 {
		return
	}
	for _, entries := range m.now {
		for _, e := range entries {
			names.follow(e.node)
		}
	}
}

func text(n *document.Node, field string) string {
	if v := n.Get(field); v != nil {
		return v.Text
	}
	return ""
}

// follow rewrites references within a tree.
func (r renaming) follow(n *document.Node) {
	for _, item := range n.Items {
		r.follow(item)
	}
	for _, f := range n.Fields {
		kind, refers := references[f.Name]
		switch {
		case contains(noReferences, f.Name):
		case refers && f.Value.Type == document.Scalar:
			r.set(kind, f.Value)
		case refers && f.Value.Type == document.List:
			for _, item := range f.Value.Items {
				r.set(kind, item)
			}
		default:
			r.follow(f.Value)
		}
	}
}

func (r renaming) set(kind Kind, n *document.Node) {
	if n.Type != document.Scalar || n.Place.Line > 0 {
		return // the document itself means what it says
	}
	if to, ok := r[kind][strings.ToLower(n.Text)]; ok {
		n.Text, n.Plain = to, false
	}
}
