package api

import (
	"net/http"
	"time"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// searchCalls is "Search Calls", the request that asks who last talked with a
// caller. The call being routed at this moment is not in it, unless asked for.
func searchCalls(a *ask) (any, error) {
	statuses := []record.Status{record.Answered, record.Done}
	if a.params.flag("include_ongoing") {
		statuses = append(statuses, record.Initial)
	}
	q := record.Query{
		Statuses: statuses,
		Outside:  a.params.outsideNumber(a.Region()),
		User:     phone.UserID(a.params.whole("user_id", 1, 1<<62, 0)),
	}
	if tags := a.params.tags(); len(tags) > 0 {
		return noCalls(a, q) // no call has a tag in this version
	}
	return findCalls(a, q)
}

// listCalls is all calls, ongoing ones included.
func listCalls(a *ask) (any, error) {
	return findCalls(a, record.Query{Statuses: []record.Status{record.Initial, record.Answered, record.Done}})
}

// readQuery puts into q what both lists take, and checks the rest.
func readQuery(a *ask, q record.Query) (record.Query, page, error) {
	q.From = a.params.second("from")
	if to := a.params.second("to"); !to.IsZero() {
		q.To = to.Add(time.Second) // the second itself belongs to it
	}
	q.Direction = a.params.direction()
	if a.params.newestFirst() {
		q.Order = record.NewestFirst
	}
	for _, name := range []string{"fetch_contact", "fetch_short_urls", "fetch_call_timeline"} {
		a.params.flag(name) // nothing to fetch in this version, but a typing error is said
	}
	g := a.params.page()
	q.Offset, q.Limit, q.Bare = g.offset(), g.limit(), true
	return q, g, a.params.err
}

func findCalls(a *ask, q record.Query) (any, error) {
	q, g, err := readQuery(a, q)
	if err != nil {
		return nil, err
	}
	calls, total, err := a.server.Records.Find(a.r.Context(), q)
	if err != nil {
		return nil, err
	}
	return a.callList(g, calls, total), nil
}

func noCalls(a *ask, q record.Query) (any, error) {
	_, g, err := readQuery(a, q)
	if err != nil {
		return nil, err
	}
	return a.callList(g, nil, 0), nil
}

func (a *ask) callList(g page, calls []record.Call, total int) list {
	objects := make([]callObject, len(calls))
	for i := range calls {
		objects[i] = a.call(&calls[i])
	}
	return a.list(g, "calls", objects, len(objects), total)
}

func getCall(a *ask) (any, error) {
	id := phone.CallID(a.pathID("id"))
	if id == 0 {
		return nil, notFound("call", a.r.PathValue("id"))
	}
	c, err := a.server.Records.Call(a.r.Context(), id)
	if phone.KindOf(err) == phone.NotFound && err != nil {
		return nil, notFound("call", a.r.PathValue("id"))
	}
	if err != nil {
		return nil, err
	}
	return object{"call": a.call(&c)}, nil
}

// callEndpoints are the rows of the table about calls.
func callEndpoints() []endpoint {
	paging := []param{
		{"page", "query", "integer", "which page, from 1; default 1"},
		{"per_page", "query", "integer", "how many on a page, 1–50; default 20"},
	}
	listing := append([]param{
		{"order", "query", "text", "asc (default): oldest first; desc: newest first (des is accepted). Any other value is a 400"},
		{"from", "query", "UNIX seconds", "calls begun at this second or later"},
		{"to", "query", "UNIX seconds", "calls begun at this second or earlier"},
		{"direction", "query", "text", "inbound or outbound"},
		{"fetch_contact", "query", "true", "accepted; there are no contacts to fetch"},
		{"fetch_short_urls", "query", "true", "accepted; there are no recordings"},
		{"fetch_call_timeline", "query", "true", "accepted; the timeline is GET /api/calls/{id}"},
	}, paging...)
	search := append([]param{
		{"phone_number", "query", "phone number", "the outside party, calling or called: the whole number, %2B14155550123, +14155550123 or 14155550123; a national form is read by the company's region. Empty is a 400"},
		{"user_id", "query", "integer", "who took the call, or made it"},
		{"tags[]", "query", "integer", "repeat it: calls that have all these tags"},
		{"include_ongoing", "query", "true", "also calls that nobody has answered yet (ours; the other API has it not)"},
	}, listing...)
	example := func(v *view) any { return exampleList("calls", []callObject{v.call(exampleCall())}) }
	return []endpoint{
		{Method: http.MethodGet, Path: "/v1/calls", Scope: access.V1Read, Title: "List calls", Params: listing,
			About:   "All calls, those going on included.",
			Example: example, serve: listCalls},
		{Method: http.MethodGet, Path: "/v1/calls/search", Scope: access.V1Read, Title: "Search calls", Params: search,
			About:   "Calls that somebody has answered or that are over, found at once when they end. A missed call has user null: the path calls[*].user.id passes over it, calls[0].user.id does not.",
			Example: example, serve: searchCalls},
		{Method: http.MethodGet, Path: "/v1/calls/{id}", Scope: access.V1Read, Title: "Get a call",
			About:   "One call.",
			Example: func(v *view) any { return object{"call": v.call(exampleCall())} }, serve: getCall},
	}
}
