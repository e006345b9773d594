package directory

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/secret"
)

// entry is one thing of the directory, as a tree.
type entry struct {
	kind      Kind
	id        int64
	position  int
	createdAt time.Time
	node      *document.Node // with its id; secrets hang on their nodes
	pointer   string         // where the document names it, else where an export does
	named     bool           // by the document that is being put in
	stored    *entry         // what it was; nil: new
}

// label is the entry's name for people.
func (e *entry) label() string {
	for _, field := range []string{"name", "email", "digits"} {
		if n := e.node.Get(field); n != nil && n.Text != "" {
			return n.Text
		}
	}
	return strconv.FormatInt(e.id, 10)
}

// contents is a whole directory: entries by kind, in order of their positions.
type contents map[Kind][]*entry

// kinds in the document's order.
func kinds() []Kind {
	all := []Kind{KindCompany}
	for _, s := range sections {
		all = append(all, s.kind)
	}
	return all
}

// document writes everything out, without secrets.
func (c contents) document() Document {
	root := document.NewMap()
	for _, e := range c[KindCompany] {
		root.Set(companySection, e.node.Clone())
	}
	for _, s := range sections {
		if len(c[s.kind]) == 0 {
			continue
		}
		list := &document.Node{Type: document.List}
		for _, e := range c[s.kind] {
			node := e.node.Clone()
			eachSecret(s, node, "", func(n *document.Node, _ string) { n.Extra = nil })
			list.Items = append(list.Items, node)
		}
		root.Set(s.name, list)
	}
	return Document{root: root}
}

// sequences are the highest ids that were ever given away and then removed.
type sequences map[Kind]int64

// load reads what is stored.
func load(ctx context.Context, store Store, box *secret.Box) (contents, sequences, int64, error) {
	stored, rev, err := store.LoadDirectory(ctx)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("load the directory: %w", err)
	}
	all, seq := contents{}, sequences{}
	for _, s := range stored {
		if s.Kind == KindSequence {
			if seq[Kind(s.Name)], err = strconv.ParseInt(string(s.Body), 10, 64); err != nil {
				return nil, nil, 0, fmt.Errorf("load the directory: sequence %s: %w", s.Name, err)
			}
			continue
		}
		e, err := open(s, box)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("load the directory: %s %s: %w", s.Kind, s.Name, err)
		}
		all[e.kind] = append(all[e.kind], e)
	}
	for kind := range all {
		all.sort(kind)
	}
	return all, seq, rev, nil
}

func (c contents) sort(kind Kind) {
	slices.SortStableFunc(c[kind], func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.position, b.position), cmp.Compare(a.id, b.id))
	})
	for i, e := range c[kind] {
		switch {
		case e.named:
		case kind == KindCompany:
			e.pointer = "/" + companySection
		default:
			e.pointer = document.Join("", sectionOf(kind).name, i)
		}
	}
}

// open makes an entry of a stored one.
func open(s Entry, box *secret.Box) (*entry, error) {
	node, faults := document.Parse("", s.Body)
	if faults.Fatal() || node.Type != document.Map {
		return nil, fmt.Errorf("damaged: %w", faults)
	}
	unplace(node)
	e := &entry{kind: s.Kind, id: s.ID, position: s.Position, createdAt: s.CreatedAt, node: node}
	var err error
	eachSecret(sectionOf(s.Kind), node, "", func(n *document.Node, _ string) {
		place := secretPlace(node, n)
		sealed, ok := s.Secrets[place]
		if !ok {
			return // a fault of the build: nothing is stored for it
		}
		text, e := box.Open(sealed, sealContext(s.Kind, s.ID, place))
		if e != nil {
			err = fmt.Errorf("its secret %s: %w", place, e)
			return
		}
		setSecret(n, text)
	})
	return e, err
}

// unplace forgets where a tree was read: a stored one stands in no file.
func unplace(n *document.Node) {
	n.Place = document.Place{}
	for _, item := range n.Items {
		unplace(item)
	}
	for i := range n.Fields {
		n.Fields[i].Place = document.Place{}
		unplace(n.Fields[i].Value)
	}
}

// secretPlace names a secret within its entry, whatever the order of lists:
// "password", "token", "agent/password" for a phone's.
func secretPlace(entry, n *document.Node) string {
	for _, f := range entry.Fields {
		if f.Value == n {
			return f.Name
		}
		for _, item := range f.Value.Items {
			if at := secretPlace(item, n); at != "" {
				name := item.Get("username")
				if name == nil {
					return "/" + at
				}
				return name.Text + "/" + at
			}
		}
	}
	return ""
}

// sealContext binds a sealed secret to its place.
func sealContext(kind Kind, id int64, place string) string {
	return fmt.Sprintf("%s/%d/%s", kind, id, place)
}

// seal makes the stored form of an entry.
func (e *entry) seal(box *secret.Box) (Entry, error) {
	out := Entry{Kind: e.kind, ID: e.id, Name: e.label(), Position: e.position, CreatedAt: e.createdAt}
	var err error
	eachSecret(sectionOf(e.kind), e.node, "", func(n *document.Node, _ string) {
		text, ok := secretOf(n)
		if !ok || err != nil {
			return
		}
		place := secretPlace(e.node, n)
		var sealed []byte
		if sealed, err = box.Seal(text, sealContext(e.kind, e.id, place)); err != nil {
			return
		}
		if out.Secrets == nil {
			out.Secrets = map[string][]byte{}
		}
		out.Secrets[place] = sealed
	})
	if err != nil {
		return Entry{}, err
	}
	out.Body, err = json.Marshal(e.node)
	return out, err
}
