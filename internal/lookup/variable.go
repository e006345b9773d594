package lookup

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringpath/ringpath/internal/phone"
)

// numberForms are the forms of callerNumber and calledNumber.
var numberForms = map[string]func(phone.E164) string{
	"":                       func(n phone.E164) string { return string(n) },
	"digits":                 phone.E164.Digits,
	"national":               phone.E164.National,
	"nationalFormatted":      phone.E164.NationalFormatted,
	"internationalFormatted": phone.E164.International,
	"countryCode":            phone.E164.CountryCode,
	"region":                 phone.E164.Region,
	"last8":                  func(n phone.E164) string { return n.Last(8) },
	"last9":                  func(n phone.E164) string { return n.Last(9) },
	"last10":                 func(n phone.E164) string { return n.Last(10) },
}

// callVariables are what else a template may say of a call.
var callVariables = map[string]func(*Vars) string{
	"callerName": func(v *Vars) string { return v.Call.CallerName },
	"callerVerification": func(v *Vars) string {
		if v.Call.Verification == "" {
			return "none"
		}
		return v.Call.Verification
	},
	"calledNumber.id": func(v *Vars) string {
		if v.Call.Number == 0 {
			return ""
		}
		return v.Call.Number.String()
	},
	"calledNumber.name": func(v *Vars) string { return v.NumberName },
	"callId":            func(v *Vars) string { return v.Call.ID.String() },
	"startedAt":         func(v *Vars) string { return v.Call.StartedAt.UTC().Format(time.RFC3339) },
	"trunk":             func(v *Vars) string { return v.Call.Trunk },
}

// variable finds what a name stands for.
func variable(name string, env *Env) (*placeholder, *templateError) {
	if get, ok := callVariables[name]; ok {
		return &placeholder{get: get, free: name == "callerName"}, nil
	}
	head, tail, _ := strings.Cut(name, ".")
	switch head {
	case "callerNumber", "calledNumber":
		form, ok := numberForms[tail]
		if !ok || strings.HasSuffix(name, ".") {
			return nil, templateErrorf("unknown_variable", "{{%s}}: %s has the forms %s", name, head, formNames())
		}
		if head == "callerNumber" {
			return &placeholder{caller: true, get: func(v *Vars) string { return form(v.Call.Caller) }}, nil
		}
		return &placeholder{get: func(v *Vars) string { return form(v.Call.Called) }}, nil
	case "sip":
		passed := containsFold(env.HeaderNames, tail)
		if !passed && (!env.Stored || tail == "") {
			return nil, templateErrorf("unknown_variable", "{{%s}}: the header %q is not passed on; the operator names it in sip.pass_headers", name, tail)
		}
		key := strings.ToLower(tail)
		return &placeholder{free: true, gone: !passed, get: func(v *Vars) string { return v.Call.Headers[key] }}, nil
	case "input":
		if !slices.Contains(env.Inputs, tail) {
			return nil, templateErrorf("unknown_variable", "{{%s}}: no earlier step collects an input %q", name, tail)
		}
		return &placeholder{free: true, get: func(v *Vars) string { return v.Input[tail] }}, nil
	case "saved":
		if !slices.Contains(env.Saved, tail) {
			return nil, templateErrorf("unknown_variable", "{{%s}}: no earlier request saves %q", name, tail)
		}
		return &placeholder{free: true, get: func(v *Vars) string { return v.Saved[tail] }}, nil
	}
	return nil, templateErrorf("unknown_variable", "{{%s}} is no variable; there are callerNumber, calledNumber, %s, sip.HEADER, input.NAME and saved.NAME",
		name, strings.Join(slices.Sorted(maps.Keys(callVariables)), ", "))
}

func formNames() string {
	names := slices.Sorted(maps.Keys(numberForms))
	return "." + strings.Join(names[1:], ", .")
}

func containsFold(list []string, name string) bool {
	return name != "" && slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}

