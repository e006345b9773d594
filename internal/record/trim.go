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

// StripAnswers takes out of a trace what the API said (spec lookup.md, section
// 7: attempts[].answer with its headers, and the facts shown) and leaves the
// rest. What is no such trace loses everything, to be safe.
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
	stripped := remove(fields, "show")
	said := false
	for _, a := range attempts {
		if remove(a, "answer", "answer_offset") {
			a["truncated"] = json.RawMessage("true")
			said = true
		}
		said = remove(a, "headers") || said
	}
	if !stripped && !said {
		return trace
	}
	if said {
		raw, err := json.Marshal(attempts)
		if err != nil {
			return nil
		}
		fields["attempts"] = raw
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	return out
}

// remove says that there was any of the keys.
func remove(fields map[string]json.RawMessage, keys ...string) bool {
	before := len(fields)
	for _, key := range keys {
		delete(fields, key)
	}
	return len(fields) < before
}
