package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a document.
const (
	MaxSize  = 8 << 20 // bytes of text
	maxDepth = 64      // values within values
	maxNodes = 1 << 20 // values, aliases expanded
	maxNames = 1024    // fields of one YAML map: more than any has, and the parser's time grows with their square
)

var errTooLarge = fmt.Errorf("the document is too large: at most %d values, %d deep, %d fields in one place", maxNodes, maxDepth, maxNames)

// Parse reads YAML or JSON. File names it in faults. A tree comes back even
// when there are faults, as far as it could be read; nil only for a syntax
// fault. An empty text is an empty map.
func Parse(file string, text []byte) (*Node, Faults) {
	fail := func(code, message string) (*Node, Faults) {
		return nil, Faults{{File: file, Line: 1, Column: 1, Code: code, Message: message}}
	}
	switch {
	case len(text) > MaxSize:
		return fail(CodeTooLarge, fmt.Sprintf("the document has more than %d bytes", MaxSize))
	case !utf8.Valid(text):
		return fail(CodeSyntax, "the document is not UTF-8 text")
	case json.Valid(text):
		return parseJSON(file, text)
	}
	tokens := lexer.Tokenize(string(text))
	if line := tooLarge(tokens); line > 0 {
		return nil, Faults{{File: file, Line: line, Column: 1, Code: CodeTooLarge, Message: errTooLarge.Error()}}
	}
	parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, Faults{syntaxFault(file, err)}
	}
	r := &yamlReader{file: file, anchors: map[string]ast.Node{}}
	root := &Node{Type: Map, Place: Place{File: file, Line: 1, Column: 1}}
	seen := false
	for _, d := range parsed.Docs {
		switch {
		case d.Body == nil:
		case seen:
			r.fault(d.Body, CodeSyntax, "a second document after ---: give it a file of its own")
		default:
			root, seen = r.value(d.Body, 0), true
		}
	}
	if r.overflow {
		return fail(CodeTooLarge, errTooLarge.Error())
	}
	return root, r.faults
}

// tooLarge finds nesting and maps that would let the parser's recursion and time
// grow without end, and returns the line; 0: there are none.
func tooLarge(tokens token.Tokens) int {
	var open names
	depth, entries, line := 0, 0, 0
	for i, t := range tokens {
		if t.Position == nil {
			continue
		}
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		bad := t.Position.IndentLevel > maxDepth
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.MappingKeyType, token.AnchorType, token.TagType:
			entries++
		case token.SequenceEntryType:
			entries++
			open.close(t.Position.Column)
		case token.MappingValueType:
			if depth == 0 && i > 0 && tokens[i-1].Position != nil {
				bad = bad || open.add(tokens[i-1].Position.Column)
			}
		}
		if bad || depth > maxDepth || entries > maxDepth {
			return line
		}
	}
	return 0
}

// names counts the fields of the maps that are open at a token, by the column
// in which they stand. Maps in braces are read in linear time.
type names []struct{ column, count int }

// close forgets maps that stand to the right of a column.
func (n *names) close(column int) {
	for len(*n) > 0 && (*n)[len(*n)-1].column > column {
		*n = (*n)[:len(*n)-1]
	}
}

// add counts a field, and says that there are too many.
func (n *names) add(column int) bool {
	n.close(column)
	if last := len(*n) - 1; last >= 0 && (*n)[last].column == column {
		(*n)[last].count++
		return (*n)[last].count > maxNames
	}
	*n = append(*n, struct{ column, count int }{column, 1})
	return len(*n) > maxDepth
}

// syntaxFault takes the parser's message alone: the whole text of its error
// quotes the document, secrets included, and takes long to make.
func syntaxFault(file string, err error) Fault {
	f := Fault{File: file, Line: 1, Column: 1, Code: CodeSyntax, Message: "not YAML"}
	var e yaml.Error
	if errors.As(err, &e) {
		f.Message += ": " + e.GetMessage()
		if t := e.GetToken(); t != nil && t.Position != nil {
			f.Line, f.Column = t.Position.Line, t.Position.Column
		}
	}
	return f
}

type yamlReader struct {
	file     string
	anchors  map[string]ast.Node
	open     []string // anchors being read: an alias to one of them is a circle
	nodes    int
	overflow bool
	faults   Faults
}

func (r *yamlReader) place(n ast.Node) Place {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return Place{File: r.file, Line: t.Position.Line, Column: t.Position.Column}
	}
	return Place{File: r.file}
}

func (r *yamlReader) fault(n ast.Node, code, message string) *Node {
	p := r.place(n)
	r.faults = append(r.faults, Fault{File: p.File, Line: p.Line, Column: p.Column, Code: code, Message: message})
	return &Node{Place: p}
}

