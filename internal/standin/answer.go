package standin

import (
	"encoding/json"
	"strings"
)

// The CRM's answers have one shape, so that one flow can read them all:
//
//	{"contact": {"source": "stand-in CRM"}, "route": {"user": "ada@example.test"}}
//
// Read `route` with the response type auto, or `route.user` with user. Both are
// null for a caller that nobody knows. Any other JSON can be given to
// CRM.Answer as text.

// User is the route to one of our users, by e-mail or by id as text.
func User(who string) string { return route("user", who) }

// Team is the route to a team, by name or by id as text.
func Team(name string) string { return route("team", name) }

// Number is the route to one of our own numbers, in E.164.
func Number(e164 string) string { return route("number", e164) }

// External is the route to an outside number, in E.164.
func External(e164 string) string { return route("external", e164) }

// Nobody is what the CRM says of a caller that it does not know.
func Nobody() string { return `{"contact":null,"route":null}` }

func route(kind, value string) string {
	b, _ := json.Marshal(map[string]any{ // strings in maps always marshal
		"contact": map[string]string{"source": "stand-in CRM"},
		"route":   map[string]string{kind: value},
	})
	return string(b)
}

// digits is the part of a phone number that two spellings of it share.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}