// filters change a value; they run before the place's escaping.
var filters = map[string]func(string) string{
	"digits": func(s string) string {
		return strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, s)
	},
	"lower": strings.ToLower,
	"upper": strings.ToUpper,
	"trim":  strings.TrimSpace,
	"soql":  soqlEscape,
	"sosl":  soslEscape,
	"quote": quote,
}

// rawFilters are for raw bodies only, where no place escapes.
var rawFilters = map[string]func(string) string{
	"urlquery": func(s string) string { return string(percentEncode(nil, s)) },
	"json":     func(s string) string { return string(appendJSON(nil, s)) },
}

func addFilter(ph *placeholder, name, arg string, hasArg bool, place place) *templateError {
	if hasArg != (name == "default") && name != "" {
		if hasArg {
			return templateErrorf("bad_template", "the filter %s takes no argument", name)
		}
		return templateErrorf("bad_template", `the filter default wants its text: default:"x"`)
	}
	ph.names = append(ph.names, name)
	if f, ok := filters[name]; ok {
		ph.filters = append(ph.filters, f)
		return nil
	}
	if f, ok := rawFilters[name]; ok {
		if place != inRaw {
			return templateErrorf("unknown_filter", "the filter %s is for raw bodies; here the value is escaped by its place already", name)
		}
		ph.filters = append(ph.filters, f)
		return nil
	}
	switch name {
	case "default":
		ph.hasDefault = true
		ph.filters = append(ph.filters, func(s string) string {
			if s == "" {
				return arg
			}
			return s
		})
		return nil
	case "number", "optional":
		if place != inJSON {
			return templateErrorf("unknown_filter", "the filter %s is for JSON bodies", name)
		}
		ph.number = ph.number || name == "number"
		ph.optional = ph.optional || name == "optional"
		return nil
	}
	return templateErrorf("unknown_filter", `%q is no filter; there are %s, default:"x"; in JSON bodies number and optional; in raw bodies urlquery and json`,
		name, strings.Join(slices.Sorted(maps.Keys(filters)), ", "))
}

// soqlEscape writes s for the inside of a SOQL string, '…'.
func soqlEscape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\'' || r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// soslEscape writes s as a SOSL search term, outside of quotes.
func soslEscape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case strings.ContainsRune(`?&|!{}[]()^~*:\"'+-`, r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// quote writes s as a whole string in double quotes, as most query languages
// read it.
func quote(s string) string {
	if s == "" {
		return "" // nothing is nothing, quoted or not: the lookup stops
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

const upperHex = "0123456789ABCDEF"

// percentEncode keeps RFC 3986's unreserved characters and encodes the rest, so
// that "+" is %2B and a space %20 in paths, queries and forms alike.
func percentEncode(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; isUnreserved(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

func isUnreserved(c byte) bool {
	return isIdent(c) || c == '-' || c == '.' || c == '~'
}

// appendJSON appends s as the inside of a JSON string. Bytes that are no UTF-8
// become U+FFFD: JSON has no other way to say them.
func appendJSON(dst []byte, s string) []byte {
	for _, r := range s { // ranging turns broken bytes into U+FFFD
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029':
			dst = append(dst, '\\', 'u', upperHex[r>>12&15], upperHex[r>>8&15], upperHex[r>>4&15], upperHex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// isNumber says that s is a JSON number (RFC 8259 §6).
func isNumber(s string) bool {
	n := numberEnd(s)
	return n > 0 && n == len(s)
}

// numberEnd is the length of the JSON number that s begins with, 0 if none.
func numberEnd(s string) int {
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	switch n := digitsEnd(s[i:]); {
	case n == 0:
		return 0
	case s[i] == '0':
		i++
	default:
		i += n
	}
	if i < len(s) && s[i] == '.' {
		n := digitsEnd(s[i+1:])
		if n == 0 {
			return i
		}
		i += 1 + n
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if n := digitsEnd(s[j:]); n > 0 {
			i = j + n
		}
	}
	return i
}

func digitsEnd(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// status writes an HTTP status for messages.
func itoa(n int) string { return strconv.Itoa(n) }
