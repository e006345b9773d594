package document

import (
	"bytes"
	"regexp"
	"strings"
)

// YAML writes the tree so that Parse reads the same again. Small values stand
// on one line, {user: 456}; everything else in blocks.
func (n *Node) YAML() []byte {
	var e emitter
	e.block(n, 0)
	return e.Bytes()
}

type emitter struct{ bytes.Buffer }

// inlineWidth is how many characters a map or list may have on one line.
const inlineWidth = 72

func (e *emitter) block(n *Node, indent int) {
	pad := strings.Repeat("  ", indent)
	switch {
	case n.Type == Map && len(n.Fields) > 0:
		for i, f := range n.Fields {
			if i > 0 || indent == 0 {
				e.WriteString(pad)
			}
			e.WriteString(scalar(f.Name, true) + ":")
			e.below(f.Value, indent)
		}
	case n.Type == List && len(n.Items) > 0:
		for i, item := range n.Items {
			if i > 0 || indent == 0 {
				e.WriteString(pad)
			}
			e.WriteString("- ")
			if text, ok := inline(item); ok {
				e.WriteString(text + "\n")
				continue
			}
			e.block(item, indent+1)
		}
	default:
		text, _ := inline(n)
		e.WriteString(text + "\n")
	}
}

// below writes a field's value: on its line if it is small, else underneath.
func (e *emitter) below(v *Node, indent int) {
	if v != nil && v.Type == Scalar && lines.MatchString(v.Text) {
		e.literal(v.Text, strings.Repeat("  ", indent+1))
		return
	}
	if text, ok := inline(v); ok {
		e.WriteString(" " + text + "\n")
		return
	}
	e.WriteString("\n" + strings.Repeat("  ", indent+1))
	e.block(v, indent+1)
}

// literal writes several lines as they are, the way people write a body or a
// query.
func (e *emitter) literal(text, pad string) {
	head := " |\n"
	if !strings.HasSuffix(text, "\n") {
		head = " |-\n"
	}
	e.WriteString(head)
	for line := range strings.Lines(text) {
		if line != "\n" {
			e.WriteString(pad)
		}
		e.WriteString(strings.TrimSuffix(line, "\n") + "\n")
	}
}

// inline is the value on one line, unless it is long or has a list of maps in it.
func inline(n *Node) (string, bool) {
	if n == nil {
		return "null", true
	}
	var parts []string
	switch n.Type {
	case Null:
		return "null", true
	case Scalar:
		return scalar(n.Text, n.Plain), true
	case List:
		for _, item := range n.Items {
			text, ok := inline(item)
			if !ok || item.Type == Map && len(item.Fields) > 0 {
				return "", false
			}
			parts = append(parts, text)
		}
		text := "[" + strings.Join(parts, ", ") + "]"
		return text, len(text) <= inlineWidth
	}
	for _, f := range n.Fields {
		text, ok := inline(f.Value)
		if !ok {
			return "", false
		}
		parts = append(parts, scalar(f.Name, true)+": "+text)
	}
	text := "{" + strings.Join(parts, ", ") + "}"
	return text, len(text) <= inlineWidth
}

// plainText needs no quotes anywhere: words that YAML takes for nothing else.
var (
	plainText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./@-]*( [A-Za-z0-9_./@-]+)*$`)
	// lines are texts that a literal block keeps: two lines or more of printable
	// ASCII, the first not indented, no spaces at the end of any.
	lines     = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?(\n([ -~]*[!-~])?)*\n[ -~]*[!-~]\n?$`)
	duration  = regexp.MustCompile(`^[0-9]+(ms|s|m|h|d)$`)
	otherWord = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null|nan|inf)$`)
)

// scalar writes text, in quotes wherever a reader could take it for a number,
// a boolean or syntax and it is none.
func scalar(text string, plain bool) string {
	if plain && isJSONScalar(text) || duration.MatchString(text) || plainText.MatchString(text) && !otherWord.MatchString(text) {
		return text
	}
	return string(quote(text))
}
