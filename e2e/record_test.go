package e2e

import (
	"fmt"
	"net/url"
	"time"
)

// account is what the program itself says of a call, in the words of /api.
type account struct {
	ID      int64  `json:"id"`
	Status  string `json:"status"`
	Caller  string `json:"caller"`
	User    int    `json:"user"`
	Cause   string `json:"cause"`
	EndedBy string `json:"ended_by"`
	Missed  string `json:"missed"`
	Steps   []struct {
		Step, Kind, Exit, Reason, Value, Target string
	} `json:"steps"`
	Offers []struct {
		User   int
		Result string
	} `json:"offers"`
}

// newest is the account of the newest call from a caller (empty: from anybody),
// once it is over.
func (w *world) newest(caller string) account {
	w.t.Helper()
	var list struct{ Calls []account }
	query := "/api/calls?limit=1"
	if caller != "" {
		query += "&number=" + url.QueryEscape(caller)
	}
	w.until("recorded as done: the call from "+caller, 5*time.Second, func() bool {
		list.Calls = nil
		w.getJSON(query, &list)
		return len(list.Calls) > 0 && list.Calls[0].Status == "done"
	})
	var a account
	w.getJSON(fmt.Sprintf("/api/calls/%d", list.Calls[0].ID), &a)
	return a
}

// wantLookup checks how the first lookup of the newest call from a caller ended.
func (w *world) wantLookup(caller, exit, reason string) {
	w.t.Helper()
	a := w.newest(caller)
	for _, s := range a.Steps {
		if s.Kind != "ring_to_api" {
			continue
		}
		if s.Exit != exit || s.Reason != reason {
			w.t.Errorf("the record says %s/%s, want %s/%s: %+v", s.Exit, s.Reason, exit, reason, s)
		}
		return
	}
	w.t.Errorf("the record has no lookup: %+v", a)
}

// wantNothingLeft checks that no call is going on any more.
func (w *world) wantNothingLeft() {
	w.t.Helper()
	w.until("without a call", 5*time.Second, func() bool {
		var list struct{ Calls []account }
		w.getJSON("/api/calls?state=live", &list)
		return len(list.Calls) == 0
	})
}
