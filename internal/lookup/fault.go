package lookup

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a Spec, found when it is saved.
type Fault struct {
	Pointer string `json:"pointer"` // RFC 6901, inside the Spec: "/response/path/1"
	Code    string `json:"code"`    // for programs: unknown_variable, bad_path, …
	Message string `json:"message"` // for people: what is wrong and what would be right
	Warning bool   `json:"warning,omitempty"`
}

// Error makes a Fault an error.
func (f Fault) Error() string { return f.Pointer + ": " + f.Message }

// faults collects what is wrong, so that all of it is told at once.
type faults []Fault

func (f *faults) add(pointer, code, format string, args ...any) {
	*f = append(*f, Fault{Pointer: pointer, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (f *faults) warn(pointer, code, format string, args ...any) {
	*f = append(*f, Fault{Pointer: pointer, Code: code, Message: fmt.Sprintf(format, args...), Warning: true})
}

// fatal says that something is more than a warning.
func (f faults) fatal() bool {
	return slices.ContainsFunc(f, func(x Fault) bool { return !x.Warning })
}

// pointerTo appends a name to an RFC 6901 pointer.
func pointerTo(base, name string) string {
	return base + "/" + pointerEscape.Replace(name)
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")