func (r *yamlReader) value(n ast.Node, depth int) *Node {
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		r.overflow = true
	}
	if r.overflow {
		return &Node{}
	}
	switch n := n.(type) {
	case *ast.NullNode:
		return &Node{Place: r.place(n)}
	case *ast.StringNode:
		plain := n.Token.Type == token.StringType
		return &Node{Type: Scalar, Place: r.place(n), Text: n.Value, Plain: plain}
	case *ast.LiteralNode:
		return &Node{Type: Scalar, Place: r.place(n), Text: n.Value.Value}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return &Node{Type: Scalar, Place: r.place(n), Text: n.GetToken().Value, Plain: true}
	case *ast.SequenceNode:
		list := &Node{Type: List, Place: r.place(n)}
		for _, item := range n.Values {
			v := r.value(item, depth+1)
			if text, ok := glued(item); ok && n.IsFlowStyle {
				v = &Node{Type: Scalar, Place: r.keyPlace(item), Text: text, Plain: true}
			}
			list.Items = append(list.Items, v)
		}
		return list
	case *ast.MappingNode:
		return r.fields(n, n.Values, depth)
	case *ast.MappingValueNode:
		return r.fields(n, []*ast.MappingValueNode{n}, depth)
	}
	return r.special(n, depth)
}

// glued undoes a misreading of the parser: within a list in braces it takes the
// plain text 127.0.0.1:80 for the field 127.0.0.1 with the value 80. A field's
// colon has a space behind it (YAML 1.2 §7.4.2).
func glued(n ast.Node) (string, bool) {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) == 1 {
		n = m.Values[0]
	}
	v, ok := n.(*ast.MappingValueNode)
	if !ok || v.Start == nil || v.Value == nil {
		return "", false
	}
	key, value := v.Key.GetToken(), v.Value.GetToken()
	if _, isScalar := v.Value.(ast.ScalarNode); !isScalar || key == nil || value == nil ||
		key.Indicator == token.QuotedScalarIndicator || value.Indicator == token.QuotedScalarIndicator ||
		value.Position.Line != v.Start.Position.Line || value.Position.Column != v.Start.Position.Column+1 {
		return "", false
	}
	return key.Value + ":" + value.Value, true
}

func (r *yamlReader) keyPlace(n ast.Node) Place {
	if m, ok := n.(*ast.MappingNode); ok {
		n = m.Values[0]
	}
	return r.place(n.(*ast.MappingValueNode).Key)
}

func (r *yamlReader) special(n ast.Node, depth int) *Node {
	switch n := n.(type) {
	case *ast.AnchorNode:
		name := n.Name.GetToken().Value
		r.anchors[name] = n.Value
		r.open = append(r.open, name)
		v := r.value(n.Value, depth+1)
		r.open = r.open[:len(r.open)-1]
		return v
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		target, known := r.anchors[name]
		for _, o := range r.open {
			known = known && o != name
		}
		if !known {
			return r.fault(n, CodeSyntax, fmt.Sprintf("*%s names nothing above it: write &%s before the value that it repeats", name, name))
		}
		return r.value(target, depth+1)
	case *ast.TagNode:
		v := r.value(n.Value, depth+1)
		if tag := n.Start.Value; tag != "!!str" {
			r.fault(n, CodeSyntax, "the tag "+tag+" has no meaning here: leave it out")
		}
		v.Plain = false
		return v
	case *ast.CommentGroupNode:
		return &Node{Place: r.place(n)}
	}
	return r.fault(n, CodeSyntax, "this YAML has no meaning here: write a value, a list or fields")
}

func (r *yamlReader) fields(n ast.Node, values []*ast.MappingValueNode, depth int) *Node {
	m := &Node{Type: Map, Place: r.place(n)}
	if m0, flow := n.(*ast.MappingNode); len(values) > 0 && !(flow && m0.IsFlowStyle) {
		m.Place = r.place(values[0].Key)
	}
	seen := map[string]bool{}
	for _, v := range values {
		name, ok := r.name(v.Key)
		if !ok {
			continue
		}
		f := Field{Name: name, Place: r.place(v.Key), Value: r.value(v.Value, depth+1)}
		if seen[name] {
			r.faults = append(r.faults, duplicate(f))
			continue
		}
		seen[name] = true
		m.Fields = append(m.Fields, f)
	}
	return m
}

// name is a field's name: its source text, whatever it looks like.
func (r *yamlReader) name(key ast.MapKeyNode) (string, bool) {
	switch k := key.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return strings.TrimSpace(k.GetToken().Value), true
	}
	r.fault(key, CodeSyntax, "the name of a field is a single text")
	return "", false
}

func duplicate(f Field) Fault {
	return Fault{File: f.Place.File, Line: f.Place.Line, Column: f.Place.Column, Code: CodeDuplicate,
		Message: fmt.Sprintf("%q stands twice in the same place: keep one", f.Name)}
}
