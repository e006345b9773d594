package lookup

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/theory/jsonpath"
	"github.com/theory/jsonpath/spec"
)

// parseQuery parses a whole path, "$…", with exact comparisons.
func parseQuery(text string) (*spec.PathQuery, error) {
	r := rewriter{in: text}
	rewritten, err := r.rewrite()
	if err == nil {
		var p *jsonpath.Path
		if p, err = parser.Parse(rewritten); err == nil {
			return p.Query(), nil
		}
	}
	if errors.Is(err, errFilter) {
		return nil, err
	}
	if _, plain := jsonpath.Parse(text); plain != nil { // its message names the text as written
		return nil, fmt.Errorf("%s (%s)", errPath, strings.TrimPrefix(plain.Error(), "jsonpath: "))
	}
	return nil, errPath
}

// errFilter is a path that is right but would cost too much on a hostile answer.
var errFilter = errors.New("not in this version: a filter inside a filter, .. or several selectors in one bracket inside a filter, or .. twice")

// errRewrite says that a text is no path; the library says why.
var errRewrite = errors.New("not a path")

// rewriter copies a path and changes its filters. It reads just enough of RFC
// 9535's grammar to find them; what it does not understand is an error.
type rewriter struct {
	in          string
	pos         int
	filter      int // depth of filters
	descendants int
	nested      int // of brackets and parentheses
	err         error
}

func (r *rewriter) rewrite() (string, error) {
	if !strings.HasPrefix(r.in, "$") || !utf8.ValidString(r.in) {
		return "", errRewrite
	}
	r.pos = 1
	out := "$" + r.segments()
	if r.err == nil && r.pos < len(r.in) {
		r.err = errRewrite
	}
	return out, r.err
}

func (r *rewriter) fail(err error) string {
	if r.err == nil {
		r.err = err
	}
	r.pos = len(r.in)
	return ""
}

func (r *rewriter) peek() byte {
	if r.pos < len(r.in) {
		return r.in[r.pos]
	}
	return 0
}

// take copies n bytes.
func (r *rewriter) take(n int) string {
	s := r.in[r.pos : r.pos+n]
	r.pos += n
	return s
}

func (r *rewriter) blank() string {
	n := 0
	for r.pos+n < len(r.in) && strings.IndexByte(" \t\r\n", r.in[r.pos+n]) >= 0 {
		n++
	}
	return r.take(n)
}

// segments copies what follows "$" or "@".
func (r *rewriter) segments() string {
	var b strings.Builder
	for r.err == nil {
		back := r.pos
		space := r.blank()
		switch {
		case r.peek() == '[':
			b.WriteString(space + r.bracket())
		case strings.HasPrefix(r.in[r.pos:], ".."):
			if r.descendants++; r.descendants > 1 || r.filter > 0 {
				return r.fail(errFilter)
			}
			b.WriteString(space + r.take(2) + r.shorthand())
		case r.peek() == '.':
			b.WriteString(space + r.take(1) + r.shorthand())
		default:
			r.pos = back
			return b.String()
		}
	}
	return b.String()
}

// shorthand copies a name or "*" after a dot.
func (r *rewriter) shorthand() string {
	n := 0
	for r.pos+n < len(r.in) {
		c := r.in[r.pos+n]
		if !isIdent(c) && c < 0x80 && c != '*' {
			break
		}
		n++
	}
	return r.take(n)
}

// bracket copies […], looking into filters.
func (r *rewriter) bracket() string {
	if r.nested++; r.nested > maxDepth {
		return r.fail(errRewrite)
	}
	defer func() { r.nested-- }()
	var b strings.Builder
	b.WriteString(r.take(1))
	for r.err == nil {
		switch c := r.peek(); {
		case c == ']':
			b.WriteString(r.take(1))
			return b.String()
		case c == '\'' || c == '"':
			b.WriteString(r.quoted())
		case c == '?':
			if r.filter > 0 {
				return r.fail(errFilter)
			}
			r.filter++
			b.WriteString(r.take(1) + r.expression())
			r.filter--
		case c == ',' && r.filter > 0: // each such bracket would multiply the nodes
			return r.fail(errFilter)
		case c == 0:
			return r.fail(errRewrite)
		default:
			b.WriteString(r.take(1))
		}
	}
	return b.String()
}

func (r *rewriter) quoted() string {
	end := r.pos + 1
	for end < len(r.in) && r.in[end] != r.in[r.pos] {
		if r.in[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(r.in) {
		return r.fail(errRewrite)
	}
	return r.take(end + 1 - r.pos)
}

// expression rewrites logical-or-expr, up to what cannot belong to it.
func (r *rewriter) expression() string {
	if r.nested++; r.nested > maxDepth {
		return r.fail(errRewrite)
	}
	defer func() { r.nested-- }()
	var b strings.Builder
	for r.err == nil {
		b.WriteString(r.blank() + r.basic())
		back := r.pos
		space := r.blank()
		if !strings.HasPrefix(r.in[r.pos:], "&&") && !strings.HasPrefix(r.in[r.pos:], "||") {
			r.pos = back
			break
		}
		b.WriteString(space + r.take(2))
	}
	return b.String() + r.blank()
}

// basic rewrites a comparison, a test or a parenthesis.
func (r *rewriter) basic() string {
	not := ""
	if r.peek() == '!' {
		not = r.take(1) + r.blank()
	}
	if r.peek() == '(' {
		inner := r.take(1) + r.expression()
		if r.peek() != ')' {
			return r.fail(errRewrite)
		}
		return not + inner + r.take(1)
	}
	left := r.operand()
	if not != "" {
		return not + left
	}
	back := r.pos
	r.blank()
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">"} {
		if strings.HasPrefix(r.in[r.pos:], op) {
			r.take(len(op))
			r.blank()
			return comparisons[op].name + "(" + left + "," + r.operand() + ")"
		}
	}
	r.pos = back
	return left
}

// operand rewrites a literal, a query or a function call.
func (r *rewriter) operand() string {
	switch c := r.peek(); {
	case c == '\'' || c == '"':
		return r.quoted()
	case c == '@' || c == '$':
		return r.take(1) + r.segments()
	case c == '-' || c >= '0' && c <= '9':
		n := numberEnd(r.in[r.pos:])
		if n == 0 {
			return r.fail(errRewrite)
		}
		return "rp_number('" + r.take(n) + "')"
	case c >= 'a' && c <= 'z':
		name := r.shorthand()
		if r.peek() != '(' {
			return name // true, false, null
		}
		return r.call(name)
	}
	return r.fail(errRewrite)
}

func (r *rewriter) call(name string) string {
	if strings.HasPrefix(name, "rp_") {
		return r.fail(errRewrite)
	}
	if r.nested++; r.nested > maxDepth {
		return r.fail(errRewrite)
	}
	defer func() { r.nested-- }()
	if ours := ourFunctions[name]; ours != "" {
		name = ours
	}
	var b strings.Builder
	b.WriteString(name + r.take(1))
	for r.err == nil {
		b.WriteString(r.blank())
		switch r.peek() {
		case ')':
			return b.String() + r.take(1)
		case ',':
			b.WriteString(r.take(1))
		default:
			b.WriteString(r.operand())
		}
	}
	return b.String()
}
