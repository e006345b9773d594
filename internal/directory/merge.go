package directory

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// merge is one document being put over what is stored.
type merge struct {
	old     contents
	now     contents // the result
	gone    []*entry
	seq     sequences
	created time.Time
	faults  document.Faults
}

const codeTwice = "named_twice"

// put makes the directory that results, and leaves old as it is.
func put(old contents, seq sequences, doc Document, o ApplyOptions, created time.Time) (*merge, error) {
	m := &merge{old: old, now: contents{}, seq: seq, created: created.UTC().Truncate(time.Second)}
	for kind, entries := range old {
		for _, e := range entries {
			c := *e
			c.node, c.stored = e.node.Clone(), e
			m.now[kind] = append(m.now[kind], &c)
		}
	}
	if err := m.remove(o.Remove); err != nil {
		return nil, err
	}
	if doc.root != nil {
		m.company(doc.root.Get(companySection))
		for _, s := range sections {
			m.section(s, doc, o.Prune)
		}
	}
	m.rename()
	m.inherit()
	return m, nil
}

func (m *merge) fault(at document.Place, pointer, code, format string, args ...any) {
	m.faults.Add(Fault{File: at.File, Line: at.Line, Column: at.Column, Pointer: pointer, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (m *merge) remove(refs []Ref) error {
	for _, r := range refs {
		i := slices.IndexFunc(m.now[r.Kind], func(e *entry) bool { return e.id == r.ID })
		if i < 0 || r.Kind == KindCompany {
			return &phone.Error{Kind: phone.NotFound, Text: fmt.Sprintf("there is no %s %d", r.Kind, r.ID)}
		}
		m.drop(r.Kind, i)
	}
	return nil
}

func (m *merge) drop(kind Kind, i int) {
	m.gone = append(m.gone, m.now[kind][i].stored)
	m.now[kind] = slices.Delete(m.now[kind], i, i+1)
}

func (m *merge) company(n *document.Node) {
	if n == nil || n.Type == document.Null {
		return
	}
	if len(m.now[KindCompany]) == 0 {
		m.now[KindCompany] = []*entry{{kind: KindCompany, id: 1, position: 1, createdAt: m.created, node: document.NewMap()}}
	}
	e := m.now[KindCompany][0]
	e.named, e.pointer = true, "/"+companySection
	overlay(e.node, n)
}

func (m *merge) section(s section, doc Document, prune bool) {
	list := doc.root.Get(s.name)
	if list == nil {
		return
	}
	var named []*entry
	index := identities{}
	for i, e := range m.now[s.kind] {
		index.add(i, e.node)
	}
	for i, n := range list.Items {
		if e := m.entry(s, index, n, document.Join("", s.name, i)); e != nil {
			named = append(named, e)
		}
	}
	for i := len(m.now[s.kind]) - 1; i >= 0 && prune; i-- {
		if !m.now[s.kind][i].named {
			m.drop(s.kind, i)
		}
	}
	m.number(s.kind)
	reorder(named)
	m.place(s.kind)
	m.now.sort(s.kind)
}

// entry puts one entry of the document over the stored one, or adds it.
func (m *merge) entry(s section, index identities, n *document.Node, pointer string) *entry {
	i := index.match(n)
	var e *entry
	switch {
	case i == several:
		m.fault(n.Place, pointer, codeTwice, "several of the %s could be meant: say which by its id", s.name)
		return nil
	case i < 0:
		e = &entry{kind: s.kind, createdAt: m.created, node: &document.Node{Type: document.Map}}
		index.add(len(m.now[s.kind]), n)
		m.now[s.kind] = append(m.now[s.kind], e)
	case m.now[s.kind][i].named:
		m.fault(n.Place, pointer, codeTwice, "%s is named twice in %s: make one of the two", m.now[s.kind][i].label(), s.name)
		return nil
	default:
		e = m.now[s.kind][i]
		index.forget(i, e.node)
		defer func() { index.add(i, e.node) }()
	}
	e.named, e.pointer = true, pointer
	overlay(e.node, n)
	return e
}

const maxID = 1<<53 - 1 // JSON readers that use floats keep it exact

// number gives new entries their ids: those written, else the next after the
// highest that ever was.
func (m *merge) number(kind Kind) {
	highest := m.seq[kind]
	for _, e := range m.old[kind] {
		highest = max(highest, e.id)
	}
	var without []*entry
	for _, e := range m.now[kind] {
		if e.id != 0 {
			continue // stored
		}
		n := e.node.Get("id")
		if n == nil {
			without = append(without, e)
			continue
		}
		var d document.Decoder
		d.Decode(n, e.pointer+"/id", &e.id)
		if m.faults = append(m.faults, d.Faults...); d.Faults == nil && (e.id < 1 || e.id > maxID) {
			m.fault(n.Place, e.pointer+"/id", codeRange, "an id is a whole number from 1")
		}
		highest = max(highest, e.id)
	}
	for _, e := range without {
		highest++
		e.id = highest
		e.node.SetFirst("id", document.NewInt(e.id))
	}
}

// reorder gives the entries that the document names its order among themselves;
// those that it does not name keep their places, new ones come last.
func reorder(named []*entry) {
	var places []int
	for _, e := range named {
		if e.stored != nil {
			places = append(places, e.position)
		}
	}
	slices.Sort(places)
	for _, e := range named {
		if e.stored != nil {
			e.position, places = places[0], places[1:]
		}
	}
}

// place gives new entries positions behind all others of their kind.
func (m *merge) place(kind Kind) {
	last := 0
	for _, e := range m.now[kind] {
		last = max(last, e.position)
	}
	for _, e := range m.now[kind] {
		if e.position == 0 {
			last++
			e.position = last
		}
	}
}

// save makes the changes to be stored, and the sequences that they leave.
func (m *merge) save(diffs []Diff, box *secret.Box) ([]Change, sequences, error) {
	seq := maps.Clone(m.seq)
	if seq == nil {
		seq = sequences{}
	}
	var changes []Change
	entries := map[Ref]*entry{}
	for kind, all := range m.now {
		for _, e := range all {
			entries[Ref{kind, e.id}] = e
		}
	}
	for _, d := range diffs {
		if d.Act == Removed {
			changes = append(changes, Change{Entry: Entry{Kind: d.Kind, ID: d.ID}, Removed: true})
			if d.ID > seq[d.Kind] {
				seq[d.Kind] = d.ID
				changes = append(changes, seq.change(d.Kind))
			}
			continue
		}
		sealed, err := entries[Ref{d.Kind, d.ID}].seal(box)
		if err != nil {
			return nil, nil, fmt.Errorf("seal %s %s: %w", d.Kind, d.Name, err)
		}
		changes = append(changes, Change{Entry: sealed})
	}
	return changes, seq, nil
}

func (s sequences) change(kind Kind) Change {
	return Change{Entry: Entry{Kind: KindSequence, ID: int64(slices.Index(kinds(), kind)) + 1, Name: string(kind), Body: strconv.AppendInt(nil, s[kind], 10)}}
}

// settled is the result once it is stored: nothing of it is news any more.
func (m *merge) settled() contents {
	all := contents{}
	for kind, entries := range m.now {
		for _, e := range entries {
			unplace(e.node)
			e.stored, e.named = nil, false
			all[kind] = append(all[kind], e)
		}
		all.sort(kind)
	}
	return all
}

// news are the warnings about entries that the document names.
func (m *merge) news(faults document.Faults) []Fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f Fault) bool { return f.Line == 0 })
}
