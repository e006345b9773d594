package lookup

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/theory/jsonpath"
	"github.com/theory/jsonpath/registry"
	"github.com/theory/jsonpath/spec"
)

// The library compares numbers as float64, in which ids of 19 digits that differ
// by one are equal, and it panics where match or search meet a missing node. Its
// comparison cannot be replaced, but functions can be added: before a path is
// parsed, each comparison in a filter, a == b, is rewritten to rp_eq(a, b), each
// number to rp_number('…'), and match and search to ours.

// parser knows the functions that rewrite puts in.
var parser = newParser()

// comparisons are the functions that stand for operators; nil is "nothing" (RFC
// 9535 §2.3.5.2.2).
var comparisons = map[string]struct {
	name string
	test func(a, b *spec.ValueType) bool
}{
	"==": {"rp_eq", sameValue},
	"!=": {"rp_ne", func(a, b *spec.ValueType) bool { return !sameValue(a, b) }},
	"<":  {"rp_lt", lessValue},
	">":  {"rp_gt", func(a, b *spec.ValueType) bool { return lessValue(b, a) }},
	"<=": {"rp_le", func(a, b *spec.ValueType) bool { return lessValue(a, b) || sameValue(a, b) }},
	">=": {"rp_ge", func(a, b *spec.ValueType) bool { return lessValue(b, a) || sameValue(a, b) }},
}

// ourFunctions replace the library's.
var ourFunctions = map[string]string{"match": "rp_match", "search": "rp_search"}

func newParser() *jsonpath.Parser {
	reg := registry.New()
	logical := func(name string, test func(a, b *spec.ValueType) bool) {
		must(reg.Register(name, spec.FuncLogical, twoValues, func(args []spec.PathValue) spec.PathValue {
			return spec.Logical(test(spec.ValueFrom(args[0]), spec.ValueFrom(args[1])))
		}))
	}
	for _, c := range comparisons {
		logical(c.name, c.test)
	}
	logical("rp_match", func(a, b *spec.ValueType) bool { return matches(a, b, `\A(?:`, `)\z`) })
	logical("rp_search", func(a, b *spec.ValueType) bool { return matches(a, b, "", "") })
	must(reg.Register("rp_number", spec.FuncValue, func([]spec.FuncExprArg) error { return nil },
		func(args []spec.PathValue) spec.PathValue {
			text, _ := spec.ValueFrom(args[0]).Value().(string)
			return spec.Value(json.Number(text))
		}))
	return jsonpath.NewParser(jsonpath.WithRegistry(reg))
}

// must is for what only a programmer's mistake can break, at start.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func twoValues(args []spec.FuncExprArg) error {
	if len(args) != 2 {
		return fmt.Errorf("expected 2 arguments but found %d", len(args))
	}
	for _, a := range args {
		if !a.ConvertsTo(spec.FuncValue) {
			return errors.New("only single values can be compared")
		}
	}
	return nil
}

// maxMatched bounds a text that match and search look into, in bytes; a longer
// one never matches. A test takes the product of its length and the pattern's,
// and nothing can stop it.
const maxMatched = 4 << 10

// matches tests a text with an I-Regexp (RFC 9485), in which "." is not a line's end.
func matches(text, pattern *spec.ValueType, before, after string) bool {
	if text == nil || pattern == nil {
		return false
	}
	s, ok := text.Value().(string)
	p, okPattern := pattern.Value().(string)
	if !ok || !okPattern || len(p) > maxPath || len(s) > maxMatched {
		return false
	}
	re, err := regexp.Compile(before + iRegexp(p) + after)
	return err == nil && re.MatchString(s)
}

// iRegexp writes each "." outside of a class as RFC 9485 §5.3 says.
func iRegexp(p string) string {
	var b strings.Builder
	class := false
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '\\' && i+1 < len(p):
			b.WriteByte(c)
			i++
			b.WriteByte(p[i])
			continue
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '.' && !class:
			b.WriteString(`[^\n\r]`)
			continue
		}
		b.WriteByte(p[i])
	}
	return b.String()
}

// sameValue is RFC 9535's ==, with exact numbers. Nil is nothing.
func sameValue(a, b *spec.ValueType) bool {
	if a == nil || b == nil {
		return a == b
	}
	return same(a.Value(), b.Value())
}

func same(a, b any) bool {
	if na, ok := numberText(a); ok {
		nb, ok := numberText(b)
		return ok && compareNumbers(na, nb) == 0
	}
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !same(v, w) {
				return false
			}
		}
		return true
	}
	switch b.(type) {
	case []any, map[string]any:
		return false
	}
	return a == b // text, bool, null
}

// lessValue is RFC 9535's <: two numbers or two texts.
func lessValue(a, b *spec.ValueType) bool {
	if a == nil || b == nil {
		return false
	}
	if na, ok := numberText(a.Value()); ok {
		nb, ok := numberText(b.Value())
		return ok && compareNumbers(na, nb) < 0
	}
	ta, ok := a.Value().(string)
	tb, okB := b.Value().(string)
	return ok && okB && ta < tb // UTF-8 sorts as its code points do
}

func numberText(v any) (string, bool) {
	switch v := v.(type) {
	case json.Number:
		return string(v), true
	case int: // of length and count
		return strconv.Itoa(v), true
	}
	return "", false
}

// compareNumbers compares two JSON numbers exactly, however long they are.
func compareNumbers(a, b string) int {
	x, y := decimalOf(a), decimalOf(b)
	switch {
	case x.sign != y.sign:
		return cmpInt(x.sign, y.sign)
	case x.sign == 0:
		return 0
	case x.point != y.point:
		return x.sign * cmpInt(x.point, y.point)
	}
	return x.sign * strings.Compare(x.digits, y.digits)
}

func cmpInt(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// decimal is sign × 0.digits × 10^point, the digits without zeros at either end,
// so that equal numbers have equal fields.
type decimal struct {
	sign   int // −1, 0, 1
	digits string
	point  int
}

func decimalOf(text string) decimal {
	d := decimal{sign: 1}
	if after, ok := strings.CutPrefix(text, "-"); ok {
		d.sign, text = -1, after
	}
	mantissa, exponent := text, ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], text[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	trimmed := strings.TrimLeft(digits, "0")
	d.point = len(whole) - (len(digits) - len(trimmed))
	if d.digits = strings.TrimRight(trimmed, "0"); d.digits == "" {
		return decimal{}
	}
	e, err := strconv.Atoi(exponent)
	if err != nil && exponent != "" { // beyond all bounds: larger or smaller than anything written out
		if e = 1 << 60; strings.HasPrefix(exponent, "-") {
			e = -e
		}
	}
	if e > 1<<60 || e < -1<<60 {
		e = max(min(e, 1<<60), -1<<60)
	}
	d.point += e
	return d
}
