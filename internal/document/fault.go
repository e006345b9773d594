package document

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Codes of faults that any document can have. Packages that check more have
// codes of their own, in the same style.
const (
	CodeSyntax     = "syntax"          // not YAML
	CodeType       = "wrong_type"      // a list where a text was wanted
	CodeUnknown    = "unknown_field"   // no such field
	CodeDuplicate  = "duplicate_field" // the same field twice
	CodeValue      = "bad_value"       // the right type, but not a possible value
	CodeTooLarge   = "too_large"       // a bound of this package
	CodeNotYet     = "not_in_this_version"
	CodeUnknownVar = "unknown_variable" // {var: NAME} without --var
)

// Fault is something wrong in a document, and what would be right.
type Fault struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"` // from 1; 0: nowhere in a file
	Column  int    `json:"column,omitempty"`
	Pointer string `json:"pointer"` // RFC 6901, from the document's root
	Code    string `json:"code"`
	Message string `json:"message"`
	Warning bool   `json:"warning,omitempty"` // worth knowing, stops nothing
}

// String is "file:line:column: message (/pointer)".
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		b.WriteByte(':')
	}
	if f.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", f.Line, f.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if f.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(f.Message)
	if f.Pointer != "" {
		b.WriteString(" (" + f.Pointer + ")")
	}
	return b.String()
}

// Faults is every fault of a document.
type Faults []Fault

// maxFaults is how many faults are told at once: a document of nothing but
// faults must not become a far larger answer.
const maxFaults = 1000

// Add appends a fault while there are few enough; a first one that is more than
// a warning always.
func (fs *Faults) Add(f Fault) {
	if len(*fs) < maxFaults || !f.Warning && !fs.Fatal() {
		*fs = append(*fs, f)
	}
}

// Error lists them, one a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Fatal says that one of them is more than a warning.
func (fs Faults) Fatal() bool {
	return slices.ContainsFunc(fs, func(f Fault) bool { return !f.Warning })
}

// Sort orders them as a reader of the files meets them.
func (fs Faults) Sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// A key inside an RFC 6901 pointer, and back.
var (
	escapeKey   = strings.NewReplacer("~", "~0", "/", "~1")
	unescapeKey = strings.NewReplacer("~1", "/", "~0", "~")
)

// Join appends keys and indexes to an RFC 6901 pointer.
func Join(pointer string, parts ...any) string {
	var b strings.Builder
	b.WriteString(pointer)
	for _, p := range parts {
		b.WriteByte('/')
		switch p := p.(type) {
		case int:
			b.WriteString(strconv.Itoa(p))
		case string:
			_, _ = escapeKey.WriteString(&b, p)
		}
	}
	return b.String()
}
