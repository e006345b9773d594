package lookup

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Bounds of templates and of what they render to.
const (
	maxTemplate = 16 << 10 // characters of one template
	maxRendered = 64 << 10 // bytes of a URL, header or body
)

// part is a piece of a template: fixed text, or a placeholder.
type part struct {
	lit string
	ph  *placeholder
}

// placeholder is {{ name | filter | … }}.
type placeholder struct {
	source     string // as written, for messages
	get        func(*Vars) string
	caller     bool // callerNumber and its forms
	free       bool // free text from a stranger
	gone       bool // the settings do not pass it on any more
	filters    []func(string) string
	names      []string // of the filters
	hasDefault bool
	number     bool // JSON: the whole string leaf becomes a number
	optional   bool // JSON: the whole string leaf becomes null when empty
}

// value renders the placeholder, before the place's own escaping.
func (p *placeholder) value(v *Vars) (string, Reason) {
	s := p.get(v)
	for _, f := range p.filters {
		s = f(s)
	}
	switch {
	case s != "" || p.hasDefault || p.optional:
		return s, ""
	case p.caller:
		return "", ReasonNoCallerNumber
	}
	return "", ReasonEmptyVariable
}

// guarded says that a filter protects the language around the value.
func (p *placeholder) guarded(place place) bool {
	return slices.ContainsFunc(p.names, func(n string) bool {
		switch n {
		case "soql", "sosl", "quote", "digits":
			return true
		case "urlquery", "json":
			return place == inRaw
		}
		return false
	})
}

// templates parses the templates of one Spec and collects what is wrong.
type templates struct {
	env    *Env
	faults *faults
}

// parse cuts the placeholders out of a text (lookup.md section 2). What is wrong
// is a fault at pointer; then ok is false.
func (t templates) parse(pointer, text string, place place) (parts []part, ok bool) {
	if len(text) > maxTemplate {
		t.faults.add(pointer, "too_long", "longer than %d characters", maxTemplate)
		return nil, false
	}
	ok = true
	for {
		open := strings.Index(text, "{{")
		if open < 0 {
			return appendLit(parts, text), ok
		}
		for strings.HasPrefix(text[open+1:], "{{") { // the innermost pair opens
			open++
		}
		parts = appendLit(parts, text[:open])
		text = text[open+2:]
		s := placeholderParser{rest: text}
		ph, err := s.parse(t.env, place)
		if err != nil {
			t.faults.add(pointer, err.code, "%s", err.text)
			return parts, false
		}
		ph.source = "{{" + text[:len(text)-len(s.rest)]
		if ph.gone {
			t.faults.warn(pointer, CodeSettings, "%s: sip.pass_headers does not name the header any more: it is empty in every call", ph.source)
		}
		parts = append(parts, part{ph: ph})
		text = s.rest
	}
}

func appendLit(parts []part, text string) []part {
	if text == "" {
		return parts
	}
	return append(parts, part{lit: text})
}

// check warns of free text inside a longer value, where escaping by place cannot
// protect the language that the value is written in.
func (t templates) check(pointer string, parts []part, place place) {
	for i, p := range parts {
		if p.ph == nil {
			continue
		}
		var before, after string
		if i > 0 {
			before = parts[i-1].lit
		}
		if i+1 < len(parts) {
			after = parts[i+1].lit
		}
		quoted := strings.HasSuffix(before, `"`) || strings.HasSuffix(before, "'") ||
			strings.HasPrefix(after, `"`) || strings.HasPrefix(after, "'")
		switch {
		case slices.Contains(p.ph.names, "quote") && quoted:
			t.faults.add(pointer, "double_quoted", "%s: the filter quote writes the quotation marks itself; take away those around it", p.ph.source)
		case slices.Contains(p.ph.names, "soql") && p.ph.free && openQuotes(parts[:i])%2 == 0:
			t.faults.warn(pointer, "free_text", "%s: soql protects inside single quotes only: write '%s'", p.ph.source, p.ph.source)
		case p.ph.free && len(parts) > 1 && !p.ph.guarded(place):
			t.faults.warn(pointer, "free_text", "%s is text from outside in a longer value; add the filter soql, sosl, quote or digits, whichever fits the language around it", p.ph.source)
		}
	}
}

