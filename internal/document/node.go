package document

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Type is what a node is.
type Type int

const (
	Null   Type = iota
	Scalar      // text, number or boolean: Text has its source
	List
	Map
)

// String is the type in a fault's words.
func (t Type) String() string {
	return [...]string{"nothing", "a single value", "a list", "a set of fields"}[t]
}

// Place is where something stands.
type Place struct {
	File   string
	Line   int // from 1; 0: not from a file
	Column int
}

// Node is a value of a document.
type Node struct {
	Type  Type
	Place Place
	// Text of a Scalar is its source text: 0123 stays "0123". Escapes and
	// quotes of a quoted one are undone.
	Text string
	// Plain: written without quotes, so that it may be a number or a boolean.
	Plain  bool
	Items  []*Node // of a List
	Fields []Field // of a Map, in order, names unique
	// Extra is whatever the owner of the tree hangs on a node (a secret that must
	// not stand in Text). It is copied with the node; nothing here shows it.
	Extra any
}

// Field is one entry of a Map.
type Field struct {
	Name  string
	Place Place // of the name
	Value *Node
}

// NewText makes a node of text that is no number, whatever it looks like.
func NewText(s string) *Node { return &Node{Type: Scalar, Text: s} }

// NewInt makes a node of a number.
func NewInt(i int64) *Node {
	return &Node{Type: Scalar, Plain: true, Text: strconv.FormatInt(i, 10)}
}

// NewMap makes a map of fields in order.
func NewMap(fields ...Field) *Node { return &Node{Type: Map, Fields: fields} }

// Get is the value of a Map's field, nil if there is none or n is no Map.
func (n *Node) Get(name string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.Fields {
		if n.Fields[i].Name == name {
			return n.Fields[i].Value
		}
	}
	return nil
}

// Set gives a Map's field a value, adding it at the end when it is new.
func (n *Node) Set(name string, value *Node) {
	n.Put(Field{Name: name, Place: value.Place, Value: value})
}

// Put is Set with the name's place.
func (n *Node) Put(f Field) {
	for i := range n.Fields {
		if n.Fields[i].Name == f.Name {
			n.Fields[i] = f
			return
		}
	}
	n.Fields = append(n.Fields, f)
}

// SetFirst is Set, but a new field stands first.
func (n *Node) SetFirst(name string, value *Node) {
	if n.Get(name) != nil {
		n.Set(name, value)
		return
	}
	n.Fields = append([]Field{{Name: name, Place: value.Place, Value: value}}, n.Fields...)
}

// Delete takes a field out of a Map.
func (n *Node) Delete(name string) {
	for i := range n.Fields {
		if n.Fields[i].Name == name {
			n.Fields = append(n.Fields[:i:i], n.Fields[i+1:]...)
			return
		}
	}
}

// Clone copies the whole tree.
func (n *Node) Clone() *Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Items, c.Fields = nil, nil
	for _, item := range n.Items {
		c.Items = append(c.Items, item.Clone())
	}
	for _, f := range n.Fields {
		f.Value = f.Value.Clone()
		c.Fields = append(c.Fields, f)
	}
	return &c
}

// Equal says that two trees say the same: places, quotes and the order of
// fields do not count.
func (n *Node) Equal(o *Node) bool {
	if n == nil || o == nil {
		return n == o
	}
	if n.Type != o.Type || n.Text != o.Text || len(n.Items) != len(o.Items) || len(n.Fields) != len(o.Fields) {
		return false
	}
	for i := range n.Items {
		if !n.Items[i].Equal(o.Items[i]) {
			return false
		}
	}
	for _, f := range n.Fields {
		if other := o.Get(f.Name); other == nil || !f.Value.Equal(other) {
			return false
		}
	}
	return true
}

// Empty says that the node holds nothing: null, "", [] or {}.
func (n *Node) Empty() bool {
	return n == nil || n.Text == "" && len(n.Items) == 0 && len(n.Fields) == 0
}

// At follows an RFC 6901 pointer as far as it leads, and returns the last node
// found with the place to show for it: the field's name where there is one.
func (n *Node) At(pointer string) (*Node, Place) {
	place := n.Place
	for _, part := range strings.Split(pointer, "/")[1:] {
		part = unescapeKey.Replace(part)
		next, where := n.child(part)
		if next == nil {
			break
		}
		n, place = next, where
	}
	return n, place
}

func (n *Node) child(part string) (*Node, Place) {
	if n.Type == List {
		i, err := strconv.Atoi(part)
		if err != nil || i < 0 || i >= len(n.Items) {
			return nil, Place{}
		}
		return n.Items[i], n.Items[i].Place
	}
	for _, f := range n.Fields {
		if f.Name == part {
			return f.Value, f.Place
		}
	}
	return nil, Place{}
}

var varName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Substitute puts the text of a variable wherever {var: NAME} stands. A NAME
// that is not given is a fault.
func (n *Node) Substitute(vars map[string]string) Faults {
	return n.substitute("", vars)
}

func (n *Node) substitute(pointer string, vars map[string]string) (faults Faults) {
	for i, item := range n.Items {
		faults = append(faults, item.substitute(Join(pointer, i), vars)...)
	}
	if len(n.Fields) != 1 || n.Fields[0].Name != "var" || !varName.MatchString(n.Fields[0].Value.Text) {
		for _, f := range n.Fields {
			faults = append(faults, f.Value.substitute(Join(pointer, f.Name), vars)...)
		}
		return faults
	}
	name := n.Fields[0].Value.Text
	text, ok := vars[name]
	if !ok {
		return Faults{{File: n.Place.File, Line: n.Place.Line, Column: n.Place.Column, Pointer: pointer, Code: CodeUnknownVar,
			Message: fmt.Sprintf("{var: %s} is not given: use --var %s=VALUE", name, name)}}
	}
	*n = Node{Type: Scalar, Place: n.Place, Text: text, Plain: true}
	return nil
}
