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
		switch {
		case err != nil && isShort(text):
			return Named{Kind: phone.ToExternal}, ReasonNotAllowed
		case err != nil:
			return Named{Kind: phone.ToExternal}, ReasonBadNumber
		}
		return Named{Kind: phone.ToExternal, By: ByNumber, Number: number}, ""
	}
	return Named{}, ReasonWrongKind
}

// minE164 is the fewest digits that a phone number has (lookup.md section 4).
const minE164 = 7

// isShort says that a text is a number that only its own country or network
// knows: 112, 911, 116 117, +1 911.
func isShort(text string) bool {
	if len(text) > 2*minE164 {
		return false
	}
	digits := strings.NewReplacer(" ", "", ".", "", "-", "", "/", "", "(", "", ")", "").Replace(text)
	digits = strings.TrimPrefix(strings.TrimPrefix(digits, "+"), "00")
	return isDigits(digits) && len(digits) < minE164
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
	if l.kind != typeAuto {
		return Named{}, ReasonWrongKind
	}
	kind, value, held, _ := objectFields(raw)
	if held != 1 || !isScalar(value) {
		return Named{}, ReasonWrongKind
	}
	return l.readAuto(kind, textOf(value), region)
}

// objectFields looks for the four kinds in an object: how many are there, how
// many hold a value, and the last of these.
func objectFields(raw []byte) (kind string, value json.RawMessage, held, there int) {
	var fields map[string]json.RawMessage
	if raw[0] != '{' || json.Unmarshal(raw, &fields) != nil {
		return "", nil, 0, 0
	}
	for _, k := range []string{typeUser, typeTeam, typeNumber, typeExternal} {
		field, ok := fields[k]
		if !ok {
			continue
		}
		there++
		if !isScalar(field) || !isNothing(textOf(field), field[0] == '"') {
			kind, value = k, field
			held++
		}
	}
	return kind, value, held, there
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
		if l.kind != typeAuto {
			return true
		}
		_, _, held, there := objectFields(raw)
		return held > 0 || there == 0 // {"user": null} names nobody
	}
	if to, ok := l.rows[textOf(raw)]; ok {
		return to.isTarget || !isNothing(to.value, false)
	}
	if isNothing(textOf(raw), raw[0] == '"') {
		return false
	}
	any, ok := l.rows["*"]
	return !ok || any.isTarget || !isNothing(any.value, false)
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
