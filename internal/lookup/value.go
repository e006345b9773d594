package lookup

import (
	"encoding/json"
	"strings"

	"github.com/ringpath/ringpath/internal/phone"
)

// By says how a Named is named.
type By string

const (
	ByID     By = "id"     // Text is an id in Space
	ByEmail  By = "email"  // Text is an e-mail address, compared without case. Users only
	ByName   By = "name"   // Text is a name. Teams only
	ByNumber By = "number" // Number is a phone number
	// ByIDOrNumber: Text is digits, the id of a number of ours if there is one,
	// else the phone number Number; bad_number when that is empty too.
	ByIDOrNumber By = "id_or_number"
)

// Own is the id space of our own ids.
const Own = "ringpath"

// The response types.
const (
	typeUser     = "user"
	typeTeam     = "team"
	typeNumber   = "number"
	typeExternal = "external"
	typeAuto     = "auto"
)

// Named is what an answer called the one who should be rung: read, not yet
// looked up.
type Named struct {
	Kind   phone.TargetKind
	By     By
	Space  string     // ByID: whose ids, Own or a key of external_ids. Only that space is searched
	Text   string     // id, e-mail or name
	Number phone.E164 // ByNumber, ByIDOrNumber
}

// ReadTarget reads a target in the syntax of documents: kind is user, team,
// number or external; ids are our own; national numbers are region's. The reason
// is bad_number or, for a kind that there is not, wrong_kind.
func ReadTarget(kind, text, region string) (Named, Reason) {
	return readAs(kind, Own, strings.TrimSpace(text), region)
}

// readAs reads a text, already trimmed, as one kind of target.
func readAs(kind, ids, text, region string) (Named, Reason) {
	switch kind {
	case typeUser:
		if strings.Contains(text, "@") {
			return Named{Kind: phone.ToUser, By: ByEmail, Text: text}, ""
		}
		return Named{Kind: phone.ToUser, By: ByID, Space: ids, Text: text}, ""
	case typeTeam:
		if ids == Own && !isDigits(text) {
			return Named{Kind: phone.ToTeam, By: ByName, Text: text}, ""
		}
		return Named{Kind: phone.ToTeam, By: ByID, Space: ids, Text: text}, ""
	case typeNumber:
		number, err := phone.ParseNumber(text, region)
		if isDigits(text) {
			return Named{Kind: phone.ToNumber, By: ByIDOrNumber, Text: text, Number: number}, ""
		}
		if err != nil {
			return Named{Kind: phone.ToNumber}, ReasonBadNumber
		}
		return Named{Kind: phone.ToNumber, By: ByNumber, Number: number}, ""
	case typeExternal:
		number, err := phone.ParseNumber(text, region)
		if err != nil {
			return Named{Kind: phone.ToExternal}, ReasonBadNumber
		}
		return Named{Kind: phone.ToExternal, By: ByNumber, Number: number}, ""
	}
	return Named{}, ReasonWrongKind
}

func isDigits(s string) bool { return s != "" && digitsEnd(s) == len(s) }

// read reads a text by the lookup's response type.
func (l *Lookup) read(text, region string) (Named, Reason) {
	if l.kind != typeAuto {
		return readAs(l.kind, l.ids, text, region)
	}
	kind, rest, found := strings.Cut(text, ":")
	switch {
	case found:
		return l.readAuto(strings.TrimSpace(kind), strings.TrimSpace(rest), region)
	case strings.Contains(text, "@"):
		return l.readAuto(typeUser, text, region)
	}
	return Named{}, ReasonWrongKind
}

func (l *Lookup) readAuto(kind, text, region string) (Named, Reason) {
	if kind == typeExternal && !l.allowExternal {
		return Named{Kind: phone.ToExternal}, ReasonNotAllowed
	}
	return readAs(kind, l.ids, text, region)
}

// readObject reads {"user": 456} and its like: exactly one of the four kinds.
func (l *Lookup) readObject(raw []byte, region string) (Named, Reason) {
	var fields map[string]json.RawMessage
	if l.kind != typeAuto || json.Unmarshal(raw, &fields) != nil {
		return Named{}, ReasonWrongKind
	}
	kind, text := "", ""
	for _, k := range []string{typeUser, typeTeam, typeNumber, typeExternal} {
		value, ok := fields[k]
		if !ok || string(value) == "null" {
			continue
		}
		if kind != "" || value[0] == '{' || value[0] == '[' {
			return Named{}, ReasonWrongKind
		}
		kind, text = k, textOf(value)
	}
	return l.readAuto(kind, text, region)
}

// textOf is a scalar as text: numbers keep theirs, so that an id of 19 digits
// stays exact.
func textOf(raw []byte) string {
	if raw[0] == '"' {
		return strings.TrimSpace(unquote(raw))
	}
	return string(raw)
}

func isScalar(raw []byte) bool { return raw[0] != '{' && raw[0] != '[' }

// holds says that a node holds a value, after response.map had its say.
func (l *Lookup) holds(raw []byte) bool {
	if !isScalar(raw) {
		return true
	}
	if to, ok := l.rows[textOf(raw)]; ok {
		return to.isTarget || !isNothing(to.value, false)
	}
	return !isNothing(textOf(raw), raw[0] == '"')
}

// isNothing says that a text is no value: null, "", false, 0 and "0".
func isNothing(text string, quoted bool) bool {
	switch text {
	case "", "0":
		return true
	case "null", "false":
		return !quoted
	}
	return !quoted && isNumber(text) && decimalOf(text).sign == 0
}

// isFact says that a node can be shown.
func isFact(raw []byte) bool {
	return isScalar(raw) && raw[0] != 'n' && textOf(raw) != ""
}

// row is a compiled row of response.map.
type row struct {
	value    string // another value, or the target as written
	isTarget bool
	target   Named
}

// mapped finds the row for a value: its own, else "*".
func (l *Lookup) mapped(text string) (row, bool) {
	if r, ok := l.rows[text]; ok {
		return r, true
	}
	r, ok := l.rows["*"]
	return r, ok
}
