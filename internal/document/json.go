package document

import (
	"bytes"
	"encoding/json"
	"io"
	"sort"
	"unicode/utf8"
)

// parseJSON reads JSON text, which Parse has found valid, into a tree.
func parseJSON(file string, text []byte) (*Node, Faults) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	r := &jsonReader{dec: dec, file: file, text: text}
	for i, c := range text {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	n, err := r.value(0)
	if err != nil {
		r.faults = append(r.faults, Fault{File: file, Line: 1, Column: 1, Code: CodeTooLarge, Message: err.Error()})
	}
	return n, r.faults
}

type jsonReader struct {
	dec    *json.Decoder
	file   string
	text   []byte
	lines  []int // offsets at which lines 2, 3, … begin
	from   int   // offset of the last place asked for, whose column is column
	column int   // in runes, from 0
	nodes  int
	faults Faults
}

// place is where the token that comes next begins.
func (r *jsonReader) place() Place {
	at := int(r.dec.InputOffset())
	for at < len(r.text) && bytes.IndexByte([]byte(" \t\r\n,:"), r.text[at]) >= 0 {
		at++
	}
	line := sort.SearchInts(r.lines, at+1)
	begin := 0
	if line > 0 {
		begin = r.lines[line-1]
	}
	if r.from < begin { // another line: count from its begin, else from the last place
		r.from, r.column = begin, 0
	}
	r.column += utf8.RuneCount(r.text[r.from:at])
	r.from = at
	return Place{File: r.file, Line: line + 1, Column: r.column + 1}
}

func (r *jsonReader) value(depth int) (*Node, error) {
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		return nil, errTooLarge
	}
	n := &Node{Place: r.place()}
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case nil:
		return n, nil
	case string:
		n.Type, n.Text = Scalar, t
	case json.Number:
		n.Type, n.Text, n.Plain = Scalar, t.String(), true
	case bool:
		n.Type, n.Plain = Scalar, true
		n.Text = map[bool]string{true: "true", false: "false"}[t]
	case json.Delim:
		return n, r.nested(n, t, depth)
	}
	return n, nil
}

func (r *jsonReader) nested(n *Node, open json.Delim, depth int) error {
	if open == '[' {
		n.Type = List
	} else {
		n.Type = Map
	}
	seen := map[string]bool{}
	for r.dec.More() {
		var f Field
		if n.Type == Map {
			f.Place = r.place()
			token, err := r.dec.Token()
			if err != nil {
				return err
			}
			f.Name, _ = token.(string)
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		switch {
		case n.Type == List:
			n.Items = append(n.Items, v)
		case seen[f.Name]:
			r.faults = append(r.faults, duplicate(f))
		default:
			seen[f.Name] = true
			f.Value = v
			n.Fields = append(n.Fields, f)
		}
	}
	_, err := r.dec.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// MarshalJSON writes the tree. Unquoted scalars that JSON has too (numbers,
// booleans) stay what they are, digit for digit; all others become strings.
func (n *Node) MarshalJSON() ([]byte, error) {
	return n.appendJSON(nil), nil
}

// texts is the tree as JSON in which every scalar is a string.
func (n *Node) texts() []byte {
	quoted := n.Clone()
	quoted.unplain()
	return quoted.appendJSON(nil)
}

func (n *Node) unplain() {
	n.Plain = false
	for _, item := range n.Items {
		item.unplain()
	}
	for _, f := range n.Fields {
		f.Value.unplain()
	}
}

func (n *Node) appendJSON(b []byte) []byte {
	if n == nil {
		return append(b, "null"...)
	}
	switch n.Type {
	case Scalar:
		if n.Plain && isJSONScalar(n.Text) {
			return append(b, n.Text...)
		}
		return append(b, quote(n.Text)...)
	case List:
		b = append(b, '[')
		for i, item := range n.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	case Map:
		b = append(b, '{')
		for i, f := range n.Fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, quote(f.Name)...), ':')
			b = f.Value.appendJSON(b)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

// isJSONScalar says that text is a number or boolean of JSON: 12, -1.50, true.
func isJSONScalar(text string) bool {
	if text == "true" || text == "false" {
		return true
	}
	if text == "" || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return false
	}
	return json.Valid([]byte(text))
}

// quote writes s as a JSON string, which is a double-quoted YAML scalar too.
func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
