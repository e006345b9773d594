package directory

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/secret"
)

// ApplyOptions say how a document is put in.
type ApplyOptions struct {
	// Prune also removes entries that the document's sections do not name;
	// sections that it does not have are left alone.
	Prune bool
	// Remove names entries to take out. One that is not there is an error
	// (phone.NotFound).
	Remove []Ref
	// Revision is the revision that the document was made for; has the directory
	// moved on, the error's kind is phone.Conflict. 0: whatever there is.
	Revision int64
}

// Ref names an entry.
type Ref struct {
	Kind Kind
	ID   int64
}

// Plan is what a document would change, or has changed.
type Plan struct {
	Revision int64   `json:"revision"` // before; after Apply: of the new snapshot
	Changes  []Diff  `json:"changes"`  // none: the directory says it already
	Warnings []Fault `json:"warnings,omitempty"`
}

// Act is what happens to an entry.
type Act string

const (
	Created Act = "created"
	Changed Act = "changed"
	Removed Act = "removed"
)

// Diff is the change of one entry.
type Diff struct {
	Act    Act         `json:"act"`
	Kind   Kind        `json:"kind"`
	ID     int64       `json:"id"`
	Name   string      `json:"name"`
	Fields []FieldDiff `json:"fields,omitempty"`
}

// FieldDiff is one value that changes. A secret shows as ••••, old and new.
type FieldDiff struct {
	Path string `json:"path"` // steps[0].ring_to_api.url
	Old  string `json:"old"`  // empty: was not there
	New  string `json:"new"`  // empty: goes
}

// changes lists what a merge does, in the document's order of kinds.
func (m *merge) changes() []Diff {
	var all []Diff
	for _, kind := range kinds() {
		for _, e := range m.now[kind] {
			d := Diff{Act: Changed, Kind: kind, ID: e.id, Name: e.label()}
			if e.stored == nil {
				d.Act = Created
				d.Fields = fieldDiffs("", &document.Node{Type: document.Map}, e.node)
			} else {
				d.Fields = fieldDiffs("", e.stored.node, e.node)
				if e.position != e.stored.position {
					d.Fields = append(d.Fields, FieldDiff{Path: "(place in the list)", Old: strconv.Itoa(e.stored.position), New: strconv.Itoa(e.position)})
				}
			}
			if e.stored == nil || len(d.Fields) > 0 {
				all = append(all, d)
			}
		}
		for _, e := range m.gone {
			if e.kind == kind {
				all = append(all, Diff{Act: Removed, Kind: kind, ID: e.id, Name: e.label()})
			}
		}
	}
	return all
}

// maxShown is how much of a value a plan shows, in bytes.
const maxShown = 200

// fieldDiffs compares two trees. A list that only grew or shrank shows what came
// and what went by its index.
func fieldDiffs(path string, before, after *document.Node) []FieldDiff {
	old, oldSecret := secretOf(before)
	given, isSecret := secretOf(after)
	switch {
	case oldSecret || isSecret:
		if oldSecret && isSecret && old == given {
			return nil
		}
		return []FieldDiff{{Path: path, Old: shownSecret(oldSecret), New: shownSecret(isSecret)}}
	case before.Equal(after):
		return changedSecrets(path, before, after)
	case before != nil && after != nil && before.Type == document.Map && after.Type == document.Map:
		var all []FieldDiff
		for _, f := range before.Fields {
			all = append(all, fieldDiffs(joinPath(path, f.Name), f.Value, after.Get(f.Name))...)
		}
		for _, f := range after.Fields {
			if before.Get(f.Name) == nil {
				all = append(all, fieldDiffs(joinPath(path, f.Name), nil, f.Value)...)
			}
		}
		return all
	case before != nil && after != nil && before.Type == document.List && after.Type == document.List:
		return listDiffs(path, before, after)
	}
	if blank(before) && blank(after) {
		return nil // "" or not there: the same
	}
	return []FieldDiff{{Path: path, Old: shown(before), New: shown(after)}}
}

func blank(n *document.Node) bool {
	return n == nil || n.Type == document.Null || n.Type == document.Scalar && n.Text == ""
}

func listDiffs(path string, before, after *document.Node) []FieldDiff {
	var all []FieldDiff
	for i := range max(len(before.Items), len(after.Items)) {
		var a, b *document.Node
		if i < len(before.Items) {
			a = before.Items[i]
		}
		if i < len(after.Items) {
			b = after.Items[i]
		}
		all = append(all, fieldDiffs(fmt.Sprintf("%s[%d]", path, i), a, b)...)
	}
	return all
}

// changedSecrets finds secrets that differ in trees that read the same.
func changedSecrets(path string, before, after *document.Node) []FieldDiff {
	if before == nil {
		return nil
	}
	var all []FieldDiff
	for i := range before.Items {
		all = append(all, fieldDiffs(fmt.Sprintf("%s[%d]", path, i), before.Items[i], after.Items[i])...)
	}
	for _, f := range before.Fields {
		all = append(all, fieldDiffs(joinPath(path, f.Name), f.Value, after.Get(f.Name))...)
	}
	return all
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func shownSecret(there bool) string {
	if there {
		return secret.Mask
	}
	return ""
}

func shown(n *document.Node) string {
	if n == nil {
		return ""
	}
	text := n.Text
	if n.Type != document.Scalar {
		b, _ := n.MarshalJSON() // a tree always encodes
		text = string(b)
	}
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}

// Text is the plan for people: one line an entry, one a field.
func (p Plan) Text() string {
	if len(p.Changes) == 0 {
		return "Nothing changes.\n"
	}
	var b strings.Builder
	sign := map[Act]string{Created: "+", Changed: "~", Removed: "-"}
	for _, d := range p.Changes {
		fmt.Fprintf(&b, "%s %s %q (id %d)\n", sign[d.Act], d.Kind, d.Name, d.ID)
		for _, f := range d.Fields {
			switch {
			case f.Old == "":
				fmt.Fprintf(&b, "    + %s: %s\n", f.Path, f.New)
			case f.New == "":
				fmt.Fprintf(&b, "    - %s: %s\n", f.Path, f.Old)
			default:
				fmt.Fprintf(&b, "    ~ %s: %s → %s\n", f.Path, f.Old, f.New)
			}
		}
	}
	return b.String()
}
