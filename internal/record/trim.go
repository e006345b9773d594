package record

import (
	"encoding/json"
	"slices"
)

// maxDetail bounds a note's trace. Lookups cut theirs far below it.
const maxDetail = 256 << 10

// trim takes out of a batch what is not to be kept at all.
func trim(batch []Entry, keep Keep) {
	for _, e := range batch {
		if e.Call == nil || detailBytes(e.Call) == 0 {
			continue
		}
		// The queue's own state of the call shares the notes.
		e.Call.Steps = slices.Clone(e.Call.Steps)
		for i := range e.Call.Steps {
			n := &e.Call.Steps[i]
			switch {
			case keep.Traces <= 0, len(n.Detail) > maxDetail:
				n.Detail = nil
			case keep.Answers <= 0:
				n.Detail = StripAnswers(n.Detail)
			}
		}
	}
}

// StripAnswers takes the API's answers out of a trace (spec lookup.md, section
// 7: attempts[].answer and its headers) and leaves the rest. What is no such
// trace loses everything, to be safe.
func StripAnswers(trace json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(trace, &fields) != nil {
		return nil
	}
	var attempts []map[string]json.RawMessage
	if raw, ok := fields["attempts"]; ok {
		if json.Unmarshal(raw, &attempts) != nil {
			return nil
		}
	}
	stripped := false
	for _, a := range attempts {
		for _, key := range []string{"answer", "headers"} {
			if _, ok := a[key]; ok {
				delete(a, key)
				stripped = true
			}
		}
	}
	if !stripped {
		return trace
	}
	raw, err := json.Marshal(attempts)
	if err != nil {
		return nil
	}
	fields["attempts"] = raw
	out, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	return out
}