// openQuotes counts single quotes before a placeholder.
func openQuotes(parts []part) int {
	n := 0
	for _, p := range parts {
		n += strings.Count(p.lit, "'") - strings.Count(p.lit, `\'`)
	}
	return n
}

// placeholderParser reads name *( "|" filter ) "}}".
type placeholderParser struct{ rest string }

type templateError struct{ code, text string }

func templateErrorf(code, format string, args ...any) *templateError {
	return &templateError{code, fmt.Sprintf(format, args...)}
}

func (s *placeholderParser) parse(env *Env, place place) (*placeholder, *templateError) {
	name := s.name()
	if name == "" {
		return nil, templateErrorf("bad_template", "{{ wants the name of a variable after it, for example {{callerNumber}}")
	}
	ph, err := variable(name, env)
	if err != nil {
		return nil, err
	}
	for {
		s.space()
		if after, ok := strings.CutPrefix(s.rest, "}}"); ok {
			s.rest = after
			return ph, nil
		}
		after, ok := strings.CutPrefix(s.rest, "|")
		if !ok {
			return nil, templateErrorf("bad_template", "{{%s: want | and a filter, or }}", name)
		}
		s.rest = after
		if err := s.filter(ph, place); err != nil {
			return nil, err
		}
	}
}

func (s *placeholderParser) space() { s.rest = strings.TrimLeft(s.rest, " \t\r\n") }

// name reads ident *( "." ident ). An ident may hold "-", as header names do.
func (s *placeholderParser) name() string {
	s.space()
	n := 0
	for n < len(s.rest) && (isIdent(s.rest[n]) || s.rest[n] == '.' || s.rest[n] == '-') {
		n++
	}
	name := s.rest[:n]
	s.rest = s.rest[n:]
	return name
}

func (s *placeholderParser) filter(ph *placeholder, place place) *templateError {
	s.space()
	n := 0
	for n < len(s.rest) && isIdent(s.rest[n]) {
		n++
	}
	name := s.rest[:n]
	s.rest = s.rest[n:]
	arg, hasArg := "", false
	s.space()
	if after, ok := strings.CutPrefix(s.rest, ":"); ok {
		d := json.NewDecoder(strings.NewReader(after))
		if err := d.Decode(&arg); err != nil {
			return templateErrorf("bad_template", `the filter %s wants its argument in double quotes, for example %s:"x"`, name, name)
		}
		s.rest, hasArg = after[d.InputOffset():], true
	}
	return addFilter(ph, name, arg, hasArg, place)
}

func isIdent(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// place is where a value goes; each escapes in its own way, once and last.
type place int

const (
	inURL place = iota
	inHeader
	inForm
	inJSON
	inRaw
)

// write appends the rendered parts, escaped for the place.
func write(dst []byte, parts []part, place place, v *Vars) ([]byte, *stop) {
	for _, p := range parts {
		if p.ph == nil {
			dst = append(dst, p.lit...)
			continue
		}
		s, reason := p.ph.value(v)
		if reason != "" {
			return dst, &stop{reason: reason, variable: p.ph.source}
		}
		var ok bool
		if dst, ok = escape(dst, s, place, p.ph); !ok || len(dst) > maxRendered {
			return dst, &stop{reason: ReasonUnsafeValue, variable: p.ph.source}
		}
	}
	return dst, nil
}

// stop says why nothing is sent.
type stop struct {
	reason   Reason
	variable string // the placeholder that is to blame
}

// escape appends s so that it changes nothing but the value that it stands for.
// False: this place cannot carry it.
func escape(dst []byte, s string, place place, ph *placeholder) ([]byte, bool) {
	switch place {
	case inURL, inForm:
		return percentEncode(dst, s), true
	case inHeader:
		for i := range len(s) {
			if c := s[i]; c < ' ' && c != '\t' || c == 0x7f { // RFC 9110 §5.5
				return dst, false
			}
		}
		return append(dst, s...), true
	case inJSON:
		switch {
		case ph.optional && s == "":
			return append(dst, "null"...), true
		case ph.number:
			return append(dst, s...), isNumber(s)
		case ph.optional:
			return append(appendJSON(append(dst, '"'), s), '"'), true
		}
		return appendJSON(dst, s), true
	}
	return append(dst, s...), true
}
